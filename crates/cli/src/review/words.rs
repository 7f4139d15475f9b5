//! Flags, kinds and entries in plain words.

use sandbar_types::{Change, ChangeFlag, ChangeKind, Entry};

use crate::output::{units, visible};

/// A flag in one or two words, for a list.
pub(crate) fn short(flag: ChangeFlag) -> &'static str {
    match flag {
        ChangeFlag::Protected => "protected",
        ChangeFlag::ExecOnOpen => "runs by itself",
        ChangeFlag::ExecBit => "executable",
        ChangeFlag::SymlinkExternal => "link leads out",
        ChangeFlag::SymlinkAbsolute => "absolute link",
        ChangeFlag::Special => "special",
        ChangeFlag::Setuid => "setuid",
        ChangeFlag::XattrDropped => "attributes",
        ChangeFlag::NameControlChars => "odd name",
        ChangeFlag::NameBidi => "hidden name",
        ChangeFlag::NameNonUtf8 => "name no text",
        ChangeFlag::CaseCollision => "same but case",
        ChangeFlag::BaseDrifted => "you changed it",
        ChangeFlag::ContentBidi => "hidden text",
        ChangeFlag::Opaque => "whole directory",
        ChangeFlag::TruncatedDisplay => "too large",
        ChangeFlag::Ignored => "ignored",
    }
}

/// A flag in a sentence, for whoever looks at the file.
pub(crate) fn sentence(flag: ChangeFlag) -> &'static str {
    match flag {
        ChangeFlag::Protected => "a protected name: it is never written to your directory",
        ChangeFlag::ExecOnOpen => "your tools may run this when they open, build or commit",
        ChangeFlag::ExecBit => "it becomes executable",
        ChangeFlag::SymlinkExternal => "a link that leads out of your directory",
        ChangeFlag::SymlinkAbsolute => "a link with an absolute target",
        ChangeFlag::Special => "a fifo, socket or device: it is never written",
        ChangeFlag::Setuid => "its setuid, setgid or sticky bit is dropped",
        ChangeFlag::XattrDropped => "its extended attributes are dropped",
        ChangeFlag::NameControlChars => "control characters in the name, written out here",
        ChangeFlag::NameBidi => "reordering or invisible characters in the name, written out here",
        ChangeFlag::NameNonUtf8 => "the name is not UTF-8",
        ChangeFlag::CaseCollision => "another name here differs only by case",
        ChangeFlag::BaseDrifted => "your directory changed it too, since the sandbox began",
        ChangeFlag::ContentBidi => {
            "reordering or invisible characters in the text, written out here"
        }
        ChangeFlag::Opaque => "part of a directory that was replaced as a whole",
        ChangeFlag::TruncatedDisplay => "too large to be shown",
        ChangeFlag::Ignored => "the ignore rules of your directory leave it out",
    }
}

/// What happened to a path, in a word.
pub(crate) fn kind(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "added",
        ChangeKind::Modified => "modified",
        ChangeKind::Deleted => "deleted",
        ChangeKind::TypeChanged => "type changed",
        ChangeKind::ModeChanged => "mode changed",
        ChangeKind::XattrChanged => "attributes changed",
    }
}

/// What there is to say about a change without hunks: both sides, a line each.
pub(crate) fn sides(change: &Change) -> [String; 2] {
    let side = |entry: Option<&Entry>| entry.map_or_else(|| "nothing".to_owned(), of_entry);
    [
        format!("yours:   {}", side(change.old.as_ref())),
        format!("sandbox: {}", side(change.new.as_ref())),
    ]
}

fn of_entry(entry: &Entry) -> String {
    match entry {
        Entry::File { size, mode, sha256 } => {
            let hash = sha256.to_string();
            format!("file, {}, mode {mode:o}, sha256 {}…", units::size(*size), &hash[..12])
        }
        Entry::Directory { mode } => format!("directory, mode {mode:o}"),
        Entry::Symlink { target } => format!("link to {}", visible::line(&target.0)),
        Entry::Special { what } => visible::line(what),
    }
}
