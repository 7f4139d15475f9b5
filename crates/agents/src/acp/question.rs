//! What an agent asks: leave for a tool, or a form for a person.

use sandbar_types::{Answer, QuestionKind, QuestionOption};
use serde_json::{Map, Value, json};

use super::tool::Tools;
use crate::{
    Step,
    form::{Draft, option, words},
    rpc, speech,
};

/// What is sent back once a form is filled in.
#[derive(Debug)]
pub(super) enum Reply {
    /// To `session/request_permission`.
    Permission { id: Value, options: Vec<QuestionOption>, tool: Option<String> },
    /// To `elicitation/create`: the names and the kinds of the fields.
    Elicitation { id: Value, fields: Vec<(String, Kind)> },
}

/// What a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Boolean,
    List,
}

impl Reply {
    /// The request that it answers.
    pub(super) fn id(&self) -> &Value {
        match self {
            Self::Permission { id, .. } | Self::Elicitation { id, .. } => id,
        }
    }

    /// The reply to answers of a person.
    pub(super) fn filled(self, answers: &[Answer]) -> Step {
        match self {
            Self::Permission { id, options, .. } => selected(&id, chosen(&options, answers)),
            Self::Elicitation { id, fields } => {
                let content: Map<_, _> = fields
                    .into_iter()
                    .zip(answers)
                    .map(|((name, kind), answer)| (name, typed(kind, words(answer))))
                    .collect();
                rpc::reply(&id, &json!({ "action": "accept", "content": content }))
            }
        }
    }

    /// The tool that these answers refuse.
    pub(super) fn refused(&self, answers: &[Answer]) -> Option<&str> {
        match self {
            Self::Permission { options, tool, .. } => {
                let is_allowed =
                    chosen(options, answers).is_some_and(|option| option.allows == Some(true));
                tool.as_deref().filter(|_| !is_allowed)
            }
            Self::Elicitation { .. } => None,
        }
    }

    /// The reply that lets it happen, this once where there is a choice.
    pub(super) fn allowed(self) -> Step {
        match self {
            Self::Permission { id, options, .. } => {
                selected(&id, options.iter().find(|option| option.allows == Some(true)))
            }
            Self::Elicitation { .. } => self.cancelled(),
        }
    }

    /// The reply where nobody answers any more.
    pub(super) fn cancelled(self) -> Step {
        match self {
            Self::Permission { id, .. } => selected(&id, None),
            Self::Elicitation { id, .. } => rpc::reply(&id, &json!({ "action": "cancel" })),
        }
    }
}

fn chosen<'a>(options: &'a [QuestionOption], answers: &[Answer]) -> Option<&'a QuestionOption> {
    answers.first().and_then(|answer| match answer {
        Answer::Option(chosen) => options.iter().find(|option| option.id == *chosen),
        // The protocol has no place for words: they are no yes.
        Answer::Text(_) => options.iter().find(|option| option.allows == Some(false)),
    })
}

fn selected(id: &Value, chosen: Option<&QuestionOption>) -> Step {
    let outcome = match chosen {
        Some(option) => json!({ "outcome": "selected", "optionId": option.id }),
        None => json!({ "outcome": "cancelled" }),
    };
    rpc::reply(id, &json!({ "outcome": outcome }))
}

/// A permission, and its options.
pub(super) fn permission(params: &Value, tools: &Tools) -> (Draft, Vec<QuestionOption>) {
    let call = &params["toolCall"];
    let title = call["title"]
        .as_str()
        .or_else(|| call["toolCallId"].as_str().and_then(|id| tools.title(id)))
        .unwrap_or("a tool");
    let mut options: Vec<_> =
        params["options"].as_array().into_iter().flatten().filter_map(offered).collect();
    // Those for this once come first: what is allowed for ever is a person's choice alone.
    options.sort_by_key(|(is_for_ever, _)| *is_for_ever);
    let options: Vec<_> = options.into_iter().map(|(_, option)| option).collect();
    let draft = Draft {
        kind: QuestionKind::Permission,
        text: format!("May the agent do this? {}", speech::title(title)),
        options: options.clone(),
        free_text: false,
    };
    (draft, options)
}

fn offered(value: &Value) -> Option<(bool, QuestionOption)> {
    let id = value["optionId"].as_str()?;
    let kind = value["kind"].as_str().unwrap_or_default();
    let allows = match kind {
        "allow_once" | "allow_always" => Some(true),
        "reject_once" | "reject_always" => Some(false),
        _ => None,
    };
    let label = value["name"].as_str().unwrap_or(id);
    Some((kind.ends_with("_always"), option(id, label, allows)))
}

/// A form of the agent, a question for each field; `None` where it is none that can be shown.
pub(super) fn elicitation(id: Value, params: &Value) -> Option<(Vec<Draft>, Reply)> {
    let message = params["message"].as_str().unwrap_or("The agent asks for this:");
    let properties = params["requestedSchema"]["properties"].as_object()?;
    let mut drafts = Vec::new();
    let mut fields = Vec::new();
    for (name, schema) in properties {
        let kind = match schema["type"].as_str().unwrap_or("string") {
            "string" => Kind::Text,
            "number" | "integer" => Kind::Number,
            "boolean" => Kind::Boolean,
            "array" => Kind::List,
            _ => return None,
        };
        let options = choices(kind, schema);
        let about = schema["title"].as_str().or_else(|| schema["description"].as_str());
        let text = match about {
            Some(about) if about != message => format!("{message}\n{about}"),
            Some(_) | None => message.to_owned(),
        };
        drafts.push(Draft {
            kind: QuestionKind::Question,
            text,
            free_text: options.is_empty() || kind == Kind::List,
            options,
        });
        fields.push((name.clone(), kind));
    }
    (!drafts.is_empty()).then_some((drafts, Reply::Elicitation { id, fields }))
}

fn choices(kind: Kind, schema: &Value) -> Vec<QuestionOption> {
    if kind == Kind::Boolean {
        return vec![option("true", "Yes", None), option("false", "No", None)];
    }
    let schema = if kind == Kind::List { &schema["items"] } else { schema };
    let plain = schema["enum"].as_array().into_iter().flatten().filter_map(|value| {
        let value = value.as_str()?;
        Some(option(value, value, None))
    });
    let titled =
        ["oneOf", "anyOf"].into_iter().flat_map(|key| schema[key].as_array().into_iter().flatten());
    let titled = titled.filter_map(|entry| {
        let value = entry["const"].as_str()?;
        Some(option(value, entry["title"].as_str().unwrap_or(value), None))
    });
    plain.chain(titled).collect()
}

fn typed(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Text => json!(text),
        // What is no number is given as it is: the agent says what is wrong with it.
        Kind::Number => text.trim().parse().map_or_else(
            |_| text.trim().parse::<f64>().map_or_else(|_| json!(text), |number| json!(number)),
            |number: i64| json!(number),
        ),
        Kind::Boolean => {
            json!(matches!(text.trim().to_lowercase().as_str(), "true" | "yes" | "y" | "1"))
        }
        Kind::List => text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect(),
    }
}
