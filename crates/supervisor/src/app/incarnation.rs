//! One run of a process as the kernel sees it: the child, its output, and the descriptor by which it says that it is ready.

use std::os::fd::{AsFd, OwnedFd};

use rustix::{
    io::{Errno, ioctl_fionbio, read},
    pipe::{PipeFlags, pipe_with},
    process::{Pid, Signal, WaitStatus},
};
use sandbar_linux::child::{Failure, Passed, Terminal, as_owner};
use sandbar_protocol::{Refusal, log::Output};
use sandbar_types::{ExecSpec, ExitStatus, Probe, ProcessSpec};

use crate::{
    command::Command,
    exec::{Source, exit_status},
    log::LogFile,
    processes,
    settings::Settings,
    start::{Inside, fork},
};

/// What names the descriptor of [`Probe::Notify`] in the environment.
const NOTIFY_NAME: &str = "NOTIFY_FD";

/// A process that was started, until nothing of it is left.
#[derive(Debug)]
pub(crate) struct Incarnation {
    pub(crate) pid: Pid,
    report: OwnedFd,
    pub(crate) sources: Vec<Source>,
    pub(crate) notify: Option<Notify>,
    /// How the main process ended, once it was reaped.
    pub(crate) ended: Option<ExitStatus>,
    /// Why it never became its command, if so.
    pub(crate) failure: Option<Failure>,
    is_killed: bool,
}

/// Where a process says that it is ready.
#[derive(Debug)]
pub(crate) struct Notify {
    pub(crate) fd: OwnedFd,
    has_spoken: bool,
}

/// What came of listening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    Nothing,
    Ready,
}

impl Incarnation {
    pub(crate) fn start(settings: &Settings, spec: &ProcessSpec) -> Result<Self, Refusal> {
        let notify_number = match &spec.ready {
            Some(check) => match check.probe {
                Probe::Notify { fd } => Some(fd),
                Probe::Http { .. } | Probe::Tcp { .. } | Probe::Command { .. } => None,
            },
            None => None,
        };
        let mut exec = shell(spec, &spec.command);
        if let (Some(number), Ok(name)) = (notify_number, NOTIFY_NAME.parse()) {
            exec.env.insert(name, number.to_string());
        }
        let command = Command::new(settings, &exec)?;
        let [(stdout, stdout_inside), (stderr, stderr_inside)] = [pipe(settings)?, pipe(settings)?];
        let notify = notify_number.map(|_| pipe(settings)).transpose()?;
        let passed = notify.as_ref().zip(notify_number);
        let inside = Inside {
            stdio: [rustix::stdio::stdin(), stdout_inside.as_fd(), stderr_inside.as_fd()],
            terminal: Terminal::None,
            passed: passed.map(|((_, theirs), number)| Passed { fd: theirs.as_fd(), number }),
        };
        let (pid, report) = fork(settings, &command, inside)?;
        Ok(Self {
            pid,
            report,
            sources: vec![Source::new(stdout, Output::Stdout), Source::new(stderr, Output::Stderr)],
            notify: notify.map(|(fd, _)| Notify { fd, has_spoken: false }),
            ended: None,
            failure: None,
            is_killed: false,
        })
    }

    /// Takes the status of the main process, which was just reaped.
    pub(crate) fn reaped(&mut self, status: WaitStatus) -> ExitStatus {
        let mut bytes = [0; Failure::BYTES];
        let length = read(&self.report, &mut bytes).unwrap_or_default();
        self.failure = Failure::decode(&bytes[..length]);
        let status = exit_status(status, self.failure);
        self.ended = Some(status);
        status
    }

    /// Asks the whole group to end.
    pub(crate) fn terminate(&self, signal: u8) {
        processes::signal_group(self.pid, signal.into());
        // One that is stopped ends only when it goes on.
        processes::signal_group(self.pid, Signal::CONT.as_raw());
    }

    /// Kills whatever is left of its session.
    pub(crate) fn kill(&mut self) {
        match self.ended {
            None => processes::kill_session(self.pid),
            Some(_) => processes::kill_rest(self.pid),
        }
        self.is_killed = true;
    }

    /// Whether nothing is left to wait for: its group has ended, too, or was killed.
    pub(crate) fn is_over(&self) -> Option<ExitStatus> {
        self.ended.filter(|_| self.is_killed || !processes::has_group(self.pid))
    }

    /// Reads output into the log, as much as one turn allows.
    pub(crate) fn read_output(
        &mut self,
        index: usize,
        log: &mut LogFile,
        buffer: &mut [u8],
        now_us: u64,
    ) {
        if let Some(source) = self.sources.get_mut(index) {
            source.read(log, buffer, now_us);
        }
    }

    /// Reads what it says about being ready: a line, or something and then the end.
    pub(crate) fn hear_notify(&mut self, buffer: &mut [u8]) -> Heard {
        let Some(notify) = &mut self.notify else {
            return Heard::Nothing;
        };
        match read(&notify.fd, &mut *buffer) {
            Ok(0) => {
                let has_spoken = notify.has_spoken;
                self.notify = None;
                if has_spoken { Heard::Ready } else { Heard::Nothing }
            }
            Ok(length) => {
                notify.has_spoken = true;
                let is_line = buffer[..length].contains(&b'\n');
                if is_line { Heard::Ready } else { Heard::Nothing }
            }
            Err(Errno::AGAIN | Errno::INTR) => Heard::Nothing,
            Err(_) => {
                self.notify = None;
                Heard::Nothing
            }
        }
    }
}

/// Starts the command of a check: as its process is started, with nothing to read, and nobody to hear it.
pub(crate) fn start_check(
    settings: &Settings,
    spec: &ProcessSpec,
    command: &str,
) -> Result<Pid, Refusal> {
    let command = Command::new(settings, &shell(spec, command))?;
    let nothing = rustix::stdio::stdin();
    let silence = rustix::stdio::stdout();
    let inside =
        Inside { stdio: [nothing, silence, silence], terminal: Terminal::None, passed: None };
    // Why it could not start is no more than a no.
    fork(settings, &command, inside).map(|(pid, _report)| pid)
}

fn shell(spec: &ProcessSpec, command: &str) -> ExecSpec {
    ExecSpec {
        argv: ["bash", "-lc", command].map(str::to_owned).to_vec(),
        env: spec.env.clone(),
        cwd: spec.cwd.clone(),
        terminal: None,
        stdin: false,
        timeout_ms: None,
    }
}

/// A pipe of the process's own, so that it can open it by name. Our end, which is the one to read from, never blocks;
/// theirs does, as a program that finds its output non-blocking loses some of it.
fn pipe(settings: &Settings) -> Result<(OwnedFd, OwnedFd), Refusal> {
    let pipe = as_owner(settings.agent, || pipe_with(PipeFlags::CLOEXEC)).and_then(|made| {
        let (ours, theirs) = made?;
        ioctl_fionbio(&ours, true)?;
        Ok((ours, theirs))
    });
    pipe.map_err(|err| Refusal::Failed {
        what: "no pipe".to_owned(),
        errno: err.raw_os_error().unwrap_or_default(),
    })
}
