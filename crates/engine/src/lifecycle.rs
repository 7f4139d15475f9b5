//! The life of a sandbox as a decision: pure, total, without clock, I/O or log.
//!
//! [`admit`] says whether a request may be met in a state; [`transition`] says what an event makes of a state, and what
//! is to be done about it. The diagram is that of [`SandboxState`].

use sandbar_runtime::StopOutcome;
use sandbar_types::{FailureReason, SandboxState};

use crate::{Error, ErrorKind};

/// What somebody asks of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Run.
    Start,
    /// Run no longer; keep the files.
    Stop,
    /// Freeze.
    Pause,
    /// Run on.
    Resume,
    /// Be gone.
    Delete,
    /// Run a command.
    Exec,
    /// Show or change files and changes, which works with and without processes.
    Files,
}

/// How a request is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// By doing it now.
    Begin,
    /// By waiting for the same thing, which is under way.
    Join,
    /// It is so already.
    AlreadyDone,
}

/// Why a request cannot be met in this state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// It is still being made.
    NotReady,
    /// It is being stopped.
    StopPending,
    /// Nothing of it runs.
    Stopped,
    /// It is frozen.
    Paused,
    /// It failed.
    Failed,
    /// Processes of it cannot be killed.
    Stuck,
    /// It is being removed.
    Deleting,
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        let (message, hint) = match denied {
            Denied::NotReady => ("the sandbox is still being created", "wait until it runs"),
            Denied::StopPending => {
                ("the sandbox is being stopped", "wait until it is stopped, then start it")
            }
            Denied::Stopped => ("the sandbox is stopped", "start it: `sandbar start`"),
            Denied::Paused => ("the sandbox is paused", "resume it: `sandbar start`"),
            Denied::Failed => {
                ("the sandbox failed; its files are kept", "start it again: `sandbar start`")
            }
            Denied::Stuck => (
                "processes of the sandbox cannot be killed",
                "look for processes in state D on the host, then stop it again",
            ),
            Denied::Deleting => ("the sandbox is being deleted", "create a new one"),
        };
        Self::new(ErrorKind::Denied, "state_conflict", message).hint(hint)
    }
}

/// Decides whether `request` can be met in `state`.
///
/// # Errors
/// Why not. A stop and a delete are never denied, and what is so already is success: a client may repeat a request whose
/// answer was lost.
pub fn admit(state: &SandboxState, request: Request) -> Result<Admission, Denied> {
    use Admission::{AlreadyDone, Begin, Join};
    use SandboxState as S;
    let is_stuck = matches!(state, S::Failed { reason: FailureReason::Stuck });
    match request {
        Request::Start => match state {
            S::Creating => Ok(Join),
            S::Running => Ok(AlreadyDone),
            S::Failed { .. } if is_stuck => Err(Denied::Stuck),
            S::Paused | S::Stopped | S::Failed { .. } => Ok(Begin),
            S::Stopping => Err(Denied::StopPending),
            S::Deleting => Err(Denied::Deleting),
        },
        Request::Stop => match state {
            S::Stopping | S::Deleting => Ok(Join),
            S::Failed { .. } if is_stuck => Ok(Begin),
            S::Stopped | S::Failed { .. } => Ok(AlreadyDone),
            S::Creating | S::Running | S::Paused => Ok(Begin),
        },
        Request::Delete => match state {
            S::Deleting => Ok(Join),
            S::Creating | S::Running | S::Paused | S::Stopping | S::Stopped | S::Failed { .. } => {
                Ok(Begin)
            }
        },
        Request::Pause if *state == S::Paused => Ok(AlreadyDone),
        Request::Resume if *state == S::Running => Ok(AlreadyDone),
        Request::Resume if *state == S::Paused => Ok(Begin),
        Request::Files => match state {
            S::Running | S::Paused | S::Stopped => Ok(Begin),
            S::Failed { .. } if !is_stuck => Ok(Begin),
            S::Creating | S::Stopping | S::Failed { .. } | S::Deleting => Err(refusal(state)),
        },
        Request::Pause | Request::Resume | Request::Exec => match state {
            S::Running => Ok(Begin),
            S::Creating | S::Paused | S::Stopping | S::Stopped | S::Failed { .. } | S::Deleting => {
                Err(refusal(state))
            }
        },
    }
}

