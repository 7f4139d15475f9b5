//! Ending what was interrupted, and dropping what is no longer needed.

use std::{io, os::fd::BorrowedFd};

use super::{
    ApplyError, ApplyReport, Forgotten, Recovered, commit, end,
    execute::Execution,
    keep,
    stage::{self, Stage},
    tidy,
};
use crate::journal::{Journal, Manifest, State};

/// Ends what its journal says is not ended. The source is locked.
pub(super) fn recover(source: BorrowedFd<'_>, journal: &Journal) -> Result<Recovered, ApplyError> {
    let unfinished = |error| ApplyError::unfinished("journal.read", error);
    let state = journal.state().map_err(unfinished)?;
    let manifest = journal.manifest().map_err(unfinished)?;
    let (Some(state), Some(manifest)) = (state, manifest) else {
        // The manifest comes first, and the stage after both: there is nothing to take back.
        return Ok(Recovered::Aborted { kept: Vec::new() });
    };
    match state {
        State::Preparing => {
            let state = State::UNTOUCHED;
            // INVARIANT: the stage goes before the journal's word, so that `aborted` means that nothing is left.
            tidy(source, manifest.id, &state)
                .map_err(|error| ApplyError::unfinished("stage.remove", error))?;
            end(source, journal, manifest.id, &state)?;
            Ok(Recovered::Aborted { kept: Vec::new() })
        }
        State::Committing => resume(source, journal, &manifest),
        State::Applied { report } => Ok(Recovered::Applied { report }),
        State::Conflict { ref conflicts, ref kept, .. } => {
            tidy(source, manifest.id, &state)
                .map_err(|error| ApplyError::unfinished("stage.remove", error))?;
            Ok(Recovered::Conflict { conflicts: conflicts.clone(), kept: kept.clone() })
        }
        State::Aborted { ref kept, .. } => {
            tidy(source, manifest.id, &state)
                .map_err(|error| ApplyError::unfinished("stage.remove", error))?;
            Ok(Recovered::Aborted { kept: kept.clone() })
        }
    }
}

fn resume(
    source: BorrowedFd<'_>,
    journal: &Journal,
    manifest: &Manifest,
) -> Result<Recovered, ApplyError> {
    let stage = Stage::open(source, manifest.id)
        .map_err(|error| ApplyError::unfinished("stage.open", error))?;
    let Some(stage) = stage else {
        // The commit was written and its sync failed, so the stage was removed before anything was renamed.
        let state = State::UNTOUCHED;
        end(source, journal, manifest.id, &state)?;
        return Ok(Recovered::Aborted { kept: Vec::new() });
    };
    match commit(source, journal, manifest, &stage) {
        Ok(report) => Ok(Recovered::Applied { report }),
        Err(ApplyError::Conflict { conflicts, kept }) => {
            Ok(Recovered::Conflict { conflicts, kept })
        }
        Err(ApplyError::Step { kept, .. }) => Ok(Recovered::Aborted { kept }),
        Err(error) => Err(error),
    }
}

/// Answers a repeated request with how the first one ended.
pub(super) fn repeat(recovered: Recovered) -> Result<ApplyReport, ApplyError> {
    match recovered {
        Recovered::Applied { report } => Ok(report),
        Recovered::Conflict { conflicts, kept } => Err(ApplyError::Conflict { conflicts, kept }),
        Recovered::Aborted { kept } => Err(ApplyError::Step {
            step: "earlier attempt".to_owned(),
            path: None,
            kept,
            source: io::ErrorKind::Interrupted.into(),
        }),
    }
}

/// Drops the stage. The source is locked.
pub(super) fn forget(source: BorrowedFd<'_>, journal: &Journal) -> io::Result<Forgotten> {
    let mut written_late = Vec::new();
    let Some(manifest) = journal.manifest()? else {
        return Ok(Forgotten { written_late, kept: None });
    };
    let mut is_applied = false;
    match journal.state()? {
        // What the host replaced again exists nowhere else.
        Some(State::Conflict { kept, .. } | State::Aborted { kept, .. }) => written_late = kept,
        Some(State::Applied { .. }) => is_applied = true,
        None => {}
        Some(State::Preparing | State::Committing) => {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, "it has not ended"));
        }
    }
    let kept = journal.kept()?;
    if kept.is_some() {
        // Half removed, perhaps: what is left of it was moved or copied before.
        stage::remove(source, manifest.id)?;
        return Ok(Forgotten { written_late, kept });
    }
    let Some(stage) = Stage::open(source, manifest.id)? else {
        return Ok(Forgotten { written_late, kept });
    };
    let execution = Execution { source, stage: &stage, ops: &manifest.plan.ops };
    for (index, op) in manifest.plan.ops.iter().enumerate() {
        let slot = execution.slot(index)?;
        if slot.is_some()
            && slot.as_ref() != op.before()
            && slot.as_ref() != op.after()
            && !written_late.contains(op.path())
        {
            written_late.push(op.path().clone());
        }
    }
    if !written_late.is_empty() {
        return Ok(Forgotten { written_late, kept });
    }
    let kept = match is_applied {
        true => Some(keep::keep(source, &stage, journal, &manifest)?),
        false => None,
    };
    stage::remove(source, manifest.id)?;
    Ok(Forgotten { written_late, kept })
}
