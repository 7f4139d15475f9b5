//! Runs the supervisor as process 1 of a fresh pid namespace, for tests: the smallest launcher there can be.
//!
//! `process_one <socket> <config>`: standard input is the keeper's socket. It isolates nothing: needs root, keeps the
//! host's files, and gives the namespace a `/proc`, a `/dev/pts` and a loopback of its own. Exits as the supervisor did.

use std::{
    env,
    error::Error,
    fs::File,
    io,
    os::{fd::OwnedFd, unix::net::UnixListener},
    process::{self, ExitCode},
};

use rustix::{
    io::{FdFlags, fcntl_getfd, fcntl_setfd},
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    process::{WaitOptions, getpid, waitpid},
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout},
    thread::CapabilitySet,
};
use sandbar_linux::{
    capabilities::{AtExec, settle},
    clone::{CloneSpec, Cloned, clone_process},
};

const CLONE_NEWNS: u64 = 0x0002_0000;
const CLONE_NEWPID: u64 = 0x2000_0000;
const CLONE_NEWNET: u64 = 0x4000_0000;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (Some("supervise"), None) => sandbar_supervisor::main(),
        (Some(socket), Some(config)) => launch(socket, &config).unwrap_or(ExitCode::from(99)),
        _ => ExitCode::from(98),
    }
}

fn launch(socket: &str, config: &str) -> Result<ExitCode, Box<dyn Error>> {
    // Opened in the order of their numbers, 3, 4 and 5; nothing else is open.
    let listener: OwnedFd = UnixListener::bind(socket)?.into();
    let keeper = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let config: OwnedFd = File::open(config)?.into();
    let spec = CloneSpec { flags: CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET, cgroup: None };
    match clone_process(spec)? {
        Cloned::Child => become_process_one([&listener, &keeper, &config]),
        Cloned::Parent { pid, .. } => {
            drop((listener, keeper, config));
            // The keeper's end must have one holder inside only, or nobody would notice that it is gone.
            dup2_stdin(File::open("/dev/null")?)?;
            let status = waitpid(Some(pid), WaitOptions::empty())?.ok_or("nothing waited for")?.1;
            Ok(ExitCode::from(u8::try_from(status.exit_status().unwrap_or(97))?))
        }
    }
}

fn become_process_one(passed: [&OwnedFd; 3]) -> Result<ExitCode, Box<dyn Error>> {
    assert!(getpid().is_init());
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    mount("proc", "/proc", "proc", MountFlags::NOSUID, c"hidepid=invisible")?;
    mount(
        "devpts",
        "/dev/pts",
        "devpts",
        MountFlags::NOSUID,
        c"newinstance,ptmxmode=0666,mode=620",
    )?;
    sandbar_linux::loopback::bring_up()?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    for fd in passed {
        fcntl_setfd(fd, fcntl_getfd(fd)? - FdFlags::CLOEXEC)?;
    }
    let kept = CapabilitySet::SETUID
        | CapabilitySet::SETGID
        | CapabilitySet::SETPCAP
        | CapabilitySet::KILL;
    settle(kept, AtExec::Kept)?;
    Err(exec().into())
}

#[expect(clippy::disallowed_methods, reason = "the smallest launcher there can be")]
fn exec() -> io::Error {
    use std::os::unix::process::CommandExt;
    process::Command::new("/proc/self/exe").arg("supervise").env_clear().exec()
}
