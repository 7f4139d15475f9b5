//! JSON-RPC 2.0, a message a line: what an agent sent, and what is sent to it.
//!
//! Read leniently, because agents are: a line that is no message is nobody's answer and ends nothing.

use serde_json::{Value, json};

use crate::Step;

/// A method that we do not have.
pub(crate) const METHOD_NOT_FOUND: i64 = -32601;

/// One line.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// It wants something, and waits.
    Request { id: Value, method: String, params: Value },
    /// It tells something.
    Notification { method: String, params: Value },
    /// It did what we asked for, or says why not.
    Response { id: u64, result: Result<Value, String> },
}

/// Reads a line; `None` where it is no message.
pub(crate) fn read(line: &str) -> Option<Incoming> {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(line) else { return None };
    let id = fields.remove("id").filter(|id| id.is_string() || id.is_number());
    let params = fields.remove("params").unwrap_or_default();
    if let Some(Value::String(method)) = fields.remove("method") {
        return Some(match id {
            Some(id) => Incoming::Request { id, method, params },
            None => Incoming::Notification { method, params },
        });
    }
    let id = id?.as_u64()?;
    let result = match (fields.remove("error"), fields.remove("result")) {
        (Some(error), _) if !error.is_null() => Err(explained(&error)),
        (_, Some(result)) => Ok(result),
        (_, None) => return None,
    };
    Some(Incoming::Response { id, result })
}

/// An error in words: agents put the true reason into `data`, each in a way of its own.
fn explained(error: &Value) -> String {
    let message = error["message"].as_str().unwrap_or("the agent answered with an error");
    let data = &error["data"];
    let details = [&data["details"], &data["message"], data]
        .into_iter()
        .find_map(|value| value.as_str().filter(|text| !text.is_empty() && *text != message));
    details.map_or_else(|| message.to_owned(), |details| format!("{message}: {details}"))
}

/// Asks for something.
pub(crate) fn request(id: u64, method: &str, params: &Value) -> Step {
    sent(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
}

/// Tells something.
pub(crate) fn notification(method: &str, params: &Value) -> Step {
    sent(&json!({ "jsonrpc": "2.0", "method": method, "params": params }))
}

/// Answers a request.
pub(crate) fn reply(id: &Value, result: &Value) -> Step {
    sent(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

/// Refuses a request.
pub(crate) fn refusal(id: &Value, method: &str) -> Step {
    let error =
        json!({ "code": METHOD_NOT_FOUND, "message": format!("there is no {method} here") });
    sent(&json!({ "jsonrpc": "2.0", "id": id, "error": error }))
}

/// A line to send.
pub(crate) fn sent(message: &Value) -> Step {
    Step::Send(format!("{message}\n"))
}