fn refusal(state: &SandboxState) -> Denied {
    match state {
        SandboxState::Creating | SandboxState::Running => Denied::NotReady,
        SandboxState::Paused => Denied::Paused,
        SandboxState::Stopping => Denied::StopPending,
        SandboxState::Stopped => Denied::Stopped,
        SandboxState::Failed { reason: FailureReason::Stuck } => Denied::Stuck,
        SandboxState::Failed { .. } => Denied::Failed,
        SandboxState::Deleting => Denied::Deleting,
    }
}

/// What happened to a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An admitted start.
    StartAsked,
    /// It was launched and read back.
    Launched,
    /// The launch failed and left nothing.
    LaunchFailed {
        /// Why.
        message: String,
    },
    /// An admitted stop.
    StopAsked,
    /// A stop came to its end.
    StopEnded(StopOutcome),
    /// An admitted delete.
    DeleteAsked,
    /// It was frozen.
    Frozen,
    /// It was let run on.
    Thawed,
    /// It ended, or was found ended, though nobody asked.
    Gone(FailureReason),
    /// A new server found it running.
    Adopted {
        /// Whether it was frozen.
        paused: bool,
    },
}

/// What is to be done about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Launch it over the files that are there.
    Launch,
    /// Give a launch up that is under way.
    CancelLaunch,
    /// Ask, wait, kill, reap.
    Stop,
    /// Learn of its end.
    Watch,
    /// Settle what execs are recorded as running.
    EndExecs,
    /// Kill what is left, and give back what it held of the host.
    Release,
    /// Remove its files and its record.
    Remove,
}

