//! An exec as its users see it.

use jiff::Timestamp;
use sandbar_types::{ExecEnd, ExecId, ExecSpec, ExecState, SandboxId};

/// An exec, as it is at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Exec {
    /// Its id.
    pub id: ExecId,
    /// Where it runs.
    pub sandbox_id: SandboxId,
    /// What was asked for, without the values of its environment.
    pub spec: ExecSpec,
    /// Where it is in its life.
    pub state: ExecState,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// When its end was seen.
    pub ended_at: Option<Timestamp>,
}

impl Exec {
    pub(crate) fn of(row: sandbar_store::ExecRow) -> Self {
        Self {
            id: row.id,
            sandbox_id: row.sandbox_id,
            spec: row.spec,
            state: row.state,
            started_at: row.started_at,
            ended_at: row.ended_at,
        }
    }
}

/// What comes out of an exec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecItem {
    /// Bytes of standard output, or of the terminal.
    Stdout {
        /// The bytes; never empty.
        bytes: Vec<u8>,
        /// From here a reader goes on after a break.
        next_offset: u64,
    },
    /// Bytes of standard error.
    Stderr {
        /// The bytes; never empty.
        bytes: Vec<u8>,
        /// From here a reader goes on after a break.
        next_offset: u64,
    },
    /// What the supervisor says about a process of the app, for example that it ended and starts again.
    Note {
        /// The sentence.
        text: String,
        /// From here a reader goes on after a break.
        next_offset: u64,
    },
    /// Output before this offset was dropped.
    Gap {
        /// Where it goes on.
        next_offset: u64,
    },
    /// It ended; nothing follows.
    End {
        /// How.
        end: ExecEnd,
        /// The end of the log.
        next_offset: u64,
    },
    /// Its sandbox ended first, and nobody saw its status; nothing follows.
    Lost,
}

/// One output, cut where it was too long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// The first bytes.
    pub bytes: Vec<u8>,
    /// How many more there were.
    pub truncated_bytes: u64,
}

/// An exec that was waited for.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecResult {
    /// The exec, ended or lost.
    pub exec: Exec,
    /// Standard output, or what the terminal showed.
    pub stdout: Captured,
    /// Standard error.
    pub stderr: Captured,
}
