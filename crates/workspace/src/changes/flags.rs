//! What a person should know about a change, besides what its content says.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::fd::BorrowedFd,
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags},
    io::Errno,
};
use sandbar_types::{Change, ChangeFlag, ChangeKind, Entry, WorkspacePath};

use super::{ChangesError, Layer};
use crate::{beneath, protected, tree::Tree};

/// Flags of a path and of what was and is there.
pub(super) fn of(
    merged: BorrowedFd<'_>,
    path: &WorkspacePath,
    old: Option<&Entry>,
    new: Option<&Entry>,
) -> BTreeSet<ChangeFlag> {
    let mut flags = protected::flags(path);
    let special = |entry: Option<&Entry>| matches!(entry, Some(Entry::Special { .. }));
    if special(old) || special(new) {
        flags.insert(ChangeFlag::Special);
    }
    if let Some(Entry::Symlink { target }) = new {
        flags.extend(protected::link_flags(path, target));
        if flags.contains(&ChangeFlag::SymlinkAbsolute) || leads_out(merged, path, &target.0) {
            flags.insert(ChangeFlag::SymlinkExternal);
        }
    }
    let is_executable = |entry| mode(entry) & 0o111 != 0;
    if matches!(new, Some(Entry::File { .. })) && is_executable(new) {
        let was = matches!(old, Some(Entry::File { .. })) && is_executable(old);
        if !was {
            flags.insert(ChangeFlag::ExecBit);
        }
    }
    if mode(new) & 0o7000 != 0 {
        flags.insert(ChangeFlag::Setuid);
    }
    flags
}

fn mode(entry: Option<&Entry>) -> u32 {
    match entry {
        Some(Entry::File { mode, .. } | Entry::Directory { mode }) => *mode,
        Some(Entry::Symlink { .. } | Entry::Special { .. }) | None => 0,
    }
}

/// Whether following the link, links on the way included, leaves the tree. Nothing is opened for reading.
fn leads_out(merged: BorrowedFd<'_>, path: &WorkspacePath, target: &[u8]) -> bool {
    let Ok((parent, name)) = beneath::open_parent(merged, path) else {
        return false;
    };
    let flags = OFlags::PATH;
    // From the directory that holds it first: that is one step, and enough where the link does not climb.
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    if !is_crossing(&beneath::openat2(&parent, name, flags, Mode::empty(), resolve)) {
        return false;
    }
    let mut whole = path.as_bytes().to_vec();
    whole.truncate(whole.len() - name.len());
    whole.extend_from_slice(target);
    is_crossing(&beneath::openat2(merged, &whole, flags, Mode::empty(), resolve))
}

fn is_crossing<T>(opened: &io::Result<T>) -> bool {
    opened.as_ref().is_err_and(|error| {
        // A path too long to be tried is taken for one that leaves.
        matches!(
            error.raw_os_error().map(Errno::from_raw_os_error),
            Some(Errno::XDEV | Errno::NAMETOOLONG)
        )
    })
}

/// Flags added names that differ from another name of their directory by case or composition only.
pub(super) fn add_case_collisions(
    merged: BorrowedFd<'_>,
    changes: &mut [Change],
) -> Result<(), ChangesError> {
    let mut by_directory: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
    for (index, change) in changes.iter().enumerate() {
        if change.kind == ChangeKind::Added {
            let parent = change.path.parent();
            let parent = parent.map_or_else(Vec::new, |parent| parent.as_bytes().to_vec());
            by_directory.entry(parent).or_default().push(index);
        }
    }
    let top = |source| ChangesError::Top { layer: Layer::Merged, source };
    let mut tree = Tree::new(merged).map_err(top)?;
    for (parent, added) in by_directory {
        let names =
            tree.dir(&parent).and_then(|dir| dir.map_or_else(|| Ok(Vec::new()), beneath::list));
        let names = names.map_err(|source| ChangesError::Unreadable {
            path: changes[added[0]].path.clone(),
            layer: Layer::Merged,
            source,
        })?;
        let mut folded: BTreeMap<String, u32> = BTreeMap::new();
        for name in &names {
            *folded.entry(protected::fold(name)).or_default() += 1;
        }
        for index in added {
            let change = &mut changes[index];
            if folded.get(&protected::fold(change.path.name())).is_some_and(|count| *count > 1) {
                change.flags.insert(ChangeFlag::CaseCollision);
            }
        }
    }
    Ok(())
}
