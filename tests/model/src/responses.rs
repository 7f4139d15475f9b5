//! OpenAI's Responses.

use serde_json::{Value, json};

use crate::{
    api::{event, texts},
    script::{Reply, Tool, Turn, is_prompt},
};

pub(crate) fn turn(body: &Value) -> Turn {
    let mut turn = Turn::default();
    for item in body["input"].as_array().into_iter().flatten() {
        match item["type"].as_str() {
            Some("function_call_output" | "custom_tool_call_output") => {
                let output = &item["output"];
                let text = texts(output).join("\n");
                turn.result = Some(if text.is_empty() { output.to_string() } else { text });
            }
            Some("message") | None if item["role"] == "user" => {
                let prompt = texts(&item["content"]).into_iter().rfind(|text| is_prompt(text));
                if let Some(prompt) = prompt {
                    prompt.clone_into(&mut turn.prompt);
                    turn.result = None;
                }
            }
            Some(_) | None => {}
        }
    }
    if let Some(prompt) = body["input"].as_str() {
        prompt.clone_into(&mut turn.prompt);
    }
    let apart = body["input"].as_array().into_iter().flatten().map(|item| &item["tools"]);
    for tools in [&body["tools"]].into_iter().chain(apart) {
        turn.tools.extend(offered(tools, None));
    }
    turn
}

/// Newer models get their tools in groups.
fn offered(tools: &Value, namespace: Option<&str>) -> Vec<Tool> {
    let tools = tools.as_array().into_iter().flatten();
    tools
        .flat_map(|tool| match (tool["name"].as_str(), tool["type"] == "namespace") {
            (name, true) => offered(&tool["tools"], name),
            (Some(name), false) => vec![Tool {
                name: name.to_owned(),
                namespace: namespace.map(str::to_owned),
                is_text: tool["type"] == "custom",
            }],
            (None, false) => Vec::new(),
        })
        .collect()
}

fn response(status: &str, output: &Value) -> Value {
    json!({
        "id": "resp_model",
        "object": "response",
        "created_at": 1_700_000_000,
        "model": "model",
        "status": status,
        "output": output,
        "usage": {
            "input_tokens": 16,
            "input_tokens_details": { "cached_tokens": 5 },
            "output_tokens": 7,
            "output_tokens_details": { "reasoning_tokens": 2 },
            "total_tokens": 23,
        },
    })
}

fn named(data: &Value) -> String {
    event(data["type"].as_str(), data)
}

fn started() -> String {
    named(&json!({ "type": "response.created", "response": response("in_progress", &json!([])) }))
}

fn message(text: &str) -> Value {
    json!({
        "type": "message",
        "id": "msg_model",
        "role": "assistant",
        "status": "completed",
        "content": [{ "type": "output_text", "text": text, "annotations": [] }],
    })
}

fn completed(item: &Value) -> String {
    named(&json!({ "type": "response.output_item.done", "output_index": 0, "item": item }))
        + &named(
            &json!({ "type": "response.completed", "response": response("completed", &json!([item])) }),
        )
}

pub(crate) fn begin() -> String {
    let item = json!({ "type": "message", "id": "msg_model", "role": "assistant", "status": "in_progress", "content": [] });
    started()
        + &named(&json!({ "type": "response.output_item.added", "output_index": 0, "item": item }))
}

pub(crate) fn word(word: &str) -> String {
    named(&json!({
        "type": "response.output_text.delta",
        "item_id": "msg_model",
        "output_index": 0,
        "content_index": 0,
        "delta": word,
        "logprobs": [],
    }))
}

pub(crate) fn end(text: &str) -> String {
    completed(&message(text))
}

fn call(tool: &Tool, input: &Value) -> Value {
    let mut call = json!({ "call_id": "call_model", "name": tool.name, "status": "completed" });
    if tool.is_text {
        call["type"] = json!("custom_tool_call");
        call["id"] = json!("ctc_model");
        call["input"] = json!(input.as_str().map_or_else(|| input.to_string(), str::to_owned));
    } else {
        let input = if input.is_string() { json!({ "input": input }) } else { input.clone() };
        call["type"] = json!("function_call");
        call["id"] = json!("fc_model");
        call["arguments"] = json!(input.to_string());
    }
    if let Some(namespace) = &tool.namespace {
        call["namespace"] = json!(namespace);
    }
    call
}

pub(crate) fn tool(tool: &Tool, input: &Value) -> String {
    let item = call(tool, input);
    started()
        + &named(&json!({ "type": "response.output_item.added", "output_index": 0, "item": item }))
        + &completed(&item)
}

pub(crate) fn whole(reply: &Reply) -> Value {
    match reply {
        Reply::Tool { tool, input } => response("completed", &json!([call(tool, input)])),
        Reply::Words(text) => response("completed", &json!([message(text)])),
        Reply::Refused { .. } | Reply::Cut | Reply::Slow => response("completed", &json!([])),
    }
}
