//! The talk itself.

use sandbar_types::{AgentEvent, Answer, ExitStatus, QuestionId, TaskUsage};
use serde_json::{Value, json};

use super::{
    item,
    question::{self, Reply},
};
use crate::{
    Conversation, Order, Permissions, Step,
    form::{Answered, Forms},
    rpc::{self, Incoming},
    speech::{self, Speech},
};

/// What we asked for last, and wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Initialize,
    Open,
    Turn,
    Done,
}

#[derive(Debug)]
pub(super) struct Talk {
    order: Order,
    phase: Phase,
    /// The id of our last request that something waits for.
    request: u64,
    thread: String,
    turn: Option<String>,
    /// The message whose words came in pieces.
    streamed: Option<String>,
    is_cancelled: bool,
    speech: Speech,
    forms: Forms<Reply>,
    outcome: Option<Result<String, String>>,
}

impl Conversation for Talk {
    fn begin(&mut self) -> Vec<Step> {
        let params = json!({
            "clientInfo": { "name": "sandbar", "title": "Sandbar", "version": env!("CARGO_PKG_VERSION") },
            "capabilities": { "experimentalApi": true, "requestAttestation": false },
        });
        vec![self.ask(Phase::Initialize, "initialize", &params)]
    }

    fn line(&mut self, line: &str) -> Vec<Step> {
        // What comes after the end is nobody's.
        if self.phase == Phase::Done {
            return Vec::new();
        }
        match rpc::read(line) {
            None => {
                self.speech.stray(line);
                Vec::new()
            }
            Some(Incoming::Response { id, result }) if id == self.request => self.answered(result),
            Some(Incoming::Response { .. }) => Vec::new(),
            Some(Incoming::Request { id, method, params }) => self.asked(id, &method, &params),
            Some(Incoming::Notification { method, params }) => self.told(&method, &params),
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
        if self.phase == Phase::Done {
            return Vec::new();
        }
        self.is_cancelled = true;
        if self.phase != Phase::Turn {
            return self.finish(Err("cancelled before it began".to_owned()));
        }
        let (mut steps, replies) = self.forms.drain();
        steps.extend(replies.into_iter().map(Reply::denied));
        // Where the turn has no name yet, it is stopped as soon as it has one.
        steps.extend(self.interrupt());
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
            order: order.clone(),
            phase: Phase::Initialize,
            request: 0,
            thread: String::new(),
            turn: None,
            streamed: None,
            is_cancelled: false,
            speech: Speech::default(),
            forms: Forms::default(),
            outcome: None,
        }
    }

    fn ask(&mut self, phase: Phase, method: &str, params: &Value) -> Step {
        self.phase = phase;
        self.request += 1;
        rpc::request(self.request, method, params)
    }

    fn interrupt(&self) -> Option<Step> {
        let turn = self.turn.as_ref()?;
        let params = json!({ "threadId": self.thread, "turnId": turn });
        // Its answer says nothing that the end of the turn does not say.
        Some(rpc::request(self.request + 1, "turn/interrupt", &params))
    }

    fn finish(&mut self, outcome: Result<String, String>) -> Vec<Step> {
        self.phase = Phase::Done;
        let (mut steps, _replies) = self.forms.drain();
        self.outcome = Some(outcome.clone());
        steps.extend([Step::Finished(outcome), Step::CloseInput]);
        steps
    }

    fn answered(&mut self, result: Result<Value, String>) -> Vec<Step> {
        let result = match result {
            Ok(result) => result,
            Err(error) => return self.finish(Err(speech::error(&error))),
        };
        match self.phase {
            Phase::Initialize => {
                vec![rpc::notification("initialized", &json!({})), self.open()]
            }
            Phase::Open => self.opened(&result),
            Phase::Turn => self.turned(&result["turn"]),
            Phase::Done => Vec::new(),
        }
    }

    fn open(&mut self) -> Step {
        let policy = match self.order.permissions {
            Permissions::AllowInside => "never",
            Permissions::Ask => "untrusted",
        };
        let mut params = json!({
            "cwd": self.order.workspace,
            "approvalPolicy": policy,
            // Ours is around it.
            "sandbox": "danger-full-access",
        });
        if let Some(model) = &self.order.model {
            params["model"] = json!(model);
        }
        match self.order.session.clone() {
            None => self.ask(Phase::Open, "thread/start", &params),
            Some(session) => {
                params["threadId"] = json!(session);
                self.ask(Phase::Open, "thread/resume", &params)
            }
        }
    }

    fn opened(&mut self, result: &Value) -> Vec<Step> {
        let Some(thread) = result["thread"]["id"].as_str() else {
            return self.finish(Err("the agent made no thread".to_owned()));
        };
        thread.clone_into(&mut self.thread);
        let input = json!([{ "type": "text", "text": self.order.prompt, "text_elements": [] }]);
        let params = json!({ "threadId": thread, "input": input });
        vec![Step::Session(thread.to_owned()), self.ask(Phase::Turn, "turn/start", &params)]
    }

