//! `sandbar task`: what agents are asked to do.

mod answer;
mod asking;
mod changes;
mod draw;
mod look;
mod run;
mod watch;

use sandbar_api::{Page, paths};
use sandbar_types::{Task, TaskId};

use crate::{context::Context, failure::Failure, select};

/// Have an agent do something in a sandbox, follow it, answer its questions, end it.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  sandbar task run \"add a cart page\"\n  sandbar task run shop \"fix the tests\" --agent codex --timeout 30m\n  sandbar task run \"say hello\" --agent command -- ./agent.sh\n  sandbar task answer ta_… --option allow"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Ask an agent, and show what it says and does until it is done. Ctrl-C leaves it running.
    Run(run::Args),
    /// List tasks of a sandbox, the newest first.
    Ls(look::ListArgs),
    /// Show a task and what came of it.
    Show(look::ShowArgs),
    /// Show what an agent said and did, from the beginning.
    Logs(look::LogsArgs),
    /// Answer the question that a task waits for.
    Answer(answer::Args),
    /// End a task: its agent is asked to stop, then told to, then killed. What it changed stays.
    Cancel(look::CancelArgs),
    /// Show what a task changed, and nothing else.
    Diff(changes::DiffArgs),
    /// Take back what a task changed, and nothing that came later.
    Revert(changes::RevertArgs),
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    match args.command {
        Command::Run(args) => run::run(args, context).await,
        Command::Ls(args) => look::list(args, context).await,
        Command::Show(args) => look::show(args, context).await,
        Command::Logs(args) => look::logs(args, context).await,
        Command::Answer(args) => answer::run(args, context).await,
        Command::Cancel(args) => look::cancel(args, context).await,
        Command::Diff(args) => changes::diff(args, context).await,
        Command::Revert(args) => changes::revert(args, context).await,
    }
}

/// The task that is named, or the newest one of the only sandbox over the current directory.
async fn task(context: &mut Context, named: Option<TaskId>) -> Result<Task, Failure> {
    if let Some(id) = named {
        return context.client.fetch(&paths::task(&id.to_string())).await;
    }
    let sandbox = select::reference(context, None).await?;
    let path = format!("{}?limit=1", paths::below_sandbox(&sandbox, "tasks"));
    let page: Page<Task> = context.client.fetch(&path).await?;
    let newest = page.items.into_iter().next();
    newest.ok_or_else(|| {
        Failure::not_found("the sandbox has no task yet").hint("ask for one: `sandbar task run`")
    })
}
