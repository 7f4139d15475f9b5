//! The lines of a patch among those that are pending.

use std::collections::BTreeSet;

use sandbar_api::{FileHunks, Hunk, LineKind};
use sandbar_types::{Change, ChangeKind, HunkPick, Part};

use super::{FilePatch, PatchKind, PatchLine};

/// A line of a patch that is not pending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unmatched {
    /// This line, at this place of the source.
    Line(PatchLine),
    /// The patch says that the mode changes, or the file comes or goes, but not all of its lines do.
    ModeOfPart,
    /// The patch has no line, and nothing but lines is pending.
    Nothing,
}

/// The part that a patch of a file means.
///
/// # Errors
/// It has something that is not pending.
pub(crate) fn parts_of(
    patch: &FilePatch,
    change: &Change,
    pending: &FileHunks,
) -> Result<Part, Unmatched> {
    let whole = Part { path: change.path.clone(), hunks: Vec::new() };
    let picked = picked(&patch.lines, &pending.hunks)?;
    let is_all = pending
        .hunks
        .iter()
        .zip(&picked)
        .all(|(hunk, lines)| changed(hunk).eq(lines.iter().copied()));
    let is_only_lines = match change.kind {
        ChangeKind::Modified => modes(change).is_none_or(|(old, new)| old == new),
        ChangeKind::Added | ChangeKind::Deleted | ChangeKind::TypeChanged => false,
        ChangeKind::ModeChanged | ChangeKind::XattrChanged => false,
    };
    match (patch.has_mode, is_all) {
        (true, true) => return Ok(whole),
        (true, false) => return Err(Unmatched::ModeOfPart),
        (false, true) if is_only_lines && !pending.hunks.is_empty() => return Ok(whole),
        (false, _) if patch.lines.is_empty() => return Err(Unmatched::Nothing),
        (false, _) => {}
    }
    let hunks = pending
        .hunks
        .iter()
        .zip(picked)
        .filter(|(_hunk, lines)| !lines.is_empty())
        .map(|(hunk, lines)| {
            let is_whole = changed(hunk).eq(lines.iter().copied());
            let lines = (!is_whole).then(|| lines.into_iter().collect());
            HunkPick { id: hunk.id, lines }
        })
        .collect();
    Ok(Part { hunks, ..whole })
}

fn modes(change: &Change) -> Option<(u32, u32)> {
    let mode = |entry: &sandbar_types::Entry| match entry {
        sandbar_types::Entry::File { mode, .. } => Some(*mode),
        sandbar_types::Entry::Directory { .. } | sandbar_types::Entry::Symlink { .. } => None,
        sandbar_types::Entry::Special { .. } => None,
    };
    Some((mode(change.old.as_ref()?)?, mode(change.new.as_ref()?)?))
}

fn changed(hunk: &Hunk) -> impl Iterator<Item = u32> {
    (0_u32..)
        .zip(&hunk.lines)
        .filter(|(_index, line)| line.kind != LineKind::Context)
        .map(|(index, _line)| index)
}

/// The numbers of the lines of each hunk that the patch has. Both are in order, so one walk finds them.
fn picked(wanted: &[PatchLine], hunks: &[Hunk]) -> Result<Vec<BTreeSet<u32>>, Unmatched> {
    let mut wanted = wanted.iter().peekable();
    let mut picked = Vec::with_capacity(hunks.len());
    for hunk in hunks {
        let mut lines = BTreeSet::new();
        // As in a patch: without old lines the start is that of the line before.
        let mut place =
            if hunk.old_lines == 0 { hunk.old_start } else { hunk.old_start.saturating_sub(1) };
        for (index, line) in (0_u32..).zip(&hunk.lines) {
            place += u64::from(line.kind != LineKind::Added);
            let is_meant = |wanted: &&PatchLine| {
                let kind = match wanted.kind {
                    PatchKind::Added => LineKind::Added,
                    PatchKind::Removed => LineKind::Removed,
                };
                kind == line.kind
                    && wanted.place == place
                    && wanted.has_newline == line.has_newline
                    // Bytes that are not text are replaced in what is pending.
                    && String::from_utf8_lossy(&wanted.text) == line.text
            };
            if wanted.next_if(is_meant).is_some() {
                lines.insert(index);
            }
        }
        picked.push(lines);
    }
    match wanted.next() {
        None => Ok(picked),
        Some(line) => Err(Unmatched::Line(line.clone())),
    }
}
