//! Approving what the rules of a sandbox let go without a person.

use sandbar_api::{Sandbox, paths};
use sandbar_types::{AcceptOutcome, NeedsPerson};

use crate::{
    context::Context,
    failure::Failure,
    output::{changes::flag_name, units::counted, visible},
};

/// LIMIT: paths that are named; the rest is counted.
const NAMED_MAX: usize = 20;

/// Asks for it, and says what became of it.
pub(crate) async fn accept(context: &mut Context, sandbox: &Sandbox) -> Result<(), Failure> {
    let out = context.out;
    let path = paths::below_sandbox(&sandbox.id.to_string(), "accept");
    let outcome: AcceptOutcome =
        out.during("approving", context.client.post(&path, &serde_json::json!({}))).await?;
    if out.is_json() {
        return out.json(&outcome);
    }
    let count = outcome.approve.as_ref().map_or(0, |approve| approve.applied.len());
    out.say(&format!("approved {} by the rules of {}", counted(count, "change"), sandbox.name));
    for waiting in outcome.waiting.iter().take(NAMED_MAX) {
        let why = match waiting.why {
            NeedsPerson::Flagged(flag) => flag_name(flag).to_string(),
            NeedsPerson::NotText => "not text".to_owned(),
            NeedsPerson::PathNotListed => "not among the paths".to_owned(),
        };
        out.say(&format!("  waits for you: {} ({why})", visible::line(waiting.path.as_bytes())));
    }
    if let Some(more @ 1..) = outcome.waiting.len().checked_sub(NAMED_MAX) {
        out.say(&format!("  … and {more} more"));
    }
    Ok(())
}
