//! `sandbar agents`: the coding agents that sandboxes see.

mod install;

use crate::{context::Context, failure::Failure};

/// Look after the coding agents that sandboxes see.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  sandbar agents install claude-code\n  sandbar agents uninstall codex"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Install(install::Args),
    Uninstall(install::RemoveArgs),
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    match args.command {
        Command::Install(args) => install::run(args, context.out).await,
        Command::Uninstall(args) => install::remove(&args, context.out),
    }
}
