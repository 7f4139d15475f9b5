//! The talk itself.

use sandbar_types::{AgentEvent, Answer, ExitStatus, QuestionId, TaskUsage};
use serde_json::{Value, json};

use super::{
    question::{self, Reply},
    report,
    tool::Tools,
};
use crate::{
    Conversation, Order, Permissions, Step,
    form::{Answered, Forms},
    rpc::{self, Incoming},
    speech::{self, Speech},
};

/// The version of the protocol that is spoken here.
const VERSION: u64 = 1;

/// How a model is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Model {
    /// The agent was started with it.
    Launched,
    /// It is asked for in the session.
    Asked,
}

/// What we asked for last, and wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Initialize,
    /// A session is made, or read again; what is told meanwhile is of the past.
    Open,
    /// A session was read again, and what it tells of the past may still come.
    Settle,
    Configure,
    Prompt,
    Done,
}

#[derive(Debug)]
pub(super) struct Talk {
    order: Order,
    model: Model,
    phase: Phase,
    /// The id of our last request.
    request: u64,
    session: String,
    is_cancelled: bool,
    usage: TaskUsage,
    speech: Speech,
    tools: Tools,
    forms: Forms<Reply>,
    outcome: Option<Result<String, String>>,
}

impl Conversation for Talk {
    fn begin(&mut self) -> Vec<Step> {
        let params = json!({
            "protocolVersion": VERSION,
            "clientCapabilities": {
                "fs": { "readTextFile": false, "writeTextFile": false },
                "terminal": false,
                "elicitation": { "form": {} },
            },
            "clientInfo": { "name": "sandbar", "title": "Sandbar", "version": env!("CARGO_PKG_VERSION") },
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
                let refused = reply.refused(&answers).and_then(|tool| self.tools.refuse(tool));
                let mut steps = vec![reply.filled(&answers)];
                steps.extend(refused.into_iter().chain(next));
                steps
            }
        }
    }

    fn cancel(&mut self) -> Vec<Step> {
        if self.phase == Phase::Done {
            return Vec::new();
        }
        self.is_cancelled = true;
        if self.phase != Phase::Prompt {
            // It has nothing to stop yet.
            return self.finish(Err("cancelled before it began".to_owned()));
        }
        let mut steps =
            vec![rpc::notification("session/cancel", &json!({ "sessionId": self.session }))];
        let (unasked, replies) = self.forms.drain();
        steps.extend(unasked);
        // The protocol wants each question that is open answered so.
        steps.extend(replies.into_iter().map(Reply::cancelled));
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
    pub(super) fn new(order: &Order, model: Model) -> Self {
        Self {
            order: order.clone(),
            model,
            phase: Phase::Initialize,
            request: 0,
            session: String::new(),
            is_cancelled: false,
            usage: TaskUsage::default(),
            speech: Speech::default(),
            tools: Tools::default(),
            forms: Forms::default(),
            outcome: None,
        }
    }

    fn ask(&mut self, phase: Phase, method: &str, params: &Value) -> Step {
        self.phase = phase;
        self.request += 1;
        rpc::request(self.request, method, params)
    }

    fn finish(&mut self, outcome: Result<String, String>) -> Vec<Step> {
        self.phase = Phase::Done;
        let (mut steps, _replies) = self.forms.drain();
        self.outcome = Some(outcome.clone());
        steps.extend([Step::Finished(outcome), Step::CloseInput]);
        steps
    }

    fn answered(&mut self, result: Result<Value, String>) -> Vec<Step> {
        let result = match (result, self.phase) {
            (Ok(result), _) => result,
            // Only that it answered matters.
            (Err(_), Phase::Settle) => Value::Null,
            // The agent's own model is better than no work.
            (Err(error), Phase::Configure) => {
                let text = speech::error(&format!("the model could not be chosen: {error}"));
                let mut steps = vec![Step::Event(AgentEvent::Status { text })];
                steps.push(self.prompt());
                return steps;
            }
            (Err(error), _) => return self.finish(Err(speech::error(&error))),
        };
        match self.phase {
            Phase::Initialize => self.initialized(&result),
            Phase::Open => self.opened(&result),
            Phase::Settle | Phase::Configure => vec![self.prompt()],
            Phase::Prompt => self.prompted(&result),
            Phase::Done => Vec::new(),
        }
    }

    fn initialized(&mut self, result: &Value) -> Vec<Step> {
        if result["protocolVersion"].as_u64() != Some(VERSION) {
            let spoken = &result["protocolVersion"];
            let error = format!(
                "the agent speaks version {spoken} of the protocol, and {VERSION} is spoken here"
            );
            return self.finish(Err(error));
        }
        let mut params = json!({ "cwd": self.order.workspace, "mcpServers": [] });
        let Some(session) = self.order.session.clone() else {
            return vec![self.ask(Phase::Open, "session/new", &params)];
        };
        params["sessionId"] = json!(session);
        let capabilities = &result["agentCapabilities"];
        let method = if capabilities["sessionCapabilities"]["resume"].is_object() {
            "session/resume"
        } else if capabilities["loadSession"] == true {
            "session/load"
        } else {
            return self.finish(Err("the agent cannot go on with an earlier session".to_owned()));
        };
        self.session = session;
        vec![self.ask(Phase::Open, method, &params)]
    }

    fn opened(&mut self, result: &Value) -> Vec<Step> {
        if let Some(session) = result["sessionId"].as_str() {
            session.clone_into(&mut self.session);
        }
        if self.session.is_empty() {
            return self.finish(Err("the agent made no session".to_owned()));
        }
        let mut steps = vec![Step::Session(self.session.clone())];
        let wanted = self.order.model.clone().filter(|_| self.model == Model::Asked);
        // The Gemini CLI tells the past after it answered. It answers the next request when it is through with that, so
        // it is asked for the mode that it is in.
        let mode =
            result["modes"]["currentModeId"].as_str().filter(|_| self.order.session.is_some());
        steps.push(match (wanted, mode) {
            (Some(model), _) => self.choose(&model, result),
            (None, Some(mode)) => {
                let params = json!({ "sessionId": self.session, "modeId": mode });
                self.ask(Phase::Settle, "session/set_mode", &params)
            }
            (None, None) => self.prompt(),
        });
        steps
    }

    /// Chooses the model: as an option of the session where it offers one for models, else in the way before that.
    fn choose(&mut self, model: &str, session: &Value) -> Step {
        let options = session["configOptions"].as_array().into_iter().flatten();
        let option = options
            .into_iter()
            .find(|option| option["category"] == "model" || option["id"] == "model");
        match option.and_then(|option| option["id"].as_str()) {
            Some(id) => {
                let params = json!({ "sessionId": self.session, "configId": id, "value": model });
                self.ask(Phase::Configure, "session/set_config_option", &params)
            }
            None => {
                let params = json!({ "sessionId": self.session, "modelId": model });
                self.ask(Phase::Configure, "session/set_model", &params)
            }
        }
    }

    fn prompt(&mut self) -> Step {
        let prompt = json!([{ "type": "text", "text": self.order.prompt }]);
        let params = json!({ "sessionId": self.session, "prompt": prompt });
        self.ask(Phase::Prompt, "session/prompt", &params)
    }

    fn prompted(&mut self, result: &Value) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some(usage) = report::usage(result) {
            self.usage = TaskUsage { cost_usd: self.usage.cost_usd, ..usage };
            steps.push(Step::Usage(self.usage));
        }
        let outcome = match report::stopped(result) {
            _ if self.is_cancelled => Err("cancelled".to_owned()),
            Ok(()) => self.speech.outcome(),
            Err(why) => Err(why.to_owned()),
        };
        steps.extend(self.finish(outcome));
        steps
    }

