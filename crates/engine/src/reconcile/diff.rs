//! What to do about the difference between record and host. Pure and total.

use std::collections::BTreeMap;

use sandbar_runtime::Observed;
use sandbar_types::{FailureReason, SandboxId, SandboxState};

/// Who minds a sandbox at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Nobody yet: the server just started.
    Nobody,
    /// Its actor: what is under way is being carried out.
    Actor,
}

/// What is recorded of one sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// Its state.
    pub state: SandboxState,
    /// The nonce of its last launch.
    pub nonce: String,
    /// Whether that launch was in this boot of the host.
    pub is_this_boot: bool,
    /// Who minds it.
    pub owner: Owner,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It runs: take it over.
    Adopt {
        /// As what.
        paused: bool,
    },
    /// Let it run on: it is frozen, and nobody wants that. A review that a crash interrupted leaves this.
    Thaw,
    /// It ended: record why, and release what is left.
    Fail(FailureReason),
    /// Carry a stop on, or try again to stop what could not be killed.
    Stop,
    /// Carry a removal on.
    Delete,
    /// Undo a launch that nobody finished.
    Abandon,
    /// Release what it holds of the host though nothing runs.
    Release,
    /// Kill what runs though nothing should.
    Kill,
}

/// Compares `desired` with `observed`. The same pair gives the same actions, whoever asks and however often.
#[must_use]
pub fn diff(
    desired: &BTreeMap<SandboxId, Desired>,
    observed: &BTreeMap<SandboxId, Observed>,
) -> Vec<(SandboxId, Action)> {
    let wanted = desired.iter().flat_map(|(&id, desired)| {
        actions(desired, observed.get(&id)).into_iter().map(move |action| (id, action))
    });
    let strangers =
        observed.keys().filter(|id| !desired.contains_key(id)).map(|&id| (id, Action::Kill));
    wanted.chain(strangers).collect()
}

fn actions(desired: &Desired, observed: Option<&Observed>) -> Vec<Action> {
    let is_unminded = desired.owner == Owner::Nobody;
    match &desired.state {
        // Its actor is at it, and will see for itself.
        SandboxState::Creating | SandboxState::Stopping if !is_unminded => Vec::new(),
        SandboxState::Creating => match observed {
            Some(Observed::Running { nonce, paused }) if *nonce == desired.nonce => {
                adopt(false, *paused, is_unminded)
            }
            Some(Observed::Running { .. } | Observed::Remains { .. } | Observed::Orphaned)
            | None => {
                vec![Action::Abandon]
            }
        },
        SandboxState::Running | SandboxState::Paused => alive(desired, observed, is_unminded),
        SandboxState::Stopping => vec![Action::Stop],
        SandboxState::Deleting => vec![Action::Delete],
        SandboxState::Failed { reason: FailureReason::Stuck } => vec![Action::Stop],
        SandboxState::Stopped | SandboxState::Failed { .. } => match observed {
            None => Vec::new(),
            Some(Observed::Remains { .. }) => vec![Action::Release],
            Some(Observed::Running { .. } | Observed::Orphaned) => vec![Action::Kill],
        },
    }
}

fn alive(desired: &Desired, observed: Option<&Observed>, is_unminded: bool) -> Vec<Action> {
    if !desired.is_this_boot {
        return vec![Action::Fail(FailureReason::HostRestarted)];
    }
    match observed {
        Some(Observed::Running { nonce, paused }) if *nonce == desired.nonce => {
            adopt(desired.state == SandboxState::Paused, *paused, is_unminded)
        }
        Some(Observed::Remains { exit }) => {
            vec![Action::Fail(FailureReason::SupervisorExited { status: *exit })]
        }
        // Another launch answers in its place, or nobody does: whatever runs there is not what we recorded.
        Some(Observed::Running { .. } | Observed::Orphaned) | None => {
            vec![Action::Fail(FailureReason::KeeperLost)]
        }
    }
}

