//! An agent of the Agent Client Protocol that follows a script, for what real ones do not do. The prompt is the script:
//! words that are done in order, then the turn ends.
//!
//! | Word | What |
//! |---|---|
//! | `say` | says a sentence, in pieces |
//! | `think` | thinks one |
//! | `plan` | tells a plan |
//! | `edit` | writes `made-by-agent.txt`, told as a tool with a difference |
//! | `permit` | asks for leave with all four kinds of options, and says what was chosen |
//! | `ask` | asks with a form of four fields, and says what was filled in |
//! | `unask` | asks for leave and takes the question back |
//! | `usage` | tells what was used |
//! | `refuse` | ends the turn with `refusal` |
//! | `fail` | answers the prompt with an error |
//! | `hang` | does nothing until it is cancelled |
//! | `deaf` | does nothing, for ever |
//! | `flood` | says ten thousand things |
//! | `long` | writes a line of ten million bytes |
//! | `garbage` | writes what is no message, and no UTF-8 |
//! | `die` | ends in the middle, with a message on standard error |
//! | `kill` | kills its parent and itself |
#![expect(clippy::print_stderr, reason = "a program of tests")]

use std::{
    fs,
    io::{self, BufRead as _, StdinLock, Write as _},
    process::ExitCode,
};

use serde_json::{Value, json};

const SESSION: &str = "session-1";
/// Ids of our own requests.
const PERMISSION: u64 = 900;
const ELICITATION: u64 = 901;

struct Agent {
    input: StdinLock<'static>,
    is_cancelled: bool,
}

/// How a word ends.
enum After {
    GoOn,
    /// The turn ends so.
    Stop(&'static str),
    Fail,
    Die,
}

fn main() -> ExitCode {
    let mut agent = Agent { input: io::stdin().lock(), is_cancelled: false };
    while let Some(message) = agent.read() {
        let id = &message["id"];
        match message["method"].as_str() {
            Some("initialize") => send(&reply(
                id,
                &json!({
                    "protocolVersion": 1,
                    "agentCapabilities": { "loadSession": true },
                    "authMethods": [],
                }),
            )),
            Some("session/new") => send(&reply(
                id,
                &json!({
                    "sessionId": SESSION,
                    "configOptions": [{ "id": "which", "category": "model", "name": "Model", "type": "select" }],
                }),
            )),
            Some("session/load") => {
                // The past is told again.
                update(
                    &json!({ "sessionUpdate": "agent_message_chunk", "content": text("of the past") }),
                );
                send(&reply(id, &json!({})));
            }
            Some("session/set_config_option") if message["params"]["value"] == "none" => {
                send(
                    &json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32602, "message": "no such model" } }),
                );
            }
            Some("session/set_config_option") => send(&reply(id, &json!({ "configOptions": [] }))),
            Some("session/prompt") => {
                let prompt = message["params"]["prompt"][0]["text"].as_str().unwrap_or_default();
                let prompt = prompt.to_owned();
                if agent.turn(id, &prompt) {
                    return ExitCode::from(3);
                }
            }
            Some(_) | None => {}
        }
    }
    ExitCode::SUCCESS
}

