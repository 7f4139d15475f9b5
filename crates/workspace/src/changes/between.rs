//! What differs between two states of one workspace: checkpoints, the living one, the source.

use std::os::fd::BorrowedFd;

use sandbar_types::{ChangeSet, Entry};

use super::{ChangeLimits, ChangesError, flags, manifest, walk::Walk};
use crate::{Base, Layers, OverlayMarks};

/// A state of a workspace: its merged view over the source as it is now.
#[derive(Debug, Clone, Copy)]
pub struct Point<'fd> {
    /// What is to be seen.
    pub merged: BorrowedFd<'fd>,
    /// The writable layer in it; for the source itself an empty directory.
    pub upper: BorrowedFd<'fd>,
}

/// Lists every path that differs between `old` and `new`, ordered by path, as [`super::changes`] does.
///
/// Sockets are left out: a checkpoint holds none.
///
/// # Errors
/// As [`super::changes`].
pub fn changes_between(
    old: Point<'_>,
    new: Point<'_>,
    marks: OverlayMarks,
    limits: &ChangeLimits,
) -> Result<ChangeSet, ChangesError> {
    let layers = Layers { merged: new.merged, upper: new.upper, lower: Some(old.merged), marks };
    // Nothing of either side is the host's later work.
    let base = Base { created_ns: i64::MAX, ..Base::default() };
    let mut found = Walk::new(&layers, &base, limits)?.with_old_upper(old.upper)?.run()?;
    found.retain(|change| !is_socket(change.old.as_ref()) && !is_socket(change.new.as_ref()));
    found.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    flags::add_case_collisions(new.merged, &mut found)?;
    manifest::add_renames(&mut found);
    Ok(ChangeSet { diff_id: manifest::diff_id(&found), changes: found })
}

fn is_socket(entry: Option<&Entry>) -> bool {
    matches!(entry, Some(Entry::Special { what }) if what == "socket")
}
