//! Approving by rules: what a person said beforehand may be approved without them.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use sandbar_types::{
    AcceptOutcome, AcceptanceRules, Actor, Change, ChangeFlag, Confirmed, Entry, NeedsPerson,
    SandboxId, Selection, Waiting, WorkspacePath,
};
use sandbar_workspace::apply::NEEDS_CONFIRMATION;

use super::{ApproveParams, Resolutions};
use crate::{Engine, Error, ErrorKind, Result};

/// LIMIT: patterns of one sandbox.
const PATTERNS_MAX: usize = 100;

/// What no rule can say yes to, beside what needs an explicit yes.
const NEVER_BY_RULE: [ChangeFlag; 7] = [
    ChangeFlag::Protected,
    ChangeFlag::Special,
    ChangeFlag::Setuid,
    ChangeFlag::BaseDrifted,
    ChangeFlag::Opaque,
    ChangeFlag::TruncatedDisplay,
    ChangeFlag::Ignored,
];

impl Engine {
    /// Approves what the rules of a sandbox allow, as the rules and not as anybody.
    ///
    /// # Errors
    /// `no_acceptance_rules`, `acceptance_limit` (with the numbers), and those of [`Engine::approve`].
    pub async fn accept(&self, id: SandboxId) -> Result<AcceptOutcome> {
        let row = self.inner.actor(id)?.row();
        let rules = row.spec.acceptance.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::Invalid,
                "no_acceptance_rules",
                "the sandbox was made without rules for approving without a person",
            )
            .hint("approve by yourself, or make the sandbox with `--accept-files`")
        })?;
        let changes = self.changes(id).await?;
        let Accepted { paths, waiting } = decide(rules, &changes.set.changes)?;
        if paths.is_empty() {
            return Ok(AcceptOutcome { approve: None, waiting });
        }
        let params = ApproveParams {
            diff_id: changes.set.diff_id,
            selection: Selection::Paths(paths),
            confirm: Confirmed::default(),
            resolutions: Resolutions::default(),
            commit: None,
            generation: Some(changes.generation),
        };
        let approve = Some(self.approve_by(id, params, Actor::Rules).await?);
        Ok(AcceptOutcome { approve, waiting })
    }
}

/// What the rules say.
#[derive(Debug, PartialEq, Eq)]
struct Accepted {
    paths: Vec<WorkspacePath>,
    waiting: Vec<Waiting>,
}

/// Reads the patterns of `rules`, each of which must be one.
pub(crate) fn patterns(rules: &AcceptanceRules) -> Result<GlobSet> {
    let invalid = |message: String| Error::new(ErrorKind::Invalid, "invalid_value", message);
    if rules.paths.len() > PATTERNS_MAX {
        return Err(invalid(format!("`acceptance.paths` has more than {PATTERNS_MAX} patterns")));
    }
    let mut set = GlobSetBuilder::new();
    for text in &rules.paths {
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        set.add(glob.map_err(|err| invalid(format!("`{text}` is no pattern: {}", err.kind())))?);
    }
    set.build().map_err(|err| invalid(err.kind().to_string()))
}

/// Decides what of `changes` may go without a person. Pure.
fn decide(rules: &AcceptanceRules, changes: &[Change]) -> Result<Accepted> {
    let patterns = patterns(rules)?;
    let (mut paths, mut waiting, mut lines) = (Vec::new(), Vec::new(), 0_u64);
    for change in changes {
        match needs_person(&patterns, change) {
            Some(why) => waiting.push(Waiting { path: change.path.clone(), why }),
            None => {
                let count = change.lines.unwrap_or_default();
                lines = lines.saturating_add(count.added).saturating_add(count.removed);
                paths.push(change.path.clone());
            }
        }
    }
    if paths.len() > rules.files_max as usize || lines > rules.lines_max {
        return Err(Error::new(
            ErrorKind::Conflict,
            "acceptance_limit",
            format!(
                "{} paths and {lines} lines are more than may go without a person",
                paths.len()
            ),
        )
        .hint("look at them: `sandbar review`")
        .details(&serde_json::json!({
            "files": paths.len(), "files_max": rules.files_max,
            "lines": lines, "lines_max": rules.lines_max,
        })));
    }
    Ok(Accepted { paths, waiting })
}

