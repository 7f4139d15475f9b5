//! What an agent reports beside its words: a plan, what it used, why it stopped.

use sandbar_types::TaskUsage;
use serde_json::Value;

use crate::speech;

/// Why a turn ended; an error where that is not because the work is done.
pub(super) fn stopped(result: &Value) -> Result<(), &'static str> {
    match result["stopReason"].as_str() {
        Some("end_turn") => Ok(()),
        Some("max_tokens") => Err("the model reached its limit of tokens"),
        Some("max_turn_requests") => Err("the agent reached its limit of requests"),
        Some("refusal") => Err("the model refused to go on"),
        Some("cancelled") => Err("the agent stopped as if it had been cancelled"),
        Some(_) | None => Err("the agent stopped and did not say why"),
    }
}

/// The tokens of a turn, where the agent tells them: as the protocol has it, or as the Gemini CLI does.
pub(super) fn usage(result: &Value) -> Option<TaskUsage> {
    [&result["usage"], &result["_meta"]["quota"]["token_count"]].into_iter().find_map(tokens)
}

fn tokens(usage: &Value) -> Option<TaskUsage> {
    let count = |names: [&str; 2]| names.iter().find_map(|name| usage[*name].as_u64());
    let read = TaskUsage {
        input_tokens: count(["inputTokens", "input_tokens"]),
        output_tokens: count(["outputTokens", "output_tokens"]),
        reasoning_tokens: count(["thoughtTokens", "thought_tokens"]),
        cache_read_tokens: count(["cachedReadTokens", "cached_read_tokens"]),
        cache_write_tokens: count(["cachedWriteTokens", "cached_write_tokens"]),
        cost_usd: None,
    };
    (read.input_tokens.is_some() || read.output_tokens.is_some()).then_some(read)
}

/// What a session cost so far, in US dollars.
pub(super) fn cost_usd(update: &Value) -> Option<f64> {
    let cost = &update["cost"];
    cost["amount"].as_f64().filter(|_| cost["currency"] == "USD")
}

/// A plan, a line for each step.
pub(super) fn plan(update: &Value) -> String {
    let entries = update["entries"].as_array().into_iter().flatten();
    let lines = entries.filter_map(|entry| {
        let state = entry["status"].as_str().unwrap_or("pending");
        entry["content"].as_str().map(|text| format!("{state}: {}", speech::title(text)))
    });
    format!("plan\n{}", lines.collect::<Vec<_>>().join("\n"))
}
