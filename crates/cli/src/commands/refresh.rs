//! `sandbar refresh`: brings what you changed meanwhile into a sandbox.

use std::ffi::OsString;

use sandbar_api::{RefreshOutcome, RefreshRequest, paths};
use sandbar_types::{Selection, WorkspacePath};

use crate::{
    context::Context,
    failure::Failure,
    output::visible,
    resolve::ResolveArgs,
    select::{self, Paths},
};

/// Bring what you changed in your directory meanwhile into a sandbox.
///
/// Only files that the sandbox changed as well need it: every other one it sees as you have it. What you both changed
/// is merged, as an approve would do it; where the same lines changed nothing happens until you say whose count.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar refresh calm-bay\n  sandbar refresh calm-bay src/main.rs --ours src/main.rs"
)]
pub(crate) struct Args {
    /// Name or id of the sandbox (default: the only one over the current directory), then paths.
    #[arg(value_name = "[SANDBOX] PATH")]
    words: Vec<OsString>,
    #[command(flatten)]
    resolve: ResolveArgs,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let (sandbox, words) = select::sandbox_and_paths(context, &args.words).await?;
    let selection = match select::workspace_paths(&sandbox, &words)? {
        Paths::All => Selection::All,
        Paths::Some(paths) => Selection::Paths(paths),
    };
    let request = RefreshRequest {
        selection,
        resolutions: args.resolve.resolutions(&sandbox)?,
        otherwise: args.resolve.otherwise(),
    };
    let out = context.out;
    let path = paths::below_sandbox(&sandbox.id.to_string(), "refresh");
    let outcome: RefreshOutcome =
        out.during("refreshing", context.client.post(&path, &request)).await?;
    if out.is_json() {
        out.json(&outcome)?;
        return Ok(0);
    }
    let lists = [
        ("merged", &outcome.merged),
        ("as in your directory", &outcome.ours),
        ("as in the sandbox, against what you have now", &outcome.theirs),
    ];
    if lists.iter().all(|(_, paths)| paths.is_empty()) {
        out.say(&format!("{} is up to date", sandbox.name));
    }
    let shown = |path: &WorkspacePath| visible::line(path.as_bytes());
    for (how, paths) in lists {
        paths.iter().for_each(|path| out.say(&format!("  {}: {how}", shown(path))));
    }
    Ok(0)
}
