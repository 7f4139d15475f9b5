//! `sandbar log`: what was approved.

use std::{fmt::Write, path::PathBuf};

use jiff::Timestamp;
use sandbar_api::Approve;

use crate::{
    approves::{self, actor},
    commands::ls::age,
    context::Context,
    failure::Failure,
    output::{changes::letter, visible},
};

/// LIMIT: paths that are named of each approve; the rest is counted.
const PATHS_MAX: usize = 10;

/// Show what was approved to your directory: when, from which sandbox, by whom, and which paths.
///
/// The newest first. What was undone says so. It is remembered for 90 days, after the sandbox is gone as well.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sandbar log\n  sandbar log src/main.rs -n 5")]
pub(crate) struct Args {
    /// Only approves that wrote this path, or something below it.
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// The directory; default: the one that you are in.
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
    /// At most so many.
    #[arg(short = 'n', value_name = "N", default_value_t = 20)]
    count: usize,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let out = context.out;
    let source = approves::source(context, args.source.as_deref()).await?;
    let path = match &args.path {
        None => None,
        Some(path) => approves::below(&source, path)?,
    };
    let found = approves::list(&mut context.client, &source, path.as_ref(), args.count).await?;
    if out.is_json() {
        out.json(&found)?;
        return Ok(0);
    }
    if found.is_empty() {
        let shown = args.path.as_deref().unwrap_or(source.as_path());
        let shown = visible::line(shown.as_os_str().as_encoded_bytes());
        out.say(&format!("no approve wrote to `{shown}`"));
        return Ok(0);
    }
    let now = Timestamp::now();
    let shown: Vec<_> = found.iter().map(|one| entry(one, now)).collect();
    out.raw(shown.join("\n").as_bytes())?;
    Ok(0)
}

/// One approve, in lines that a narrow terminal can hold.
fn entry(one: &Approve, now: Timestamp) -> String {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| {
        writeln!(text, "{line}").expect("a String takes every write");
    };
    match (&one.undoes, &one.undone_by) {
        (Some(undone), _) => {
            line(format_args!("undo {}", one.id));
            line(format_args!("Undoes:  {undone}"));
        }
        (None, Some(_)) => line(format_args!("approve {} (undone)", one.id)),
        (None, None) => line(format_args!("approve {}", one.id)),
    }
    let at = one.at.strftime("%Y-%m-%d %H:%M UTC");
    line(format_args!("Date:    {at}, {} ago", age(one.at, now)));
    line(format_args!("Sandbox: {}", visible::line(one.sandbox_name.as_str())));
    line(format_args!("Actor:   {}", actor(&one.actor)));
    if let Some(commit) = &one.commit {
        line(format_args!("Commit:  {}", visible::line(commit)));
    }
    for path in one.paths.iter().take(PATHS_MAX) {
        line(format_args!("  {} {}", letter(path.kind), visible::line(path.path.as_bytes())));
    }
    let shown = one.paths.len().min(PATHS_MAX) as u64;
    if let Some(more @ 1..) = one.paths_total.checked_sub(shown) {
        line(format_args!("  … and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use sandbar_types::{
        Actor, ApproveId, ApprovedPath, ChangeKind, HostPath, SandboxId, WorkspacePath,
    };

    use super::*;

    fn approve(paths: &[(&str, ChangeKind)]) -> Approve {
        let path = |(path, kind): &(&str, ChangeKind)| ApprovedPath {
            path: WorkspacePath::parse(path).unwrap(),
            kind: *kind,
            before: None,
            after: None,
        };
        Approve {
            id: "ap_00000000000070008000000000000001".parse().unwrap(),
            source: HostPath::parse("/code").unwrap(),
            sandbox_id: SandboxId::generate(),
            sandbox_name: "calm-bay".parse().unwrap(),
            actor: Actor::User { uid: 1000, name: Some("me".to_owned()) },
            at: Timestamp::constant(1_700_000_000, 0),
            commit: None,
            undoes: None,
            undone_by: None,
            is_undoable: true,
            paths_total: paths.len() as u64,
            paths: paths.iter().map(path).collect(),
        }
    }

    #[test]
    fn an_approve_reads_like_a_commit_and_hides_nothing_of_a_name() {
        let mut one = approve(&[("a\x1b[2J", ChangeKind::Modified), ("b", ChangeKind::Deleted)]);
        one.paths_total = 300;
        one.commit = Some("5f1c".to_owned());
        let now = Timestamp::constant(1_700_000_720, 0);
        assert_eq!(
            entry(&one, now),
            "approve ap_00000000000070008000000000000001\nDate:    2023-11-14 22:13 UTC, 12m ago\n\
             Sandbox: calm-bay\nActor:   me\nCommit:  5f1c\n  M a\\x1b[2J\n  D b\n  … and 298 more\n"
        );
        one.undone_by = Some(ApproveId::generate());
        assert!(
            entry(&one, now).starts_with("approve ap_00000000000070008000000000000001 (undone)\n")
        );
        one.undoes = one.undone_by.take();
        assert!(
            entry(&one, now).starts_with("undo ap_00000000000070008000000000000001\nUndoes:  ap_")
        );
    }

    #[test]
    fn many_paths_are_counted() {
        let names: Vec<_> = (0..12).map(|n| format!("f{n}")).collect();
        let paths: Vec<_> = names.iter().map(|name| (&**name, ChangeKind::Added)).collect();
        let text = entry(&approve(&paths), Timestamp::constant(1_700_000_000, 0));
        assert!(text.ends_with("  A f9\n  … and 2 more\n"), "{text}");
    }
}
