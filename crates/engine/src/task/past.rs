//! What a server that goes on with a task has to know of what an earlier one did.

use std::time::Duration;

use jiff::Timestamp;
use sandbar_types::{
    AgentEvent, CheckStatus, CheckpointId, TaskEvent, TaskEventPayload, TaskResult, TaskState,
};

use super::questions::Questions;

/// What is said once where a task says too much.
pub(super) const TRUNCATED: &str =
    "the history is full: what the agent says from here on is left out";

/// What an earlier server wrote down.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// Events that were made of what the agent printed.
    pub(super) told: u64,
    pub(super) is_truncated: bool,
    pub(super) questions: Questions,
    /// How long it worked, without the times of waiting.
    pub(super) worked: Duration,
    /// Since when it works; `None` while it waits.
    pub(super) works_since: Option<Timestamp>,
    pub(super) state: Option<TaskState>,
    pub(super) has_ended: bool,
    pub(super) before: Option<CheckpointId>,
    pub(super) after: Option<CheckpointId>,
    /// Whether it was tried whether the app builds, and how that came out.
    pub(super) build: Option<(CheckStatus, Option<String>)>,
    pub(super) result: Option<TaskResult>,
}

impl Past {
    pub(super) fn of(events: Vec<TaskEvent>) -> Self {
        let mut past = Self::default();
        for event in events {
            past.take(event);
        }
        past
    }

    fn take(&mut self, TaskEvent { at, payload, .. }: TaskEvent) {
        match payload {
            TaskEventPayload::State { state } => self.enter(state, at),
            TaskEventPayload::Agent { agent } => {
                self.told += 1;
                self.is_truncated |=
                    matches!(&agent, AgentEvent::Status { text } if text == TRUNCATED);
            }
            TaskEventPayload::Stderr { .. } => self.told += 1,
            TaskEventPayload::Checkpoint { checkpoint, is_before: true } => {
                self.before = Some(checkpoint);
            }
            TaskEventPayload::Checkpoint { checkpoint, is_before: false } => {
                self.after = Some(checkpoint);
            }
            TaskEventPayload::Question { question, deadline } => {
                self.questions.remember(question, deadline);
            }
            TaskEventPayload::Answered { question, answer, by } => {
                self.questions.take(&question, answer, by);
            }
            TaskEventPayload::Ended { .. } => self.has_ended = true,
            TaskEventPayload::Build { status, message } => self.build = Some((status, message)),
            TaskEventPayload::Health { .. } => {}
            TaskEventPayload::Done { result } => self.result = Some(*result),
        }
    }

    fn enter(&mut self, state: TaskState, at: Timestamp) {
        if let Some(since) = self.works_since.take() {
            // A clock that was set back is no time.
            self.worked += at.duration_since(since).try_into().unwrap_or_default();
        }
        self.works_since = (state == TaskState::Running).then_some(at);
        self.state = Some(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_a_task_waits_is_no_time_of_work() {
        let state = |second, state| TaskEvent {
            seq: 1,
            at: Timestamp::from_second(second).unwrap(),
            payload: TaskEventPayload::State { state },
        };
        let past = Past::of(vec![
            state(0, TaskState::Queued),
            state(10, TaskState::Running),
            state(15, TaskState::Waiting),
            state(100, TaskState::Running),
            state(103, TaskState::Waiting),
        ]);
        assert_eq!((past.worked, past.works_since), (Duration::from_secs(8), None));
        let past = Past::of(vec![state(50, TaskState::Running), state(40, TaskState::Waiting)]);
        assert_eq!(past.worked, Duration::ZERO, "a clock that was set back");
    }
}
