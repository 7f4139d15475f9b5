//! `sandbar app`: the processes that a workspace's sandbox.yaml declares.

mod apply;
mod check;
pub(crate) mod init;
mod logs;
mod process;
mod status;

use crate::{context::Context, failure::Failure};

/// Work with the app of a sandbox or a directory: what its sandbox.yaml declares.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  sandbar app init --preset react-vite\n  sandbar app status shop\n  sandbar app logs shop web --follow"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done with an app.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Init(init::Args),
    Status(status::Args),
    Apply(apply::Args),
    Check(check::Args),
    /// Start a process that was stopped, has exited or has given up.
    Start(process::Args),
    /// End a process and keep it ended.
    Stop(process::Args),
    /// End a process and start it.
    Restart(process::Args),
    Logs(logs::Args),
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    match args.command {
        Command::Init(_) => unreachable!("it asks no server and was carried out before"),
        Command::Status(args) => status::run(args, context).await,
        Command::Apply(args) => apply::run(args, context).await,
        Command::Check(args) => Box::pin(check::run(args, context)).await,
        Command::Start(args) => process::run(args, "start", context).await,
        Command::Stop(args) => process::run(args, "stop", context).await,
        Command::Restart(args) => process::run(args, "restart", context).await,
        Command::Logs(args) => Box::pin(logs::run(args, context)).await,
    }
}
