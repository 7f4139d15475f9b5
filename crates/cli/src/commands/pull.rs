//! `sandbar pull`: commits of a sandbox, as a branch here.

use sandbar_api::{PullRequest, paths};
use sandbar_types::PullOutcome;

use crate::{
    commit::short,
    context::Context,
    failure::Failure,
    output::{units::counted, visible},
    select,
};

/// LIMIT: commits that are named; the rest is counted.
const NAMED_MAX: usize = 20;

/// Bring the commits that were made in a sandbox to your repository, as a branch.
///
/// Nothing is checked out: your files, your index and the branch that you are on stay as they are. What is brought is
/// what HEAD is inside; what is not committed there is not in it. The sandbox must be running.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sandbar pull\n  sandbar pull calm-bay --branch cart-page")]
pub(crate) struct Args {
    /// Name or id; default: the only sandbox over the current directory.
    sandbox: Option<String>,
    /// The branch; default: sandbar/NAME.
    #[arg(long, short, value_name = "BRANCH")]
    branch: Option<String>,
    /// Replace a branch that has commits of its own.
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let sandbox = select::sandbox(context, args.sandbox.as_deref()).await?;
    let out = context.out;
    let request = PullRequest { branch: args.branch, force: args.force };
    let path = paths::below_sandbox(&sandbox.id.to_string(), "pull");
    let outcome: PullOutcome =
        out.during("bringing commits", context.client.post(&path, &request)).await?;
    if out.is_json() {
        out.json(&outcome)?;
        return Ok(0);
    }
    let branch = visible::line(outcome.branch.as_bytes());
    let total = usize::try_from(outcome.total).unwrap_or(usize::MAX);
    out.say(&format!(
        "branch {branch} is at {}, with {}:",
        short(&outcome.head),
        counted(total, "new commit")
    ));
    for commit in outcome.commits.iter().take(NAMED_MAX) {
        out.say(&format!("  {} {}", short(&commit.id), visible::line(commit.subject.as_bytes())));
    }
    let more = total.saturating_sub(outcome.commits.len().min(NAMED_MAX));
    if more > 0 {
        out.say(&format!("  … and {more} more"));
    }
    Ok(0)
}