/// Decides what `event` makes of `state`. What cannot happen in a state changes nothing: it is late news.
#[must_use]
pub fn transition(state: &SandboxState, event: Event) -> (SandboxState, Vec<Effect>) {
    use Effect as E;
    use SandboxState as S;
    let is_alive = matches!(state, S::Running | S::Paused);
    let stay = || (state.clone(), Vec::new());
    match event {
        Event::StartAsked => match state {
            S::Stopped => (S::Creating, vec![E::Launch]),
            S::Failed { reason } if *reason != FailureReason::Stuck => {
                (S::Creating, vec![E::Launch])
            }
            S::Failed { .. } | S::Creating | S::Running | S::Paused | S::Stopping | S::Deleting => {
                stay()
            }
        },
        Event::Launched if *state == S::Creating => (S::Running, vec![E::Watch]),
        Event::LaunchFailed { message } if *state == S::Creating => {
            (S::Failed { reason: FailureReason::LaunchFailed { message } }, vec![E::Release])
        }
        Event::StopAsked => match state {
            S::Creating => (S::Stopping, vec![E::CancelLaunch, E::Stop]),
            S::Running | S::Paused | S::Failed { reason: FailureReason::Stuck } => {
                (S::Stopping, vec![E::Stop])
            }
            S::Stopping | S::Stopped | S::Failed { .. } | S::Deleting => stay(),
        },
        Event::StopEnded(outcome) => match (state, outcome) {
            (S::Stopping, StopOutcome::Stuck) => {
                (S::Failed { reason: FailureReason::Stuck }, Vec::new())
            }
            (S::Stopping, StopOutcome::Exited | StopOutcome::Killed | StopOutcome::NotRunning) => {
                (S::Stopped, vec![E::EndExecs, E::Release])
            }
            // Nothing of a stuck sandbox may be released or removed; it stays here until a later stop succeeds.
            (S::Deleting, StopOutcome::Stuck) => {
                (S::Failed { reason: FailureReason::Stuck }, Vec::new())
            }
            (S::Deleting, StopOutcome::Exited | StopOutcome::Killed | StopOutcome::NotRunning) => {
                (S::Deleting, vec![E::EndExecs, E::Remove])
            }
            (S::Creating | S::Running | S::Paused | S::Stopped | S::Failed { .. }, _outcome) => {
                stay()
            }
        },
        Event::DeleteAsked => match state {
            S::Deleting => stay(),
            S::Creating => (S::Deleting, vec![E::CancelLaunch, E::Stop]),
            S::Running | S::Paused | S::Stopping | S::Stopped | S::Failed { .. } => {
                (S::Deleting, vec![E::Stop])
            }
        },
        Event::Frozen if *state == S::Running => (S::Paused, Vec::new()),
        Event::Thawed if *state == S::Paused => (S::Running, Vec::new()),
        Event::Gone(reason) if is_alive || *state == S::Creating => {
            (S::Failed { reason }, vec![E::EndExecs, E::Release])
        }
        Event::Adopted { paused } if is_alive || *state == S::Creating => {
            (if paused { S::Paused } else { S::Running }, vec![E::Watch])
        }
        Event::Launched
        | Event::LaunchFailed { .. }
        | Event::Frozen
        | Event::Thawed
        | Event::Gone(_)
        | Event::Adopted { .. } => stay(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sandbar_types::ExitStatus;

    use super::*;

    fn any_reason() -> impl Strategy<Value = FailureReason> {
        prop_oneof![
            Just(FailureReason::LaunchFailed { message: "x".to_owned() }),
            Just(FailureReason::SupervisorExited { status: Some(ExitStatus::Exited { code: 1 }) }),
            Just(FailureReason::KeeperLost),
            Just(FailureReason::HostRestarted),
            Just(FailureReason::Stuck),
        ]
    }

    fn any_state() -> impl Strategy<Value = SandboxState> {
        prop_oneof![
            Just(SandboxState::Creating),
            Just(SandboxState::Running),
            Just(SandboxState::Paused),
            Just(SandboxState::Stopping),
            Just(SandboxState::Stopped),
            any_reason().prop_map(|reason| SandboxState::Failed { reason }),
            Just(SandboxState::Deleting),
        ]
    }

    fn any_outcome() -> impl Strategy<Value = StopOutcome> {
        prop_oneof![
            Just(StopOutcome::Exited),
            Just(StopOutcome::Killed),
            Just(StopOutcome::Stuck),
            Just(StopOutcome::NotRunning)
        ]
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::StartAsked),
            Just(Event::Launched),
            Just(Event::LaunchFailed { message: "x".to_owned() }),
            Just(Event::StopAsked),
            any_outcome().prop_map(Event::StopEnded),
            Just(Event::DeleteAsked),
            Just(Event::Frozen),
            Just(Event::Thawed),
            any_reason().prop_map(Event::Gone),
            any::<bool>().prop_map(|paused| Event::Adopted { paused }),
        ]
    }

    proptest! {
        #[test]
        fn stop_is_never_denied(state in any_state()) {
            prop_assert!(admit(&state, Request::Stop).is_ok());
        }

        #[test]
        fn delete_works_from_every_state(state in any_state()) {
            prop_assert!(admit(&state, Request::Delete).is_ok());
            let (next, _) = transition(&state, Event::DeleteAsked);
            prop_assert_eq!(next, SandboxState::Deleting);
        }

        #[test]
        fn a_second_stop_is_success_and_does_nothing_more(state in any_state()) {
            if admit(&state, Request::Stop) == Ok(Admission::Begin) {
                let (stopping, effects) = transition(&state, Event::StopAsked);
                prop_assert!(effects.contains(&Effect::Stop));
                prop_assert_eq!(admit(&stopping, Request::Stop), Ok(Admission::Join));
                let (stopped, _) = transition(&stopping, Event::StopEnded(StopOutcome::Killed));
                prop_assert_eq!(admit(&stopped, Request::Stop), Ok(Admission::AlreadyDone));
            }
        }

        #[test]
        fn nothing_of_a_stuck_sandbox_is_released(state in any_state()) {
            let (next, effects) = transition(&state, Event::StopEnded(StopOutcome::Stuck));
            prop_assert!(effects.is_empty());
            let stuck = SandboxState::Failed { reason: FailureReason::Stuck };
            prop_assert!(next == state || next == stuck);
        }

        #[test]
        fn what_is_begun_changes_the_state_or_does_something(state in any_state()) {
            for (request, event) in [(Request::Stop, Event::StopAsked), (Request::Delete, Event::DeleteAsked)] {
                if admit(&state, request) == Ok(Admission::Begin) {
                    let (next, effects) = transition(&state, event);
                    prop_assert!(next != state && !effects.is_empty());
                }
            }
        }

        #[test]
        fn files_are_removed_only_when_it_is_being_deleted(state in any_state(), event in any_event()) {
            let (next, effects) = transition(&state, event);
            if effects.contains(&Effect::Remove) {
                prop_assert_eq!(&state, &SandboxState::Deleting);
                prop_assert_eq!(next, SandboxState::Deleting);
            }
        }

        #[test]
        fn a_sandbox_that_is_being_deleted_never_runs_again(event in any_event()) {
            let (next, effects) = transition(&SandboxState::Deleting, event);
            prop_assert!(!matches!(next, SandboxState::Running | SandboxState::Paused | SandboxState::Creating));
            prop_assert!(!effects.contains(&Effect::Launch));
        }
    }
}
