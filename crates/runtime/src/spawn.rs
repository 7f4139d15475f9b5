//! The one place that starts processes of the host: clean environment, own session, only the descriptors that were meant.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_send_signal, waitid};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest, unix::AsyncFd},
    net::unix::pipe,
};

/// LIMIT: what is kept of a worker's standard error.
const STDERR_MAX: u64 = 64 << 10;
/// LIMIT: what a worker may answer.
const ANSWER_MAX: u64 = 256 << 20;

/// A short-lived process of ours, `sandbar <role>`, that gets one JSON value and answers with one.
#[derive(Debug)]
pub struct Worker {
    /// Our own executable.
    pub exe: PathBuf,
    /// The hidden subcommand, for example `__apply`.
    pub role: &'static str,
    /// Descriptors that it finds at 3, 4, …; the only ones besides 0, 1 and 2.
    pub fds: Vec<OwnedFd>,
    /// When it is killed.
    pub deadline: Duration,
}

/// Why a worker gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It could not be started.
    #[error("failed to start a worker")]
    Start(#[source] io::Error),
    /// It did not answer in time, and was killed.
    #[error("the worker did not answer within {0:?}")]
    Deadline(Duration),
    /// It ended with a failure; what it wrote to its standard error.
    #[error("the worker failed: {stderr}")]
    Failed {
        /// The end of its standard error.
        stderr: String,
    },
    /// Its answer is not what was expected.
    #[error("the worker's answer does not parse")]
    Answer(#[source] serde_json::Error),
}

impl Worker {
    /// Starts the process, writes `input` to its standard input as JSON, and parses what it writes to its standard output.
    ///
    /// Dropping the future kills the process.
    ///
    /// # Errors
    /// It could not be started, failed, was too slow, or answered something else.
    pub async fn run<I: Serialize + Sync, O: DeserializeOwned>(
        self,
        input: &I,
    ) -> Result<O, WorkerError> {
        let input = serde_json::to_vec(input).map_err(|err| WorkerError::Start(err.into()))?;
        let deadline = self.deadline;
        let answer = tokio::time::timeout(deadline, self.converse(&input)).await;
        let answer = answer.unwrap_or(Err(WorkerError::Deadline(deadline)))?;
        serde_json::from_slice(&answer).map_err(WorkerError::Answer)
    }

    async fn converse(self, input: &[u8]) -> Result<Vec<u8>, WorkerError> {
        let start = WorkerError::Start;
        let (stdin, mut to_stdin) = pipe_to().map_err(start)?;
        let (from_stdout, stdout) = pipe_from().map_err(start)?;
        let (from_stderr, stderr) = pipe_from().map_err(start)?;
        let mut fds = vec![stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
        fds.extend(self.fds.iter().map(AsFd::as_fd));
        let process = Process::start(&self.exe, &[self.role], &[], &fds).map_err(start)?;
        drop((stdin, stdout, stderr));
        let (mut answer, mut complaint) = (Vec::new(), Vec::new());
        let (mut from_stdout, mut from_stderr) =
            (from_stdout.take(ANSWER_MAX), from_stderr.take(STDERR_MAX));
        let (_written, read, _heard) = tokio::join!(
            async {
                // A worker that ends without reading it all says so by its status.
                let _sent = to_stdin.write_all(input).await;
                drop(to_stdin);
            },
            from_stdout.read_to_end(&mut answer),
            from_stderr.read_to_end(&mut complaint),
        );
        read.map_err(start)?;
        let status = process.wait().await.map_err(start)?;
        if status.is_some_and(|status| status.exit_status() == Some(0)) {
            return Ok(answer);
        }
        Err(WorkerError::Failed { stderr: String::from_utf8_lossy(&complaint).trim().to_owned() })
    }
}

fn pipe_to() -> io::Result<(OwnedFd, pipe::Sender)> {
    let (read, write) = io::pipe()?;
    Ok((read.into(), pipe::Sender::from_owned_fd(write.into())?))
}

fn pipe_from() -> io::Result<(pipe::Receiver, OwnedFd)> {
    let (read, write) = io::pipe()?;
    Ok((pipe::Receiver::from_owned_fd(read.into())?, write.into()))
}

/// A process that we started; killed and reaped when dropped before it was waited for.
#[derive(Debug)]
pub(crate) struct Process {
    pidfd: Option<AsyncFd<OwnedFd>>,
}

impl Process {
    /// Starts `exe` with `arguments`, the environment `environment` (`NAME=value`) and the descriptors `fds` from 0 on.
    ///
    /// Must be called inside a tokio runtime.
    pub(crate) fn start(
        exe: &Path,
        arguments: &[&str],
        environment: &[&str],
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<Self> {
        let program = CString::new(exe.as_os_str().as_bytes())?;
        let mut argv = vec![c"sandbar".to_owned()];
        for argument in arguments {
            argv.push(CString::new(*argument)?);
        }
        let environment =
            environment.iter().map(|entry| CString::new(*entry)).collect::<Result<Vec<_>, _>>()?;
        let spawned = sandbar_linux::spawn::spawn(&program, &argv, &environment, fds)?;
        #[expect(
            deprecated,
            reason = "an `OwnedFd` is what it says it is; the replacement is unsafe"
        )]
        let pidfd = AsyncFd::with_interest(spawned.pidfd, Interest::READABLE)?;
        Ok(Self { pidfd: Some(pidfd) })
    }

    /// Waits until it ended, and reaps it.
    pub(crate) async fn wait(mut self) -> io::Result<Option<WaitIdStatus>> {
        let pidfd = self.pidfd.as_ref().expect("taken by this and by drop only");
        pidfd.readable().await?.retain_ready();
        let status = reap(pidfd.get_ref().as_fd());
        self.pidfd = None;
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(pidfd) = self.pidfd.take() else {
            return;
        };
        // Fails only when it ended already; either way it can be reaped without a wait worth speaking of.
        let _sent = pidfd_send_signal(pidfd.get_ref(), Signal::KILL);
        let _status = reap(pidfd.get_ref().as_fd());
    }
}

fn reap(pidfd: BorrowedFd<'_>) -> io::Result<Option<WaitIdStatus>> {
    loop {
        match waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(exe: &str, role: &'static str) -> Worker {
        Worker { exe: PathBuf::from(exe), role, fds: Vec::new(), deadline: Duration::from_secs(5) }
    }

    #[tokio::test]
    async fn an_answer_comes_back_from_what_was_asked() {
        let answer: Vec<u32> = worker("/bin/cat", "-").run(&[1, 2, 3]).await.unwrap();
        assert_eq!(answer, [1, 2, 3]);
    }

    #[tokio::test]
    async fn a_worker_has_no_environment_and_a_session_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        // Compared inside: a session's leader may be outside of our pid namespace, and has no number here then.
        let script = r#"{ tr '\0' ' ' < /proc/self/environ; read -r _ _ _ _ _ session _ < /proc/$$/stat;
            [ "$session" = $$ ] && echo leads; } >&2; exit 1"#;
        let Err(WorkerError::Failed { stderr }) =
            shell(dir.path(), script).run::<(), ()>(&()).await
        else {
            panic!("it fails")
        };
        assert!(!stderr.contains("HOME="), "{stderr}");
        assert_eq!(stderr.lines().last(), Some("leads"), "{stderr}");
    }

    #[tokio::test]
    async fn a_slow_worker_is_killed() {
        let mut slow = worker("/bin/sleep", "600");
        slow.deadline = Duration::from_millis(50);
        let end = slow.run::<(), ()>(&()).await;
        assert!(matches!(end, Err(WorkerError::Deadline(_))), "{end:?}");
    }

    #[tokio::test]
    async fn a_failure_says_what_the_worker_said() {
        let Err(WorkerError::Failed { stderr }) =
            worker("/bin/cat", "/nonexistent").run::<(), ()>(&()).await
        else {
            panic!("it fails")
        };
        assert!(stderr.contains("/nonexistent"), "{stderr}");
    }

    #[tokio::test]
    async fn a_worker_gets_the_descriptors_that_were_meant_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str| std::fs::File::create(dir.path().join(name)).unwrap();
        let (meant, stray) = (open("meant"), open("stray"));
        // As a descriptor that this process was started with would be.
        rustix::io::fcntl_setfd(&stray, rustix::io::FdFlags::empty()).unwrap();
        let mut worker = shell(dir.path(), "readlink /proc/$$/fd/* >&2; exit 1");
        worker.fds = vec![meant.into()];
        let Err(WorkerError::Failed { stderr }) = worker.run::<(), ()>(&()).await else {
            panic!("it fails")
        };
        assert!(stderr.contains("/meant"), "{stderr}");
        assert!(!stderr.contains("/stray"), "{stderr}");
    }

    /// A script as the executable, for a worker has no argument but its role.
    fn shell(dir: &Path, script: &str) -> Worker {
        let path = dir.join("script");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .unwrap();
        worker(path.to_str().unwrap(), "")
    }
}
