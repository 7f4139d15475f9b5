//! The four APIs behind one shape: read a request, write the pieces of an answer.

use serde_json::{Value, json};

use crate::{
    anthropic, chat, code_assist, gemini, responses,
    script::{Reply, Tool, Turn},
};

/// Which API a request speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    Anthropic,
    Responses,
    Chat,
    Gemini,
    CodeAssist,
}

impl Api {
    /// The API of a path, where it is one that makes words.
    pub(crate) fn of(path: &str) -> Option<Self> {
        if path.ends_with("/messages") {
            Some(Self::Anthropic)
        } else if path.ends_with("/responses") {
            Some(Self::Responses)
        } else if path.ends_with("/chat/completions") {
            Some(Self::Chat)
        } else if matches!(
            path,
            "/v1internal:generateContent" | "/v1internal:streamGenerateContent"
        ) {
            Some(Self::CodeAssist)
        } else if path.ends_with(":generateContent") || path.ends_with(":streamGenerateContent") {
            Some(Self::Gemini)
        } else {
            None
        }
    }

    /// Whether the answer comes in pieces.
    pub(crate) fn is_streamed(self, path: &str, body: &Value) -> bool {
        match self {
            Self::Anthropic | Self::Responses | Self::Chat => body["stream"] == true,
            Self::Gemini | Self::CodeAssist => path.ends_with(":streamGenerateContent"),
        }
    }

    pub(crate) fn turn(self, body: &Value) -> Turn {
        match self {
            Self::Anthropic => anthropic::turn(body),
            Self::Responses => responses::turn(body),
            Self::Chat => chat::turn(body),
            Self::Gemini => gemini::turn(body),
            Self::CodeAssist => code_assist::turn(body),
        }
    }

    /// What comes before the first word.
    pub(crate) fn begin(self) -> String {
        match self {
            Self::Anthropic => anthropic::begin(),
            Self::Responses => responses::begin(),
            Self::Chat => chat::begin(),
            Self::Gemini | Self::CodeAssist => String::new(),
        }
    }

    /// One word.
    pub(crate) fn word(self, word: &str) -> String {
        match self {
            Self::Anthropic => anthropic::word(word),
            Self::Responses => responses::word(word),
            Self::Chat => chat::word(word),
            Self::Gemini => gemini::word(word),
            Self::CodeAssist => code_assist::word(word),
        }
    }

    /// What comes after the last word.
    pub(crate) fn end(self, text: &str) -> String {
        match self {
            Self::Anthropic => anthropic::end(),
            Self::Responses => responses::end(text),
            Self::Chat => chat::end(),
            Self::Gemini => gemini::end(),
            Self::CodeAssist => code_assist::end(),
        }
    }

    /// A whole answer that uses a tool.
    pub(crate) fn tool(self, tool: &Tool, input: &Value) -> String {
        match self {
            Self::Anthropic => anthropic::tool(tool, input),
            Self::Responses => responses::tool(tool, input),
            Self::Chat => chat::tool(tool, input),
            Self::Gemini => gemini::tool(tool, input),
            Self::CodeAssist => code_assist::tool(tool, input),
        }
    }

    /// A whole answer for those who want no pieces.
    pub(crate) fn whole(self, reply: &Reply) -> Value {
        match self {
            Self::Anthropic => anthropic::whole(reply),
            Self::Responses => responses::whole(reply),
            Self::Chat => chat::whole(reply),
            Self::Gemini => gemini::whole(reply),
            Self::CodeAssist => code_assist::whole(reply),
        }
    }

    /// The body of an error.
    pub(crate) fn error(self, status: u16) -> Value {
        let (kind, message) = match status {
            429 => ("rate_limit_error", "Too many requests, as the test wanted it."),
            500.. => ("api_error", "The model broke, as the test wanted it."),
            _ => ("invalid_request_error", "The model refused, as the test wanted it."),
        };
        match self {
            Self::Anthropic => {
                json!({ "type": "error", "error": { "type": kind, "message": message } })
            }
            Self::Responses | Self::Chat => {
                json!({ "error": { "type": kind, "code": null, "param": null, "message": message } })
            }
            Self::Gemini | Self::CodeAssist => {
                let status_text = match status {
                    429 => "RESOURCE_EXHAUSTED",
                    500.. => "INTERNAL",
                    _ => "INVALID_ARGUMENT",
                };
                json!({ "error": { "code": status, "message": message, "status": status_text } })
            }
        }
    }
}

/// An event of a stream.
pub(crate) fn event(name: Option<&str>, data: &Value) -> String {
    let name = name.map(|name| format!("event: {name}\n")).unwrap_or_default();
    format!("{name}data: {data}\n\n")
}

/// The words of a content that is a text, or a list of parts.
pub(crate) fn texts(content: &Value) -> Vec<&str> {
    match content {
        Value::String(text) => vec![text],
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}
