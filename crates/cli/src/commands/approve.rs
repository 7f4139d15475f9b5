//! `sandbar approve`: writes changes to the source.

use std::ffi::OsString;

use sandbar_api::{ApproveRequest, Sandbox, paths};
use sandbar_types::{
    ApproveOutcome, Change, ChangeFlag, ChangeSet, DiffId, PathFlags, Selection, Sha256,
};

use crate::{
    accept,
    commands::changes::fetch_changes,
    commit::{self, CommitArgs},
    context::Context,
    failure::Failure,
    output::{
        changes::{counts, flag_name, part_ignored},
        units::counted,
        visible,
    },
    picks,
    resolve::{ResolveArgs, one_path},
    select::{self, Paths},
};

/// Write changes to your directory: all of them, those below the paths, or parts of files.
///
/// All of what is selected is written, or nothing. What you changed yourself meanwhile is never overwritten: it is
/// merged, and where the same lines changed the approve is refused until you say whose count. Changes that the host
/// may obey without being asked (hooks, editor tasks) need an explicit yes by `--allow`. What the ignore rules of your
/// directory leave out stays in the sandbox, unless you name it or say `--allow ignored`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar approve --all\n  sandbar approve calm-bay src README.md\n  sandbar approve --all --allow exec_on_open\n  sandbar approve --hunk src/cart.rs:4f1c9a30d27be865\n  sandbar approve --all --commit -m \"Cart page\""
)]
pub(crate) struct Args {
    /// Name or id of the sandbox (default: the only one over the current directory), then paths.
    #[arg(value_name = "[SANDBOX] PATH")]
    words: Vec<OsString>,
    /// Approve every change.
    #[arg(long, short)]
    all: bool,
    /// Approve what the rules that the sandbox was made with let go without a person, as `--accept-files` gave them.
    #[arg(long, conflicts_with_all = ["all", "hunk", "parts", "patch", "allow", "force", "commit"])]
    by_rules: bool,
    #[command(flatten)]
    picks: picks::Args,
    /// Say yes to changes with this flag, as `sandbar changes` shows it: wherever it is, or at one path. May be repeated.
    #[arg(long, value_name = "FLAG[:PATH]", value_parser = parse_yes)]
    allow: Vec<Yes>,
    #[command(flatten)]
    resolve: ResolveArgs,
    /// Only if the changes are still those of this id, as `sandbar changes --json` prints it.
    #[arg(long, value_name = "ID", value_parser = parse_diff_id)]
    if_diff: Option<DiffId>,
    #[command(flatten)]
    commit: CommitArgs,
}

/// A flag that is said yes to, wherever it is or at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Yes {
    flag: ChangeFlag,
    path: Option<OsString>,
}

fn parse_yes(text: &str) -> Result<Yes, String> {
    let (flag, path) = match text.split_once(':') {
        Some((flag, path)) => (flag, Some(OsString::from(path))),
        None => (text, None),
    };
    Ok(Yes { flag: parse_flag(flag)?, path })
}

fn at_paths(sandbox: &Sandbox, allow: &[Yes]) -> Result<Vec<PathFlags>, Failure> {
    let mut all = Vec::new();
    for yes in allow {
        if let Some(path) = &yes.path {
            let path = one_path(sandbox, path)?;
            all.push(PathFlags { path, flags: [yes.flag].into() });
        }
    }
    Ok(all)
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let (sandbox, words) = select::sandbox_and_paths(context, &args.words).await?;
    if args.by_rules {
        if !words.is_empty() {
            return Err(Failure::usage("--by-rules and paths exclude each other"));
        }
        accept::accept(context, &sandbox).await?;
        return Ok(0);
    }
    let asked = Asked::of(&sandbox, &words, args.all, &args.picks)?;
    let commit = args.commit.into_spec()?;
    let out = context.out;
    let id = sandbox.id.to_string();
    let set = out.during("looking at the changes", fetch_changes(context, &id)).await?;
    let selection = asked.selection(context, &sandbox, &set).await?;
    if meant(&set, &selection).is_empty() {
        return Err(Failure::not_found("nothing to approve: no change is there")
            .hint(format!("see `sandbar changes {}`", sandbox.name)));
    }
    let request = ApproveRequest {
        diff_id: args.if_diff.unwrap_or(set.diff_id),
        selection,
        confirm: args.allow.iter().filter(|yes| yes.path.is_none()).map(|yes| yes.flag).collect(),
        confirm_paths: at_paths(&sandbox, &args.allow)?,
        resolutions: args.resolve.resolutions(&sandbox)?,
        otherwise: args.resolve.otherwise(),
        commit,
    };
    let outcome: ApproveOutcome = out
        .during("approving", context.client.post(&paths::below_sandbox(&id, "approve"), &request))
        .await?;
    if out.is_json() {
        out.json(&outcome)?;
        return Ok(0);
    }
    // Asked for again: of a file of which hunks were approved, the rest is pending.
    let left = fetch_changes(context, &id).await?;
    report(context, &sandbox, &set, &outcome, left.changes);
    Ok(0)
}