fn adopt(is_paused_wanted: bool, is_paused: bool, is_unminded: bool) -> Vec<Action> {
    let take = is_unminded.then_some(Action::Adopt { paused: is_paused_wanted && is_paused });
    let thaw = (is_paused && !is_paused_wanted).then_some(Action::Thaw);
    take.into_iter().chain(thaw).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_state() -> impl Strategy<Value = SandboxState> {
        prop_oneof![
            Just(SandboxState::Creating),
            Just(SandboxState::Running),
            Just(SandboxState::Paused),
            Just(SandboxState::Stopping),
            Just(SandboxState::Stopped),
            Just(SandboxState::Failed { reason: FailureReason::KeeperLost }),
            Just(SandboxState::Failed { reason: FailureReason::Stuck }),
            Just(SandboxState::Deleting),
        ]
    }

    fn any_observed() -> impl Strategy<Value = Option<Observed>> {
        prop_oneof![
            Just(None),
            (any::<bool>(), any::<bool>()).prop_map(|(ours, paused)| {
                let nonce = if ours { "ours" } else { "theirs" }.to_owned();
                Some(Observed::Running { nonce, paused })
            }),
            Just(Some(Observed::Remains { exit: None })),
            Just(Some(Observed::Orphaned)),
        ]
    }

    fn one(
        state: SandboxState,
        is_this_boot: bool,
        owner: Owner,
        observed: Option<Observed>,
    ) -> Vec<Action> {
        let id = SandboxId::generate();
        let desired = Desired { state, nonce: "ours".to_owned(), is_this_boot, owner };
        let observed = observed.map(|observed| (id, observed)).into_iter().collect();
        diff(&[(id, desired)].into(), &observed).into_iter().map(|(_, action)| action).collect()
    }

    #[test]
    fn what_runs_is_adopted_after_a_restart_and_left_alone_daily() {
        let running = || Some(Observed::Running { nonce: "ours".to_owned(), paused: false });
        assert_eq!(
            one(SandboxState::Running, true, Owner::Nobody, running()),
            [Action::Adopt { paused: false }]
        );
        assert_eq!(one(SandboxState::Running, true, Owner::Actor, running()), []);
    }

    #[test]
    fn a_review_that_a_crash_interrupted_leaves_nothing_frozen() {
        let frozen = || Some(Observed::Running { nonce: "ours".to_owned(), paused: true });
        assert_eq!(
            one(SandboxState::Running, true, Owner::Nobody, frozen()),
            [Action::Adopt { paused: false }, Action::Thaw]
        );
        assert_eq!(
            one(SandboxState::Paused, true, Owner::Nobody, frozen()),
            [Action::Adopt { paused: true }]
        );
    }

    #[test]
    fn k1_an_old_launch_never_answers_for_a_new_one() {
        let old = Some(Observed::Running { nonce: "theirs".to_owned(), paused: false });
        assert_eq!(
            one(SandboxState::Running, true, Owner::Nobody, old.clone()),
            [Action::Fail(FailureReason::KeeperLost)]
        );
        assert_eq!(one(SandboxState::Stopped, true, Owner::Nobody, old), [Action::Kill]);
    }

    #[test]
    fn after_a_restart_of_the_host_nothing_runs() {
        assert_eq!(
            one(SandboxState::Running, false, Owner::Nobody, None),
            [Action::Fail(FailureReason::HostRestarted)]
        );
    }

    #[test]
    fn v3_what_nobody_recorded_is_killed() {
        let id = SandboxId::generate();
        let observed = [(id, Observed::Orphaned)].into();
        assert_eq!(diff(&BTreeMap::new(), &observed), [(id, Action::Kill)]);
    }

    proptest! {
        #[test]
        fn a_stopped_sandbox_never_begins_to_run(observed in any_observed()) {
            for action in one(SandboxState::Stopped, true, Owner::Nobody, observed) {
                prop_assert!(!matches!(action, Action::Adopt { .. } | Action::Thaw), "{action:?}");
            }
        }

        #[test]
        fn only_what_is_being_deleted_is_deleted(state in any_state(), observed in any_observed(), boot in any::<bool>()) {
            let is_deleting = state == SandboxState::Deleting;
            for action in one(state, boot, Owner::Nobody, observed) {
                prop_assert_eq!(action == Action::Delete, is_deleting);
            }
        }

        #[test]
        fn what_its_actor_is_at_is_left_to_it(observed in any_observed()) {
            prop_assert!(one(SandboxState::Creating, true, Owner::Actor, observed.clone()).is_empty());
            prop_assert!(one(SandboxState::Stopping, true, Owner::Actor, observed).is_empty());
        }
    }
}
