//! `sandbar gc`: removes what nobody needs.

use sandbar_api::{GcOutcome, GcRequest, paths};

use crate::{
    context::Context,
    failure::{Code, Failure},
    output::{
        table::Table,
        units::{counted, size},
        visible,
    },
};

/// Clean up leftovers of removed sandboxes, old logs and history.
///
/// Changes that wait for review are never touched, unless their sandbox is named with `--with-changes`.
///
/// Columns: what, sandbox, size, reason.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar gc --dry-run\n  sandbar gc --sandbox web --with-changes"
)]
pub(crate) struct Args {
    /// Only say what would go.
    #[arg(long)]
    dry_run: bool,
    /// Only this sandbox, which must be stopped.
    #[arg(long, value_name = "SANDBOX")]
    sandbox: Option<String>,
    /// Drop the changes of that sandbox, too.
    #[arg(long, requires = "sandbox")]
    with_changes: bool,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let out = context.out;
    let Args { dry_run, sandbox, with_changes } = args;
    let request = GcRequest { dry_run, sandbox, with_changes };
    let outcome: GcOutcome =
        out.during("cleaning up", context.client.post(paths::GC, &request)).await?;
    let failed = outcome.actions.iter().filter(|action| action.error.is_some()).count();
    let code = if failed > 0 { Code::Unexpected as u8 } else { 0 };
    if out.is_json() {
        out.json(&outcome)?;
        return Ok(code);
    }
    let mut table = Table::new(&["WHAT", "SANDBOX", "SIZE", "REASON"]);
    for action in &outcome.actions {
        table.push([
            action.what.clone(),
            action.sandbox_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
            action.bytes.map_or_else(|| "-".to_owned(), size),
            match &action.error {
                None => action.reason.clone(),
                Some(error) => format!("not removed: {}", visible::line(error)),
            },
        ]);
    }
    if !outcome.actions.is_empty() {
        out.table(&table)?;
    }
    let verb = if outcome.dry_run { "would remove" } else { "removed" };
    let gone: Vec<_> = outcome.actions.iter().filter(|action| action.error.is_none()).collect();
    let bytes = gone.iter().filter_map(|action| action.bytes).sum();
    out.say(&format!("{verb} {}, {}", counted(gone.len(), "thing"), size(bytes)));
    if failed > 0 {
        out.say(&format!("{} could not be removed", counted(failed, "thing")));
    }
    Ok(code)
}
