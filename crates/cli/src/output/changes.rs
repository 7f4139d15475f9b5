//! Changes in words: one line each, and the summary that `sandbar run` ends with.

use std::{collections::BTreeSet, fmt::Write};

use sandbar_types::{Change, ChangeFlag, ChangeKind};

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

/// What changed, in a few lines: the counts, the first paths, and what to look at twice.
pub(crate) fn summary(sandbox: &str, changes: &[Change]) -> String {
    let mut out = String::new();
    let name = visible::line(sandbox);
    writeln!(out, "{name}: {} ({})", counted(changes.len(), "change"), counts(changes))
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
            summary("calm-bay", &changes),
            "calm-bay: 3 changes (1 added, 1 modified, 1 deleted)\n  A .envrc  [exec_on_open,name_bidi]\n  M src/\\u{202e}a\\x1b[2J\n  D old\n"
        );
    }

    #[test]
    fn a_long_summary_counts_the_rest() {
        let changes: Vec<_> =
            (0..25).map(|n| change(format!("f{n:02}"), ChangeKind::Added)).collect();
        let text = summary("x", &changes);
        assert_eq!(text.lines().count(), 12);
        assert!(text.ends_with("  A f09\n  … and 15 more\n"), "{text}");
    }

    #[test]
    fn the_next_steps_name_the_sandbox() {
        assert_eq!(
            next_steps("calm-bay").lines().filter(|line| line.contains(" calm-bay")).count(),
            4
        );
    }
}
