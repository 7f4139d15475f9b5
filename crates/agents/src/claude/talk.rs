//! The talk itself.

use std::collections::BTreeMap;

use sandbar_types::{AgentEvent, Answer, ExitStatus, QuestionId, TaskUsage, ToolState};
use serde_json::{Value, json};

use super::question::{self, Reply};
use crate::{
    Conversation, Order, Permissions, Step,
    form::{Answered, Forms},
    rpc::sent,
    speech::{self, Speech},
};

/// LIMIT: tools in use at once; one that is over is forgotten.
const TOOLS_MAX: usize = 1000;

#[derive(Debug)]
struct Tool {
    name: String,
    title: String,
    /// The file that it writes.
    path: Option<String>,
}

#[derive(Debug)]
pub(super) struct Talk {
    prompt: String,
    permissions: Permissions,
    session: Option<String>,
    /// The message whose words came in pieces, so that they are not told again when it is whole.
    streamed: Option<String>,
    is_cancelled: bool,
    speech: Speech,
    tools: BTreeMap<String, Tool>,
    forms: Forms<Reply>,
    outcome: Option<Result<String, String>>,
}

impl Conversation for Talk {
    fn begin(&mut self) -> Vec<Step> {
        vec![sent(&json!({
            "type": "user",
            "message": { "role": "user", "content": self.prompt },
            "parent_tool_use_id": null,
            "session_id": "",
        }))]
    }

    fn line(&mut self, line: &str) -> Vec<Step> {
        let Ok(message @ Value::Object(_)) = serde_json::from_str::<Value>(line) else {
            self.speech.stray(line);
            return Vec::new();
        };
        if self.outcome.is_some() {
            return Vec::new();
        }
        match message["type"].as_str().unwrap_or_default() {
            "system" => self.system(&message),
            "stream_event" => self.piece(&message),
            "assistant" => self.assistant(&message),
            "user" => self.results(&message),
            "result" => self.result(&message),
            "control_request" => self.asked(&message),
            "control_cancel_request" => {
                let id = &message["request_id"];
                self.forms.withdraw(|reply| *reply.id() == *id)
            }
            "rate_limit_event" => limited(&message["rate_limit_info"]),
            _ => Vec::new(),
        }
    }

    fn answer(&mut self, question: &QuestionId, answer: &Answer) -> Vec<Step> {
        match self.forms.answer(question, answer) {
            Answered::Unknown => Vec::new(),
            Answered::More(steps) => steps,
            Answered::Filled { reply, answers, next } => {
                let mut steps = vec![reply.filled(&answers)];
                steps.extend(next);
                steps
            }
        }
    }

    fn cancel(&mut self) -> Vec<Step> {
        if self.outcome.is_some() {
            return Vec::new();
        }
        self.is_cancelled = true;
        let (mut steps, replies) = self.forms.drain();
        steps.extend(replies.into_iter().map(Reply::cancelled));
        steps.push(sent(&json!({
            "type": "control_request",
            "request_id": "interrupt",
            "request": { "subtype": "interrupt" },
        })));
        steps
    }

    fn ended(&mut self, status: ExitStatus, stderr: &str) -> Result<String, String> {
        match &self.outcome {
            Some(outcome) => outcome.clone(),
            // It did not hear, and was ended.
            None if self.is_cancelled => Err("cancelled".to_owned()),
            None => Err(self.speech.broken_off(status, stderr)),
        }
    }
}

impl Talk {
    pub(super) fn new(order: &Order) -> Self {
        Self {
            prompt: order.prompt.clone(),
            permissions: order.permissions,
            session: None,
            streamed: None,
            is_cancelled: false,
            speech: Speech::default(),
            tools: BTreeMap::new(),
            forms: Forms::default(),
            outcome: None,
        }
    }

    fn system(&mut self, message: &Value) -> Vec<Step> {
        match message["subtype"].as_str().unwrap_or_default() {
            "init" => self.named(message),
            "api_retry" => {
                let attempt = &message["attempt"];
                let most = &message["max_retries"];
                let why = message["error"].as_str().unwrap_or("an error");
                let status = message["error_status"].as_u64();
                let status = status.map(|status| format!(", status {status}")).unwrap_or_default();
                told(format!("the model is asked again, {attempt} of {most} times: {why}{status}"))
            }
            "compact_boundary" => told("the conversation was made shorter".to_owned()),
            _ => Vec::new(),
        }
    }

    /// The session is told again and again; the first time is enough.
    fn named(&mut self, message: &Value) -> Vec<Step> {
        let session = message["session_id"].as_str().filter(|id| !id.is_empty());
        let Some(session) = session.filter(|id| self.session.as_deref() != Some(id)) else {
            return Vec::new();
        };
        self.session = Some(session.to_owned());
        vec![Step::Session(session.to_owned())]
    }

