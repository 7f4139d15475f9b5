//! Stopped sandboxes without changes: deleted when they were stopped long enough ago.

use std::time::Duration;

use jiff::Timestamp;
use sandbar_types::{Generation, SandboxId, SandboxName, SandboxState};

use super::plan::{Deed, Occasion, Planned};
use crate::{Engine, Result, Sandbox, actor::Urgent, engine::Inner};

/// How long a stopped sandbox without changes is left alone when somebody asks: somebody may just have stopped it.
const AGE_ON_REQUEST: Duration = Duration::from_hours(1);

/// What is to be known of a sandbox to say whether it may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) id: SandboxId,
    pub(super) name: SandboxName,
    pub(super) state: SandboxState,
    pub(super) generation: Generation,
    pub(super) updated_at: Timestamp,
    /// Changes that nobody decided about; `None` where they cannot be read.
    pub(super) pending: Option<u64>,
    /// What it holds on disk, where that was measured.
    pub(super) bytes: Option<u64>,
}

impl Candidate {
    /// Looks at `sandbox`, its changes included.
    pub(super) async fn of(engine: &Engine, sandbox: &Sandbox) -> Self {
        // What cannot be read may hold changes, and stays.
        let changes = engine.changes(sandbox.id).await.ok();
        let size = engine.sandbox_size(sandbox.id).await.ok();
        Self {
            id: sandbox.id,
            name: sandbox.name.clone(),
            state: sandbox.state.clone(),
            generation: sandbox.generation,
            updated_at: sandbox.updated_at,
            pending: changes.map(|changes| changes.set.changes.len() as u64),
            bytes: size.map(|size| size.bytes()),
        }
    }

    /// Whether nothing of it runs, and nothing is lost with it.
    pub(super) fn is_free(&self) -> bool {
        is_terminal(&self.state) && self.pending == Some(0)
    }

    pub(super) fn delete(&self, reason: &str) -> Planned {
        Planned {
            sandbox_id: Some(self.id),
            what: format!("sandbox `{}`", self.name),
            reason: reason.to_owned(),
            bytes: self.bytes,
            deed: Deed::Delete { id: self.id, generation: self.generation },
        }
    }
}

/// Whether nothing of it runs, and nothing is about to.
pub(super) fn is_terminal(state: &SandboxState) -> bool {
    match state {
        SandboxState::Stopped | SandboxState::Failed { .. } => true,
        SandboxState::Creating
        | SandboxState::Running
        | SandboxState::Paused
        | SandboxState::Stopping
        | SandboxState::Deleting => false,
    }
}

/// Decides which of `seen` go: those that are free, and were stopped for `age`.
fn plan(seen: &[Candidate], age: Duration, now: Timestamp) -> Vec<Planned> {
    let go = seen.iter().filter(|one| one.is_free() && one.updated_at + age <= now);
    go.map(|one| one.delete("stopped long enough ago, without pending changes")).collect()
}

pub(super) async fn find(engine: &Engine, occasion: Occasion) -> Result<Vec<Planned>> {
    let age = match occasion {
        Occasion::Interval => engine.inner.settings().stopped_ttl,
        Occasion::Request => Some(AGE_ON_REQUEST),
    };
    let Some(age) = age else {
        return Ok(Vec::new());
    };
    let now = engine.now();
    let mut seen = Vec::new();
    for sandbox in engine.sandbox_list_all() {
        // Only those are compared with their sources that could go.
        if is_terminal(&sandbox.state) && sandbox.updated_at + age <= now {
            seen.push(Candidate::of(engine, &sandbox).await);
        }
    }
    Ok(plan(&seen, age, now))
}

/// Deletes it, unless somebody did something with it since it was looked at.
pub(super) async fn carry_out(inner: &Inner, id: SandboxId, generation: Generation) -> Result<()> {
    let Ok(handle) = inner.actor(id) else {
        return Ok(());
    };
    let seen = Some(generation);
    match handle.end(|reply| Urgent::Delete { seen, reply }).await {
        Err(err) if err.code() == "sandbox_not_found" => Ok(()),
        done => done,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use sandbar_types::FailureReason;

    use super::*;

    pub(in crate::upkeep) fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
        let state = prop_oneof![
            Just(SandboxState::Creating),
            Just(SandboxState::Running),
            Just(SandboxState::Paused),
            Just(SandboxState::Stopping),
            Just(SandboxState::Stopped),
            Just(SandboxState::Failed { reason: FailureReason::KeeperLost }),
            Just(SandboxState::Deleting),
        ];
        let one = (state, 0_i64..10_000, prop::option::of(0_u64..3), prop::option::of(0_u64..1000));
        let one = one.prop_map(|(state, second, pending, bytes)| Candidate {
            id: SandboxId::generate(),
            name: "one".parse().unwrap(),
            state,
            generation: Generation::FIRST,
            updated_at: Timestamp::from_second(second).unwrap(),
            pending,
            bytes,
        });
        prop::collection::vec(one, 0..20)
    }

    /// Nothing that runs, and nothing that has or may have changes.
    pub(in crate::upkeep) fn assert_nothing_is_lost(seen: &[Candidate], planned: &[Planned]) {
        for planned in planned {
            let one = seen.iter().find(|one| Some(one.id) == planned.sandbox_id).unwrap();
            assert!(is_terminal(&one.state) && one.pending == Some(0), "{one:?}");
        }
    }

    proptest! {
        #[test]
        fn what_has_or_may_have_changes_is_never_planned(
            seen in candidates(), age in 0_u64..10_000, now in 0_i64..20_000,
        ) {
            let (age, now) = (Duration::from_secs(age), Timestamp::from_second(now).unwrap());
            let planned = plan(&seen, age, now);
            assert_nothing_is_lost(&seen, &planned);
            for one in &seen {
                let is_due = one.is_free() && one.updated_at + age <= now;
                let is_planned = planned.iter().any(|planned| planned.sandbox_id == Some(one.id));
                prop_assert_eq!(is_due, is_planned);
            }
        }
    }
}
