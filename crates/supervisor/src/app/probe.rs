//! One question to a process, on its way: an HTTP request, a connection, a command.
//!
//! It never waits. Whoever asked drops it when its time is over, and a command is killed with that.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    event::PollFlags,
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
    process::Pid,
};
use sandbar_types::{ExitStatus, Probe};

use crate::{
    processes,
    sockets::{Attempt, Connecting},
};

/// LIMIT: bytes that are read to find a status: all of the line that matters.
const STATUS_BYTES: usize = "HTTP/1.1 200".len();

/// What was asked, and how far it came.
#[derive(Debug)]
pub(crate) enum Question {
    /// Somebody must take the connection.
    Tcp { port: u16, connecting: Option<Connecting> },
    /// Somebody must answer the request.
    Http { port: u16, path: String, stage: Http },
    /// It must exit with 0. Killed with its session when it is dropped.
    Command(Option<Pid>),
}

/// How far a request came.
#[derive(Debug)]
pub(crate) enum Http {
    Connecting(Option<Connecting>),
    /// First the request goes out, then the status comes in.
    Talking {
        socket: OwnedFd,
        request: Vec<u8>,
        sent: usize,
        seen: Vec<u8>,
    },
}

/// Why the answer is no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum No {
    /// Nobody listens on the port.
    Refused { port: u16 },
    /// Anything else, in words.
    Because(String),
}

/// The answer; `None` while there is none.
pub(crate) type Answer = Option<Result<(), No>>;

impl Question {
    /// Asks by a connection; `None` for what is not asked so.
    pub(crate) fn connect(probe: &Probe) -> Option<(Self, Answer)> {
        let mut question = match probe {
            Probe::Tcp { port } => Self::Tcp { port: *port, connecting: None },
            Probe::Http { port, path } => {
                Self::Http { port: *port, path: path.clone(), stage: Http::Connecting(None) }
            }
            Probe::Command { .. } | Probe::Notify { .. } => return None,
        };
        let answer = question.advance();
        Some((question, answer))
    }

    /// What it waits for, and in which direction.
    pub(crate) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match self {
            Self::Tcp { connecting, .. }
            | Self::Http { stage: Http::Connecting(connecting), .. } => {
                Some((connecting.as_ref()?.socket.as_fd(), PollFlags::OUT))
            }
            Self::Http { stage: Http::Talking { socket, request, sent, .. }, .. } => {
                let is_sent = *sent == request.len();
                Some((socket.as_fd(), if is_sent { PollFlags::IN } else { PollFlags::OUT }))
            }
            Self::Command(_) => None,
        }
    }

    /// Goes on as far as it can without waiting.
    pub(crate) fn advance(&mut self) -> Answer {
        match self {
            Self::Tcp { port, connecting } => match connect(*port, connecting) {
                Ok(Some(_connected)) => Some(Ok(())),
                Ok(None) => None,
                Err(no) => Some(Err(no)),
            },
            Self::Http { port, path, stage } => advance_http(*port, path, stage).transpose(),
            Self::Command(_) => None,
        }
    }

    /// Takes the end of the process `pid`, if that is the command.
    pub(crate) fn reaped(&mut self, pid: Pid, status: ExitStatus) -> Answer {
        match self {
            Self::Command(command) if *command == Some(pid) => {
                *command = None;
                Some(match status {
                    ExitStatus::Exited { code: 0 } => Ok(()),
                    other @ (ExitStatus::Exited { .. }
                    | ExitStatus::Signaled { .. }
                    | ExitStatus::TimedOut
                    | ExitStatus::NotStarted { .. }) => {
                        Err(No::Because(format!("the check {other}")))
                    }
                })
            }
            Self::Command(_) | Self::Tcp { .. } | Self::Http { .. } => None,
        }
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        if let Self::Command(Some(pid)) = self {
            processes::kill_session(*pid);
        }
    }
}

fn connect(port: u16, connecting: &mut Option<Connecting>) -> Result<Option<OwnedFd>, No> {
    let attempt = match connecting.take() {
        Some(connecting) => connecting.advance(),
        None => Connecting::begin(port),
    };
    match attempt {
        Attempt::Connected(socket) => Ok(Some(socket)),
        Attempt::Pending(pending) => {
            *connecting = Some(pending);
            Ok(None)
        }
        Attempt::Refused(Errno::CONNREFUSED) => Err(No::Refused { port }),
        Attempt::Refused(errno) => {
            Err(No::Because(format!("no connection to port {port} ({errno})")))
        }
    }
}

fn advance_http(port: u16, path: &str, stage: &mut Http) -> Result<Option<()>, No> {
    loop {
        match stage {
            Http::Connecting(connecting) => {
                let Some(socket) = connect(port, connecting)? else {
                    return Ok(None);
                };
                let request = format!(
                    "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAccept: */*\r\n\
                     User-Agent: sandbar-probe\r\nConnection: close\r\n\r\n"
                );
                let (request, seen) = (request.into_bytes(), Vec::with_capacity(STATUS_BYTES));
                *stage = Http::Talking { socket, request, sent: 0, seen };
            }
            Http::Talking { socket, request, sent, .. } if *sent < request.len() => {
                match send(&*socket, &request[*sent..], SendFlags::NOSIGNAL) {
                    Ok(more) => *sent += more,
                    Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
                    Err(_) => return Err(hung_up(port)),
                }
            }
            Http::Talking { socket, seen, .. } => {
                let mut bytes = [0; STATUS_BYTES];
                let left = STATUS_BYTES - seen.len();
                match recv(&*socket, &mut bytes[..left], RecvFlags::empty()) {
                    Ok((_, 0)) | Err(Errno::CONNRESET) => return Err(hung_up(port)),
                    Ok((_, read)) => seen.extend_from_slice(&bytes[..read]),
                    Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
                    Err(errno) => {
                        return Err(No::Because(format!("port {port} cannot be read ({errno})")));
                    }
                }
                if seen.len() == STATUS_BYTES {
                    return judge(port, path, seen).map(Some);
                }
            }
        }
    }
}

fn hung_up(port: u16) -> No {
    No::Because(format!("port {port} hung up without an answer"))
}

/// Reads the beginning of a status line.
fn judge(port: u16, path: &str, line: &[u8]) -> Result<(), No> {
    let status = line
        .strip_prefix(b"HTTP/1.")
        .and_then(|rest| rest.get(2..))
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u16>().ok());
    match status {
        Some(200..=399) => Ok(()),
        Some(status) => Err(No::Because(format!("GET {path} on port {port} answered {status}"))),
        None => Err(No::Because(format!("what port {port} speaks is not HTTP"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_from_200_to_399_is_a_yes() {
        for (line, is_yes) in [
            ("HTTP/1.1 200", true),
            ("HTTP/1.0 204", true),
            ("HTTP/1.1 399", true),
            ("HTTP/1.1 404", false),
            ("HTTP/1.1 500", false),
            ("HTTP/1.1 101", false),
            ("SSH-2.0-Open", false),
            ("HTTP/1.1 20x", false),
        ] {
            assert_eq!(judge(1, "/", line.as_bytes()).is_ok(), is_yes, "{line}");
        }
    }
}
