//! What Claude Code asks: leave for a tool, or with its tool `AskUserQuestion` a person.

use sandbar_types::{Answer, QuestionKind};
use serde_json::{Value, json};

use crate::{
    Step,
    form::{ALLOW, Draft, option, permission, words},
    rpc::sent,
    speech,
};

/// What is sent back once a form is filled in.
#[derive(Debug)]
pub(super) enum Reply {
    /// Yes or no to a tool.
    Permission { id: Value, input: Value },
    /// The answers, which go back in the tool's own input.
    Questions { id: Value, input: Value },
}

impl Reply {
    /// The request that it answers.
    pub(super) fn id(&self) -> &Value {
        match self {
            Self::Permission { id, .. } | Self::Questions { id, .. } => id,
        }
    }

    /// The reply to answers of a person.
    pub(super) fn filled(self, answers: &[Answer]) -> Step {
        match self {
            Self::Permission { .. } => match answers.first() {
                Some(Answer::Option(id)) if id == ALLOW => self.allowed(),
                Some(Answer::Option(_)) | None => self.denied("The person said no."),
                Some(Answer::Text(text)) => self.denied(&format!("The person said no: {text}")),
            },
            Self::Questions { id, mut input } => {
                let asked = input["questions"].as_array().into_iter().flatten();
                let asked = asked.map(|question| question["question"].as_str().unwrap_or_default());
                let answers = asked
                    .zip(answers)
                    .map(|(text, answer)| (text.to_owned(), json!(words(answer))));
                input["answers"] = Value::Object(answers.collect());
                Self::Questions { id, input }.allowed()
            }
        }
    }

    /// The reply that lets it happen.
    pub(super) fn allowed(self) -> Step {
        match self {
            Self::Permission { id, input } | Self::Questions { id, input } => {
                answered(&id, &json!({ "behavior": "allow", "updatedInput": input }))
            }
        }
    }

    /// The reply where nobody answers any more.
    pub(super) fn cancelled(self) -> Step {
        self.denied("The task was cancelled.")
    }

    fn denied(self, message: &str) -> Step {
        answered(self.id(), &json!({ "behavior": "deny", "message": message }))
    }
}

fn answered(id: &Value, response: &Value) -> Step {
    sent(&json!({
        "type": "control_response",
        "response": { "subtype": "success", "request_id": id, "response": response },
    }))
}

/// Reads a request to use a tool.
pub(super) fn read(id: Value, request: &Value) -> (Vec<Draft>, Reply) {
    let tool = request["tool_name"].as_str().unwrap_or("a tool");
    let input = request["input"].clone();
    let questions = input["questions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if tool != "AskUserQuestion" || questions.is_empty() || !input.is_object() {
        let text = format!("May the agent use {tool}? {}", title(tool, &input));
        return (vec![permission(text)], Reply::Permission { id, input });
    }
    let drafts = questions.iter().map(|question| {
        let options = question["options"].as_array().into_iter().flatten();
        let options = options.filter_map(|offered| {
            let label = offered["label"].as_str()?;
            let described = offered["description"].as_str().filter(|text| !text.is_empty());
            let shown =
                described.map_or_else(|| label.to_owned(), |text| format!("{label}: {text}"));
            // The label is what goes back.
            Some(option(label, &shown, None))
        });
        Draft {
            kind: QuestionKind::Question,
            text: question["question"].as_str().unwrap_or("The agent asks.").to_owned(),
            options: options.collect(),
            free_text: true,
        }
    });
    (drafts.collect(), Reply::Questions { id, input })
}

/// What a tool does, in one line.
pub(super) fn title(tool: &str, input: &Value) -> String {
    let known =
        ["file_path", "notebook_path", "command", "pattern", "url", "query", "description", "path"];
    let about = known.into_iter().find_map(|key| input[key].as_str());
    about.map_or_else(|| tool.to_owned(), |about| speech::title(&format!("{tool} {about}")))
}

/// The words of a tool's result, which is a text or a list of parts.
pub(super) fn content(value: &Value) -> String {
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    let parts = value.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
    parts.collect::<Vec<_>>().join("\n")
}
