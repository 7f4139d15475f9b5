//! Seccomp filters: a typed policy over system calls, and the classic BPF program that decides by binary search.
//!
//! Why not a chain of comparisons: `docs/decisions/0002-seccomp-by-binary-search.md`.
//! A test looks at the low 32 bits of an argument only. Every argument that a policy can sensibly test is an `int` to
//! the kernel, which drops the high half; a test of all 64 bits is passed by setting a bit that the kernel ignores.
//! What pointers point at cannot be tested at all: the process can change it after the test.

mod assemble;

use std::{collections::BTreeMap, io};

pub use assemble::{CompileError, Instruction};

/// What the kernel does with a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Carries it out.
    Allow,
    /// Fails it with this error number.
    Errno(u16),
    /// Kills the whole process with `SIGSYS`.
    KillProcess,
}

/// One test of one argument's low 32 bits: `(argument & mask) == value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ArgTest {
    /// Which argument, 0 to 5.
    pub arg: u8,
    /// The bits to look at.
    pub mask: u32,
    /// What they must be.
    pub value: u32,
}

/// What happens when every test of a clause holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// All must hold.
    pub tests: Vec<ArgTest>,
    /// What happens then.
    pub action: Action,
}

/// What one system call gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// The same whatever its arguments are.
    Always(Action),
    /// The first clause that holds decides.
    ByArgs {
        /// In order.
        clauses: Vec<Clause>,
        /// What happens when none holds.
        otherwise: Action,
    },
}

/// What every system call gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// By number.
    pub rules: BTreeMap<u32, Rule>,
    /// For numbers without a rule, up to `newest`.
    pub default: Action,
    /// The newest number that the policy's author knew; above it the call fails with `ENOSYS`, so that a libc falls back.
    pub newest: u32,
}

/// A compiled filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(Vec<Instruction>);

/// From here on numbers belong to x32 on x86-64; elsewhere they do not exist, and are refused alike.
const X32_BIT: u32 = 0x4000_0000;
/// The number that a tracer leaves behind when it cancels a call (ptrace(2)).
const CANCELED: u32 = u32::MAX;

impl Policy {
    /// Decides what a call of this build's architecture gets; the program must come to the same conclusion.
    #[must_use]
    pub fn decide(&self, number: u32, args: [u64; 6]) -> Action {
        if number >= X32_BIT && number != CANCELED {
            return Action::KillProcess;
        }
        if number > self.newest {
            return NO_SUCH_CALL;
        }
        match self.rules.get(&number) {
            None => self.default,
            Some(Rule::Always(action)) => *action,
            Some(Rule::ByArgs { clauses, otherwise }) => clauses
                .iter()
                .find(|clause| clause.tests.iter().all(|test| test.holds(args)))
                .map_or(*otherwise, |clause| clause.action),
        }
    }

    /// Compiles the policy for the architecture of this build.
    ///
    /// # Errors
    /// The policy has a clause that cannot be, or is longer than the kernel takes.
    pub fn compile(&self) -> Result<Program, CompileError> {
        assemble::assemble(self).map(Program)
    }
}

impl ArgTest {
    fn holds(&self, args: [u64; 6]) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "the low half is what is tested")]
        args.get(usize::from(self.arg)).is_some_and(|arg| (*arg as u32) & self.mask == self.value)
    }
}

const NO_SUCH_CALL: Action = Action::Errno(errno(libc::ENOSYS));

/// Turns an error number of libc into what an [`Action::Errno`] holds.
///
/// # Panics
/// In a constant, at compile time: `number` is not an error number.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked by the assertion"
)]
pub const fn errno(number: i32) -> u16 {
    assert!(number > 0 && number < 4096);
    number as u16
}

impl Program {
    /// The instructions, for a test or a hash.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.0
    }

    /// The program as the kernel takes it, little-endian, for a hash.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * 8);
        for instruction in &self.0 {
            bytes.extend(instruction.code.to_le_bytes());
            bytes.extend([instruction.jump_true, instruction.jump_false]);
            bytes.extend(instruction.operand.to_le_bytes());
        }
        bytes
    }

    /// Installs the filter on every thread of the process, for good; execs and children keep it.
    ///
    /// `no_new_privs` must be set, or the process must have `CAP_SYS_ADMIN` in its user namespace. See seccomp(2).
    ///
    /// # Errors
    /// What seccomp(2) says; `ESRCH` where a thread runs under a filter of its own and cannot be brought in line.
    pub fn install(&self) -> io::Result<()> {
        let mut filter: Vec<libc::sock_filter> = self
            .0
            .iter()
            .map(|instruction| libc::sock_filter {
                code: instruction.code,
                jt: instruction.jump_true,
                jf: instruction.jump_false,
                k: instruction.operand,
            })
            .collect();
        let program = libc::sock_fprog {
            len: u16::try_from(filter.len()).expect("assemble() refuses more than 4096"),
            filter: filter.as_mut_ptr(),
        };
        let flags = libc::SECCOMP_FILTER_FLAG_TSYNC | libc::SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
        // SAFETY: `program` and the `filter` that it points into live until the call returns; the kernel only reads them.
        let result = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                &raw const program,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(test)]
mod tests;
