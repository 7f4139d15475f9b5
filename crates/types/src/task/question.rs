//! What an agent asks, and what it is answered.

use serde::{Deserialize, Serialize};

use crate::word::word;

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
    /// Nobody in time: the answer that lets nothing happen.
    Deadline,
    /// Nobody before the task was over: the question was taken back, and nothing happened.
    Withdrawn,
}
