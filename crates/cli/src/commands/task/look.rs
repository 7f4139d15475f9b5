//! `sandbar task ls|show|logs|cancel`.

use jiff::Timestamp;
use sandbar_api::paths;
use sandbar_types::{Task, TaskId, TaskState};

use super::{
    draw::{self, Printer},
    task,
};
use crate::{
    client::Pages,
    commands::ls::age,
    context::Context,
    failure::Failure,
    output::{table::Table, visible},
    select,
};

/// LIMIT: characters of a prompt in a list.
const PROMPT_CHARS_MAX: usize = 60;

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Name or id of the sandbox, or of an app; default: the only one over the current directory.
    #[arg(value_name = "SANDBOX")]
    sandbox: Option<String>,
    /// Only those in this state: queued, running, waiting, succeeded, failed, cancelled.
    #[arg(long, value_name = "STATE")]
    state: Option<TaskState>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// Id of the task; default: the newest one of the only sandbox over the current directory.
    #[arg(value_name = "TASK")]
    task: Option<TaskId>,
}

#[derive(Debug, clap::Args)]
pub(super) struct LogsArgs {
    /// Id of the task; default: the newest one of the only sandbox over the current directory.
    #[arg(value_name = "TASK")]
    task: Option<TaskId>,
    /// Go on until the task is over, and pass on how it ended.
    #[arg(long, short)]
    follow: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct CancelArgs {
    /// Id of the task; default: the newest one of the only sandbox over the current directory.
    #[arg(value_name = "TASK")]
    task: Option<TaskId>,
}

pub(super) async fn list(args: ListArgs, context: &mut Context) -> Result<u8, Failure> {
    let sandbox = select::reference(context, args.sandbox.as_deref()).await?;
    let state = args.state.map_or_else(String::new, |state| format!("?state={state}"));
    let path = format!("{}{state}", paths::below_sandbox(&sandbox, "tasks"));
    let tasks: Vec<Task> = context.client.all(&path).await?;
    let out = context.out;
    if out.is_json() {
        out.json(&tasks)?;
        return Ok(0);
    }
    let now = Timestamp::now();
    let mut table = Table::new(&["ID", "STATE", "AGE", "AGENT", "PROMPT"]);
    for task in &tasks {
        table.push([
            task.id.to_string(),
            task.state.to_string(),
            age(task.created_at, now),
            task.agent.to_string(),
            shortened(&task.spec.prompt),
        ]);
    }
    out.table(&table)?;
    Ok(0)
}

/// The beginning of the first line.
fn shortened(prompt: &str) -> String {
    let first = prompt.trim().lines().next().unwrap_or_default();
    let mut short: String = first.chars().take(PROMPT_CHARS_MAX).collect();
    if short.len() < prompt.trim().len() {
        short.push('…');
    }
    short
}

pub(super) async fn show(args: ShowArgs, context: &mut Context) -> Result<u8, Failure> {
    let task = task(context, args.task).await?;
    let out = context.out;
    if out.is_json() {
        out.json(&task)?;
        return Ok(0);
    }
    for (name, value) in draw::facts(&task) {
        out.line(&format!("{name}\t{}", visible::escape(value.as_bytes(), visible::Place::Text)))?;
    }
    Ok(0)
}

pub(super) async fn logs(args: LogsArgs, context: &mut Context) -> Result<u8, Failure> {
    let task = task(context, args.task).await?;
    if args.follow {
        return super::watch::watch(context, &task).await;
    }
    let mut printer = Printer::new(context.out, &task);
    let path = paths::below_task(&task.id.to_string(), "events");
    if task.state.is_final() {
        // A stream of what is over ends by itself.
        let mut events = context.client.feed(&path, 0).await?;
        while let Some(event) = events.next().await? {
            printer.print(&draw::event(&event.data)?)?;
        }
    } else {
        let mut pages = Pages::of(&path);
        while let Some(events) = pages.next(&mut context.client, usize::MAX).await? {
            for event in &events {
                printer.print(event)?;
            }
        }
    }
    printer.finish().map(|()| 0)
}

pub(super) async fn cancel(args: CancelArgs, context: &mut Context) -> Result<u8, Failure> {
    let task = task(context, args.task).await?;
    let path = paths::below_task(&task.id.to_string(), "cancel");
    let task: Task = context.client.post(&path, &serde_json::json!({})).await?;
    if context.out.is_json() {
        context.out.json(&task)?;
    } else if task.state.is_final() {
        context.out.say("canceled");
    } else {
        context.out.say("canceled; its agent has some seconds to stop");
    }
    Ok(0)
}
