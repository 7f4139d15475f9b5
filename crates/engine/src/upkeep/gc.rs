//! Upkeep on request: what would go and why, and its doing. Of one sandbox, too, by name.

use jiff::Timestamp;
use sandbar_types::SandboxId;
use tokio::time::Instant;

use super::{
    Reconciler,
    board::Round,
    carry_out,
    plan::{Occasion, Planned},
    terminal::{Candidate, is_terminal},
};
use crate::{Engine, Error, ErrorKind, Result};

/// Whether it is done or only said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GcMode {
    /// Only said.
    DryRun,
    /// Done.
    Collect,
}

/// What becomes of changes that nobody decided about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// They stay, and the sandbox with them.
    Kept,
    /// They go with the sandbox: somebody said so by its name.
    Discarded,
}

/// One thing that is given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcAction {
    /// Who found it.
    pub reconciler: Reconciler,
    /// Whose it is.
    pub sandbox_id: Option<SandboxId>,
    /// What it is.
    pub what: String,
    /// Why it may go.
    pub reason: String,
    /// Bytes on disk, where known.
    pub bytes: Option<u64>,
    /// Why it could not be given back; it is tried again.
    pub error: Option<String>,
}

impl GcAction {
    fn of(reconciler: Reconciler, planned: &Planned) -> Self {
        Self {
            reconciler,
            sandbox_id: planned.sandbox_id,
            what: planned.what.clone(),
            reason: planned.reason.clone(),
            bytes: planned.bytes,
            error: None,
        }
    }
}

/// Everything that is given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcReport {
    /// Whether it was done.
    pub mode: GcMode,
    /// What.
    pub actions: Vec<GcAction>,
}

impl Engine {
    /// Has every reconciler look that gives something back, and do what it found. One that fails stops no other.
    ///
    /// # Errors
    /// Nothing could be looked at: the store failed.
    pub async fn gc(&self, mode: GcMode) -> Result<GcReport> {
        let mut actions = Vec::new();
        for which in Reconciler::ALL.into_iter().filter(|which| which.gives_back()) {
            let _alone = self.inner.upkeep.alone(which).await;
            let planned = match super::plan(self, which, Occasion::Request).await {
                Ok(planned) => planned,
                Err(err) => {
                    self.inner.upkeep.failed(which, &err, self.now());
                    return Err(err);
                }
            };
            match mode {
                GcMode::DryRun => {
                    actions.extend(planned.iter().map(|planned| GcAction::of(which, planned)));
                }
                GcMode::Collect => actions.extend(self.collect(which, &planned).await),
            }
        }
        Ok(GcReport { mode, actions })
    }

    /// Removes the stopped sandbox `id`, whenever it was stopped; with changes that nobody decided about only where
    /// `pending` says so.
    ///
    /// # Errors
    /// `sandbox_not_found`, `state_conflict` (it is not stopped), `changes_pending`.
    pub async fn gc_sandbox(
        &self,
        id: SandboxId,
        pending: Pending,
        mode: GcMode,
    ) -> Result<GcReport> {
        let sandbox = self.sandbox_fetch(id)?;
        if !is_terminal(&sandbox.state) {
            let message = format!("sandbox `{}` is not stopped", sandbox.name);
            return Err(Error::new(ErrorKind::Denied, "state_conflict", message)
                .hint("`sandbar stop` stops it"));
        }
        let which = Reconciler::Terminal;
        let _alone = self.inner.upkeep.alone(which).await;
        let planned = asked_for(&Candidate::of(self, &sandbox).await, pending)?;
        let actions = match mode {
            GcMode::DryRun => vec![GcAction::of(which, &planned)],
            GcMode::Collect => self.collect(which, &[planned]).await,
        };
        Ok(GcReport { mode, actions })
    }

    async fn collect(&self, which: Reconciler, planned: &[Planned]) -> Vec<GcAction> {
        let (at, begun): (Timestamp, _) = (self.now(), Instant::now());
        let mut round = Round { found: planned.len() as u64, ..Round::default() };
        let mut actions = Vec::new();
        for planned in planned {
            let mut action = GcAction::of(which, planned);
            match carry_out(self, planned).await {
                Ok(()) => round.done += 1,
                Err(err) => {
                    round.fail(which, &err);
                    action.error = Some(err.message().to_owned());
                }
            }
            actions.push(action);
        }
        self.inner.upkeep.ended(which, at, begun.elapsed(), round);
        actions
    }
}

/// Decides whether a sandbox that somebody named goes.
fn asked_for(seen: &Candidate, pending: Pending) -> Result<Planned> {
    let how_many = match (seen.pending, pending) {
        (Some(0), _) => return Ok(seen.delete("asked for by name, without pending changes")),
        (Some(count), _) => format!("{count} changes"),
        (None, _) => "changes that cannot be read".to_owned(),
    };
    match pending {
        Pending::Discarded => {
            Ok(seen
                .delete(&format!("asked for by name, with {how_many} that nobody decided about")))
        }
        Pending::Kept => Err(Error::new(
            ErrorKind::Conflict,
            "changes_pending",
            format!("sandbox `{}` has {how_many} that nobody decided about", seen.name),
        )
        .hint("approve or reject them, or say `--with-changes`")
        .details(&serde_json::json!({ "changes": seen.pending }))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::terminal::tests::candidates, *};

    proptest! {
        #[test]
        fn changes_go_only_with_a_sandbox_that_was_named_with_them(seen in candidates()) {
            for one in seen {
                let kept = asked_for(&one, Pending::Kept);
                prop_assert_eq!(kept.is_ok(), one.pending == Some(0));
                prop_assert!(asked_for(&one, Pending::Discarded).is_ok());
            }
        }
    }
}
