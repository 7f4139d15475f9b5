//! Google's Code Assist: `generateContent` in an envelope, for those who logged in.

use serde_json::{Value, json};

use crate::{
    api::event,
    gemini,
    script::{Reply, Tool, Turn},
};

/// What a method that makes no words answers; `None` for one that does, and for other paths.
pub(crate) fn answer(path: &str) -> Option<Value> {
    match path.strip_prefix("/v1internal:")? {
        "generateContent" | "streamGenerateContent" => None,
        "loadCodeAssist" => Some(json!({
            "currentTier": { "id": "standard-tier", "name": "the tier of the tests" },
            "cloudaicompanionProject": "project-of-the-tests",
        })),
        "countTokens" => Some(json!({ "totalTokens": 11 })),
        _ => Some(json!({})),
    }
}

pub(crate) fn turn(body: &Value) -> Turn {
    gemini::turn(&body["request"])
}

fn enveloped(response: &Value) -> Value {
    json!({ "response": response, "traceId": "trace-model" })
}

pub(crate) fn word(word: &str) -> String {
    event(None, &enveloped(&gemini::response(&json!([{ "text": word }]), None)))
}

pub(crate) fn end() -> String {
    event(None, &enveloped(&gemini::response(&json!([{ "text": "" }]), Some("STOP"))))
}

pub(crate) fn tool(tool: &Tool, input: &Value) -> String {
    event(None, &enveloped(&gemini::called(tool, input)))
}

pub(crate) fn whole(reply: &Reply) -> Value {
    enveloped(&gemini::whole(reply))
}
