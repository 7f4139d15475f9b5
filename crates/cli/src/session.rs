//! A command inside in the foreground: its output here, our input there, its end as our exit code.

use std::{io, time::Duration};

use futures_util::future;
use sandbar_api::{
    attach::{ClientFrame, ServerBody, ServerFrame},
    paths,
};
use sandbar_types::{ExecEnd, ExecId};
use tokio::{sync::mpsc, time};

use crate::{
    client::{Attached, AttachedMessage, Client, Receiver, lost},
    failure::{Code, Failure},
    input,
    output::Output,
    signals::{Event, SIGHUP, SIGPIPE, Signals},
    terminal::{self, RawMode, Screen},
};

/// LIMIT: how often a broken connection is made anew without any progress.
const RECONNECTS_MAX: u32 = 5;
/// How long to wait before the first of them; it doubles.
const RECONNECT_DELAY: Duration = Duration::from_millis(100);
/// Interrupts after which we leave a command that does not obey them.
const INTERRUPTS_UNTIL_LEAVING: u32 = 3;

/// What the command gets as input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// The user's terminal, raw.
    Terminal,
    /// Our stdin, as it comes.
    Stdin,
    /// Nothing.
    None,
}

impl Input {
    /// What fits our own descriptors: a terminal when the user types and looks at one, else stdin if there is any.
    pub(crate) fn fitting() -> Self {
        if terminal::is_interactive() {
            Self::Terminal
        } else if input::has_stdin() {
            Self::Stdin
        } else {
            Self::None
        }
    }
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Outcome {
    /// The command ended, and this is how.
    Ended(ExecEnd),
    /// The sandbox ended first; nobody saw how the command did.
    Lost,
    /// The person left a command that still runs; the exit code that says so.
    Left(u8),
}

/// Shows the exec until it ends.
///
/// A connection that breaks, because the server was restarted, is made anew from where it broke.
///
/// # Errors
/// The server cannot be reached any more; our own output cannot be written.
pub(crate) async fn attend(
    client: &mut Client,
    out: Output,
    sandbox: &str,
    exec: ExecId,
    input: Input,
    signals: &mut Signals,
) -> Result<Outcome, Failure> {
    let raw =
        match input {
            Input::Terminal => Some(RawMode::enter().map_err(|error| {
                Failure::unexpected("cannot use the terminal").caused_by(&error)
            })?),
            Input::Stdin | Input::None => None,
        };
    let mut session = Session {
        stdin: (input != Input::None).then(input::read_stdin),
        stdout: Screen::new(io::stdout()),
        stderr: Screen::new(io::stderr()),
        offset: 0,
        interrupts: 0,
    };
    let outcome = session.run(client, out, sandbox, exec, signals).await;
    // Modes first, while the terminal is still raw: the answer to a query must not be echoed.
    let restored = session.stdout.finish().and(session.stderr.finish());
    drop(raw);
    let outcome = outcome?;
    restored?;
    Ok(outcome)
}

struct Session {
    stdin: Option<mpsc::Receiver<Vec<u8>>>,
    stdout: Screen<io::Stdout>,
    stderr: Screen<io::Stderr>,
    offset: u64,
    interrupts: u32,
}

/// Why one connection came to its end.
enum Pause {
    Done(Outcome),
    Broken(Failure),
}

impl Session {
    async fn run(
        &mut self,
        client: &mut Client,
        out: Output,
        sandbox: &str,
        exec: ExecId,
        signals: &mut Signals,
    ) -> Result<Outcome, Failure> {
        let mut failures = 0;
        loop {
            let before = self.offset;
            let path = format!("{}?offset={before}", paths::below_exec(sandbox, exec, "attach"));
            let broken = match client.attach(&path).await {
                Ok(attached) => match self.pump(attached, out, signals).await? {
                    Pause::Done(outcome) => return Ok(outcome),
                    Pause::Broken(failure) => failure,
                },
                Err(failure) if failure.code() == Code::Unreachable && failures > 0 => failure,
                Err(failure) => return Err(failure),
            };
            failures = if self.offset > before { 1 } else { failures + 1 };
            if failures > RECONNECTS_MAX {
                return Err(broken.hint(format!(
                    "the command may still run; see `sandbar logs {sandbox} {exec}`"
                )));
            }
            out.say("sandbar: the connection broke; attaching again");
            time::sleep(RECONNECT_DELAY * 2_u32.pow(failures)).await;
        }
    }

