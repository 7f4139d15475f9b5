//! What a path is together with everything below it: the identity that an approve compares before it moves anything.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, BorrowedFd},
};

use sandbar_types::{Conflict, ConflictReason, Entry, WorkspacePath};
use serde::{Deserialize, Serialize};

use crate::{beneath, entry};

/// A path and, where it is a directory, everything below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// What the path itself is.
    pub entry: Entry,
    /// What is below, ordered by path, each relative to the path itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub below: Vec<Node>,
}

/// One path below the top of a [`Tree`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Relative to the top.
    pub path: WorkspacePath,
    /// What it is.
    pub entry: Entry,
}

impl Tree {
    /// A path with nothing below it.
    #[must_use]
    pub fn leaf(entry: Entry) -> Self {
        Self { entry, below: Vec::new() }
    }

    /// What the path and everything below it are.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        std::iter::once(&self.entry).chain(self.below.iter().map(|node| &node.entry))
    }

    /// Every path of the tree when its top is at `at`, the top first; without those too long to have a name there.
    pub(super) fn paths<'a>(
        &'a self,
        at: &'a WorkspacePath,
    ) -> impl Iterator<Item = (WorkspacePath, &'a Entry)> {
        let below = self.below.iter().filter_map(|node| {
            let path = at.join(node.path.as_bytes()).ok()?;
            Some((path, &node.entry))
        });
        std::iter::once((at.clone(), &self.entry)).chain(below)
    }
}

/// Reads what `name` in `dir` is, with everything below; `None` where nothing is.
///
/// # Errors
/// As [`entry::read`]; `InvalidInput` for a path that is too long to be named.
pub(super) fn read(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<Tree>> {
    let Some(top) = entry::read(dir, name)? else {
        return Ok(None);
    };
    let mut below = Vec::new();
    if matches!(top, Entry::Directory { .. }) {
        match beneath::open_dir(dir, name) {
            Ok(opened) => read_below(opened.as_fd(), None, &mut below)?,
            Err(error) if beneath::is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(Tree { entry: top, below }))
}

fn read_below(
    dir: BorrowedFd<'_>,
    at: Option<&WorkspacePath>,
    into: &mut Vec<Node>,
) -> io::Result<()> {
    for name in beneath::list(dir)? {
        let path = match at {
            None => WorkspacePath::parse(&name),
            Some(at) => at.join(&name),
        };
        let path = path.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        // What vanishes between the listing and the look was not there.
        let Some(entry) = entry::read(dir, &name)? else {
            continue;
        };
        let is_directory = matches!(entry, Entry::Directory { .. });
        into.push(Node { path: path.clone(), entry });
        if is_directory {
            let child = beneath::open_dir(dir, &name)?;
            read_below(child.as_fd(), Some(&path), into)?;
        }
    }
    Ok(())
}

/// Lists where what is at `at` differs from what was expected there.
pub(super) fn conflicts(
    at: &WorkspacePath,
    expected: Option<&Tree>,
    actual: Option<&Tree>,
    workspace: Option<&Tree>,
) -> Vec<Conflict> {
    let paths = |tree: Option<&Tree>| -> BTreeMap<WorkspacePath, Entry> {
        tree.map_or_else(BTreeMap::new, |tree| {
            let paths = tree.paths(at);
            paths.map(|(path, entry)| (path, entry.clone())).collect()
        })
    };
    let (expected, mut actual, workspace) = (paths(expected), paths(actual), paths(workspace));
    let mut conflicts = Vec::new();
    for (path, old) in &expected {
        let host = actual.remove(path);
        let reason = match &host {
            Some(host) if host == old => continue,
            Some(host) if same_type(host, old) => ConflictReason::HostModified,
            Some(_) => ConflictReason::HostTypeChanged,
            None => ConflictReason::HostDeleted,
        };
        conflicts.push(conflict(path, reason, host, &workspace));
    }
    for (path, host) in actual {
        conflicts.push(conflict(&path, ConflictReason::HostAdded, Some(host), &workspace));
    }
    conflicts.sort_by(|a, b| a.path.cmp(&b.path));
    conflicts
}

fn conflict(
    path: &WorkspacePath,
    reason: ConflictReason,
    host: Option<Entry>,
    workspace: &BTreeMap<WorkspacePath, Entry>,
) -> Conflict {
    Conflict {
        path: path.clone(),
        reason,
        host,
        workspace: workspace.get(path).cloned(),
        text: Vec::new(),
    }
}

/// Whether two entries are of one type, whatever their content.
pub(super) fn same_type(a: &Entry, b: &Entry) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}