fn report(
    context: &Context,
    sandbox: &Sandbox,
    set: &ChangeSet,
    outcome: &ApproveOutcome,
    left: Vec<Change>,
) {
    let out = context.out;
    let applied: Vec<_> = set
        .changes
        .iter()
        .filter(|change| outcome.applied.binary_search(&change.path).is_ok())
        .cloned()
        .collect();
    let place = select::source_path(sandbox).map_or_else(String::new, |source| {
        format!(" to {}", visible::line(source.as_os_str().as_encoded_bytes()))
    });
    let counts = match counts(&applied) {
        counts if counts.is_empty() => counts,
        counts => format!(" ({counts})"),
    };
    out.say(&format!("approved {}{place}{counts}", counted(outcome.applied.len(), "change")));
    for skipped in &outcome.skipped {
        out.say(&format!(
            "  left pending: {} ({})",
            visible::line(skipped.path.as_bytes()),
            flag_name(skipped.flag)
        ));
    }
    commit::report(out, outcome);
    let name = &sandbox.name;
    match part_ignored(left) {
        (left, ignored) if left.is_empty() && ignored.is_empty() => {
            out.say(&format!("nothing is left in {name}; remove it with `sandbar rm {name}`"));
        }
        (left, ignored) if left.is_empty() => {
            out.say(&format!("left is only what your rules ignore: {}", ignored.in_words()));
        }
        (left, _) => out
            .say(&format!("{} left; see `sandbar changes {name}`", counted(left.len(), "change"))),
    }
}

/// What a decision is about, as the command line says it.
pub(crate) enum Asked<'a> {
    Paths(Paths),
    Picks(&'a picks::Args),
}

impl<'a> Asked<'a> {
    /// # Errors
    /// Nothing is asked for, or two things that exclude each other.
    pub(crate) fn of(
        sandbox: &Sandbox,
        words: &[OsString],
        is_all: bool,
        picks: &'a picks::Args,
    ) -> Result<Self, Failure> {
        match (picks.is_given(), is_all, words) {
            (false, _, words) => selected(sandbox, words, is_all).map(Self::Paths),
            (true, false, []) => Ok(Self::Picks(picks)),
            (true, _, [..]) => Err(Failure::usage("parts of files exclude --all and paths")
                .hint("name the sandbox, then --hunk, --patch or --parts")),
        }
    }

    /// The same for the server.
    ///
    /// # Errors
    /// Parts that cannot be read, or are not pending.
    pub(crate) async fn selection(
        self,
        context: &mut Context,
        sandbox: &Sandbox,
        set: &ChangeSet,
    ) -> Result<Selection, Failure> {
        match self {
            Self::Paths(Paths::All) => Ok(Selection::All),
            Self::Paths(Paths::Some(paths)) => Ok(Selection::Paths(paths)),
            Self::Picks(picks) => {
                picks.parts(&mut context.client, sandbox, set).await.map(Selection::Parts)
            }
        }
    }
}

/// The paths that a decision is about. Everything must be asked for in words: a missing path is no way to say it.
pub(crate) fn selected(
    sandbox: &Sandbox,
    words: &[OsString],
    is_all: bool,
) -> Result<Paths, Failure> {
    match (is_all, words) {
        (true, []) => Ok(Paths::All),
        (true, [..]) => Err(Failure::usage("--all and paths exclude each other")
            .hint("name a sandbox and --all, or a sandbox and paths")),
        (false, []) => Err(Failure::usage("nothing is selected").hint("name paths, or say --all")),
        (false, words) => select::workspace_paths(sandbox, words),
    }
}

/// The changes that are selected, or have a part that is.
pub(crate) fn meant<'a>(set: &'a ChangeSet, selection: &Selection) -> Vec<&'a Change> {
    let paths = selection.paths();
    let is_meant = |change: &&Change| match &paths {
        None => true,
        Some(paths) => paths.iter().any(|path| change.path.is_within(path)),
    };
    set.changes.iter().filter(is_meant).collect()
}

fn parse_flag(text: &str) -> Result<ChangeFlag, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|_| {
        format!("`{text}` is not a flag; `sandbar changes` shows them, for example exec_on_open")
    })
}

fn parse_diff_id(text: &str) -> Result<DiffId, String> {
    text.parse::<Sha256>().map(DiffId).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use sandbar_types::{ChangeKind, WorkspacePath};

    use super::*;
    use crate::sample::{change, sandbox};

    #[test]
    fn everything_must_be_said_in_words() {
        let sandbox = sandbox("x", Some("/code"));
        let words = ["/code/src".into()];
        assert!(selected(&sandbox, &[], false).is_err());
        assert!(selected(&sandbox, &words, true).is_err());
        assert_eq!(selected(&sandbox, &[], true).unwrap(), Paths::All);
        assert_eq!(
            selected(&sandbox, &words, false).unwrap(),
            Paths::Some(vec![WorkspacePath::parse("src").unwrap()])
        );
    }

    #[test]
    fn a_directory_stands_for_what_is_below_it() {
        let changes =
            ["src", "src/a", "src_old"].map(|path| change(path, ChangeKind::Added)).to_vec();
        let set = ChangeSet { diff_id: DiffId(Sha256([0; 32])), changes };
        let selection = Selection::Paths(vec![WorkspacePath::parse("src").unwrap()]);
        assert_eq!(meant(&set, &selection).len(), 2);
        assert_eq!(meant(&set, &Selection::All).len(), 3);
    }

    #[test]
    fn a_flag_is_read_as_it_is_shown() {
        assert_eq!(parse_flag("exec_on_open"), Ok(ChangeFlag::ExecOnOpen));
        assert!(parse_flag("ExecOnOpen").is_err());
        let at = parse_yes("exec_bit:bin/a:b").unwrap();
        assert_eq!((at.flag, at.path), (ChangeFlag::ExecBit, Some("bin/a:b".into())));
    }
}
