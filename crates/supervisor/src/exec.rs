//! One exec: its main process, its output, its input, and when it is over.

use std::{
    collections::VecDeque,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    io::{Errno, read, write},
    process::{Pid, WaitStatus},
    termios::{Winsize, tcsetwinsize},
};
use sandbar_linux::child::{Failure, Stage};
use sandbar_protocol::{Input, Refusal, log::Output};
use sandbar_types::{ExecId, ExitStatus, TerminalSize};

use crate::{log::LogFile, processes, viewer::SharedLog};

/// How long output may go on after the main process ended, when somebody else still holds it open.
const DRAIN: Duration = Duration::from_millis(100);
/// LIMIT: standard input that waits for the command; beyond it the client waits.
const STDIN_BYTES_MAX: usize = 64 << 10;
/// LIMIT: reads in one turn, so that a command that only writes does not keep the others waiting.
const READS_AT_ONCE: usize = 8;
/// What a terminal takes for the end of its input.
const END_OF_TRANSMISSION: u8 = 4;

/// A running exec.
#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) id: ExecId,
    pub(crate) pid: Pid,
    pub(crate) started_us: u64,
    /// The connection that waits to hear whether it started.
    pub(crate) opener: Option<u64>,
    /// Ends when the program was executed.
    pub(crate) report: Option<OwnedFd>,
    pub(crate) outputs: Vec<Source>,
    pub(crate) stdin: Stdin,
    pub(crate) main: MainProcess,
    pub(crate) timeout: Option<Instant>,
    pub(crate) log: SharedLog,
    pub(crate) is_terminal: bool,
    failure: Option<Failure>,
    is_timed_out: bool,
}

/// Where output comes from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) fd: OwnedFd,
    pub(crate) output: Output,
    /// The last writer closed it.
    pub(crate) is_over: bool,
}

impl Source {
    pub(crate) const fn new(fd: OwnedFd, output: Output) -> Self {
        Self { fd, output, is_over: false }
    }

    /// Reads into the log, as much as one turn allows.
    pub(crate) fn read(&mut self, log: &mut LogFile, buffer: &mut [u8], now_us: u64) {
        if self.is_over {
            return;
        }
        for _ in 0..READS_AT_ONCE {
            match read(&self.fd, &mut *buffer) {
                // EIO is how a terminal says that nobody has it open any more.
                Ok(0) | Err(Errno::IO) => self.is_over = true,
                Ok(length) => {
                    log.append(self.output, now_us, &buffer[..length]);
                    // A short read took everything.
                    if length == buffer.len() {
                        continue;
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => self.is_over = true,
            }
            break;
        }
    }
}

/// How a child ended; a failure that it told of before says more.
pub(crate) fn exit_status(status: WaitStatus, failure: Option<Failure>) -> ExitStatus {
    let signal = status.terminating_signal().and_then(|signal| u8::try_from(signal).ok());
    let code = status.exit_status().and_then(|code| u8::try_from(code).ok());
    match (failure, signal, code) {
        (Some(Failure { errno, .. }), _, _) => ExitStatus::NotStarted { errno },
        (None, Some(signal), _) => ExitStatus::Signaled { signal },
        (None, None, code) => ExitStatus::Exited { code: code.unwrap_or(u8::MAX) },
    }
}

/// Standard input on its way to the command.
#[derive(Debug, Default)]
pub(crate) struct Stdin {
    /// `None` where it is empty, or over.
    pub(crate) fd: Option<OwnedFd>,
    waiting: VecDeque<u8>,
    ends: bool,
}

/// The process that decides how the exec ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MainProcess {
    /// It was not reaped yet, so its number is its own.
    Runs,
    /// It was reaped.
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// When we stop waiting for output.
        drain_until: Instant,
    },
}

/// What an exec starts with.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) id: ExecId,
    pub(crate) pid: Pid,
    pub(crate) started_us: u64,
    pub(crate) opener: u64,
    pub(crate) report: OwnedFd,
    pub(crate) outputs: Vec<(OwnedFd, Output)>,
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) timeout: Option<Instant>,
    pub(crate) log: SharedLog,
    pub(crate) is_terminal: bool,
}

impl Exec {
    pub(crate) fn new(started: Started) -> Self {
        let source = |(fd, output)| Source::new(fd, output);
        Self {
            id: started.id,
            pid: started.pid,
            started_us: started.started_us,
            opener: Some(started.opener),
            report: Some(started.report),
            outputs: started.outputs.into_iter().map(source).collect(),
            stdin: Stdin { fd: started.stdin, ..Stdin::default() },
            main: MainProcess::Runs,
            timeout: started.timeout,
            log: started.log,
            is_terminal: started.is_terminal,
            failure: None,
            is_timed_out: false,
        }
    }

