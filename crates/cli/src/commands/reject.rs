//! `sandbar reject`: drops changes from the workspace.

use std::ffi::OsString;

use sandbar_api::{RejectOutcome, RejectRequest, paths};

use crate::{
    commands::{
        approve::{Asked, meant},
        changes::fetch_changes,
    },
    context::Context,
    failure::Failure,
    output::{changes::letter, units::counted, visible},
    picks, select,
};

/// LIMIT: dropped paths that are named; the rest is counted.
const NAMED_MAX: usize = 20;

/// Drop changes: the sandbox then has what your directory has.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar reject calm-bay src/generated\n  sandbar reject --all"
)]
pub(crate) struct Args {
    /// Name or id of the sandbox (default: the only one over the current directory), then paths.
    #[arg(value_name = "[SANDBOX] PATH")]
    words: Vec<OsString>,
    /// Reject every change.
    #[arg(long, short)]
    all: bool,
    #[command(flatten)]
    picks: picks::Args,
    /// Why, in your words: whoever works in the sandbox next finds it in `.sandbar-review/declined.md`.
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let (sandbox, words) = select::sandbox_and_paths(context, &args.words).await?;
    let asked = Asked::of(&sandbox, &words, args.all, &args.picks)?;
    let out = context.out;
    let id = sandbox.id.to_string();
    let set = out.during("looking at the changes", fetch_changes(context, &id)).await?;
    let selection = asked.selection(context, &sandbox, &set).await?;
    let changes = meant(&set, &selection);
    if changes.is_empty() {
        return Err(Failure::not_found("nothing to reject: no change is there")
            .hint(format!("see `sandbar changes {}`", sandbox.name)));
    }
    let request = RejectRequest { diff_id: Some(set.diff_id), selection, reason: args.reason };
    let outcome: RejectOutcome = out
        .during("rejecting", context.client.post(&paths::below_sandbox(&id, "reject"), &request))
        .await?;
    if out.is_json() {
        out.json(&outcome)?;
        return Ok(0);
    }
    let mut what = counted(outcome.rejected.len(), "change");
    if !outcome.parts.is_empty() {
        what = format!("{what} and parts of {}", counted(outcome.parts.len(), "file"));
    }
    out.say(&format!("rejected {what} of {}:", sandbox.name));
    for change in changes.iter().take(NAMED_MAX) {
        out.say(&format!("  {} {}", letter(change.kind), visible::line(change.path.as_bytes())));
    }
    if changes.len() > NAMED_MAX {
        out.say(&format!("  … and {} more", changes.len() - NAMED_MAX));
    }
    Ok(0)
}
