//! What Codex asks: approvals, questions of its tool `request_user_input`, and forms of its MCP servers.

use sandbar_types::{Answer, QuestionKind};
use serde_json::{Map, Value, json};

use crate::{
    Step,
    form::{ALLOW, Draft, option, permission, words},
    rpc, speech,
};

/// What is sent back once a form is filled in.
#[derive(Debug)]
pub(super) enum Reply {
    /// To a command, or to changes of files.
    Approval { id: Value },
    /// To more permissions, which are granted as they were asked for.
    Grant { id: Value, permissions: Value },
    /// The names of the questions.
    Questions { id: Value, names: Vec<String> },
}

impl Reply {
    /// The request that it answers.
    pub(super) fn id(&self) -> &Value {
        match self {
            Self::Approval { id } | Self::Grant { id, .. } | Self::Questions { id, .. } => id,
        }
    }

    /// Whether it is about leave, and not a question to a person.
    pub(super) fn is_permission(&self) -> bool {
        match self {
            Self::Approval { .. } | Self::Grant { .. } => true,
            Self::Questions { .. } => false,
        }
    }

    /// The reply to answers of a person.
    pub(super) fn filled(self, answers: &[Answer]) -> Step {
        match self {
            Self::Approval { .. } | Self::Grant { .. } => match answers.first() {
                Some(Answer::Option(id)) if id == ALLOW => self.allowed(),
                Some(Answer::Option(_) | Answer::Text(_)) | None => self.denied(),
            },
            Self::Questions { id, names } => {
                let answers = names.into_iter().zip(answers);
                let answers: Map<_, _> = answers
                    .map(|(name, answer)| (name, json!({ "answers": [words(answer)] })))
                    .collect();
                rpc::reply(&id, &json!({ "answers": answers }))
            }
        }
    }

    /// The reply that lets it happen.
    pub(super) fn allowed(self) -> Step {
        match self {
            Self::Approval { id } => rpc::reply(&id, &json!({ "decision": "accept" })),
            Self::Grant { id, permissions } => {
                rpc::reply(&id, &json!({ "permissions": permissions, "scope": "turn" }))
            }
            Self::Questions { .. } => self.denied(),
        }
    }

    /// The reply where nobody answers any more, or where a person says no.
    pub(super) fn denied(self) -> Step {
        match self {
            Self::Approval { id } => rpc::reply(&id, &json!({ "decision": "decline" })),
            Self::Grant { id, .. } => {
                rpc::reply(&id, &json!({ "permissions": {}, "scope": "turn" }))
            }
            Self::Questions { id, .. } => rpc::reply(&id, &json!({ "answers": {} })),
        }
    }
}

/// Reads a request of the agent; `None` where it is one that we do not know.
pub(super) fn read(id: Value, method: &str, params: &Value) -> Option<(Vec<Draft>, Reply)> {
    let reason = params["reason"].as_str().filter(|reason| !reason.is_empty());
    let with_reason =
        |what: String| reason.map_or(what.clone(), |reason| format!("{what}\n{reason}"));
    match method {
        "item/commandExecution/requestApproval" => {
            let command = speech::title(params["command"].as_str().unwrap_or("a command"));
            let text = with_reason(format!("May the agent run this? {command}"));
            Some((vec![permission(text)], Reply::Approval { id }))
        }
        "item/fileChange/requestApproval" => {
            let text = with_reason("May the agent change files?".to_owned());
            Some((vec![permission(text)], Reply::Approval { id }))
        }
        "item/permissions/requestApproval" => {
            let text = with_reason("May the agent have more permissions?".to_owned());
            let permissions = params["permissions"].clone();
            Some((vec![permission(text)], Reply::Grant { id, permissions }))
        }
        "item/tool/requestUserInput" => {
            let questions =
                params["questions"].as_array().filter(|questions| !questions.is_empty())?;
            let names = questions
                .iter()
                .map(|question| question["id"].as_str().unwrap_or_default().to_owned());
            let names = names.collect();
            Some((questions.iter().map(draft).collect(), Reply::Questions { id, names }))
        }
        _ => None,
    }
}

fn draft(question: &Value) -> Draft {
    let options = question["options"].as_array().into_iter().flatten().filter_map(|offered| {
        let label = offered["label"].as_str()?;
        let described = offered["description"].as_str().filter(|text| !text.is_empty());
        let shown = described.map_or_else(|| label.to_owned(), |text| format!("{label}: {text}"));
        // The label is what goes back.
        Some(option(label, &shown, None))
    });
    Draft {
        kind: QuestionKind::Question,
        text: question["question"].as_str().unwrap_or("The agent asks.").to_owned(),
        options: options.collect(),
        free_text: true,
    }
}
