//! The tools that an agent uses. What a later update leaves out is as it was.

use std::collections::{BTreeMap, VecDeque};

use sandbar_types::{AgentEvent, ToolState};
use serde_json::Value;

use crate::{Step, speech};

/// LIMIT: tools in use at once, and names that are kept of those that are over.
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
    /// The names of those that ended last: what an agent still tells of one does not begin it again.
    over: VecDeque<String>,
}

impl Tools {
    /// Takes a `tool_call` or `tool_call_update`.
    pub(super) fn update(&mut self, update: &Value) -> Vec<Step> {
        let Some(id) = update["toolCallId"].as_str().filter(|id| !id.is_empty()) else {
            return Vec::new();
        };
        if self.over.iter().any(|over| over == id) {
            if update["sessionUpdate"] != "tool_call" {
                return Vec::new();
            }
            // Some agents count anew.
            self.over.retain(|over| over != id);
        }
        let before = self.open.get(id).cloned();
        let tool = merged(before.as_ref(), update);
        let is_news =
            before.is_none_or(|before| before.state != tool.state || before.title != tool.title);
        if matches!(tool.state, ToolState::Running) {
            if self.open.len() < TOOLS_MAX {
                self.open.insert(id.to_owned(), tool.clone());
            }
        } else {
            self.end(id);
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
        let tool = self.end(id)?;
        Some(Step::Event(AgentEvent::ToolCall {
            id: id.to_owned(),
            tool: tool.name,
            title: tool.title,
            state: ToolState::Failed,
            output: None,
        }))
    }

    fn end(&mut self, id: &str) -> Option<Tool> {
        if self.over.len() == TOOLS_MAX {
            self.over.pop_front();
        }
        self.over.push_back(id.to_owned());
        self.open.remove(id)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn states(steps: &[Step]) -> Vec<ToolState> {
        let state = |step: &Step| match step {
            Step::Event(AgentEvent::ToolCall { state, .. }) => Some(*state),
            Step::Event(_)
            | Step::Send(_)
            | Step::CloseInput
            | Step::Ask(_)
            | Step::Unask(_)
            | Step::Session(_)
            | Step::Usage(_)
            | Step::Finished(_) => None,
        };
        steps.iter().filter_map(state).collect()
    }

    #[test]
    fn a_tool_that_is_over_does_not_begin_again_by_what_is_told_of_it_later() {
        let mut tools = Tools::default();
        let told = |kind: &str, status: Option<&str>| json!({ "sessionUpdate": kind, "toolCallId": "t", "title": "a", "status": status });
        assert_eq!(states(&tools.update(&told("tool_call", None))), [ToolState::Running]);
        assert!(tools.refuse("t").is_some());
        for status in [None, Some("failed"), Some("completed")] {
            assert!(tools.update(&told("tool_call_update", status)).is_empty());
        }
        assert!(tools.refuse("t").is_none());
        assert_eq!(states(&tools.update(&told("tool_call", None))), [ToolState::Running]);
        let completed = tools.update(&told("tool_call_update", Some("completed")));
        assert_eq!(states(&completed), [ToolState::Completed]);
        assert!(tools.update(&told("tool_call_update", None)).is_empty());
    }

    #[test]
    fn names_of_tools_that_are_over_are_kept_in_a_limited_number() {
        let mut tools = Tools::default();
        for number in 0..3 * TOOLS_MAX {
            tools.update(&json!({ "toolCallId": number.to_string(), "status": "completed" }));
        }
        assert_eq!((tools.open.len(), tools.over.len()), (0, TOOLS_MAX));
    }
}
