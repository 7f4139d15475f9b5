//! Approve: writing reviewed changes to the source, all of them or none, whatever happens in between.
//!
//! ```text
//! plan      pure            what to do, or why not
//! apply     J preparing     manifest and state in the journal
//!           S1 S2 S4        stage directory in the source, new content copied and hashed, synced
//!           S3              every target is what the changes were made against, or nothing is touched
//!           J committing    the commit point
//!           E               one rename a step, and what it displaced is looked at; else everything is taken back
//!           J applied       acknowledged
//! recover                   the same from wherever it was, after a crash
//! forget                    moves what was replaced to the journal, for an undo, and removes the stage
//! undo                      the inverted plan, carried out as any other
//! ```
//! Other readers of the source can see a half-applied set for milliseconds; a crash leaves none behind.
//! The tests that kill it at every step are in `tests/apply_*.rs`.

mod closure;
mod error;
mod execute;
mod failpoint;
mod keep;
mod lock;
mod mode;
mod operations;
mod plan;
mod recover;
mod report;
mod rollback;
mod stage;
mod tree;
mod undo;

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use sandbar_types::{ApproveId, ApproveOutcome, Entry, WorkspacePath};
use serde::{Deserialize, Serialize};

#[cfg(any(debug_assertions, feature = "failpoints"))]
pub use self::failpoint::failpoints_passed;
pub use self::{
    closure::is_never_applied,
    error::ApplyError,
    keep::{KEPT_TEXT_BYTES_MAX, Kept},
    plan::{ApplyLimits, ApplyPlan, Expected, NEEDS_CONFIRMATION, Op, Refused, plan},
    tree::{Node, Tree},
};
pub(crate) use self::{closure::select, failpoint::failpoint, plan::drift, stage::remove_tree};
use self::{
    execute::{Execution, Stop},
    lock::SourceLock,
    stage::{Contents, Stage},
};
use crate::{
    Approved, beneath,
    journal::{Journal, Manifest, State},
};

/// What an approve did, as its journal has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyReport {
    /// The part that the person gets.
    pub outcome: ApproveOutcome,
    /// What the host has at each approved path, ordered: the new base.
    pub applied: Vec<Applied>,
    /// Paths that were merged with what the host had, so that neither side has them as they were written.
    #[serde(default)]
    pub composed: Vec<WorkspacePath>,
}

/// One approved path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The path.
    pub path: WorkspacePath,
    /// What the host had.
    #[serde(default)]
    pub before: Option<Entry>,
    /// What was written to the host; `None` where it was removed.
    pub entry: Option<Entry>,
    /// What the base has to remember, for [`crate::Base::approved`].
    pub base: Approved,
}

/// How an approve that was interrupted ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ended", rename_all = "snake_case")]
pub enum Recovered {
    /// Everything is written.
    Applied {
        /// What was done.
        report: ApplyReport,
    },
    /// The host got in the way; the source is as it was.
    Conflict {
        /// What was in the way.
        conflicts: Vec<sandbar_types::Conflict>,
        /// As of [`ApplyError::Conflict`].
        kept: Vec<WorkspacePath>,
    },
    /// It never reached its commit point, or failed; the source is as it was.
    Aborted {
        /// As of [`ApplyError::Conflict`].
        kept: Vec<WorkspacePath>,
    },
}

/// What became of the replaced content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Paths whose replaced content was written to after it was replaced, through a descriptor that was open then, and
    /// those that were kept because the host replaced them again (see [`ApplyError::Conflict`]).
    /// Their content, and the stage with it, is still there. Empty where everything is gone.
    pub written_late: Vec<WorkspacePath>,
    /// What an undo needs, where it is in the journal: the journal must stay as long as it may be undone.
    pub kept: Option<Kept>,
}

/// Carries `plan` out as the approve `id`: takes content from `merged`, writes to `source`, records in `journal`.
///
/// Idempotent: a journal that has ended answers with how it ended, and one that was interrupted is ended first.
/// Serialized with every other approve on the same source directory.
///
/// # Errors
/// See [`ApplyError`]; but for [`ApplyError::Unfinished`] the source is as it was.
pub fn apply(
    source: BorrowedFd<'_>,
    merged: BorrowedFd<'_>,
    journal: &Journal,
    id: ApproveId,
    plan: &ApplyPlan,
) -> Result<ApplyReport, ApplyError> {
    let lock = SourceLock::take(source)?;
    let state = journal.state().map_err(|error| ApplyError::step("journal.read", None, error))?;
    if state.is_some() {
        return recover::repeat(recover::recover(source, journal)?);
    }
    let report = begin(source, merged, journal, id, plan);
    drop(lock);
    report
}

