//! What happens in a task, one line of its history each.

use serde::{Deserialize, Serialize};

use super::{Answer, AnsweredBy, Question, QuestionId, TaskResult, TaskState};
use crate::{CheckStatus, CheckpointId, ExitStatus};

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
        /// How that came out.
        status: CheckStatus,
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
