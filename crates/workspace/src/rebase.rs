//! A path that the host changed under the sandbox: what the workspace has to become, so that its change is one against
//! what the host has now.
//!
//! ```text
//! base, host and sandbox are texts, edits apart     the sandbox gets the merge
//! they overlap, or a side is no text, or no base    a conflict, until a person says whose version counts
//! ```
//! Pure but for reading: the engine writes what is decided here, and records the host's version as the new base.

use sandbar_types::{
    Change, ChangeFlag, Conflict, Entry, MergeConflict, Resolution, Side, Take, WorkspacePath,
};

use crate::{
    ChangeLimits,
    apply::drift,
    diff::{self, Contents, DiffError},
    merge::merge,
};

/// What the workspace has to become at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebase {
    /// It stays as it is.
    Keep,
    /// It gets this text.
    Text(Vec<u8>),
    /// It gets what the host has, or nothing where the host has nothing.
    Host,
}

/// What became of looking at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It can be brought up to date.
    Rebase(Rebase),
    /// A person has to say whose version counts.
    Conflict(Conflict),
    /// The text that was sent as the result still has the marks of a conflict.
    Unresolved,
}

/// LIMIT: lines of all conflicts of one path that are shown; the rest is in the files themselves.
const SHOWN_LINES_MAX: usize = 1_000;

/// Whether the host changed the path since the workspace began, or since it was last decided about.
#[must_use]
pub fn is_drifted(change: &Change) -> bool {
    change.flags.contains(&ChangeFlag::BaseDrifted)
}

/// Decides about a change whose source is not what the workspace was made from.
///
/// `base` is the text that both sides began with, where it is known.
///
/// # Errors
/// The sides cannot be read.
pub fn decide(
    contents: Contents<'_>,
    change: &Change,
    base: Option<&[u8]>,
    take: Option<&Take>,
    limits: &ChangeLimits,
) -> Result<Decision, DiffError> {
    if let Some(Take::Content(text)) = take {
        let is_resolved = !has_conflict_marks(&text.0);
        return Ok(if is_resolved {
            Decision::Rebase(Rebase::Text(text.0.clone()))
        } else {
            Decision::Unresolved
        });
    }
    let texts = match (&change.old, &change.new, base) {
        (Some(Entry::File { .. }), Some(Entry::File { .. }), Some(base)) => {
            diff::texts(contents, change, limits)?.ok().map(|texts| (base, texts))
        }
        (_, _, _) => None,
    };
    let side = match take {
        Some(Take::Theirs) => Some(Side::Theirs),
        Some(Take::Ours) => Some(Side::Ours),
        Some(Take::Content(_)) | None => None,
    };
    let Some((base, texts)) = texts else {
        return Ok(match side {
            Some(Side::Theirs) => Decision::Rebase(Rebase::Keep),
            Some(Side::Ours) => Decision::Rebase(Rebase::Host),
            None => Decision::Conflict(conflict(change, Vec::new())),
        });
    };
    let merged = merge(base, &texts.old, &texts.new, side.unwrap_or(Side::Ours));
    if side.is_none() && !merged.conflicts.is_empty() {
        return Ok(Decision::Conflict(conflict(change, shown(merged.conflicts))));
    }
    Ok(Decision::Rebase(if merged.text == texts.new {
        Rebase::Keep
    } else {
        Rebase::Text(merged.text)
    }))
}

/// The resolution of `path`, if one was sent.
#[must_use]
pub fn take_of<'a>(resolutions: &'a [Resolution], path: &WorkspacePath) -> Option<&'a Take> {
    resolutions.iter().find(|resolution| resolution.path == *path).map(|found| &found.take)
}

fn conflict(change: &Change, text: Vec<MergeConflict>) -> Conflict {
    Conflict { text, ..drift(change) }
}

fn shown(mut conflicts: Vec<MergeConflict>) -> Vec<MergeConflict> {
    let mut lines = 0;
    conflicts.retain(|conflict| {
        lines += conflict.base.len() + conflict.ours.len() + conflict.theirs.len();
        lines <= SHOWN_LINES_MAX
    });
    conflicts
}

/// Whether a text still has what `git merge` and we write around a conflict, one after the other.
fn has_conflict_marks(text: &[u8]) -> bool {
    let mut expected = [&b"<<<<<<< "[..], b"=======", b">>>>>>> "].into_iter().peekable();
    for line in text.split(|byte| *byte == b'\n') {
        if expected.peek().is_some_and(|mark| line.starts_with(mark)) {
            expected.next();
        }
    }
    expected.peek().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marks_of_a_conflict_are_found_and_a_heading_is_not_one() {
        assert!(has_conflict_marks(b"a\n<<<<<<< host\nb\n=======\nc\n>>>>>>> sandbox\n"));
        assert!(!has_conflict_marks(b"Title\n=======\n\n<<<<<<< \n"));
    }
}
