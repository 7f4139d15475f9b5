//! What the processes of a sandbox may ask of the kernel: the default profile, as data.
//!
//! An allow-list; what it does not name fails with `EPERM`, what the kernel of its time did not know with `ENOSYS`.
//! The names are those that a container commonly gets, less what reaches the kernel's rarely trodden parts: mounts and
//! namespaces, keyrings, `io_uring` (which makes calls behind the filter's back), BPF, tracing of the kernel, clocks.
//! The supervisor runs under the same filter, and every tool of `docs/toolchains.md` must work under it.

mod names;

use std::collections::BTreeMap;

use sandbar_linux::seccomp::{Action, ArgTest, Clause, Policy, Program, Rule, errno};

use self::names::{ALLOWED, NEWEST, NOT_THERE, number};

const REFUSED: Action = Action::Errno(errno(libc::EPERM));
const ABSENT: Action = Action::Errno(errno(libc::ENOSYS));

/// Every bit of clone(2)'s flags that makes a namespace; `CLONE_NEWTIME` is not among them, as it is one of clone3(2).
const NAMESPACE_FLAGS: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// Terminal commands that put bytes into a terminal's input, or reach the console or line disciplines (ioctl_tty(2)).
const TERMINAL_COMMANDS: [u32; 4] = [
    0x5412, // TIOCSTI
    0x541C, // TIOCLINUX
    0x541D, // TIOCCONS
    0x5423, // TIOCSETD
];

/// Execution domains that a toolchain uses (personality(2)).
const PERSONALITIES: [u32; 6] = [
    0,
    0x0008,      // PER_LINUX32
    0x2_0000,    // UNAME26
    0x2_0008,    // both
    0x4_0000,    // ADDR_NO_RANDOMIZE, which gdb sets
    0xFFFF_FFFF, // only asks
];

/// Returns the policy of the default profile.
#[must_use]
pub fn default_policy() -> Policy {
    let always = |calls: &[libc::c_long], action: Action| -> Vec<(u32, Rule)> {
        calls.iter().map(|call| (number(*call), Rule::Always(action))).collect()
    };
    let mut rules: BTreeMap<u32, Rule> = BTreeMap::new();
    rules.extend(always(ALLOWED, Action::Allow));
    rules.extend(always(NOT_THERE, ABSENT));
    rules.extend(by_args().map(|(call, rule)| (number(call), rule)));
    Policy { rules, default: REFUSED, newest: NEWEST }
}

/// Returns the compiled default profile; the same bytes on every call.
#[must_use]
pub fn default_program() -> Program {
    default_policy().compile().expect("a test compiles the same data")
}

/// The calls whose arguments decide.
fn by_args() -> impl Iterator<Item = (libc::c_long, Rule)> {
    let sockets = [
        vec![equals(0, number_of(libc::AF_UNIX))],
        vec![equals(0, number_of(libc::AF_INET))],
        vec![equals(0, number_of(libc::AF_INET6))],
        // Routing only: getifaddrs(3) needs it, and the rest of netlink configures the kernel.
        vec![equals(0, number_of(libc::AF_NETLINK)), equals(2, number_of(libc::NETLINK_ROUTE))],
    ];
    let namespaces = ArgTest { arg: 0, mask: number_of(NAMESPACE_FLAGS), value: 0 };
    [
        (libc::SYS_clone, allow_when([vec![namespaces]])),
        (libc::SYS_socket, allow_when(sockets)),
        (libc::SYS_socketpair, allow_when([vec![equals(0, number_of(libc::AF_UNIX))]])),
        (libc::SYS_personality, allow_when(PERSONALITIES.map(|persona| vec![equals(0, persona)]))),
        (libc::SYS_ioctl, refuse_when(TERMINAL_COMMANDS.map(|command| vec![equals(1, command)]))),
        // PR_SET_MM moves the parts of an address space, and can make a process look like another program.
        (libc::SYS_prctl, refuse_when([vec![equals(0, number_of(libc::PR_SET_MM))]])),
    ]
    .into_iter()
}

fn equals(arg: u8, value: u32) -> ArgTest {
    ArgTest { arg, mask: u32::MAX, value }
}

fn allow_when<const N: usize>(alternatives: [Vec<ArgTest>; N]) -> Rule {
    by(alternatives, Action::Allow, REFUSED)
}

fn refuse_when<const N: usize>(alternatives: [Vec<ArgTest>; N]) -> Rule {
    by(alternatives, REFUSED, Action::Allow)
}

fn by<const N: usize>(alternatives: [Vec<ArgTest>; N], action: Action, otherwise: Action) -> Rule {
    Rule::ByArgs {
        clauses: alternatives.into_iter().map(|tests| Clause { tests, action }).collect(),
        otherwise,
    }
}

fn number_of(constant: libc::c_int) -> u32 {
    u32::from_ne_bytes(constant.to_ne_bytes())
}

#[cfg(test)]
mod tests;