fn needs_person(patterns: &GlobSet, change: &Change) -> Option<NeedsPerson> {
    let forbidding = NEVER_BY_RULE.iter().chain(&NEEDS_CONFIRMATION);
    if let Some(flag) = forbidding.copied().find(|flag| change.flags.contains(flag)) {
        return Some(NeedsPerson::Flagged(flag));
    }
    let is_directory =
        |entry: &Option<Entry>| matches!(entry, None | Some(Entry::Directory { .. }));
    let is_only_directory = is_directory(&change.old) && is_directory(&change.new);
    if change.lines.is_none() && !is_only_directory {
        return Some(NeedsPerson::NotText);
    }
    // A new directory comes with what is in it; by itself it is nothing.
    let is_listed = patterns.is_empty()
        || is_only_directory
        || patterns.is_match(OsStr::from_bytes(change.path.as_bytes()));
    (!is_listed).then_some(NeedsPerson::PathNotListed)
}

#[cfg(test)]
mod tests {
    use sandbar_types::{ChangeKind, LineCount, Sha256};

    use super::*;

    fn change(path: &str, lines: Option<u64>, flags: &[ChangeFlag]) -> Change {
        Change {
            path: WorkspacePath::parse(path).unwrap(),
            kind: ChangeKind::Added,
            old: None,
            new: Some(Entry::File { size: 1, mode: 0o644, sha256: Sha256([0; 32]) }),
            binary: lines.is_none(),
            lines: lines.map(|added| LineCount { added, removed: 0 }),
            renamed_from: None,
            flags: flags.iter().copied().collect(),
        }
    }

    fn rules(paths: &[&str]) -> AcceptanceRules {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        AcceptanceRules { files_max: 2, lines_max: 10, paths }
    }

    #[test]
    fn what_the_rules_list_goes_and_the_rest_waits_with_its_reason() {
        let changes = [
            change("docs/a.md", Some(3), &[]),
            change("docs/deep/b.md", Some(3), &[]),
            change("docs/c.png", None, &[]),
            change("docs/d.md", Some(1), &[ChangeFlag::ContentBidi]),
            change("src/main.rs", Some(1), &[]),
            change(".git/config", Some(1), &[ChangeFlag::Protected]),
        ];
        let Accepted { paths, waiting } = decide(&rules(&["docs/**/*"]), &changes).unwrap();
        assert_eq!(paths, [changes[0].path.clone(), changes[1].path.clone()]);
        let why: Vec<_> = waiting.iter().map(|one| one.why).collect();
        assert_eq!(
            why,
            [
                NeedsPerson::NotText,
                NeedsPerson::Flagged(ChangeFlag::ContentBidi),
                NeedsPerson::PathNotListed,
                NeedsPerson::Flagged(ChangeFlag::Protected),
            ]
        );
    }

    #[test]
    fn a_star_stays_within_a_name() {
        let changes = [change("docs/deep/b.md", Some(1), &[])];
        assert_eq!(decide(&rules(&["docs/*"]), &changes).unwrap().paths, []);
        assert_eq!(decide(&rules(&[]), &changes).unwrap().paths.len(), 1);
        assert!(patterns(&rules(&["docs/[a"])).is_err());
    }

    #[test]
    fn beyond_a_limit_everything_waits() {
        let three = ["a", "b", "c"].map(|path| change(path, Some(1), &[]));
        assert_eq!(decide(&rules(&[]), &three).unwrap_err().code(), "acceptance_limit");
        let long = [change("a", Some(11), &[])];
        assert_eq!(decide(&rules(&[]), &long).unwrap_err().code(), "acceptance_limit");
        assert_eq!(decide(&rules(&[]), &[change("a", Some(10), &[])]).unwrap().paths.len(), 1);
    }
}
