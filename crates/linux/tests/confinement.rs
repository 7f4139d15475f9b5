//! Confinements, for real: each case runs in a process of its own, which confines itself and then tries.
#![expect(unsafe_code, reason = "a case makes the very system calls that are to be refused")]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test, and one that starts itself"
)]

use std::{
    collections::BTreeMap,
    env, fs, io,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
    thread,
};

use rustix::{
    io::Errno,
    process::{DumpableBehavior, Pid, Signal, dumpable_behavior, getppid, kill_process},
    thread::{CapabilitySet, capabilities, capability_is_in_bounding_set},
};
use sandbar_linux::{
    capabilities::{self, AtExec},
    landlock::{self, Access, PathRule},
    seccomp::{Action, ArgTest, Clause, Policy, Rule, errno},
};

const CASE: &str = "SANDBAR_TEST_CASE";

/// The directory that a case may use; it outlives the case, which may no longer be able to remove it.
const DIR: &str = "SANDBAR_TEST_DIR";

/// Starts this test program again for the case `name` alone.
fn in_own_process(name: &str) -> ExitStatus {
    let dir = tempfile::tempdir().unwrap();
    let program = env::current_exe().unwrap();
    Command::new(program)
        .args(["--exact", "one_case", "--ignored", "--nocapture"])
        .env(CASE, name)
        .env(DIR, dir.path())
        .stdout(Stdio::null())
        .status()
        .unwrap()
}

#[test]
#[ignore = "the body of the cases; the other tests start it"]
fn one_case() {
    match env::var(CASE).as_deref() {
        Ok("seccomp_refuses") => seccomp_refuses(),
        Ok("seccomp_kills_i386") => seccomp_kills_i386(),
        Ok("seccomp_kills_x32") => seccomp_kills_x32(),
        Ok("landlock_restricts") => landlock_restricts(),
        Ok("capabilities_settle") => capabilities_settle(),
        Ok("capabilities_survive_exec") => capabilities_survive_exec(),
        other => panic!("no such case: {other:?}"),
    }
}

#[test]
fn a_filter_holds_on_every_thread_and_over_exec() {
    assert!(in_own_process("seccomp_refuses").success());
}

