//! Anthropic's Messages.

use serde_json::{Value, json};

use crate::{
    api::{event, texts},
    script::{Reply, Tool, Turn, is_prompt},
};

pub(crate) fn turn(body: &Value) -> Turn {
    let mut turn = Turn::default();
    for message in body["messages"].as_array().into_iter().flatten() {
        if message["role"] != "user" {
            continue;
        }
        let content = &message["content"];
        if let Some(prompt) = texts(content).into_iter().rfind(|text| is_prompt(text)) {
            prompt.clone_into(&mut turn.prompt);
            turn.result = None;
        }
        for part in
            content.as_array().into_iter().flatten().filter(|part| part["type"] == "tool_result")
        {
            turn.result = Some(texts(&part["content"]).join("\n"));
        }
    }
    let tools = body["tools"].as_array().into_iter().flatten();
    let named = tools.filter_map(|tool| tool["name"].as_str());
    turn.tools = named.map(Tool::named).collect();
    turn
}

fn message(content: &Value, stop_reason: Option<&str>) -> Value {
    json!({
        "id": "msg_model",
        "type": "message",
        "role": "assistant",
        "model": "model",
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": null,
        "usage": usage(),
    })
}

fn usage() -> Value {
    json!({
        "input_tokens": 11,
        "output_tokens": 7,
        "cache_read_input_tokens": 5,
        "cache_creation_input_tokens": 3,
    })
}

fn named(data: &Value) -> String {
    event(data["type"].as_str(), data)
}

fn started() -> String {
    named(&json!({ "type": "message_start", "message": message(&json!([]), None) }))
}

pub(crate) fn begin() -> String {
    let block = json!({ "type": "text", "text": "" });
    started()
        + &named(&json!({ "type": "content_block_start", "index": 0, "content_block": block }))
}

pub(crate) fn word(word: &str) -> String {
    let delta = json!({ "type": "text_delta", "text": word });
    named(&json!({ "type": "content_block_delta", "index": 0, "delta": delta }))
}

pub(crate) fn end() -> String {
    stopped("end_turn")
}

fn stopped(reason: &str) -> String {
    let delta = json!({ "stop_reason": reason, "stop_sequence": null });
    named(&json!({ "type": "content_block_stop", "index": 0 }))
        + &named(&json!({ "type": "message_delta", "delta": delta, "usage": usage() }))
        + &named(&json!({ "type": "message_stop" }))
}

pub(crate) fn tool(tool: &Tool, input: &Value) -> String {
    let block = json!({ "type": "tool_use", "id": "toolu_model", "name": tool.name, "input": {} });
    let delta = json!({ "type": "input_json_delta", "partial_json": input.to_string() });
    started()
        + &named(&json!({ "type": "content_block_start", "index": 0, "content_block": block }))
        + &named(&json!({ "type": "content_block_delta", "index": 0, "delta": delta }))
        + &stopped("tool_use")
}

pub(crate) fn whole(reply: &Reply) -> Value {
    match reply {
        Reply::Tool { tool, input } => {
            let content = json!([{ "type": "tool_use", "id": "toolu_model", "name": tool.name, "input": input }]);
            message(&content, Some("tool_use"))
        }
        Reply::Words(text) => message(&json!([{ "type": "text", "text": text }]), Some("end_turn")),
        Reply::Refused { .. } | Reply::Cut | Reply::Slow => message(&json!([]), Some("end_turn")),
    }
}