    /// Reads whether the program was executed. Returns the answer for the opener, once.
    pub(crate) fn hear_report(&mut self) -> Option<Result<(), Refusal>> {
        let mut bytes = [0; Failure::BYTES];
        let length = match read(self.report.as_ref()?, &mut bytes) {
            Ok(length) => length,
            Err(Errno::AGAIN | Errno::INTR) => return None,
            Err(_) => 0,
        };
        self.report = None;
        self.failure = Failure::decode(&bytes[..length]);
        let Some(Failure { stage, errno }) = self.failure else {
            return Some(Ok(()));
        };
        Some(match stage {
            // A command that is not there is an exec that ended, as in a shell.
            Stage::Exec => Ok(()),
            Stage::Directory => Err(Refusal::Cwd { errno }),
            Stage::Preparing | Stage::Identity => {
                Err(Refusal::Failed { what: "the command could not be confined".to_owned(), errno })
            }
        })
    }

    /// Takes the status of the main process, which was just reaped.
    pub(crate) fn reaped(&mut self, status: WaitStatus, now: Instant) {
        let status = match (exit_status(status, self.failure), self.is_timed_out) {
            (ExitStatus::Exited { .. } | ExitStatus::Signaled { .. }, true) => ExitStatus::TimedOut,
            (status, _) => status,
        };
        self.main = MainProcess::Ended { status, drain_until: now + DRAIN };
        self.timeout = None;
        self.stdin = Stdin::default();
    }

    /// Reads output into the log, as much as one turn allows.
    pub(crate) fn read_output(&mut self, index: usize, buffer: &mut [u8], now_us: u64) {
        if let Some(source) = self.outputs.get_mut(index) {
            source.read(&mut self.log.borrow_mut(), buffer, now_us);
        }
    }

    /// Whether nothing is left to wait for.
    pub(crate) fn is_over(&self, now: Instant) -> Option<ExitStatus> {
        let MainProcess::Ended { status, drain_until } = self.main else {
            return None;
        };
        let is_silent = self.outputs.iter().all(|source| source.is_over);
        (is_silent || now >= drain_until).then_some(status)
    }

    /// How the main process ended, once it was reaped.
    pub(crate) fn status(&self) -> Option<ExitStatus> {
        match self.main {
            MainProcess::Runs => None,
            MainProcess::Ended { status, .. } => Some(status),
        }
    }

    /// When something is to be done even if nothing happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.main {
            MainProcess::Runs => self.timeout,
            MainProcess::Ended { drain_until, .. } => Some(drain_until),
        }
    }

    /// Kills it when its time is over: its process group, and what else is of its session.
    pub(crate) fn enforce_timeout(&mut self, now: Instant) {
        if self.main != MainProcess::Runs || self.timeout.is_none_or(|timeout| now < timeout) {
            return;
        }
        self.timeout = None;
        self.is_timed_out = true;
        processes::kill_session(self.pid);
    }

    /// Signals the process group, as long as its number cannot be somebody else's.
    pub(crate) fn signal(&self, number: i32) {
        if self.main == MainProcess::Runs {
            processes::signal_group(self.pid, number);
        }
    }

    /// Takes its terminal away, if it has one: shells ignore SIGTERM then, but not that their terminal is gone.
    ///
    /// By closing it, not by SIGHUP: bash can miss one that comes together with other signals. What it would still
    /// print has no terminal to be shown on.
    pub(crate) fn hang_up(&mut self) {
        if self.is_terminal {
            self.outputs.clear();
            self.stdin = Stdin::default();
        }
    }

    /// Takes input of a client.
    pub(crate) fn take(&mut self, input: Input) {
        match input {
            Input::Stdin(bytes) if self.stdin.fd.is_some() && !self.stdin.ends => {
                self.stdin.waiting.extend(bytes);
                self.write_stdin();
            }
            // There is none, or it ended already: as a write to a closed pipe.
            Input::Stdin(_) => {}
            Input::StdinEnd => self.end_stdin(),
            Input::Resize(size) => self.resize(size),
            Input::Signal(number) => self.signal(number.into()),
        }
    }

    /// Writes what waits, as far as the command reads.
    pub(crate) fn write_stdin(&mut self) {
        while let (Some(fd), false) = (&self.stdin.fd, self.stdin.waiting.is_empty()) {
            match write(fd, self.stdin.waiting.as_slices().0) {
                Ok(written) => drop(self.stdin.waiting.drain(..written)),
                Err(Errno::AGAIN | Errno::INTR) => return,
                // It closed its end.
                Err(_) => self.stdin = Stdin::default(),
            }
        }
        if self.stdin.ends && !self.is_terminal {
            self.stdin.fd = None;
        }
    }

    fn end_stdin(&mut self) {
        if self.is_terminal {
            // A terminal has no end but the character for it, and a shell may go on after it.
            self.stdin.waiting.push_back(END_OF_TRANSMISSION);
        } else {
            self.stdin.ends = true;
        }
        self.write_stdin();
    }

    fn resize(&self, size: TerminalSize) {
        if let (true, Some(source)) = (self.is_terminal, self.outputs.first()) {
            let _hung_up = tcsetwinsize(&source.fd, winsize(size));
        }
    }
}

impl Stdin {
    /// Whether a client must wait.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= STDIN_BYTES_MAX
    }

    /// Whether something waits for the command to read.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

pub(crate) fn winsize(TerminalSize { rows, cols }: TerminalSize) -> Winsize {
    Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 }
}