impl Agent {
    fn read(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.input.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => serde_json::from_str(&line).ok(),
        }
    }

    /// Returns whether it ends in the middle.
    fn turn(&mut self, id: &Value, prompt: &str) -> bool {
        for word in prompt.split_whitespace() {
            match self.act(word) {
                After::GoOn => {}
                After::Stop(reason) => {
                    send(&reply(id, &json!({ "stopReason": reason })));
                    return false;
                }
                After::Fail => {
                    let error = json!({ "code": -32603, "message": "Internal error", "data": { "details": "it broke" } });
                    send(&json!({ "jsonrpc": "2.0", "id": id, "error": error }));
                    return false;
                }
                After::Die => return true,
            }
            if self.is_cancelled {
                send(&reply(id, &json!({ "stopReason": "cancelled" })));
                return false;
            }
        }
        send(&reply(id, &json!({ "stopReason": "end_turn" })));
        false
    }

    fn act(&mut self, word: &str) -> After {
        match word {
            "say" => ["Hello, ", "I am ", "here."].into_iter().for_each(say),
            "think" => update(&json!({ "sessionUpdate": "agent_thought_chunk", "content": text("Well.") })),
            "plan" => {
                let entry = json!({ "content": "look around", "priority": "high", "status": "in_progress" });
                update(&json!({ "sessionUpdate": "plan", "entries": [entry] }));
            }
            "edit" => edit(),
            "permit" => {
                self.request(PERMISSION, "session/request_permission", &permission());
            }
            "ask" => {
                self.request(ELICITATION, "elicitation/create", &form());
            }
            "unask" => {
                send(&request(PERMISSION, "session/request_permission", &permission()));
                send(&json!({ "jsonrpc": "2.0", "method": "$/cancel_request", "params": { "requestId": PERMISSION } }));
            }
            "usage" => {
                let cost = json!({ "amount": 0.25, "currency": "USD" });
                update(&json!({ "sessionUpdate": "usage_update", "used": 10, "size": 100, "cost": cost }));
            }
            "refuse" => return After::Stop("refusal"),
            "fail" => return After::Fail,
            "hang" => self.wait(),
            "deaf" => loop {
                std::thread::park();
            },
            "flood" => (0..10_000).for_each(|count| say(&format!("{count} "))),
            "long" => say(&"x".repeat(10_000_000)),
            "garbage" => write(b"not a message\n{\"jsonrpc\":\"2.0\",\"id\":\n\xff\xfe\x00\n[1,2]\n\n{\"jsonrpc\":\"2.0\",\"id\":77,\"result\":{}}\n"),
            "die" => {
                eprintln!("out of luck");
                return After::Die;
            }
            "kill" => {
                if let Some(parent) = rustix::process::getppid() {
                    let _killed = rustix::process::kill_process(parent, rustix::process::Signal::KILL);
                }
                return After::Die;
            }
            _ => say(&format!("{word}? ")),
        }
        After::GoOn
    }

    /// Asks, and says what was answered.
    fn request(&mut self, id: u64, method: &str, params: &Value) {
        send(&request(id, method, params));
        while let Some(message) = self.read() {
            if message["method"] == "session/cancel" {
                self.is_cancelled = true;
            } else if message["id"] == id {
                say(&message["result"].to_string());
                return;
            }
        }
    }

    fn wait(&mut self) {
        while let Some(message) = self.read() {
            if message["method"] == "session/cancel" {
                self.is_cancelled = true;
                return;
            }
        }
    }
}

fn edit() {
    let path = std::env::current_dir().unwrap_or_default().join("made-by-agent.txt");
    update(&json!({
        "sessionUpdate": "tool_call",
        "toolCallId": "tool-1",
        "title": "Write a file",
        "kind": "edit",
        "status": "pending",
    }));
    let is_written = fs::write(&path, "made by the agent\n").is_ok();
    update(&json!({
        "sessionUpdate": "tool_call_update",
        "toolCallId": "tool-1",
        "status": if is_written { "completed" } else { "failed" },
        "content": [{ "type": "diff", "path": path, "oldText": null, "newText": "made by the agent\n" }],
    }));
}

fn permission() -> Value {
    let option = |id: &str, kind: &str| json!({ "optionId": id, "name": id, "kind": kind });
    json!({
        "sessionId": SESSION,
        "toolCall": { "toolCallId": "tool-2", "title": "rm -rf node_modules", "kind": "execute", "status": "pending" },
        "options": [
            option("always", "allow_always"),
            option("once", "allow_once"),
            option("never", "reject_always"),
            option("no", "reject_once"),
        ],
    })
}

fn form() -> Value {
    json!({
        "sessionId": SESSION,
        "mode": "form",
        "message": "Some questions.",
        "requestedSchema": {
            "type": "object",
            "properties": {
                "a_name": { "type": "string", "title": "Which name?" },
                "b_color": { "type": "string", "oneOf": [
                    { "const": "r", "title": "Red" },
                    { "const": "b", "title": "Blue" },
                ] },
                "c_count": { "type": "integer" },
                "d_sure": { "type": "boolean" },
            },
        },
    })
}

fn text(words: &str) -> Value {
    json!({ "type": "text", "text": words })
}

fn say(words: &str) {
    update(&json!({ "sessionUpdate": "agent_message_chunk", "content": text(words) }));
}

fn update(update: &Value) {
    let params = json!({ "sessionId": SESSION, "update": update });
    send(&json!({ "jsonrpc": "2.0", "method": "session/update", "params": params }));
}

fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn reply(id: &Value, result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

fn send(message: &Value) {
    write(format!("{message}\n").as_bytes());
}

fn write(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    // Nobody reads any more where the test is over.
    let _written = stdout.write_all(bytes).and_then(|()| stdout.flush());
}
