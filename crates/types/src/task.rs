//! One instruction to a coding agent: what is asked, what happens, what comes of it.

mod event;
mod question;

use serde::{Deserialize, Serialize};

pub use self::{
    event::{AgentEvent, TaskEvent, TaskEventPayload, ToolState},
    question::{
        Answer, AnsweredBy, InvalidQuestionId, Question, QuestionId, QuestionKind, QuestionOption,
    },
};
use crate::{CheckStatus, CheckpointId, SandboxId, TaskId, principal::words, word::word};

/// The name of an agent: `[a-z0-9-]`, at most 32 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgentName(String);

/// A text that is not the name of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a name of an agent: lower-case letters, digits and `-`, at most 32 bytes")]
pub struct InvalidAgentName;

fn is_agent_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

word!(AgentName, is_agent_name, InvalidAgentName, InvalidAgentName);

/// What an agent may do inside without asking. Questions in words are always asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Permissions {
    /// Everything: the sandbox is what holds it.
    #[default]
    AllowInside,
    /// What it would ask for itself, a person is asked.
    Ask,
}

impl Permissions {
    /// Whether it is what holds where nobody says.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    const fn is_default(&self) -> bool {
        match self {
            Self::AllowInside => true,
            Self::Ask => false,
        }
    }
}

/// What a user wants done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TaskSpec {
    /// The instruction, at most 1 MiB.
    pub prompt: String,
    /// Which agent; the server's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// Which model, as the agent names it; its own default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Ends it after so many milliseconds of work; time that it waits for an answer does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Goes on with the conversation of the last task of the same agent in this sandbox.
    #[serde(default, rename = "continue")]
    pub continues: bool,
    /// For the agents `command`, which gets the prompt as standard input, and `acp`: the program and its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Whether a person is asked for leave before what the agent itself would ask for.
    #[serde(default, skip_serializing_if = "Permissions::is_default")]
    pub permissions: Permissions,
}

impl TaskSpec {
    /// LIMIT: bytes of a prompt.
    pub const PROMPT_BYTES_MAX: usize = 1 << 20;
    /// LIMIT: bytes of the name of a model.
    pub const MODEL_BYTES_MAX: usize = 200;
    /// LIMIT: the longest time for a task: a day.
    pub const TIMEOUT_MS_MAX: u64 = 24 * 60 * 60 * 1000;
    /// How long a task may work where nobody says: 10 minutes.
    pub const TIMEOUT_MS_DEFAULT: u64 = 10 * 60 * 1000;
}

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Another task of its sandbox is before it.
    Queued,
    /// The agent works, or what follows its work is done.
    Running,
    /// The agent asked, and nobody answered yet.
    Waiting,
    /// The agent said that it is done.
    Succeeded,
    /// It failed; the result says why.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

words!(
    TaskState,
    "queued, running, waiting, succeeded, failed, cancelled",
    Queued = "queued",
    Running = "running",
    Waiting = "waiting",
    Succeeded = "succeeded",
    Failed = "failed",
    Cancelled = "cancelled"
);

impl TaskState {
    /// Whether nothing more happens to it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Waiting => false,
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
        }
    }
}

/// Why a task failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TaskFailure {
    /// It worked longer than it might.
    AgentTimeout,
    /// The agent ended with an error, or without a word.
    AgentError,
    /// The agent is not in the sandbox.
    AgentNotFound,
    /// The sandbox could not be started, or ended.
    SandboxUnavailable,
    /// The server ended, and the agent cannot be gone on with.
    Interrupted,
    /// A fault of ours.
    Internal,
}

words!(
    TaskFailure,
    "agent_timeout, agent_error, agent_not_found, sandbox_unavailable, interrupted, internal",
    AgentTimeout = "agent_timeout",
    AgentError = "agent_error",
    AgentNotFound = "agent_not_found",
    SandboxUnavailable = "sandbox_unavailable",
    Interrupted = "interrupted",
    Internal = "internal"
);

/// What was used. Absent where the agent does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct TaskUsage {
    /// Tokens that were sent, without those of the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens that came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Of those, for thinking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// Tokens read from the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read_tokens: Option<u64>,
    /// Tokens written to the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// What it cost, in US dollars, as the agent says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
}

/// What came of a task. A field that nobody looked at is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct TaskResult {
    /// Why it failed; absent where it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<TaskFailure>,
    /// What went wrong, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// The paths that differ between both checkpoints, at most [`TaskResult::FILES_MAX`] of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_changed: Option<Vec<String>>,
    /// How many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_changed_count: Option<u64>,
    /// The last thing that the agent said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_message: Option<String>,
    /// Whether the app builds; absent where it was not tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_status: Option<CheckStatus>,
    /// The end of what a failed build wrote, at most 2000 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_error_message: Option<String>,
    /// Whether the preview answers; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview_ok: Option<bool>,
    /// The build did not fail, and the preview answers, or without one a worker runs. Absent where nothing is declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_healthy: Option<bool>,
    /// The checkpoint before the agent began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_before: Option<CheckpointId>,
    /// The checkpoint after it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_after: Option<CheckpointId>,
    /// How long it worked and waited, in milliseconds.
    pub duration_ms: u64,
    /// What was used, as the agent says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<TaskUsage>,
}

impl TaskResult {
    /// LIMIT: paths of one result.
    pub const FILES_MAX: usize = 100;
}

/// A task, as it is at one instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Where it is done.
    pub sandbox_id: SandboxId,
    /// What is asked.
    pub spec: TaskSpec,
    /// Which agent.
    pub agent: AgentName,
    /// Where it is in its life.
    pub state: TaskState,
    /// What the agent waits for an answer to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// What came of it, once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<TaskResult>,
    /// When it was asked for.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: jiff::Timestamp,
    /// When its agent was started.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<jiff::Timestamp>,
    /// When it was over.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<jiff::Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_failures_are_written_as_they_are_on_the_wire() {
        for state in TaskState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
        for failure in TaskFailure::ALL {
            assert_eq!(serde_json::to_value(failure).unwrap(), failure.as_str());
            assert_eq!(failure.as_str().parse(), Ok(*failure));
        }
    }
}
