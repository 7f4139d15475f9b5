//! `sandbar app`: apps, and the processes that a workspace's sandbox.yaml declares.

mod apply;
mod check;
mod clone;
mod create;
mod edit;
pub(crate) mod init;
mod list;
mod logs;
mod process;
mod remove;
mod show;
mod status;

use crate::{context::Context, failure::Failure};

/// Work with apps: named projects with a sandbox each, and what the sandbox.yaml of a workspace declares.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  sandbar app create shop --preset react-vite\n  sandbar app start shop\n  sandbar app init --preset react-vite\n  sandbar app status shop\n  sandbar app logs shop web --follow"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done with an app.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Create(create::Args),
    Ls(list::Args),
    Show(show::Args),
    Edit(edit::Args),
    Rm(remove::Args),
    Clone(clone::Args),
    Init(init::Args),
    Status(status::Args),
    Apply(apply::Args),
    Check(check::Args),
    /// Start an app, which makes its sandbox where it has none; or a process that was stopped, has exited or given up.
    Start(process::Args),
    /// Stop an app's sandbox, with its files kept; or end a process and keep it ended.
    Stop(process::Args),
    /// Stop an app's sandbox and start it; or end a process and start it.
    Restart(process::Args),
    Logs(logs::Args),
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    match args.command {
        Command::Init(_) => unreachable!("it asks no server and was carried out before"),
        Command::Create(args) => create::run(args, context).await,
        Command::Ls(args) => list::run(args, context).await,
        Command::Show(args) => show::run(args, context).await,
        Command::Edit(args) => edit::run(args, context).await,
        Command::Rm(args) => remove::run(args, context).await,
        Command::Clone(args) => clone::run(args, context).await,
        Command::Status(args) => status::run(args, context).await,
        Command::Apply(args) => apply::run(args, context).await,
        Command::Check(args) => Box::pin(check::run(args, context)).await,
        Command::Start(args) => process::run(args, "start", context).await,
        Command::Stop(args) => process::run(args, "stop", context).await,
        Command::Restart(args) => process::run(args, "restart", context).await,
        Command::Logs(args) => Box::pin(logs::run(args, context)).await,
    }
}
