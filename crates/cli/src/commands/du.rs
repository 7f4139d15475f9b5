//! `sandbar du`: what is on disk.

use jiff::Timestamp;
use sandbar_api::{DiskUsage, paths};

use crate::{
    commands::ls::age,
    context::Context,
    failure::Failure,
    output::{table::Table, units::size},
};

/// Show the disk space that sandboxes take, the largest first.
///
/// Columns: name, changed files, their size, home directory, logs, time since the last change of the record.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar du")]
pub(crate) struct Args {}

pub(crate) async fn run(_args: Args, context: &mut Context) -> Result<u8, Failure> {
    let out = context.out;
    let usage: DiskUsage = out.during("measuring", context.client.fetch(paths::USAGE)).await?;
    if out.is_json() {
        out.json(&usage)?;
        return Ok(0);
    }
    let now = Timestamp::now();
    let mut table = Table::new(&["NAME", "FILES", "CHANGES", "HOME", "LOGS", "AGE"]);
    for sandbox in &usage.sandboxes {
        table.push([
            sandbox.name.to_string(),
            sandbox.upper_files.to_string(),
            size(sandbox.upper_bytes),
            size(sandbox.home_bytes),
            size(sandbox.logs_bytes),
            age(sandbox.updated_at, now),
        ]);
    }
    if !usage.sandboxes.is_empty() {
        out.table(&table)?;
    }
    out.say(&format!(
        "total {} (of that, the store {})",
        size(usage.total_bytes.saturating_add(usage.store_bytes)),
        size(usage.store_bytes)
    ));
    Ok(0)
}
