//! From policy to instructions.
//!
//! ```text
//! load arch;    other than ours        → kill
//! load number;  x32                    → kill      (the number that a tracer leaves behind: ENOSYS)
//!               newer than the newest  → ENOSYS
//! binary search over runs of numbers with the same rule
//!               leaf: return, or the tests of the arguments, then return
//! ```

use super::{Action, CANCELED, Clause, NO_SUCH_CALL, Policy, Rule, X32_BIT};

/// One instruction of classic BPF (linux/filter.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// How many instructions to skip when a comparison holds.
    pub jump_true: u8,
    /// How many instructions to skip when it does not.
    pub jump_false: u8,
    /// What to compare with, load from, or return.
    pub operand: u32,
}

/// Why a policy cannot be compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The kernel takes no more than 4096 instructions.
    #[error("the filter has {len} instructions, 4096 is the most")]
    TooLong {
        /// How many they are.
        len: usize,
    },
    /// A clause has no test, more than fit a jump, or one that can never hold.
    #[error("system call {number} has a clause that cannot be compiled")]
    Clause {
        /// The system call.
        number: u32,
    },
    /// A rule is for a number that the search never reaches.
    #[error("system call {number} is newer than the newest that the policy knows")]
    Newer {
        /// The system call.
        number: u32,
    },
}

/// LIMIT: `BPF_MAXINSNS` of linux/bpf_common.h.
const INSTRUCTIONS_MAX: usize = 4096;
/// LIMIT: a clause of this many tests still fits the eight bits of a jump.
const TESTS_MAX: usize = 32;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_GREATER: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const JUMP_AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

// Offsets into `struct seccomp_data` (linux/seccomp.h).
const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCH: u32 = 4;
const OFFSET_ARGS: u32 = 16;

// From linux/audit.h: ELF machine number, 64 bits, little-endian.
#[cfg(target_arch = "x86_64")]
pub(super) const OUR_ARCH: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
pub(super) const OUR_ARCH: u32 = 0xC000_00B7;

/// The numbers from `first` up to the next run's first share `rule`.
struct Run<'a> {
    first: u32,
    rule: &'a Rule,
}

pub(super) fn assemble(policy: &Policy) -> Result<Vec<Instruction>, CompileError> {
    for (number, rule) in &policy.rules {
        if *number > policy.newest {
            return Err(CompileError::Newer { number: *number });
        }
        if !is_sound(rule) {
            return Err(CompileError::Clause { number: *number });
        }
    }
    let default = Rule::Always(policy.default);
    let mut program = vec![
        load(OFFSET_ARCH),
        jump(JUMP_EQUAL, OUR_ARCH, 1, 0),
        give(Action::KillProcess),
        load(OFFSET_NUMBER),
        jump(JUMP_AT_LEAST, X32_BIT, 0, 2),
        jump(JUMP_EQUAL, CANCELED, 1, 0),
        give(Action::KillProcess),
        jump(JUMP_GREATER, policy.newest, 0, 1),
        give(NO_SUCH_CALL),
    ];
    program.extend(search(&runs(policy, &default)));
    if program.len() > INSTRUCTIONS_MAX {
        return Err(CompileError::TooLong { len: program.len() });
    }
    Ok(program)
}

fn is_sound(rule: &Rule) -> bool {
    match rule {
        Rule::Always(_) => true,
        Rule::ByArgs { clauses, .. } => clauses.iter().all(|clause| {
            (1..=TESTS_MAX).contains(&clause.tests.len())
                && clause.tests.iter().all(|test| test.arg < 6 && test.value & !test.mask == 0)
        }),
    }
}

/// Neighbors with the same rule become one run, so that the tree has a leaf for each change and not for each number.
fn runs<'a>(policy: &'a Policy, default: &'a Rule) -> Vec<Run<'a>> {
    let mut runs: Vec<Run<'a>> = Vec::new();
    for first in 0..=policy.newest {
        let rule = policy.rules.get(&first).unwrap_or(default);
        if runs.last().is_none_or(|last| last.rule != rule) {
            runs.push(Run { first, rule });
        }
    }
    runs
}

fn search(runs: &[Run<'_>]) -> Vec<Instruction> {
    match runs {
        [] => Vec::new(),
        [only] => leaf(only.rule),
        _ => {
            let (low, high) = runs.split_at(runs.len() / 2);
            let (below, above) = (search(low), search(high));
            let pivot = high[0].first;
            let mut program = Vec::with_capacity(below.len() + above.len() + 2);
            match u8::try_from(below.len()) {
                Ok(skip) => program.push(jump(JUMP_AT_LEAST, pivot, skip, 0)),
                // A conditional jump reaches 255 instructions; an unconditional one any.
                Err(_) => {
                    program.push(jump(JUMP_AT_LEAST, pivot, 0, 1));
                    program.push(Instruction {
                        code: JUMP,
                        jump_true: 0,
                        jump_false: 0,
                        operand: u32::try_from(below.len()).expect("far below 4096 runs"),
                    });
                }
            }
            program.extend(below);
            program.extend(above);
            program
        }
    }
}

fn leaf(rule: &Rule) -> Vec<Instruction> {
    match rule {
        Rule::Always(action) => vec![give(*action)],
        Rule::ByArgs { clauses, otherwise } => {
            let mut program: Vec<Instruction> = clauses.iter().flat_map(tests).collect();
            program.push(give(*otherwise));
            program
        }
    }
}

fn tests(clause: &Clause) -> Vec<Instruction> {
    let mut backwards = vec![give(clause.action)];
    for test in clause.tests.iter().rev() {
        let to_next_clause = u8::try_from(backwards.len()).expect("is_sound() limits the tests");
        backwards.push(jump(JUMP_EQUAL, test.value, 0, to_next_clause));
        if test.mask != u32::MAX {
            backwards.push(Instruction {
                code: AND,
                jump_true: 0,
                jump_false: 0,
                operand: test.mask,
            });
        }
        // The low half comes first: both architectures are little-endian.
        backwards.push(load(OFFSET_ARGS + 8 * u32::from(test.arg)));
    }
    backwards.reverse();
    backwards
}

fn load(offset: u32) -> Instruction {
    Instruction { code: LOAD, jump_true: 0, jump_false: 0, operand: offset }
}

fn jump(code: u16, operand: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code, jump_true, jump_false, operand }
}

fn give(action: Action) -> Instruction {
    let operand = match action {
        Action::Allow => libc::SECCOMP_RET_ALLOW,
        Action::Errno(number) => libc::SECCOMP_RET_ERRNO | u32::from(number),
        Action::KillProcess => libc::SECCOMP_RET_KILL_PROCESS,
    };
    Instruction { code: RETURN, jump_true: 0, jump_false: 0, operand }
}
