//! `sandbar undo`: takes the last approve back.

use std::path::PathBuf;

use sandbar_api::paths;
use sandbar_types::{ApproveId, UndoOutcome};

use crate::{
    approves,
    context::Context,
    failure::Failure,
    output::{units::counted, visible},
};

/// LIMIT: paths that are named; the rest is counted.
const PATHS_MAX: usize = 20;

/// Take the last approve of your directory back.
///
/// Everything that it wrote is as it was before, or nothing is touched. What you changed since is merged where it is
/// text and lies apart; where it overlaps the undo is refused and names it. The sandbox may be gone; when it is there,
/// its changes are pending again. Undo again to take the approve before that back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sandbar undo\n  sandbar undo --source ~/code/shop")]
pub(crate) struct Args {
    /// The approve, as `sandbar log` names it; default: the last one of the directory.
    #[arg(value_name = "APPROVE", conflicts_with = "source")]
    approve: Option<ApproveId>,
    /// The directory whose last approve is taken back; default: the one that you are in.
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let out = context.out;
    let id = match args.approve {
        Some(id) => id,
        None => {
            let source = approves::source(context, args.source.as_deref()).await?;
            approves::last(context, &source).await?.id
        }
    };
    let path = paths::undo(&id.to_string());
    let outcome: UndoOutcome =
        out.during("undoing", context.client.post(&path, &serde_json::json!({}))).await?;
    if out.is_json() {
        out.json(&outcome)?;
        return Ok(0);
    }
    out.say(&report(&outcome));
    Ok(0)
}

fn report(outcome: &UndoOutcome) -> String {
    let source = visible::line(outcome.source.as_path().as_os_str().as_encoded_bytes());
    let count = counted(outcome.restored.len(), "path");
    let mut lines = vec![format!("took {} back: {count} restored in {source}", outcome.undone)];
    for path in outcome.restored.iter().take(PATHS_MAX) {
        let merged = match outcome.merged.contains(path) {
            true => " (merged with your later changes)",
            false => "",
        };
        lines.push(format!("  {}{merged}", visible::line(path.as_bytes())));
    }
    if let Some(more @ 1..) = outcome.restored.len().checked_sub(PATHS_MAX) {
        lines.push(format!("  … and {more} more"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use sandbar_types::{HostPath, WorkspacePath};

    use super::*;

    #[test]
    fn what_was_merged_is_said_and_what_is_long_is_counted() {
        let path = |name: String| WorkspacePath::parse(name).unwrap();
        let restored: Vec<_> = (10..32).map(|n| path(format!("f{n}\x1b[2J"))).collect();
        let outcome = UndoOutcome {
            id: ApproveId::generate(),
            undone: "ap_00000000000070008000000000000001".parse().unwrap(),
            source: HostPath::parse("/code").unwrap(),
            merged: vec![restored[0].clone()],
            restored,
        };
        let text = report(&outcome);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            "took ap_00000000000070008000000000000001 back: 22 paths restored in /code"
        );
        assert_eq!(lines[1], "  f10\\x1b[2J (merged with your later changes)");
        assert_eq!((lines.len(), lines[21]), (22, "  … and 2 more"));
    }
}
