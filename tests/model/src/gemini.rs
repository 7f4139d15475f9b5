//! Google's `generateContent`.

use serde_json::{Value, json};

use crate::{
    api::{event, texts},
    script::{Reply, Tool, Turn, is_prompt},
};

pub(crate) fn turn(body: &Value) -> Turn {
    let mut turn = Turn::default();
    for content in body["contents"].as_array().into_iter().flatten() {
        if content["role"] == "model" {
            continue;
        }
        let parts = &content["parts"];
        if let Some(prompt) = texts(parts).into_iter().rfind(|text| is_prompt(text)) {
            prompt.clone_into(&mut turn.prompt);
            turn.result = None;
        }
        for part in parts.as_array().into_iter().flatten() {
            if let Some(response) = part.get("functionResponse") {
                let output = &response["response"]["output"];
                turn.result = Some(
                    output.as_str().map_or_else(|| response["response"].to_string(), str::to_owned),
                );
            }
        }
    }
    let tools = body["tools"].as_array().into_iter().flatten();
    let declared =
        tools.flat_map(|tool| tool["functionDeclarations"].as_array().into_iter().flatten());
    let named = declared.filter_map(|tool| tool["name"].as_str());
    turn.tools = named.map(Tool::named).collect();
    let config = &body["generationConfig"];
    turn.schema =
        ["responseJsonSchema", "responseSchema"].iter().find_map(|key| config.get(*key)).cloned();
    turn
}

pub(crate) fn response(parts: &Value, reason: Option<&str>) -> Value {
    let mut candidate = json!({ "index": 0, "content": { "role": "model", "parts": parts } });
    if let Some(reason) = reason {
        candidate["finishReason"] = json!(reason);
    }
    json!({
        "candidates": [candidate],
        "modelVersion": "model",
        "responseId": "response-model",
        "usageMetadata": {
            "promptTokenCount": 16,
            "cachedContentTokenCount": 5,
            "candidatesTokenCount": 7,
            "thoughtsTokenCount": 2,
            "totalTokenCount": 25,
        },
    })
}

pub(crate) fn word(word: &str) -> String {
    event(None, &response(&json!([{ "text": word }]), None))
}

pub(crate) fn end() -> String {
    event(None, &response(&json!([{ "text": "" }]), Some("STOP")))
}

pub(crate) fn tool(tool: &Tool, input: &Value) -> String {
    event(None, &called(tool, input))
}

pub(crate) fn called(tool: &Tool, input: &Value) -> Value {
    let call = json!({ "name": tool.name, "args": input });
    response(&json!([{ "functionCall": call }]), Some("STOP"))
}

pub(crate) fn whole(reply: &Reply) -> Value {
    match reply {
        Reply::Tool { tool, input } => called(tool, input),
        Reply::Words(text) => response(&json!([{ "text": text }]), Some("STOP")),
        Reply::Refused { .. } | Reply::Cut | Reply::Slow => response(&json!([]), Some("STOP")),
    }
}
