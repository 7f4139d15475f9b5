//! `sandbar task diff|revert`: what one task changed, and taking that back.

use sandbar_api::{Reverted, paths};
use sandbar_types::TaskId;

use super::task;
use crate::{commands::checkpoint, context::Context, failure::Failure};

#[derive(Debug, clap::Args)]
pub(super) struct DiffArgs {
    /// Id of the task; default: the newest one of the only sandbox over the current directory.
    #[arg(value_name = "TASK")]
    task: Option<TaskId>,
    /// List only the paths.
    #[arg(long)]
    paths: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct RevertArgs {
    /// Id of the task; default: the newest one of the only sandbox over the current directory.
    #[arg(value_name = "TASK")]
    task: Option<TaskId>,
}

pub(super) async fn diff(args: DiffArgs, context: &mut Context) -> Result<u8, Failure> {
    let found = task(context, args.task).await?;
    let result = found.result.unwrap_or_default();
    let (Some(before), Some(after)) = (result.checkpoint_before, result.checkpoint_after) else {
        return Err(Failure::not_found("the task has no two checkpoints")
            .hint("it has not ended yet, or its agent never began"));
    };
    let from =
        paths::below_sandbox(&found.sandbox_id.to_string(), &format!("checkpoints/{before}"));
    checkpoint::show(context, (&from, &after.to_string()), args.paths).await?;
    Ok(0)
}

pub(super) async fn revert(args: RevertArgs, context: &mut Context) -> Result<u8, Failure> {
    let found = task(context, args.task).await?;
    let path = paths::below_task(&found.id.to_string(), "revert");
    let out = context.out;
    let empty = serde_json::json!({});
    let done: Reverted = out.during("taking back", context.client.post(&path, &empty)).await?;
    checkpoint::tell(out, &done)?;
    Ok(0)
}
