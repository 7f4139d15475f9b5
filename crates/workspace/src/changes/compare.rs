//! One path in the source and in the workspace: whether it differs, and what to say about it.

use std::{collections::BTreeSet, io, os::fd::BorrowedFd};

use rustix::fs::FileType;
use sandbar_types::{Change, ChangeFlag, ChangeKind, Entry, LineCount, WorkspacePath};

use super::ChangeLimits;
use crate::{
    entry::{self, Identity, Keep, Stamp},
    lines, xattr,
};

/// One side of a path, looked at but not read.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) dir: BorrowedFd<'a>,
    pub(super) name: &'a [u8],
    pub(super) stamp: Stamp,
}

impl Look<'_> {
    /// Nothing else than what it was when it was looked at: frozen trees do not change.
    pub(super) fn read(&self, keep: u64) -> io::Result<Option<Side>> {
        let read = entry::identity_keeping(self.dir, self.name, Keep(keep))?;
        Ok(read.map(|(identity, kept)| Side { identity, kept }))
    }
}

/// One side of a path, read. Of a large file only the beginning is kept.
pub(super) struct Side {
    pub(super) identity: Identity,
    kept: Vec<u8>,
}

impl Side {
    pub(super) fn entry(&self) -> &Entry {
        &self.identity.entry
    }

    fn is_whole(&self) -> bool {
        self.kept.len() as u64 == self.identity.stamp.size
    }

    fn is_file(&self) -> bool {
        matches!(self.identity.entry, Entry::File { .. })
    }
}

/// Decides how two sides differ; `None` where they do not.
#[must_use]
pub fn kind(old: Option<&Entry>, new: Option<&Entry>) -> Option<ChangeKind> {
    let (old, new) = match (old, new) {
        (None, None) => return None,
        (None, Some(_)) => return Some(ChangeKind::Added),
        (Some(_), None) => return Some(ChangeKind::Deleted),
        (Some(old), Some(new)) => (old, new),
    };
    match (old, new) {
        _ if old == new => None,
        (Entry::File { sha256: was, .. }, Entry::File { sha256: is, .. }) if was == is => {
            Some(ChangeKind::ModeChanged)
        }
        (Entry::Directory { .. }, Entry::Directory { .. }) => Some(ChangeKind::ModeChanged),
        (Entry::File { .. }, Entry::File { .. })
        | (Entry::Symlink { .. }, Entry::Symlink { .. }) => Some(ChangeKind::Modified),
        (
            Entry::File { .. }
            | Entry::Directory { .. }
            | Entry::Symlink { .. }
            | Entry::Special { .. },
            _,
        ) => Some(ChangeKind::TypeChanged),
    }
}

/// Whether two sides that were only looked at are surely equal: directories and links need no reading to say so.
pub(super) fn is_same_directory(old: Option<&Look<'_>>, new: Option<&Look<'_>>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => {
            old.stamp.file_type() == FileType::Directory && old.stamp.mode == new.stamp.mode
        }
        (None | Some(_), None) | (None, Some(_)) => false,
    }
}

/// Whether only extended attributes differ, or attributes come with what is new.
pub(super) fn xattrs_differ(old: Option<&Look<'_>>, new: &Look<'_>) -> io::Result<bool> {
    xattr::differ((new.dir, new.name), old.map(|old| (old.dir, old.name)))
}

/// Builds the change, with everything that its content says.
pub(super) fn change(
    path: WorkspacePath,
    kind: ChangeKind,
    (old, new): (Option<Side>, Option<Side>),
    limits: &ChangeLimits,
    budget_bytes: &mut u64,
) -> Change {
    let display = Display::of(old.as_ref(), new.as_ref(), limits, budget_bytes);
    Change {
        path,
        kind,
        old: old.map(|side| side.identity.entry),
        new: new.map(|side| side.identity.entry),
        binary: display.binary,
        lines: display.lines,
        renamed_from: None,
        flags: display.flags,
    }
}

/// What can be shown of the content.
struct Display {
    binary: bool,
    lines: Option<LineCount>,
    flags: BTreeSet<ChangeFlag>,
}

impl Display {
    fn of(
        old: Option<&Side>,
        new: Option<&Side>,
        limits: &ChangeLimits,
        budget_bytes: &mut u64,
    ) -> Self {
        let mut this = Self { binary: false, lines: None, flags: BTreeSet::new() };
        let old = old.filter(|side| side.is_file());
        let new = new.filter(|side| side.is_file());
        let files = || [old, new].into_iter().flatten();
        if files().next().is_none() {
            return this;
        }
        if files().any(|side| !lines::is_text(&side.kept)) {
            this.binary = true;
            return this;
        }
        let is_long = |side: &Side| {
            !side.is_whole() || lines::count_lines(&side.kept) > limits.display_lines_max
        };
        let bytes: u64 = files().map(|side| side.kept.len() as u64).sum();
        if files().any(is_long) || bytes > *budget_bytes {
            this.flags.insert(ChangeFlag::TruncatedDisplay);
            return this;
        }
        if new.is_some_and(|side| has_deceptive_text(&side.kept)) {
            this.flags.insert(ChangeFlag::ContentBidi);
        }
        *budget_bytes -= bytes;
        this.lines = Some(match (old, new) {
            (Some(old), Some(new)) => lines::count(&old.kept, &new.kept),
            (Some(old), None) => LineCount { added: 0, removed: lines::count_lines(&old.kept) },
            (None, Some(new)) => LineCount { added: lines::count_lines(&new.kept), removed: 0 },
            (None, None) => LineCount::default(),
        });
        this
    }
}

/// Whether a text holds characters that make it read differently from what a compiler sees.
///
/// Joiners between letters of the scripts that need them are fine; after ASCII they only hide. So is a byte order
/// mark at the beginning. What is not UTF-8 is looked at where it is.
fn has_deceptive_text(bytes: &[u8]) -> bool {
    if bytes.is_ascii() {
        return false;
    }
    let mut before = None;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let deceives = match c {
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
                '\u{200e}' | '\u{200f}' | '\u{061c}' => true,
                '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{e0000}'..='\u{e007f}' => true,
                '\u{feff}' => before.is_some(),
                '\u{200c}' | '\u{200d}' => before.is_none_or(|b: char| b.is_ascii()),
                _ => false,
            };
            if deceives {
                return true;
            }
            before = Some(c);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_reads_differently_is_told_from_text_that_needs_its_joiners() {
        for (text, expected) in [
            ("plain", false),
            ("\u{feff}bom first", false),
            ("in the mid\u{feff}dle", true),
            ("if admin \u{202e}{", true),
            ("pass\u{200d}word", true),
            ("👩\u{200d}💻", false),
            ("می\u{200c}خواهم", false),
            ("zero\u{200b}width", true),
        ] {
            assert_eq!(has_deceptive_text(text.as_bytes()), expected, "{text:?}");
        }
        assert!(has_deceptive_text(b"\xff\xe2\x80\xae"));
    }
}
