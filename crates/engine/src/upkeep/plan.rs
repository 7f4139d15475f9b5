//! What is to be done, as values.

use std::path::PathBuf;

use sandbar_store::{ApproveRow, CheckpointRow, IdempotencyAt};
use sandbar_types::{ExecId, Generation, SandboxId, TaskId};

use super::{forgotten::Old, warnings::Warning};
use crate::reconcile::Action;

/// Why somebody looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    /// It is time.
    Interval,
    /// Somebody asked for it.
    Request,
}

/// One thing to do, and why.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    /// Whose it is.
    pub(super) sandbox_id: Option<SandboxId>,
    /// What it is about.
    pub(super) what: String,
    /// Why.
    pub(super) reason: String,
    /// Bytes on disk that come back, where known.
    pub(super) bytes: Option<u64>,
    pub(super) deed: Deed,
}

/// What exactly.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Deed {
    /// The host shows something else than the record, whose generation was this; `None`: there is no record.
    Found { id: SandboxId, generation: Option<Generation>, action: Action },
    /// This approve was interrupted.
    EndApprove(Box<ApproveRow>),
    /// Its actor is to look whether it is over.
    LookAtExpiry(SandboxId),
    /// Somebody is to know.
    Warn(Warning),
    /// The server needs the space that it holds in reserve.
    GiveReserve,
    /// There is space for a reserve again.
    TakeReserve,
    /// A sandbox, unless its record was written since.
    Delete { id: SandboxId, generation: Generation },
    /// The directory of a sandbox that is recorded nowhere.
    DiscardDirectory(SandboxId),
    /// The copy of a check that nobody minds.
    DiscardFork(SandboxId),
    /// What an approve replaced.
    Release(Box<ApproveRow>),
    /// Tenant, route and key.
    ForgetKeys(Vec<IdempotencyAt>),
    /// An exec and its log.
    ForgetLog { sandbox: SandboxId, exec: ExecId },
    /// A task and its history.
    ForgetTask(TaskId),
    /// Rows that are old.
    Forget(Old),
    /// A checkpoint that need not be kept.
    RemoveCheckpoint(Box<CheckpointRow>),
    /// A restore or a revert of this sandbox was interrupted.
    EndRestore(SandboxId),
    /// Something in the trash.
    Remove(PathBuf),
}
