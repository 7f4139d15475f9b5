//! Bodies of `/v1/tasks`, and of the tasks of a sandbox.

use sandbar_types::{Answer, QuestionId, TaskState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// An answer to a question of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskAnswerRequest {
    /// Which question; the one that the task waits for when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<QuestionId>,
    /// One of its options, or words.
    pub answer: Answer,
}

/// Which tasks of a sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct TaskListQuery {
    /// Items on the page, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Only those in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<TaskState>,
}
