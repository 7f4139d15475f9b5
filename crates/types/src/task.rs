//! One instruction to a coding agent: what is asked, what happens, what comes of it.

use serde::{Deserialize, Serialize};

use crate::{CheckpointId, ExitStatus, SandboxId, TaskId, word::word};

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

/// Names a question of one task: unique in it, the same after a restart of the server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QuestionId(String);

/// A text that is not the name of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a name of a question: letters, digits, `-` and `_`, at most 64 bytes")]
pub struct InvalidQuestionId;

fn is_question_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

word!(QuestionId, is_question_id, InvalidQuestionId, InvalidQuestionId);

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
    /// For the agent `command`: the program and its arguments. It gets the prompt as standard input.
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

/// What an agent asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    /// Leave to do something inside the sandbox.
    Permission,
    /// An answer in words.
    Question,
    /// Leave to reach a host that the policy refuses.
    Network,
}

/// One answer that may be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct QuestionOption {
    /// What is sent to choose it.
    pub id: String,
    /// What people read.
    pub label: String,
    /// Whether it lets the agent do what it asked for; `None` where it is no permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allows: Option<bool>,
}

/// A question of an agent to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Its name.
    pub id: QuestionId,
    /// What it is about.
    pub kind: QuestionKind,
    /// The question, for people.
    pub text: String,
    /// What may be chosen; empty where only words answer.
    #[serde(default)]
    pub options: Vec<QuestionOption>,
    /// Whether words may answer in place of an option.
    #[serde(default)]
    pub free_text: bool,
}

/// The answer to a question: one of its options, or words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// The `id` of an option.
    Option(String),
    /// Words.
    Text(String),
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AnsweredBy {
    /// A person, or a program with their key.
    Person,
    /// The policy of the sandbox.
    Policy,
    /// Nobody in time: the answer that lets nothing happen.
    Deadline,
    /// Nobody before the task was over: the question was taken back, and nothing happened.
    Withdrawn,
}

/// How far a tool of an agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ToolState {
    /// It was begun.
    Running,
    /// It did what it was asked.
    Completed,
    /// It failed, or was not let.
    Failed,
}

/// What an agent says or does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AgentEvent {
    /// It says something; messages in pieces are told piece by piece.
    Message {
        /// The words.
        text: String,
    },
    /// It thinks aloud.
    Thought {
        /// The words.
        text: String,
    },
    /// It uses a tool, or a tool is further than it was.
    ToolCall {
        /// The same for every event of one use.
        id: String,
        /// The tool, as the agent names it.
        tool: String,
        /// What is done, in one line.
        title: String,
        /// How far it is.
        state: ToolState,
        /// What came of it, cut where it is long.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<String>,
    },
    /// It says that it changes a file. What really changed is told by the layer.
    FileChange {
        /// The path, as it names it.
        path: String,
    },
    /// It waits for its model, tries again, or says how it is.
    Status {
        /// The words.
        text: String,
    },
}

/// One line of a task's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskEvent {
    /// Counted from 1 in each task, without gaps: what `Last-Event-ID` takes.
    pub seq: u64,
    /// When, by the server's clock.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: jiff::Timestamp,
    /// What.
    #[serde(flatten)]
    pub payload: TaskEventPayload,
}

/// What happened in a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TaskEventPayload {
    /// It is in another state.
    State {
        /// Which.
        state: TaskState,
    },
    /// The agent said or did something.
    Agent {
        /// What.
        agent: AgentEvent,
    },
    /// The agent wrote to its standard error.
    Stderr {
        /// A line.
        text: String,
    },
    /// A checkpoint was made.
    Checkpoint {
        /// Which.
        checkpoint: CheckpointId,
        /// Whether it is the one before the agent began.
        is_before: bool,
    },
    /// The agent asks.
    Question {
        /// What.
        question: Question,
        /// When the policy answers in place of a person.
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<jiff::Timestamp>,
    },
    /// A question was answered.
    Answered {
        /// Which.
        question: QuestionId,
        /// How.
        answer: Answer,
        /// By whom.
        by: AnsweredBy,
    },
    /// The agent's process ended.
    Ended {
        /// How.
        exit: ExitStatus,
    },
    /// It was tried whether the app builds.
    Build {
        /// `passed`, `failed`, `skipped`.
        status: String,
        /// The last lines, where it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// It was looked whether the app is well.
    Health {
        /// Whether it is.
        app_healthy: bool,
        /// Whether the preview answers; absent where there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preview_ok: Option<bool>,
    },
    /// It is over; nothing follows.
    Done {
        /// What came of it.
        result: Box<TaskResult>,
    },
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
    /// `passed`, `failed`, `skipped`; absent where it was not tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_status: Option<String>,
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