/// Takes the approve of the journal `undone` back, as the approve `id` with a `journal` of its own: just as atomic,
/// and ended by [`recover`] just as well.
///
/// What the host changed since is merged where it is text and does not overlap. Else everything is refused.
///
/// # Errors
/// As [`apply`]; [`ApplyError::NotKept`] where the old content is not in the journal, see [`forget`].
pub fn undo(
    source: BorrowedFd<'_>,
    undone: &Journal,
    journal: &Journal,
    id: ApproveId,
) -> Result<ApplyReport, ApplyError> {
    let lock = SourceLock::take(source)?;
    let state = journal.state().map_err(|error| ApplyError::step("journal.read", None, error))?;
    if state.is_some() {
        return recover::repeat(recover::recover(source, journal)?);
    }
    let plan = undo::plan(source, undone, journal)?;
    let old = undone
        .tree(keep::OLD)
        .map_err(|error| ApplyError::step("undo.kept", None, error))?
        .ok_or(ApplyError::NotKept)?;
    let report = begin(source, old.as_fd(), journal, id, &plan);
    drop(lock);
    report
}

/// Carries out what was decided, with a journal that has nothing yet. The source is locked.
fn begin(
    source: BorrowedFd<'_>,
    merged: BorrowedFd<'_>,
    journal: &Journal,
    id: ApproveId,
    plan: &ApplyPlan,
) -> Result<ApplyReport, ApplyError> {
    require_space(source, plan)?;
    let manifest = Manifest { version: Manifest::VERSION, id, plan: plan.clone() };
    let begun =
        journal.write_manifest(&manifest).and_then(|()| journal.write_state(&State::Preparing));
    begun.map_err(|error| ApplyError::step("journal.begin", None, error))?;
    let stage = match prepare(source, merged, journal, &manifest) {
        Ok(stage) => stage,
        Err(error) => return Err(abort(source, journal, id, error)),
    };
    commit(source, journal, &manifest, &stage)
}

/// Ends an approve that was interrupted, from what its journal says. Idempotent; on an ended one it changes nothing.
///
/// # Errors
/// [`ApplyError::Unfinished`] where it could not be ended: the journal still says so, and it may be tried again.
/// [`ApplyError::Busy`].
pub fn recover(source: BorrowedFd<'_>, journal: &Journal) -> Result<Recovered, ApplyError> {
    let lock = SourceLock::take(source)?;
    let recovered = recover::recover(source, journal);
    drop(lock);
    recovered
}

/// Moves what the approve replaced to its journal and removes the stage, unless something wrote to it after it was
/// replaced. Idempotent; a crash at any moment leaves all of it in the stage, or in the journal.
///
/// The journal directory may be removed when nothing is left over and nobody wants to undo it, see [`Journal::remove`].
///
/// # Errors
/// [`ApplyError::Unfinished`] where the approve has not ended, or the stage cannot be removed.
pub fn forget(source: BorrowedFd<'_>, journal: &Journal) -> Result<Forgotten, ApplyError> {
    let lock = SourceLock::take(source)?;
    let forgotten = recover::forget(source, journal);
    drop(lock);
    forgotten.map_err(|error| ApplyError::unfinished("forget", error))
}

