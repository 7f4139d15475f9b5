//! `sandbar checkpoint`: points of a sandbox's past.

use bytes::Bytes;
use hyper::Method;
use jiff::Timestamp;
use sandbar_api::{
    Checkpoint, CheckpointChanges, CheckpointCreateRequest, CheckpointRestored, RevertRequest,
    Reverted, paths,
};

use crate::{
    checkpoints::{find, list, short, what},
    client::read,
    commands::ls::age,
    context::Context,
    failure::Failure,
    output::{
        Output,
        changes::{letter, lines},
        table::Table,
        units::{self, counted},
        visible,
    },
    select,
};

/// Keep the files of a sandbox as they are, compare such points, and go back to one.
///
/// A checkpoint holds what the sandbox changed, not your directory, and nothing that is in memory. The newest 50 are
/// kept, and for as long as the sandbox lives those that you gave a label and those of tasks.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  sandbar checkpoint make cart --label \"tests pass\"\n  sandbar checkpoint diff cart last\n  sandbar checkpoint restore cart \"tests pass\""
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Keep the files as they are now. Prints the id.
    Make(MakeArgs),
    /// List checkpoints, the newest first. Columns: id (its end), age, bytes, what.
    Ls(ListArgs),
    /// Show what differs between a checkpoint and another one, or now.
    Diff(DiffArgs),
    /// Make the files what a checkpoint has. What is there now is kept as a checkpoint first.
    Restore(OneArgs),
    /// Take back what differs between two checkpoints, and nothing that came later.
    Revert(RevertArgs),
    /// Remove checkpoints.
    Rm(RemoveArgs),
}

#[derive(Debug, clap::Args)]
struct MakeArgs {
    /// Name or id of the sandbox; default: the only one over the current directory.
    #[arg(value_name = "SANDBOX")]
    sandbox: Option<String>,
    /// What it is called; what is called something is not removed by itself.
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Name or id of the sandbox; default: the only one over the current directory.
    #[arg(value_name = "SANDBOX")]
    sandbox: Option<String>,
}

#[derive(Debug, clap::Args)]
struct DiffArgs {
    /// Name or id of the sandbox.
    #[arg(value_name = "SANDBOX")]
    sandbox: String,
    /// The earlier one: an id, the end of one, a label, or `last`.
    #[arg(value_name = "CHECKPOINT")]
    from: String,
    /// The later one; or `now`, or `source`.
    #[arg(value_name = "TO", default_value = "now")]
    to: String,
    /// List only the paths.
    #[arg(long)]
    paths: bool,
}

#[derive(Debug, clap::Args)]
struct OneArgs {
    /// Name or id of the sandbox.
    #[arg(value_name = "SANDBOX")]
    sandbox: String,
    /// An id, the end of one, a label, or `last`.
    #[arg(value_name = "CHECKPOINT")]
    checkpoint: String,
}

#[derive(Debug, clap::Args)]
struct RevertArgs {
    /// Name or id of the sandbox.
    #[arg(value_name = "SANDBOX")]
    sandbox: String,
    /// The checkpoint before the work.
    #[arg(value_name = "BEFORE")]
    before: String,
    /// The checkpoint after it.
    #[arg(value_name = "AFTER")]
    after: String,
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// Name or id of the sandbox.
    #[arg(value_name = "SANDBOX")]
    sandbox: String,
    /// Ids, ends of ids, or labels.
    #[arg(value_name = "CHECKPOINT", required = true)]
    checkpoints: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    match args.command {
        Command::Make(args) => make(args, context).await?,
        Command::Ls(args) => ls(args, context).await?,
        Command::Diff(args) => diff(args, context).await?,
        Command::Restore(args) => restore(args, context).await?,
        Command::Revert(args) => revert(args, context).await?,
        Command::Rm(args) => remove(args, context).await?,
    }
    Ok(0)
}

async fn make(args: MakeArgs, context: &mut Context) -> Result<(), Failure> {
    let sandbox = select::reference(context, args.sandbox.as_deref()).await?;
    let path = paths::below_sandbox(&sandbox, "checkpoints");
    let request = CheckpointCreateRequest { label: args.label };
    let made: Checkpoint = context.client.post(&path, &request).await?;
    if context.out.is_json() {
        return context.out.json(&made);
    }
    context.out.line(&made.id.to_string())?;
    if made.left_out > 0 {
        let left_out = usize::try_from(made.left_out).unwrap_or(usize::MAX);
        context.out.say(&format!("without {}", counted(left_out, "socket or device")));
    }
    Ok(())
}