    async fn pump(
        &mut self,
        attached: Attached,
        out: Output,
        signals: &mut Signals,
    ) -> Result<Pause, Failure> {
        let (mut sender, mut receiver) = attached.split();
        let Self { stdin, stdout, stderr, offset, interrupts } = self;
        // Two futures, not one loop: a command that waits for us to read its output while we wait for it to take its
        // input would wait for ever.
        let output = show(&mut receiver, stdout, stderr, offset, out);
        let input = async {
            loop {
                let sent = tokio::select! {
                    piece = next_piece(stdin) => match piece {
                        Some(bytes) => sender.send(&ClientFrame::Stdin(&bytes)).await,
                        None => {
                            *stdin = None;
                            sender.send(&ClientFrame::StdinEnd).await
                        }
                    },
                    event = signals.next() => match event {
                        Event::Resized => sender.send(&ClientFrame::Resize(terminal::size())).await,
                        Event::HangUp => {
                            drop(sender.send(&ClientFrame::Signal(SIGHUP)).await);
                            return Ok(Pause::Done(Outcome::Left(128 + SIGHUP)));
                        }
                        Event::Forward(number) => {
                            *interrupts += 1;
                            if *interrupts >= INTERRUPTS_UNTIL_LEAVING {
                                return Ok(Pause::Done(Outcome::Left(128 + number)));
                            }
                            sender.send(&ClientFrame::Signal(number)).await
                        }
                    },
                };
                if sent.is_err() {
                    // The output side sees the same break, after it has read what was on the way.
                    return future::pending().await;
                }
            }
        };
        let paused: Result<Pause, Failure> = tokio::select! {
            biased;
            done = output => done,
            left = input => left,
        };
        match paused {
            // As in a pipeline of a shell: whoever writes to nobody is told so.
            Err(failure) if failure.code() == Code::BrokenPipe => {
                sender.send(&ClientFrame::Signal(SIGPIPE)).await.ok();
                Ok(Pause::Done(Outcome::Left(Code::BrokenPipe as u8)))
            }
            paused => paused,
        }
    }
}

/// Shows what comes until the end, or until the connection breaks; `offset` follows.
async fn show(
    receiver: &mut Receiver,
    stdout: &mut Screen<io::Stdout>,
    stderr: &mut Screen<io::Stderr>,
    offset: &mut u64,
    out: Output,
) -> Result<Pause, Failure> {
    loop {
        let message = match receiver.next().await {
            Ok(AttachedMessage::Frame(message)) => message,
            Ok(AttachedMessage::Closed) => {
                return Ok(Pause::Broken(lost("the server closed the connection")));
            }
            Err(failure) => return Ok(Pause::Broken(failure)),
        };
        let frame = ServerFrame::decode(&message).map_err(|error| {
            Failure::unexpected("cannot understand the server").caused_by(&error)
        })?;
        match frame.body {
            ServerBody::Stdout(bytes) => stdout.write(bytes)?,
            ServerBody::Stderr(bytes) => stderr.write(bytes)?,
            ServerBody::Gap => {
                out.say("\r\nsandbar: some output was dropped here: the log was full");
            }
            ServerBody::End(end) => return Ok(Pause::Done(Outcome::Ended(end))),
            ServerBody::Lost => return Ok(Pause::Done(Outcome::Lost)),
        }
        *offset = frame.offset;
    }
}

/// Waits for a piece of input; for ever where there is none to come.
async fn next_piece(stdin: &mut Option<mpsc::Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    match stdin {
        Some(stdin) => stdin.recv().await,
        None => future::pending().await,
    }
}

/// What a person must know about the end besides the code.
pub(crate) fn remarks(
    outcome: Outcome,
    command: &str,
    timeout: Option<Duration>,
    memory_bytes_max: Option<u64>,
) -> Vec<String> {
    use sandbar_types::ExitStatus;

    let end = match outcome {
        Outcome::Lost => {
            return vec![
                "sandbar: the sandbox ended before the command; its exit status is not known"
                    .to_owned(),
            ];
        }
        Outcome::Left(code) if code == Code::BrokenPipe as u8 => return Vec::new(),
        Outcome::Left(_) => return vec!["sandbar: left the command before it ended".to_owned()],
        Outcome::Ended(end) => end,
    };
    let mut remarks = Vec::new();
    match end.status {
        ExitStatus::NotStarted { errno } => {
            let why = match errno {
                2 => "no such command inside the sandbox".to_owned(),
                13 => "permission denied: it is not executable".to_owned(),
                errno => io::Error::from_raw_os_error(errno).to_string(),
            };
            remarks.push(format!("sandbar: cannot run `{command}`: {why}"));
        }
        ExitStatus::TimedOut => {
            let limit = timeout.map_or_else(String::new, |limit| {
                format!(" of {}", crate::output::units::duration(limit))
            });
            remarks.push(format!("sandbar: killed: the command ran into its timeout{limit}"));
        }
        ExitStatus::Signaled { signal } if !end.oom_killed && !matches!(signal, 2 | 13 | 15) => {
            remarks.push(format!("sandbar: signal {signal} ended the command"));
        }
        ExitStatus::Exited { .. } | ExitStatus::Signaled { .. } => {}
    }
    if end.oom_killed {
        let limit = memory_bytes_max
            .map_or_else(String::new, |bytes| format!(" of {}", crate::output::units::size(bytes)));
        remarks.push(format!(
            "sandbar: killed: the sandbox's memory limit{limit} was reached; raise it with `--memory`"
        ));
    }
    if end.dropped_bytes > 0 {
        remarks.push(format!(
            "sandbar: {} of output were dropped: the log was full",
            crate::output::units::size(end.dropped_bytes)
        ));
    }
    remarks
}

/// The code that we exit with: the command's own.
pub(crate) fn exit_code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Ended(end) => end.status.shell_code(),
        Outcome::Lost => Code::Unexpected as u8,
        Outcome::Left(code) => code,
    }
}