#[test]
#[cfg(target_arch = "x86_64")]
fn calls_of_i386_kill_the_process() {
    let signal = in_own_process("seccomp_kills_i386").signal();
    assert!(matches!(signal, Some(libc::SIGSYS | libc::SIGSEGV)), "{signal:?}");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn calls_of_x32_kill_the_process() {
    assert_eq!(in_own_process("seccomp_kills_x32").signal(), Some(libc::SIGSYS));
}

#[test]
fn landlock_keeps_files_and_signals_inside() {
    if landlock::abi() == 0 {
        return;
    }
    assert!(in_own_process("landlock_restricts").success());
}

#[test]
fn settled_capabilities_are_all_there_is() {
    if rustix::process::geteuid().is_root() {
        assert!(in_own_process("capabilities_settle").success());
    }
}

#[test]
fn kept_capabilities_are_there_after_an_exec_and_no_others() {
    if rustix::process::geteuid().is_root() {
        assert!(in_own_process("capabilities_survive_exec").success());
    }
}

fn number(call: libc::c_long) -> u32 {
    u32::try_from(call).unwrap()
}

/// Allows everything but `sync`, and `ioctl` of `TIOCSTI`.
fn nearly_everything() -> Policy {
    Policy {
        rules: BTreeMap::from([
            (number(libc::SYS_sync), Rule::Always(Action::Errno(errno(libc::EUCLEAN)))),
            (
                number(libc::SYS_ioctl),
                Rule::ByArgs {
                    clauses: vec![Clause {
                        tests: vec![ArgTest { arg: 1, mask: u32::MAX, value: 0x5412 }],
                        action: Action::Errno(errno(libc::EDOM)),
                    }],
                    otherwise: Action::Allow,
                },
            ),
        ]),
        default: Action::Allow,
        newest: 470,
    }
}

fn raw_sync() -> Option<i32> {
    // SAFETY: takes no argument.
    let result = unsafe { libc::syscall(libc::SYS_sync) };
    (result != 0).then(|| io::Error::last_os_error().raw_os_error().unwrap())
}

fn seccomp_refuses() {
    capabilities::forbid_new_privileges().unwrap();
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let other = thread::spawn(move || {
        told.recv().unwrap();
        raw_sync()
    });
    nearly_everything().compile().unwrap().install().unwrap();
    tell.send(()).unwrap();
    assert_eq!(raw_sync(), Some(libc::EUCLEAN));
    assert_eq!(other.join().unwrap(), Some(libc::EUCLEAN), "the thread that was there before");

    for command in [0x5412u64, 0x1_0000_5412] {
        // SAFETY: the call is refused before the pointer is looked at.
        let result = unsafe { libc::syscall(libc::SYS_ioctl, 0, command, 0usize) };
        assert_eq!((result, io::Error::last_os_error().raw_os_error()), (-1, Some(libc::EDOM)));
    }
    // SAFETY: there is no such call.
    let result = unsafe { libc::syscall(9999) };
    assert_eq!((result, io::Error::last_os_error().raw_os_error()), (-1, Some(libc::ENOSYS)));

    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    assert!(status.contains("\nSeccomp:\t2\n"));
    let after_exec = Command::new("/bin/cat").arg("/proc/self/status").output().unwrap();
    assert!(String::from_utf8_lossy(&after_exec.stdout).contains("\nSeccomp:\t2\n"));
}

#[cfg(target_arch = "x86_64")]
fn seccomp_kills_i386() {
    capabilities::forbid_new_privileges().unwrap();
    nearly_everything().compile().unwrap().install().unwrap();
    // SAFETY: getpid of i386 (20) has no memory effects; the process is not expected to come back.
    unsafe { std::arch::asm!("int 0x80", inout("eax") 20 => _) };
    panic!("i386 calls work");
}

#[cfg(target_arch = "x86_64")]
fn seccomp_kills_x32() {
    capabilities::forbid_new_privileges().unwrap();
    nearly_everything().compile().unwrap().install().unwrap();
    // SAFETY: getpid of x32 has no memory effects; the process is not expected to come back.
    unsafe { libc::syscall(0x4000_0000 | libc::SYS_getpid) };
    panic!("x32 calls work");
}

#[cfg(not(target_arch = "x86_64"))]
fn seccomp_kills_i386() {}

#[cfg(not(target_arch = "x86_64"))]
fn seccomp_kills_x32() {}

fn landlock_restricts() {
    let dir = PathBuf::from(env::var_os(DIR).unwrap());
    let (inside, outside) = (dir.join("inside"), dir.join("outside"));
    fs::create_dir(&inside).unwrap();
    fs::create_dir(inside.join("deep")).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "x").unwrap();
    let rule = |path: &str, access| PathRule { path: path.into(), access };
    let restricted = landlock::restrict(&[
        rule("/", Access::List),
        rule("/usr", Access::ReadExecute),
        rule("/lib", Access::ReadExecute),
        rule("/lib64", Access::ReadExecute),
        rule("/bin", Access::ReadExecute),
        rule("/etc", Access::Read),
        rule("/proc", Access::Read),
        rule("/dev", Access::Device),
        rule("/no/such/path", Access::ReadWrite),
        rule(inside.to_str().unwrap(), Access::ReadWrite),
    ])
    .unwrap();
    assert_eq!(restricted.abi, landlock::abi());

    fs::write(inside.join("deep/file"), "x").unwrap();
    if restricted.abi >= 2 {
        fs::rename(inside.join("deep/file"), inside.join("file")).unwrap();
    }
    fs::write("/dev/null", "x").unwrap();
    fs::read_dir(&outside).unwrap();
    let denied =
        |result: io::Result<()>| result.unwrap_err().kind() == io::ErrorKind::PermissionDenied;
    assert!(denied(fs::read(outside.join("secret")).map(drop)));
    assert!(denied(fs::write(outside.join("new"), "x")));
    assert!(denied(fs::remove_file(outside.join("secret"))));

    // A child is in the same domain: it may be signaled, and is restricted, too.
    let mut child = Command::new("/bin/cat").stdin(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
    let cat = Command::new("/bin/cat").arg(outside.join("secret")).stderr(Stdio::null()).status();
    assert!(!cat.unwrap().success());
    if restricted.is_scoped {
        let parent = getppid().unwrap();
        assert_eq!(rustix::process::test_kill_process(parent), Err(Errno::PERM));
    }
}

fn capabilities_settle() {
    let kept = CapabilitySet::SETUID | CapabilitySet::SETGID | CapabilitySet::KILL;
    capabilities::settle(kept, AtExec::Lost).unwrap();
    let now = capabilities(None).unwrap();
    assert_eq!((now.permitted, now.effective), (kept, kept));
    assert!(now.inheritable.is_empty());
    assert!(!capability_is_in_bounding_set(CapabilitySet::SETUID).unwrap());
    let after_exec = Command::new("/bin/cat").arg("/proc/self/status").output().unwrap();
    let after_exec = String::from_utf8(after_exec.stdout).unwrap();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(after_exec.contains(&format!("{set}:\t0000000000000000")), "{after_exec}");
    }
    capabilities::drop_all().unwrap();
    assert!(capabilities(None).unwrap().permitted.is_empty());
    capabilities::forbid_dumps().unwrap();
    assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
}

fn capabilities_survive_exec() {
    let kept = CapabilitySet::SETUID | CapabilitySet::KILL;
    capabilities::settle(kept, AtExec::Kept).unwrap();
    let after_exec = Command::new("/bin/cat").arg("/proc/self/status").output().unwrap();
    let after_exec = String::from_utf8(after_exec.stdout).unwrap();
    for (set, value) in [("CapPrm", kept.bits()), ("CapEff", kept.bits()), ("CapBnd", 0)] {
        assert!(after_exec.contains(&format!("{set}:\t{value:016x}")), "{after_exec}");
    }
    capabilities::drop_all().unwrap();
    assert!(capabilities(None).unwrap().permitted.is_empty());
}