fn require_space(source: BorrowedFd<'_>, plan: &ApplyPlan) -> Result<(), ApplyError> {
    let stat = rustix::fs::fstatvfs(source)
        .map_err(|errno| ApplyError::step("space", None, errno.into()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let free = free.saturating_sub(plan.limits.free_bytes_min);
    let needed = plan.bytes();
    if needed > free {
        return Err(ApplyError::NoSpace { needed, free });
    }
    Ok(())
}

/// S1 to S4: fills the stage and verifies every target. Nothing of the source has changed when it fails.
fn prepare(
    source: BorrowedFd<'_>,
    merged: BorrowedFd<'_>,
    journal: &Journal,
    manifest: &Manifest,
) -> Result<Stage, ApplyError> {
    let failed = |step, error| ApplyError::step(step, None, error);
    let stage = Stage::create(source, manifest.id).map_err(|error| failed("stage.make", error))?;
    stage.fill(Contents { merged, journal }, &manifest.plan)?;
    let execution = Execution { source, stage: &stage, ops: &manifest.plan.ops };
    execution.verify().map_err(|stop| stopped(stop, Vec::new()))?;
    failpoint("stage.sync_source")
        .and_then(|()| Ok(rustix::fs::fsync(beneath::open_dir(source, b"")?)?))
        .map_err(|error| failed("stage.sync_source", error))?;
    journal.write_state(&State::Committing).map_err(|error| failed("journal.commit", error))?;
    Ok(stage)
}

/// E and what follows: the steps, and the end that they come to.
fn commit(
    source: BorrowedFd<'_>,
    journal: &Journal,
    manifest: &Manifest,
    stage: &Stage,
) -> Result<ApplyReport, ApplyError> {
    let execution = Execution { source, stage, ops: &manifest.plan.ops };
    let stop = match execution.run() {
        Ok(()) => {
            let report = report::report(source, manifest);
            let state = State::Applied { report: report.clone() };
            journal
                .write_state(&state)
                .map_err(|error| ApplyError::unfinished("journal.applied", error))?;
            return Ok(report);
        }
        Err(stop) => stop,
    };
    let kept = execution.roll_back().map_err(|error| ApplyError::unfinished("rollback", error))?;
    let restored = report::restored(source, &manifest.plan.ops);
    let state = match &stop {
        Stop::Conflict(conflicts) => {
            State::Conflict { conflicts: conflicts.clone(), kept: kept.clone(), restored }
        }
        Stop::Failed { .. } => State::Aborted { kept: kept.clone(), restored },
    };
    end(source, journal, manifest.id, &state)?;
    Err(stopped(stop, kept))
}

/// Ends an approve that touched nothing: the journal first, so that a crash in between removes the stage later.
fn abort(
    source: BorrowedFd<'_>,
    journal: &Journal,
    id: ApproveId,
    error: ApplyError,
) -> ApplyError {
    let state = match &error {
        ApplyError::Conflict { conflicts, kept } => State::Conflict {
            conflicts: conflicts.clone(),
            kept: kept.clone(),
            restored: Vec::new(),
        },
        ApplyError::WorkspaceChanged { .. }
        | ApplyError::LinkLeavesTree { .. }
        | ApplyError::NoSpace { .. }
        | ApplyError::ExchangeUnsupported
        | ApplyError::NotKept
        | ApplyError::Busy
        | ApplyError::Step { .. }
        | ApplyError::Unfinished { .. } => State::UNTOUCHED,
    };
    match end(source, journal, id, &state) {
        Ok(()) => error,
        Err(unfinished) => unfinished,
    }
}

/// Records how it ended, and removes the stage unless it holds something that exists nowhere else.
fn end(
    source: BorrowedFd<'_>,
    journal: &Journal,
    id: ApproveId,
    state: &State,
) -> Result<(), ApplyError> {
    journal.write_state(state).map_err(|error| ApplyError::unfinished("journal.end", error))?;
    tidy(source, id, state).map_err(|error| ApplyError::unfinished("stage.remove", error))
}

fn tidy(source: BorrowedFd<'_>, id: ApproveId, state: &State) -> io::Result<()> {
    match state {
        State::Conflict { kept, .. } | State::Aborted { kept, .. } if kept.is_empty() => {
            stage::remove(source, id)
        }
        State::Preparing
        | State::Committing
        | State::Applied { .. }
        | State::Conflict { .. }
        | State::Aborted { .. } => Ok(()),
    }
}

fn stopped(stop: Stop, kept: Vec<WorkspacePath>) -> ApplyError {
    match stop {
        Stop::Conflict(conflicts) => ApplyError::Conflict { conflicts, kept },
        Stop::Failed { step, path, source } => {
            ApplyError::Step { step: step.to_owned(), path, kept, source }
        }
    }
}
