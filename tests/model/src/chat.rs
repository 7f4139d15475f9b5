//! OpenAI's Chat Completions, which many others speak too.

use serde_json::{Value, json};

use crate::{
    api::{event, texts},
    script::{Reply, Tool, Turn, is_prompt},
};

pub(crate) fn turn(body: &Value) -> Turn {
    let mut turn = Turn::default();
    for message in body["messages"].as_array().into_iter().flatten() {
        let content = texts(&message["content"]);
        match message["role"].as_str() {
            Some("user") => {
                if let Some(prompt) = content.into_iter().rfind(|text| is_prompt(text)) {
                    prompt.clone_into(&mut turn.prompt);
                    turn.result = None;
                }
            }
            Some("tool") => turn.result = Some(content.join("\n")),
            Some(_) | None => {}
        }
    }
    let tools = body["tools"].as_array().into_iter().flatten();
    let named = tools.filter_map(|tool| tool["function"]["name"].as_str());
    turn.tools = named.map(Tool::named).collect();
    turn
}

fn usage() -> Value {
    json!({
        "prompt_tokens": 16,
        "prompt_tokens_details": { "cached_tokens": 5 },
        "completion_tokens": 7,
        "completion_tokens_details": { "reasoning_tokens": 2 },
        "total_tokens": 23,
    })
}

fn chunk(delta: &Value, reason: Option<&str>) -> String {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": reason });
    let usage = reason.map(|_| usage());
    event(
        None,
        &json!({
            "id": "chatcmpl-model",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": "model",
            "choices": [choice],
            "usage": usage,
        }),
    )
}

pub(crate) fn begin() -> String {
    chunk(&json!({ "role": "assistant", "content": "" }), None)
}

pub(crate) fn word(word: &str) -> String {
    chunk(&json!({ "content": word }), None)
}

pub(crate) fn end() -> String {
    chunk(&json!({}), Some("stop")) + "data: [DONE]\n\n"
}

fn call(tool: &Tool, input: &Value) -> Value {
    let function = json!({ "name": tool.name, "arguments": input.to_string() });
    json!([{ "index": 0, "id": "call_model", "type": "function", "function": function }])
}

pub(crate) fn tool(tool: &Tool, input: &Value) -> String {
    chunk(&json!({ "role": "assistant", "content": null, "tool_calls": call(tool, input) }), None)
        + &chunk(&json!({}), Some("tool_calls"))
        + "data: [DONE]\n\n"
}

pub(crate) fn whole(reply: &Reply) -> Value {
    let (message, reason) = match reply {
        Reply::Tool { tool, input } => (
            json!({ "role": "assistant", "content": null, "tool_calls": call(tool, input) }),
            "tool_calls",
        ),
        Reply::Words(text) => (json!({ "role": "assistant", "content": text }), "stop"),
        Reply::Refused { .. } | Reply::Cut | Reply::Slow => {
            (json!({ "role": "assistant", "content": "" }), "stop")
        }
    };
    json!({
        "id": "chatcmpl-model",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "model",
        "choices": [{ "index": 0, "message": message, "finish_reason": reason }],
        "usage": usage(),
    })
}