    fn piece(&mut self, message: &Value) -> Vec<Step> {
        // What agents of the agent say is not what it says.
        if message["parent_tool_use_id"].is_string() {
            return Vec::new();
        }
        let event = &message["event"];
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => {
                self.streamed = event["message"]["id"].as_str().map(str::to_owned);
                self.speech.close();
                Vec::new()
            }
            "content_block_start" => {
                self.speech.close();
                Vec::new()
            }
            "content_block_delta" => {
                let delta = &event["delta"];
                match (delta["text"].as_str(), delta["thinking"].as_str()) {
                    (Some(text), _) if !text.is_empty() => vec![self.speech.say(text)],
                    (_, Some(text)) if !text.is_empty() => {
                        vec![Step::Event(AgentEvent::Thought { text: text.to_owned() })]
                    }
                    _ => Vec::new(),
                }
            }
            _ => Vec::new(),
        }
    }

    fn assistant(&mut self, message: &Value) -> Vec<Step> {
        let is_nested = message["parent_tool_use_id"].is_string();
        let id = message["message"]["id"].as_str();
        let is_told = is_nested || (id.is_some() && id == self.streamed.as_deref());
        let mut steps = Vec::new();
        for block in message["message"]["content"].as_array().into_iter().flatten() {
            match block["type"].as_str().unwrap_or_default() {
                "text" if !is_told => {
                    self.speech.close();
                    steps.extend(block["text"].as_str().map(|text| self.speech.say(text)));
                }
                "thinking" if !is_told => {
                    let text = block["thinking"].as_str().filter(|text| !text.is_empty());
                    steps.extend(
                        text.map(|text| Step::Event(AgentEvent::Thought { text: text.to_owned() })),
                    );
                }
                "tool_use" => steps.extend(self.used(block)),
                _ => {}
            }
        }
        steps
    }

    fn used(&mut self, block: &Value) -> Option<Step> {
        let id = block["id"].as_str()?.to_owned();
        let name = block["name"].as_str()?.to_owned();
        let title = question::title(&name, &block["input"]);
        self.speech.act();
        let path =
            ["file_path", "notebook_path"].into_iter().find_map(|key| block["input"][key].as_str());
        let is_edit = matches!(name.as_str(), "Write" | "Edit" | "MultiEdit" | "NotebookEdit");
        let path = path.filter(|_| is_edit).map(str::to_owned);
        if self.tools.len() < TOOLS_MAX {
            let tool = Tool { name: name.clone(), title: title.clone(), path };
            self.tools.insert(id.clone(), tool);
        }
        let state = ToolState::Running;
        Some(Step::Event(AgentEvent::ToolCall { id, tool: name, title, state, output: None }))
    }

    fn results(&mut self, message: &Value) -> Vec<Step> {
        let mut steps = Vec::new();
        for block in message["message"]["content"].as_array().into_iter().flatten() {
            let id = block["tool_use_id"].as_str().unwrap_or_default();
            let Some(tool) = self.tools.remove(id) else { continue };
            let has_failed = block["is_error"] == true;
            steps.push(Step::Event(AgentEvent::ToolCall {
                id: id.to_owned(),
                tool: tool.name,
                title: tool.title,
                state: if has_failed { ToolState::Failed } else { ToolState::Completed },
                output: speech::output(&question::content(&block["content"])),
            }));
            let path = tool.path.filter(|_| !has_failed);
            steps.extend(path.map(|path| Step::Event(AgentEvent::FileChange { path })));
        }
        steps
    }

    fn result(&mut self, message: &Value) -> Vec<Step> {
        let mut steps = self.named(message);
        let usage = &message["usage"];
        steps.push(Step::Usage(TaskUsage {
            input_tokens: usage["input_tokens"].as_u64(),
            output_tokens: usage["output_tokens"].as_u64(),
            reasoning_tokens: usage["output_tokens_details"]["thinking_tokens"].as_u64(),
            cache_read_tokens: usage["cache_read_input_tokens"].as_u64(),
            cache_write_tokens: usage["cache_creation_input_tokens"].as_u64(),
            cost_usd: message["total_cost_usd"].as_f64(),
        }));
        let said = message["result"].as_str().unwrap_or_default();
        let outcome = if self.is_cancelled {
            Err("cancelled".to_owned())
        } else if message["is_error"] == true || message["subtype"] != "success" {
            let subtype = message["subtype"].as_str().filter(|subtype| *subtype != "success");
            let errors =
                message["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let why: Vec<_> =
                [said].into_iter().chain(errors).filter(|text| !text.is_empty()).collect();
            let why = why.join("\n");
            Err(speech::error(if why.is_empty() { subtype.unwrap_or_default() } else { &why }))
        } else {
            if !said.is_empty() {
                self.speech.close();
                self.speech.note(said);
            }
            self.speech.outcome()
        };
        self.outcome = Some(outcome.clone());
        let (unasked, _replies) = self.forms.drain();
        steps.extend(unasked);
        steps.extend([Step::Finished(outcome), Step::CloseInput]);
        steps
    }

    fn asked(&mut self, message: &Value) -> Vec<Step> {
        let id = message["request_id"].clone();
        let request = &message["request"];
        if request["subtype"] != "can_use_tool" {
            return vec![sent(&json!({
                "type": "control_response",
                "response": { "subtype": "error", "request_id": id, "error": "there is no such thing here" },
            }))];
        }
        let (drafts, reply) = question::read(id, request);
        if self.is_cancelled {
            return vec![reply.cancelled()];
        }
        match (&reply, self.permissions) {
            (Reply::Permission { .. }, Permissions::AllowInside) => vec![reply.allowed()],
            (Reply::Permission { .. }, Permissions::Ask) | (Reply::Questions { .. }, _) => {
                self.forms.open(drafts, reply)
            }
        }
    }
}

fn told(text: String) -> Vec<Step> {
    vec![Step::Event(AgentEvent::Status { text })]
}

fn limited(info: &Value) -> Vec<Step> {
    match info["status"].as_str() {
        None | Some("allowed") => Vec::new(),
        Some(status) => told(format!("the plan's limit: {status}")),
    }
}
