//! Changes in words: one line each, and the summary that `sandbar run` ends with.

use std::{collections::BTreeSet, fmt::Write};

use sandbar_types::{Change, ChangeFlag, ChangeKind, WorkspacePath};

use crate::output::{units::counted, visible};

/// LIMIT: paths that a summary names; the rest is counted.
const SUMMARY_PATHS_MAX: usize = 10;

/// The letter of a change, as git writes it.
pub(crate) fn letter(kind: ChangeKind) -> char {
    match kind {
        ChangeKind::Added => 'A',
        ChangeKind::Modified => 'M',
        ChangeKind::Deleted => 'D',
        ChangeKind::TypeChanged => 'T',
        ChangeKind::ModeChanged => 'X',
        ChangeKind::XattrChanged => 'P',
    }
}

/// The name of a flag, as JSON and `--allow` write it.
pub(crate) fn flag_name(flag: ChangeFlag) -> String {
    match serde_json::to_value(flag) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(_) | Err(_) => unreachable!("a flag is written as text"),
    }
}

/// The flags of a change, apart by commas; empty without any.
pub(crate) fn flag_names(flags: &BTreeSet<ChangeFlag>) -> String {
    flags.iter().map(|&flag| flag_name(flag)).collect::<Vec<_>>().join(",")
}

/// `+12 -3` for text, `binary` for what is not, nothing for what has no content.
pub(crate) fn lines(change: &Change) -> String {
    match change.lines {
        // A change of mode alone.
        Some(lines) if lines.added == 0 && lines.removed == 0 => String::new(),
        Some(lines) => format!("+{} -{}", lines.added, lines.removed),
        None if change.binary => "binary".to_owned(),
        None => String::new(),
    }
}

/// `2 added, 1 modified, 3 deleted`.
pub(crate) fn counts(changes: &[Change]) -> String {
    let words = [
        (ChangeKind::Added, "added"),
        (ChangeKind::Modified, "modified"),
        (ChangeKind::Deleted, "deleted"),
        (ChangeKind::TypeChanged, "type changed"),
        (ChangeKind::ModeChanged, "mode changed"),
        (ChangeKind::XattrChanged, "attributes changed"),
    ];
    words
        .iter()
        .map(|&(kind, word)| (changes.iter().filter(|change| change.kind == kind).count(), word))
        .filter(|&(count, _word)| count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What the project's ignore rules leave out: the topmost paths, each with the number of changes it stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ignored(Vec<(WorkspacePath, usize)>);

/// Parts changes, ordered by path, from those that the project's ignore rules leave out.
pub(crate) fn part_ignored(changes: Vec<Change>) -> (Vec<Change>, Ignored) {
    let mut tops: Vec<(WorkspacePath, usize)> = Vec::new();
    let is_ignored = |change: &Change| change.flags.contains(&ChangeFlag::Ignored);
    let (ignored, kept): (Vec<_>, Vec<_>) = changes.into_iter().partition(is_ignored);
    for Change { path, .. } in ignored {
        match tops.last_mut() {
            Some((top, count)) if path.is_within(top) => *count += 1,
            _ => tops.push((path, 1)),
        }
    }
    (kept, Ignored(tops))
}

impl Ignored {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `node_modules (1203 changes), .env`.
    pub(crate) fn in_words(&self) -> String {
        let word = |(path, count): &(WorkspacePath, usize)| match count {
            1 => visible::line(path.as_bytes()),
            _ => format!("{} ({})", visible::line(path.as_bytes()), counted(*count, "change")),
        };
        let mut words: Vec<_> = self.0.iter().take(SUMMARY_PATHS_MAX).map(word).collect();
        if self.0.len() > SUMMARY_PATHS_MAX {
            words.push(format!("{} more", self.0.len() - SUMMARY_PATHS_MAX));
        }
        words.join(", ")
    }
}

/// What changed, in a few lines: the counts, the first paths, and what to look at twice.
pub(crate) fn summary(sandbox: &str, changes: Vec<Change>) -> String {
    let mut out = String::new();
    let name = visible::line(sandbox);
    let (changes, ignored) = part_ignored(changes);
    let counts = match counts(&changes) {
        counts if counts.is_empty() => counts,
        counts => format!(" ({counts})"),
    };
    writeln!(out, "{name}: {}{counts}", counted(changes.len(), "change"))
        .expect("a String takes every write");
    for change in changes.iter().take(SUMMARY_PATHS_MAX) {
        let path = visible::line(change.path.as_bytes());
        let flags = match flag_names(&change.flags) {
            names if names.is_empty() => names,
            names => format!("  [{names}]"),
        };
        writeln!(out, "  {} {path}{flags}", letter(change.kind))
            .expect("a String takes every write");
    }
    if changes.len() > SUMMARY_PATHS_MAX {
        writeln!(out, "  … and {} more", changes.len() - SUMMARY_PATHS_MAX)
            .expect("a String takes every write");
    }
    if !ignored.is_empty() {
        writeln!(out, "  ignored by your rules: {}", ignored.in_words())
            .expect("a String takes every write");
    }
    out
}

/// What to type after a run that left changes.
pub(crate) fn next_steps(sandbox: &str) -> String {
    let name = visible::line(sandbox);
    let steps = [
        (format!("sandbar diff {name}"), "look at them"),
        (format!("sandbar approve {name} --all"), "write them to your directory"),
        (format!("sandbar reject {name} --all"), "drop them"),
        (format!("sandbar rm {name}"), "remove the sandbox and everything in it"),
    ];
    let width = steps.iter().map(|(command, _what)| command.len()).max().unwrap_or(0);
    steps.iter().map(|(command, what)| format!("  {command:width$}  {what}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::change;

    #[test]
    fn a_summary_counts_names_and_warns() {
        let mut hook = change(".envrc", ChangeKind::Added);
        hook.flags.extend([ChangeFlag::ExecOnOpen, ChangeFlag::NameBidi]);
        let changes = [
            hook,
            change("src/\u{202e}a\x1b[2J", ChangeKind::Modified),
            change("old", ChangeKind::Deleted),
        ];
        assert_eq!(
            summary("calm-bay", changes.to_vec()),
            "calm-bay: 3 changes (1 added, 1 modified, 1 deleted)\n  A .envrc  [exec_on_open,name_bidi]\n  M src/\\u{202e}a\\x1b[2J\n  D old\n"
        );
    }

    #[test]
    fn a_long_summary_counts_the_rest() {
        let changes: Vec<_> =
            (0..25).map(|n| change(format!("f{n:02}"), ChangeKind::Added)).collect();
        let text = summary("x", changes);
        assert_eq!(text.lines().count(), 12);
        assert!(text.ends_with("  A f09\n  … and 15 more\n"), "{text}");
    }

    #[test]
    fn what_is_ignored_is_named_by_its_top_and_counted() {
        let mut changes = ["deps", "deps/a", "deps/b", "out.log", "src/a.rs"]
            .map(|path| change(path, ChangeKind::Added));
        for ignored in &mut changes[..4] {
            ignored.flags.insert(ChangeFlag::Ignored);
        }
        let text = summary("x", changes.to_vec());
        assert_eq!(
            text,
            "x: 1 change (1 added)\n  A src/a.rs\n  ignored by your rules: deps (3 changes), out.log\n"
        );
        let only = summary("x", changes[3..4].to_vec());
        assert_eq!(only, "x: 0 changes\n  ignored by your rules: out.log\n");
    }

    #[test]
    fn the_next_steps_name_the_sandbox() {
        assert_eq!(
            next_steps("calm-bay").lines().filter(|line| line.contains(" calm-bay")).count(),
            4
        );
    }
}
