//! `sandbar gc`: removes what nobody needs.

use sandbar_api::{GcOutcome, GcRequest, paths};

use crate::{
    context::Context,
    failure::Failure,
    output::{
        table::Table,
        units::{counted, size},
    },
};

/// Clean up leftovers of removed sandboxes, old logs and history.
///
/// Changes that wait for review are never touched.
///
/// Columns: what, sandbox, size, reason.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar gc --dry-run")]
pub(crate) struct Args {
    /// Only say what would go.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let out = context.out;
    let outcome: GcOutcome = out
        .during("cleaning up", context.client.post(paths::GC, &GcRequest { dry_run: args.dry_run }))
        .await?;
    if out.is_json() {
        out.json(&outcome)?;
        return Ok(0);
    }
    let mut table = Table::new(&["WHAT", "SANDBOX", "SIZE", "REASON"]);
    for action in &outcome.actions {
        table.push([
            action.what.clone(),
            action.sandbox_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
            action.bytes.map_or_else(|| "-".to_owned(), size),
            action.reason.clone(),
        ]);
    }
    if !outcome.actions.is_empty() {
        out.table(&table)?;
    }
    let verb = if outcome.dry_run { "would remove" } else { "removed" };
    let bytes = outcome.actions.iter().filter_map(|action| action.bytes).sum();
    out.say(&format!("{verb} {}, {}", counted(outcome.actions.len(), "thing"), size(bytes)));
    Ok(0)
}