    fn asked(&mut self, id: Value, method: &str, params: &Value) -> Vec<Step> {
        match method {
            "session/request_permission" => {
                let call = &params["toolCall"];
                // Some agents tell of a tool here first.
                let mut steps = self.tools.update(call);
                let (draft, options) = question::permission(params, &self.tools);
                let tool = call["toolCallId"].as_str().map(str::to_owned);
                let reply = Reply::Permission { id, options, tool };
                if self.phase != Phase::Prompt || self.is_cancelled {
                    return vec![reply.cancelled()];
                }
                self.speech.act();
                steps.extend(match self.order.permissions {
                    Permissions::AllowInside => vec![reply.allowed()],
                    Permissions::Ask => self.forms.open(vec![draft], reply),
                });
                steps
            }
            "elicitation/create" => match question::elicitation(id.clone(), params) {
                Some((_drafts, reply)) if self.is_cancelled => vec![reply.cancelled()],
                Some((drafts, reply)) => self.forms.open(drafts, reply),
                None => vec![rpc::reply(&id, &json!({ "action": "decline" }))],
            },
            method => vec![rpc::refusal(&id, method)],
        }
    }

    fn told(&mut self, method: &str, params: &Value) -> Vec<Step> {
        match method {
            "session/update" if self.phase == Phase::Prompt => self.updated(&params["update"]),
            "$/cancel_request" => {
                let id = params
                    .get("requestId")
                    .or_else(|| params.get("id"))
                    .cloned()
                    .unwrap_or_default();
                self.forms.withdraw(|reply| *reply.id() == id)
            }
            _ => Vec::new(),
        }
    }

    fn updated(&mut self, update: &Value) -> Vec<Step> {
        let text = update["content"]["text"].as_str().unwrap_or_default();
        match update["sessionUpdate"].as_str().unwrap_or_default() {
            "agent_message_chunk" if !text.is_empty() => vec![self.speech.say(text)],
            "agent_thought_chunk" if !text.is_empty() => {
                self.speech.close();
                vec![Step::Event(AgentEvent::Thought { text: text.to_owned() })]
            }
            "tool_call" | "tool_call_update" => {
                self.speech.act();
                self.tools.update(update)
            }
            "plan" => vec![Step::Event(AgentEvent::Status { text: report::plan(update) })],
            "usage_update" => {
                let Some(cost) = report::cost_usd(update) else { return Vec::new() };
                self.usage.cost_usd = Some(cost);
                vec![Step::Usage(self.usage)]
            }
            _ => Vec::new(),
        }
    }
}
