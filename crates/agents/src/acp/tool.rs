//! The tools that an agent uses. What a later update leaves out is as it was.

use std::collections::BTreeMap;

use sandbar_types::{AgentEvent, ToolState};
use serde_json::Value;

use crate::{Step, speech};

/// LIMIT: tools in use at once; one that is over is forgotten.
const TOOLS_MAX: usize = 1000;

#[derive(Debug, Clone)]
struct Tool {
    name: String,
    title: String,
    state: ToolState,
    output: Option<String>,
    paths: Vec<String>,
    is_edit: bool,
}

/// The tools in use.
#[derive(Debug, Default)]
pub(super) struct Tools {
    open: BTreeMap<String, Tool>,
}

impl Tools {
    /// Takes a `tool_call` or `tool_call_update`.
    pub(super) fn update(&mut self, update: &Value) -> Vec<Step> {
        let Some(id) = update["toolCallId"].as_str().filter(|id| !id.is_empty()) else {
            return Vec::new();
        };
        let before = self.open.get(id).cloned();
        let tool = merged(before.as_ref(), update);
        let is_news =
            before.is_none_or(|before| before.state != tool.state || before.title != tool.title);
        if matches!(tool.state, ToolState::Running) {
            if self.open.len() < TOOLS_MAX {
                self.open.insert(id.to_owned(), tool.clone());
            }
        } else {
            self.open.remove(id);
        }
        // Pieces of output come in floods; the whole comes with the end.
        if !is_news {
            return Vec::new();
        }
        let mut steps = vec![Step::Event(AgentEvent::ToolCall {
            id: id.to_owned(),
            tool: tool.name,
            title: tool.title,
            state: tool.state,
            output: tool.output.filter(|_| !matches!(tool.state, ToolState::Running)),
        })];
        if matches!(tool.state, ToolState::Completed) && tool.is_edit {
            let changes =
                tool.paths.into_iter().map(|path| Step::Event(AgentEvent::FileChange { path }));
            steps.extend(changes);
        }
        steps
    }

    /// Ends a tool that a person refused: not every agent says so.
    pub(super) fn refuse(&mut self, id: &str) -> Option<Step> {
        let tool = self.open.remove(id)?;
        Some(Step::Event(AgentEvent::ToolCall {
            id: id.to_owned(),
            tool: tool.name,
            title: tool.title,
            state: ToolState::Failed,
            output: None,
        }))
    }

    /// The title of a tool in use.
    pub(super) fn title(&self, id: &str) -> Option<&str> {
        self.open.get(id).map(|tool| tool.title.as_str())
    }
}

fn merged(before: Option<&Tool>, update: &Value) -> Tool {
    let kind = update["kind"].as_str();
    let content = update["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    let diffs = content.iter().filter(|part| part["type"] == "diff");
    let diffed: Vec<_> = diffs.filter_map(|diff| diff["path"].as_str()).collect();
    let locations = update["locations"].as_array().into_iter().flatten();
    let located = locations.filter_map(|location| location["path"].as_str());
    let mut paths = before.map(|tool| tool.paths.clone()).unwrap_or_default();
    for path in diffed.iter().copied().chain(located) {
        if !paths.iter().any(|known| known == path) {
            paths.push(path.to_owned());
        }
    }
    let name = [&update["name"], &update["_meta"]["toolName"], &update["kind"]];
    let text: Vec<_> = content.iter().filter_map(|part| part["content"]["text"].as_str()).collect();
    Tool {
        name: name
            .into_iter()
            .find_map(|name| name.as_str().map(str::to_owned))
            .or_else(|| before.map(|tool| tool.name.clone()))
            .unwrap_or_else(|| "tool".to_owned()),
        title: update["title"]
            .as_str()
            .map(speech::title)
            .or_else(|| before.map(|tool| tool.title.clone()))
            .unwrap_or_default(),
        state: match update["status"].as_str() {
            Some("completed") => ToolState::Completed,
            Some("failed") => ToolState::Failed,
            Some(_) | None => ToolState::Running,
        },
        output: speech::output(&text.join("\n"))
            .or_else(|| before.and_then(|tool| tool.output.clone())),
        is_edit: !diffed.is_empty()
            || kind.is_some_and(|kind| matches!(kind, "edit" | "delete" | "move"))
            || before.is_some_and(|tool| tool.is_edit),
        paths,
    }
}
