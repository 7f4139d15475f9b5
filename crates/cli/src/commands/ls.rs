//! `sandbar ls`: the sandboxes.

use std::time::Duration;

use jiff::Timestamp;
use sandbar_types::{SandboxName, Source};

use crate::{
    context::Context,
    failure::Failure,
    output::{life, table::Table, units},
    select,
};

/// List sandboxes, the newest first.
///
/// Columns: name, state, age, source, id.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar ls --state running")]
pub(crate) struct Args {
    /// Only those in this state.
    #[arg(long, value_name = "STATE", value_parser = ["creating", "running", "paused", "stopping", "stopped", "failed", "deleting"])]
    state: Option<String>,
    /// Only the one with this name.
    #[arg(long, value_name = "NAME")]
    name: Option<SandboxName>,
    /// Only those over the current directory or one above it.
    #[arg(long)]
    here: bool,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let state = args.state.map_or_else(String::new, |state| format!("&state={state}"));
    let name = args.name.map_or_else(String::new, |name| format!("&name={name}"));
    let mut sandboxes = select::list(context, &format!("{state}{name}")).await?;
    if args.here {
        let here = select::current_dir()?;
        sandboxes.retain(|sandbox| {
            select::source_path(sandbox).is_some_and(|source| here.starts_with(source))
        });
    }
    let out = context.out;
    if out.is_json() {
        out.json(&sandboxes)?;
        return Ok(0);
    }
    if sandboxes.is_empty() {
        out.say("no sandboxes; make one with `sandbar run -- COMMAND`");
        return Ok(0);
    }
    let now = Timestamp::now();
    let mut table = Table::new(&["NAME", "STATE", "AGE", "SOURCE", "ID"]);
    for sandbox in &sandboxes {
        let source = match &sandbox.source {
            Source::Directory { path } => path.as_path().as_os_str().as_encoded_bytes().to_vec(),
            Source::Empty => b"(empty)".to_vec(),
            Source::Preset { preset } => format!("({preset})").into_bytes(),
        };
        table.push([
            sandbox.name.as_str().as_bytes(),
            life(sandbox).as_bytes(),
            age(sandbox.created_at, now).as_bytes(),
            &source,
            sandbox.id.to_string().as_bytes(),
        ]);
    }
    out.table(&table)?;
    Ok(0)
}

/// How long ago `then` was; clocks that disagree make it now.
pub(crate) fn age(then: Timestamp, now: Timestamp) -> String {
    units::age(Duration::try_from(now.duration_since(then)).unwrap_or_default())
}