async fn ls(args: ListArgs, context: &mut Context) -> Result<(), Failure> {
    let sandbox = select::reference(context, args.sandbox.as_deref()).await?;
    let all = list(context, &sandbox).await?;
    if context.out.is_json() {
        return context.out.json(&all);
    }
    if all.is_empty() {
        context.out.say("no checkpoints");
        return Ok(());
    }
    let now = Timestamp::now();
    let mut table = Table::new(&["ID", "AGE", "BYTES", "WHAT"]);
    for one in &all {
        table.push([short(one), age(one.created_at, now), units::size(one.bytes), what(one)]);
    }
    Ok(context.out.table(&table)?)
}

/// The address of one checkpoint, or of something below it.
fn address(one: &Checkpoint, below: &str) -> String {
    let part = format!("checkpoints/{}{below}", one.id);
    paths::below_sandbox(&one.sandbox_id.to_string(), &part)
}

async fn diff(args: DiffArgs, context: &mut Context) -> Result<(), Failure> {
    let from = find(context, &args.sandbox, &args.from).await?;
    let to = match args.to.as_str() {
        "now" | "source" => args.to,
        word => find(context, &args.sandbox, word).await?.id.to_string(),
    };
    show(context, (&address(&from, ""), &to), args.paths).await
}

/// Shows what differs between the checkpoint at `from` and `to`.
pub(super) async fn show(
    context: &mut Context,
    (from, to): (&str, &str),
    only_paths: bool,
) -> Result<(), Failure> {
    let out = context.out;
    if only_paths || out.is_json() {
        let path = format!("{from}/changes?to={to}");
        let found: CheckpointChanges = context.client.fetch(&path).await?;
        if out.is_json() {
            return out.json(&found);
        }
        for change in &found.set.changes {
            let path = visible::line(change.path.as_bytes());
            out.line(format!("{} {path} {}", letter(change.kind), lines(change)).trim_end())?;
        }
        return Ok(());
    }
    let path = format!("{from}/diff?to={to}");
    let response =
        out.during("making the diff", context.client.send(Method::GET, &path, None)).await?;
    let patch: Bytes = read(response).await?;
    super::diff::show_patch(context, &patch)
}

async fn restore(args: OneArgs, context: &mut Context) -> Result<(), Failure> {
    let one = find(context, &args.sandbox, &args.checkpoint).await?;
    let empty = serde_json::json!({});
    let out = context.out;
    let path = address(&one, "/restore");
    let restoring = context.client.post(&path, &empty);
    let done: CheckpointRestored = out.during("restoring", restoring).await?;
    if out.is_json() {
        return out.json(&done);
    }
    let count = counted(done.paths.len(), "path");
    out.say(&format!(
        "restored {} ({count}); what was there is kept as {}",
        done.restored, done.kept
    ));
    Ok(())
}

async fn revert(args: RevertArgs, context: &mut Context) -> Result<(), Failure> {
    let before = find(context, &args.sandbox, &args.before).await?;
    let after = find(context, &args.sandbox, &args.after).await?;
    let path = paths::below_sandbox(&before.sandbox_id.to_string(), "revert");
    let request = RevertRequest { before: before.id, after: after.id };
    let out = context.out;
    let done: Reverted = out.during("taking back", context.client.post(&path, &request)).await?;
    tell(out, &done)
}

/// Says what was taken back.
pub(super) fn tell(out: Output, done: &Reverted) -> Result<(), Failure> {
    if out.is_json() {
        return out.json(done);
    }
    match done.kept {
        None => out.say("nothing to take back"),
        Some(kept) => {
            let count = counted(done.paths.len(), "path");
            out.say(&format!("took {count} back; what was there is kept as {kept}"));
        }
    }
    for path in &done.merged {
        out.say(&format!("  {} (merged with later edits)", visible::line(path.as_bytes())));
    }
    Ok(())
}

async fn remove(args: RemoveArgs, context: &mut Context) -> Result<(), Failure> {
    for word in &args.checkpoints {
        let one = find(context, &args.sandbox, word).await?;
        context.client.order(Method::DELETE, &address(&one, ""), None::<&()>).await?;
        context.out.say(&format!("removed {}", one.id));
    }
    Ok(())
}
