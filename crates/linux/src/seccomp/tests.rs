use proptest::prelude::*;

use super::{assemble::OUR_ARCH, *};

/// Runs `program` as the kernel would, and returns what it returns and how many instructions that took.
fn run(program: &Program, arch: u32, number: u32, args: [u64; 6]) -> (u32, usize) {
    let mut data = [0u32; 16];
    data[0] = number;
    data[1] = arch;
    for (index, arg) in args.into_iter().enumerate() {
        data[4 + 2 * index] = u32::try_from(arg & 0xFFFF_FFFF).unwrap();
        data[5 + 2 * index] = u32::try_from(arg >> 32).unwrap();
    }
    let (mut accumulator, mut next, mut steps) = (0u32, 0usize, 0usize);
    loop {
        let now = program.instructions()[next];
        next += 1;
        steps += 1;
        let branch = |holds: bool| usize::from(if holds { now.jump_true } else { now.jump_false });
        match now.code {
            0x20 => accumulator = data[usize::try_from(now.operand / 4).unwrap()],
            0x54 => accumulator &= now.operand,
            0x05 => next += usize::try_from(now.operand).unwrap(),
            0x15 => next += branch(accumulator == now.operand),
            0x25 => next += branch(accumulator > now.operand),
            0x35 => next += branch(accumulator >= now.operand),
            0x06 => return (now.operand, steps),
            other => panic!("instruction {other:#x} is not one that we emit"),
        }
    }
}

fn verdict(action: Action) -> u32 {
    match action {
        Action::Allow => 0x7FFF_0000,
        Action::Errno(number) => 0x0005_0000 | u32::from(number),
        Action::KillProcess => 0x8000_0000,
    }
}

fn test(arg: u8, mask: u32, value: u32) -> ArgTest {
    ArgTest { arg, mask, value }
}

fn sample() -> Policy {
    let allowed = [0, 1, 2, 3, 7, 8, 9, 11, 40, 41, 99, 100];
    let mut rules: BTreeMap<u32, Rule> =
        allowed.into_iter().map(|number| (number, Rule::Always(Action::Allow))).collect();
    rules.insert(10, Rule::Always(Action::Errno(38)));
    rules.insert(
        16,
        Rule::ByArgs {
            clauses: vec![Clause {
                tests: vec![test(1, u32::MAX, 0x5412)],
                action: Action::Errno(1),
            }],
            otherwise: Action::Allow,
        },
    );
    rules.insert(
        56,
        Rule::ByArgs {
            clauses: vec![
                Clause {
                    tests: vec![test(0, 0x7E02_0000, 0), test(2, 0xFF, 7)],
                    action: Action::KillProcess,
                },
                Clause { tests: vec![test(0, 0x7E02_0000, 0)], action: Action::Allow },
            ],
            otherwise: Action::Errno(1),
        },
    );
    Policy { rules, default: Action::Errno(1), newest: 120 }
}

#[test]
fn the_program_decides_as_the_policy_for_every_number() {
    let policy = sample();
    let program = policy.compile().unwrap();
    let strange = [1000, X32_BIT - 1, X32_BIT, X32_BIT + 1, u32::MAX - 1, u32::MAX];
    for number in (0..=policy.newest + 50).chain(strange) {
        for args in [[0; 6], [u64::MAX; 6], [0, 0x5412, 7, 0, 0, 0]] {
            assert_eq!(
                run(&program, OUR_ARCH, number, args).0,
                verdict(policy.decide(number, args)),
                "number {number}, arguments {args:?}"
            );
        }
    }
}

#[test]
fn calls_of_another_architecture_kill() {
    let program = sample().compile().unwrap();
    let i386 = 0x4000_0003;
    for number in 0..200 {
        assert_eq!(run(&program, i386, number, [0; 6]).0, verdict(Action::KillProcess));
    }
}

#[test]
fn calls_of_x32_kill_and_unknown_ones_do_not_exist() {
    let policy = sample();
    assert_eq!(policy.decide(X32_BIT + 1, [0; 6]), Action::KillProcess);
    assert_eq!(policy.decide(121, [0; 6]), Action::Errno(38));
    assert_eq!(policy.decide(CANCELED, [0; 6]), Action::Errno(38));
    assert_eq!(policy.decide(4, [0; 6]), Action::Errno(1));
}

#[test]
fn a_high_half_does_not_get_past_a_test() {
    let policy = sample();
    let program = policy.compile().unwrap();
    let hidden = [0, 0x1_0000_5412, 0, 0, 0, 0];
    assert_eq!(policy.decide(16, hidden), Action::Errno(1));
    assert_eq!(run(&program, OUR_ARCH, 16, hidden).0, verdict(Action::Errno(1)));
}

#[test]
fn a_search_over_many_runs_is_shallow() {
    let policy = Policy {
        rules: (0..450).step_by(2).map(|number| (number, Rule::Always(Action::Allow))).collect(),
        default: Action::Errno(1),
        newest: 450,
    };
    let program = policy.compile().unwrap();
    let deepest = (0..=450).map(|number| run(&program, OUR_ARCH, number, [0; 6]).1).max();
    assert!(deepest.unwrap() <= 20, "{deepest:?} instructions");
}

#[test]
fn unsound_policies_are_refused() {
    let with = |rule| Policy { rules: BTreeMap::from([(5, rule)]), ..sample() };
    let by = |tests| Rule::ByArgs {
        clauses: vec![Clause { tests, action: Action::Allow }],
        otherwise: Action::Errno(1),
    };
    for rule in [by(vec![]), by(vec![test(6, 1, 1)]), by(vec![test(0, 1, 2)])] {
        assert_eq!(with(rule).compile(), Err(CompileError::Clause { number: 5 }));
    }
    let too_new = Policy { newest: 4, ..with(Rule::Always(Action::Allow)) };
    assert!(matches!(too_new.compile(), Err(CompileError::Newer { .. })));
}

fn any_action() -> impl Strategy<Value = Action> {
    prop_oneof![Just(Action::Allow), (1..200u16).prop_map(Action::Errno), Just(Action::KillProcess),]
}

fn any_test() -> impl Strategy<Value = ArgTest> {
    // Few bits, so that a test holds often enough to matter.
    (0..6u8, prop_oneof![Just(u32::MAX), 0..8u32], 0..8u32)
        .prop_map(|(arg, mask, value)| test(arg, mask, value & mask))
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let clause = (prop::collection::vec(any_test(), 1..4), any_action())
        .prop_map(|(tests, action)| Clause { tests, action });
    prop_oneof![
        any_action().prop_map(Rule::Always),
        (prop::collection::vec(clause, 1..4), any_action())
            .prop_map(|(clauses, otherwise)| Rule::ByArgs { clauses, otherwise }),
    ]
}

fn any_arg() -> impl Strategy<Value = u64> {
    (prop_oneof![Just(0u64), any::<u32>().prop_map(u64::from)], 0..8u64)
        .prop_map(|(high, low)| high << 32 | low)
}

proptest! {
    #[test]
    fn the_program_decides_as_any_policy(
        rules in prop::collection::btree_map(0..300u32, any_rule(), 0..120),
        default in any_action(),
        calls in prop::collection::vec((0..320u32, prop::array::uniform6(any_arg())), 64),
    ) {
        let policy = Policy { rules, default, newest: 299 };
        let program = policy.compile().unwrap();
        for (number, args) in calls {
            prop_assert_eq!(run(&program, OUR_ARCH, number, args).0, verdict(policy.decide(number, args)));
        }
    }
}
