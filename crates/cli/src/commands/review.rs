//! `sandbar review`: decide about changes on the whole terminal.

use crate::{context::Context, failure::Failure, review, select};

/// Decide about changes in the terminal, by file, by hunk or by line.
///
/// Shows the changed files and their diff. `a` approves, `x` rejects, `s` leaves undecided; Enter shows what was decided
/// and sends it. Nothing is written before that. `?` lists every key.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sandbar review\n  sandbar review calm-bay")]
pub(crate) struct Args {
    /// Name or id of the sandbox; default: the only one over the current directory.
    #[arg(value_name = "SANDBOX")]
    sandbox: Option<String>,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    review::check_terminal()?;
    let sandbox = select::sandbox(context, args.sandbox.as_deref()).await?;
    review::review(&sandbox, context).await
}