#[cfg(test)]
mod tests {
    use sandbar_types::ExitStatus;

    use super::*;

    fn ended(status: ExitStatus) -> Outcome {
        Outcome::Ended(ExecEnd { status, oom_killed: false, dropped_bytes: 0 })
    }

    #[test]
    fn the_commands_own_code_is_passed_on() {
        for (status, code) in [
            (ExitStatus::Exited { code: 0 }, 0),
            (ExitStatus::Exited { code: 42 }, 42),
            (ExitStatus::TimedOut, 124),
            (ExitStatus::NotStarted { errno: 13 }, 126),
            (ExitStatus::NotStarted { errno: 2 }, 127),
            (ExitStatus::Signaled { signal: 9 }, 137),
        ] {
            assert_eq!(exit_code(ended(status)), code, "{status:?}");
        }
        assert_eq!(exit_code(Outcome::Lost), 1);
        assert_eq!(exit_code(Outcome::Left(130)), 130);
    }

    #[test]
    fn what_the_code_does_not_say_is_said() {
        let text = |outcome| {
            remarks(outcome, "nope", Some(Duration::from_secs(90)), Some(1 << 30)).join("\n")
        };
        assert_eq!(text(ended(ExitStatus::Exited { code: 1 })), "");
        assert!(
            text(ended(ExitStatus::NotStarted { errno: 2 })).contains("`nope`: no such command")
        );
        assert!(text(ended(ExitStatus::TimedOut)).contains("timeout of 1m30s"));
        let end = ExecEnd {
            status: ExitStatus::Signaled { signal: 9 },
            oom_killed: true,
            dropped_bytes: 2048,
        };
        let said = text(Outcome::Ended(end));
        assert!(
            said.contains("memory limit of 1.0 GiB was reached")
                && said.contains("2.0 KiB of output were dropped"),
            "{said}"
        );
    }
}