    /// Learns the name of the turn; it is told twice, and which comes first is not promised.
    fn turned(&mut self, turn: &Value) -> Vec<Step> {
        let is_first = self.turn.is_none();
        let Some(id) = turn["id"].as_str().filter(|_| is_first) else { return Vec::new() };
        self.turn = Some(id.to_owned());
        if self.is_cancelled { self.interrupt().into_iter().collect() } else { Vec::new() }
    }

    fn asked(&mut self, id: Value, method: &str, params: &Value) -> Vec<Step> {
        if method == "mcpServer/elicitation/request" {
            return vec![rpc::reply(
                &id,
                &json!({ "action": "decline", "content": null, "_meta": null }),
            )];
        }
        let Some((drafts, reply)) = question::read(id.clone(), method, params) else {
            return vec![rpc::refusal(&id, method)];
        };
        if self.is_cancelled || self.phase != Phase::Turn {
            return vec![reply.denied()];
        }
        match self.order.permissions {
            Permissions::AllowInside if reply.is_permission() => vec![reply.allowed()],
            Permissions::AllowInside | Permissions::Ask => self.forms.open(drafts, reply),
        }
    }

    fn told(&mut self, method: &str, params: &Value) -> Vec<Step> {
        // A thread of an agent of the agent has another id.
        let is_other = params["threadId"].as_str().is_some_and(|thread| thread != self.thread);
        if self.phase != Phase::Turn || is_other {
            return Vec::new();
        }
        match method {
            "turn/started" => self.turned(&params["turn"]),
            "item/started" => {
                self.began(&params["item"]);
                item::tool(&params["item"])
            }
            "item/completed" => self.completed(&params["item"]),
            "item/agentMessage/delta" => {
                let Some(text) = params["delta"].as_str().filter(|text| !text.is_empty()) else {
                    return Vec::new();
                };
                self.streamed = params["itemId"].as_str().map(str::to_owned);
                vec![self.speech.say(text)]
            }
            "turn/plan/updated" => {
                let plan = params["plan"].as_array().into_iter().flatten();
                let lines = plan.filter_map(|step| {
                    let state = step["status"].as_str().unwrap_or("pending");
                    step["step"].as_str().map(|text| format!("{state}: {}", speech::title(text)))
                });
                told(format!("plan\n{}", lines.collect::<Vec<_>>().join("\n")))
            }
            "thread/tokenUsage/updated" => used(&params["tokenUsage"]["total"]),
            "serverRequest/resolved" => {
                let id = &params["requestId"];
                self.forms.withdraw(|reply| reply.id() == id)
            }
            "error" => {
                let tries = if params["willRetry"] == true { " (it tries again)" } else { "" };
                told(format!("{}{tries}", failed(&params["error"])))
            }
            "turn/completed" => self.over(&params["turn"]),
            _ => Vec::new(),
        }
    }

    fn began(&mut self, item: &Value) {
        match item["type"].as_str().unwrap_or_default() {
            "userMessage" => {}
            "agentMessage" | "reasoning" => self.speech.close(),
            _ => self.speech.act(),
        }
    }

    fn completed(&mut self, item: &Value) -> Vec<Step> {
        match item["type"].as_str().unwrap_or_default() {
            "agentMessage" => {
                let is_told =
                    self.streamed.is_some() && self.streamed.as_deref() == item["id"].as_str();
                let text = item["text"].as_str().filter(|text| !text.is_empty() && !is_told);
                let steps = text.map(|text| self.speech.say(text)).into_iter().collect();
                self.speech.close();
                steps
            }
            "reasoning" => item::thought(item).into_iter().collect(),
            _ => item::tool(item),
        }
    }

    fn over(&mut self, turn: &Value) -> Vec<Step> {
        let outcome = match turn["status"].as_str() {
            _ if self.is_cancelled => Err("cancelled".to_owned()),
            Some("completed") => self.speech.outcome(),
            Some("interrupted") => Err("the agent stopped as if it had been cancelled".to_owned()),
            Some(_) | None => Err(failed(&turn["error"])),
        };
        self.finish(outcome)
    }
}

fn told(text: String) -> Vec<Step> {
    vec![Step::Event(AgentEvent::Status { text })]
}

fn failed(error: &Value) -> String {
    let message = error["message"].as_str().unwrap_or_default();
    let details = error["additionalDetails"].as_str().filter(|details| *details != message);
    speech::error(
        &details.map_or_else(|| message.to_owned(), |details| format!("{message}: {details}")),
    )
}

fn used(total: &Value) -> Vec<Step> {
    let count = |key: &str| total[key].as_u64();
    // Codex counts what came from the cache among what was sent.
    let cached = count("cachedInputTokens").unwrap_or_default();
    vec![Step::Usage(TaskUsage {
        input_tokens: count("inputTokens").map(|tokens| tokens.saturating_sub(cached)),
        output_tokens: count("outputTokens"),
        reasoning_tokens: count("reasoningOutputTokens"),
        cache_read_tokens: count("cachedInputTokens"),
        cache_write_tokens: count("cacheWriteInputTokens"),
        cost_usd: None,
    })]
}
