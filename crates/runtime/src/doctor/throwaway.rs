//! Runs one probe in a process of its own, and makes a finding of whatever becomes of it.

use std::{
    io::Read,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::Finding;

/// LIMIT: how long a probe may take. It needs a millisecond.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn run(exe: &Path, name: &str, data: &Path) -> Vec<Finding> {
    let started = start(exe, name, data);
    let mut child = match started {
        Ok(child) => child,
        Err(err) => {
            return vec![Finding::missing(name, format!("the probe could not be started: {err}"))];
        }
    };
    let Some(status) = wait(&mut child) else {
        return vec![Finding::missing(name, format!("the probe did not end within {PATIENCE:?}"))];
    };
    let mut answer = Vec::new();
    if let Some(mut output) = child.stdout.take() {
        // What cannot be read does not parse either.
        output.read_to_end(&mut answer).ok();
    }
    match serde_json::from_slice(&answer) {
        Ok(findings) if status.success() => findings,
        Ok(_) | Err(_) => vec![died(name, status)],
    }
}

/// With the smallest environment, in a process group of its own.
#[expect(clippy::disallowed_methods, reason = "a probe gets no descriptor and no environment")]
fn start(exe: &Path, name: &str, data: &Path) -> std::io::Result<Child> {
    Command::new(exe)
        .args(["__launch", "probe", name])
        .arg(data)
        .env_clear()
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

/// Reaps it; one that is too slow is killed first, and has no status. Answers are far smaller than a pipe.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + PATIENCE;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw)?;
    let ended = pidfd_open(pid, PidfdFlags::empty()).is_ok_and(|handle| {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).ok();
            match poll(&mut [PollFd::new(&handle, PollFlags::IN)], timeout.as_ref()) {
                Ok(ready) => return ready > 0,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    });
    if !ended {
        child.kill().ok();
        child.wait().ok();
        return None;
    }
    child.wait().ok()
}

fn died(name: &str, status: ExitStatus) -> Finding {
    match status.signal() {
        Some(libc::SIGSYS) => Finding::missing(name, "the probe was killed by a seccomp filter that is on us already")
            .hint("let the container use the calls of namespaces and mounts, or run the server on the host"),
        Some(signal) => Finding::missing(name, format!("the probe was killed by signal {signal}")),
        None => Finding::missing(name, format!("the probe failed: {status}")),
    }
}
