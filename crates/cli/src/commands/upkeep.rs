//! `sandbar upkeep`: how the server keeps itself in order.

use std::time::Duration;

use jiff::Timestamp;
use sandbar_api::{ReconcilerStatus, Upkeep, paths};

use crate::{
    commands::ls::age,
    context::Context,
    failure::Failure,
    output::{
        table::Table,
        units::{counted, duration},
        visible,
    },
};

/// Show how the server keeps itself in order.
///
/// Columns: part of upkeep, time since it last ran, time that took, what it found to do and did, when it runs next,
/// and why it failed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar upkeep")]
pub(crate) struct Args {}

pub(crate) async fn run(_args: Args, context: &mut Context) -> Result<u8, Failure> {
    let out = context.out;
    let upkeep: Upkeep = out.during("asking", context.client.fetch(paths::UPKEEP)).await?;
    if out.is_json() {
        out.json(&upkeep)?;
        return Ok(0);
    }
    let now = Timestamp::now();
    let mut table = Table::new(&["NAME", "LAST", "TOOK", "FOUND", "DONE", "NEXT", "ERROR"]);
    for one in &upkeep.reconcilers {
        table.push(row(one, now));
    }
    out.table(&table)?;
    let failing = upkeep.reconcilers.iter().filter(|one| one.last_error.is_some()).count();
    out.say(&match failing {
        0 => "nothing failed when it last ran".to_owned(),
        count => format!("{} failed and will be tried again", counted(count, "part")),
    });
    Ok(0)
}

fn row(one: &ReconcilerStatus, now: Timestamp) -> [String; 7] {
    let next = match one.next_run_at {
        // It is due, or runs just now.
        Some(at) if at <= now => "now".to_owned(),
        Some(at) => format!("in {}", duration(at.duration_since(now).unsigned_abs())),
        None => "on request".to_owned(),
    };
    let has_run = one.last_run_at.is_some();
    let if_run = |text: String| if has_run { text } else { "-".to_owned() };
    [
        visible::line(&one.name),
        one.last_run_at.map_or_else(|| "-".to_owned(), |at| age(at, now)),
        if_run(duration(Duration::from_millis(one.duration_ms))),
        if_run(one.found.to_string()),
        if_run(one.done.to_string()),
        next,
        one.last_error.as_deref().map_or_else(|| "-".to_owned(), visible::line),
    ]
}
