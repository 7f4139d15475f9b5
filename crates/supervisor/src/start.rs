//! Starting the main process of an exec: its pipes or its terminal, and the fork, which processes of an app share.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags, open},
    io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd, ioctl_fionbio},
    pipe::{PipeFlags, pipe_with},
    process::Pid,
    pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt},
    termios::{InputModes, OptionalActions, tcgetattr, tcsetattr, tcsetwinsize},
};
use sandbar_linux::child::{ChildSpec, Passed, Terminal, as_owner, spawn};
use sandbar_protocol::{Refusal, log::Output};
use sandbar_types::{ExecId, ExecSpec, TerminalSize};

use crate::{
    command::Command,
    exec::{Exec, Started, winsize},
    log::LogFile,
    settings::{OOM_SCORE, Settings},
    viewer::SharedLog,
};

/// A request to start something.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: ExecId,
    pub(crate) spec: ExecSpec,
    /// Passed along with the request.
    pub(crate) log: Option<OwnedFd>,
    /// The connection that asks.
    pub(crate) opener: u64,
    pub(crate) now: Instant,
    pub(crate) now_us: u64,
}

/// Both ends of an exec's input and output.
struct Channels {
    stdin: Option<OwnedFd>,
    outputs: Vec<(OwnedFd, Output)>,
    /// The child's 0, 1 and 2.
    inside: [OwnedFd; 3],
    terminal: Terminal,
}

/// Starts the main process. Whether it became the program is told later, by the exec's report.
pub(crate) fn start(settings: &Settings, request: Request) -> Result<Exec, Refusal> {
    let command = Command::new(settings, &request.spec)?;
    let log = request.log.ok_or_else(|| invalid("no log came with the request"))?;
    let log = LogFile::create(File::from(log), settings.log_bytes_max)
        .map_err(|_| invalid("the log is not an empty file that can be written"))?;
    let channels = as_owner(settings.agent, || channels(&request.spec))
        .flatten()
        .map_err(|err| failed("its pipes or its terminal could not be made", &err))?;
    let [stdin, stdout, stderr] = &channels.inside;
    let inside = Inside {
        stdio: [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()],
        terminal: channels.terminal,
        passed: None,
    };
    let (pid, report) = fork(settings, &command, inside)?;
    let timeout =
        request.spec.timeout_ms.and_then(|ms| request.now.checked_add(Duration::from_millis(ms)));
    Ok(Exec::new(Started {
        id: request.id,
        pid,
        started_us: request.now_us,
        opener: request.opener,
        report,
        outputs: channels.outputs,
        stdin: channels.stdin,
        timeout,
        log: SharedLog::new(log.into()),
        is_terminal: request.spec.terminal.is_some(),
    }))
}

/// What a child has open.
pub(crate) struct Inside<'a> {
    pub(crate) stdio: [BorrowedFd<'a>; 3],
    pub(crate) terminal: Terminal,
    pub(crate) passed: Option<Passed<'a>>,
}

/// Starts a child, and returns where it tells why it could not become the program, if so.
pub(crate) fn fork(
    settings: &Settings,
    command: &Command,
    inside: Inside<'_>,
) -> Result<(Pid, OwnedFd), Refusal> {
    let (report, report_inside) =
        pipe_with(PipeFlags::CLOEXEC).map_err(|err| failed("no pipe", &err.into()))?;
    ioctl_fionbio(&report, true).map_err(|err| failed("no pipe", &err.into()))?;
    let pid = spawn(&ChildSpec {
        files: &command.files,
        argv: &command.argv,
        env: &command.env,
        cwd: &command.cwd,
        stdio: inside.stdio,
        passed: inside.passed,
        terminal: inside.terminal,
        ids: settings.agent,
        limits: &settings.limits,
        // In user mode it inherits ours; see boot.
        oom_score_adj: settings.agent.map(|_| OOM_SCORE),
        report: report_inside.as_fd(),
    })
    .map_err(|err| failed("no process", &err))?;
    Ok((pid, report))
}

fn channels(spec: &ExecSpec) -> io::Result<Channels> {
    match spec.terminal {
        Some(size) => terminal(size),
        None => pipes(spec.stdin),
    }
}

fn terminal(size: TerminalSize) -> io::Result<Channels> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = open("/dev/pts/ptmx", flags, Mode::empty())?;
    unlockpt(&master)?;
    // By descriptor: a path below /dev/pts may have become something else.
    let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    fcntl_setfd(&slave, FdFlags::CLOEXEC)?;
    let mut modes = tcgetattr(&slave)?;
    modes.input_modes |= InputModes::IUTF8;
    tcsetattr(&slave, OptionalActions::Now, &modes)?;
    tcsetwinsize(&master, winsize(size))?;
    ioctl_fionbio(&master, true)?;
    Ok(Channels {
        stdin: Some(duplicate(&master)?),
        outputs: vec![(master, Output::Stdout)],
        inside: [duplicate(&slave)?, duplicate(&slave)?, slave],
        terminal: Terminal::Controlling,
    })
}

fn pipes(has_stdin: bool) -> io::Result<Channels> {
    let (stdout, stdout_inside) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stderr, stderr_inside) = pipe_with(PipeFlags::CLOEXEC)?;
    // Only our ends: a program that finds its output non-blocking loses some of it.
    ioctl_fionbio(&stdout, true)?;
    ioctl_fionbio(&stderr, true)?;
    let (stdin, stdin_inside) = if has_stdin {
        let (inside, outside) = pipe_with(PipeFlags::CLOEXEC)?;
        ioctl_fionbio(&outside, true)?;
        (Some(outside), inside)
    } else {
        // Ours is /dev/null.
        (None, duplicate(rustix::stdio::stdin())?)
    };
    Ok(Channels {
        stdin,
        outputs: vec![(stdout, Output::Stdout), (stderr, Output::Stderr)],
        inside: [stdin_inside, stdout_inside, stderr_inside],
        terminal: Terminal::None,
    })
}

fn duplicate(fd: impl AsFd) -> io::Result<OwnedFd> {
    Ok(fcntl_dupfd_cloexec(fd, 3)?)
}

fn invalid(what: &str) -> Refusal {
    Refusal::Invalid { what: what.to_owned() }
}

fn failed(what: &str, err: &io::Error) -> Refusal {
    Refusal::Failed { what: what.to_owned(), errno: err.raw_os_error().unwrap_or_default() }
}
