//! What the commands say: data on stdout, talk on stderr.

pub(crate) mod changes;
pub(crate) mod paint;
pub(crate) mod sse;
pub(crate) mod table;
pub(crate) mod units;
pub(crate) mod visible;

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use anstream::{AutoStream, ColorChoice};
use sandbar_api::Sandbox;
use sandbar_types::{SandboxState, StopReason};
use serde::Serialize;

use crate::{failure::Failure, output::table::Table};

/// How long a request may take before the user is told what we wait for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether talk is wanted, as `--quiet` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Talk {
    Normal,
    Quiet,
}

/// Whether data is for people or for programs, as `--json` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

/// The word for a state.
pub(crate) fn state_name(state: &SandboxState) -> &'static str {
    match state {
        SandboxState::Creating => "creating",
        SandboxState::Running => "running",
        SandboxState::Paused => "paused",
        SandboxState::Stopping => "stopping",
        SandboxState::Stopped => "stopped",
        SandboxState::Failed { .. } => "failed",
        SandboxState::Deleting => "deleting",
    }
}

/// Where a sandbox is in its life; one that a request would wake sleeps.
pub(crate) fn life(sandbox: &Sandbox) -> &'static str {
    let sleeps = sandbox.stop_reason.is_some_and(StopReason::is_sleep);
    if sleeps && sandbox.state == SandboxState::Stopped {
        "asleep"
    } else {
        state_name(&sandbox.state)
    }
}

/// Where to write, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    talk: Talk,
    format: Format,
    stdout_is_terminal: bool,
    stderr_is_terminal: bool,
    is_colored: bool,
}

impl Output {
    pub(crate) fn new(talk: Talk, format: Format) -> Self {
        Self {
            talk,
            format,
            stdout_is_terminal: io::stdout().is_terminal(),
            stderr_is_terminal: io::stderr().is_terminal(),
            // Asks NO_COLOR, CLICOLOR and TERM as well.
            is_colored: AutoStream::choice(&io::stdout()) != ColorChoice::Never,
        }
    }

    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    pub(crate) fn stdout_is_terminal(self) -> bool {
        self.stdout_is_terminal
    }

    /// Whether a person reads what is said, as it is said.
    pub(crate) fn talks_to_terminal(self) -> bool {
        self.talk == Talk::Normal && self.stderr_is_terminal
    }

    pub(crate) fn is_colored(self) -> bool {
        self.is_colored
    }

    /// Writes bytes as they are.
    pub(crate) fn raw(self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    }

    /// Writes a line of text; the caller has escaped what a sandbox chose.
    pub(crate) fn line(self, text: &str) -> io::Result<()> {
        self.raw(format!("{text}\n").as_bytes())
    }

    /// Writes `value` as indented JSON.
    pub(crate) fn json(self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::unexpected("cannot write JSON").caused_by(&error))?;
        Ok(self.line(&text)?)
    }

    /// Writes a table: aligned on a terminal, tabs elsewhere.
    pub(crate) fn table(self, table: &Table) -> io::Result<()> {
        let text = if self.stdout_is_terminal { table.aligned() } else { table.plain() };
        self.raw(text.as_bytes())
    }

    /// Says something to the person; nothing with `--quiet`. A closed stderr is nobody to talk to.
    pub(crate) fn say(self, text: &str) {
        if self.talk == Talk::Normal {
            drop(writeln!(io::stderr().lock(), "{text}"));
        }
    }

    /// Waits for `work`, and says what for when it takes more than a second.
    pub(crate) async fn during<T>(self, what: &str, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        if let Ok(done) = tokio::time::timeout(PATIENCE, work.as_mut()).await {
            return done;
        }
        if self.talk == Talk::Quiet || !self.stderr_is_terminal {
            return work.await;
        }
        drop(write!(io::stderr().lock(), "{what} …"));
        let done = work.await;
        // Back to the first column, and clear the line: progress leaves no trace.
        drop(write!(io::stderr().lock(), "\r\x1b[K"));
        done
    }
}
