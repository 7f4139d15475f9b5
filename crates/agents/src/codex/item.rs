//! The items of a turn: what Codex said, ran and changed.

use sandbar_types::{AgentEvent, ToolState};
use serde_json::Value;

use crate::{Step, speech};

/// The use of a tool, as events; nothing for items that are no tools.
pub(super) fn tool(item: &Value) -> Vec<Step> {
    let Some(id) = item["id"].as_str() else { return Vec::new() };
    let state = match item["status"].as_str() {
        Some("inProgress") => ToolState::Running,
        Some("failed" | "declined") => ToolState::Failed,
        Some(_) | None => ToolState::Completed,
    };
    let text = |key: &str| item[key].as_str().unwrap_or_default();
    let (name, title, output) = match text("type") {
        "commandExecution" => {
            ("shell", text("command").to_owned(), text("aggregatedOutput").to_owned())
        }
        "fileChange" => ("apply_patch", paths(item).collect::<Vec<_>>().join(", "), String::new()),
        "mcpToolCall" => {
            ("mcp", format!("{} {}", text("server"), text("tool")), words(&item["result"]))
        }
        "dynamicToolCall" => ("tool", text("tool").to_owned(), words(&item["contentItems"])),
        "collabAgentToolCall" => ("agent", text("prompt").to_owned(), String::new()),
        "webSearch" => ("web_search", text("query").to_owned(), String::new()),
        _ => return Vec::new(),
    };
    let mut steps = vec![Step::Event(AgentEvent::ToolCall {
        id: id.to_owned(),
        tool: name.to_owned(),
        title: speech::title(&title),
        state,
        output: speech::output(&output),
    })];
    if item["type"] == "fileChange" && matches!(state, ToolState::Completed) {
        steps.extend(
            paths(item).map(|path| Step::Event(AgentEvent::FileChange { path: path.to_owned() })),
        );
    }
    steps
}

/// What it thought, where it tells.
pub(super) fn thought(item: &Value) -> Option<Step> {
    let parts = ["summary", "content"]
        .into_iter()
        .flat_map(|key| item[key].as_array().into_iter().flatten());
    let text = parts.filter_map(Value::as_str).collect::<Vec<_>>().join("\n");
    (!text.is_empty()).then_some(Step::Event(AgentEvent::Thought { text }))
}

fn paths(item: &Value) -> impl Iterator<Item = &str> {
    item["changes"].as_array().into_iter().flatten().filter_map(|change| change["path"].as_str())
}

fn words(value: &Value) -> String {
    let parts = value["content"].as_array().or_else(|| value.as_array()).into_iter().flatten();
    parts.filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
}
