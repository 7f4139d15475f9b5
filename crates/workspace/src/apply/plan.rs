//! What an approve will do to the source, as data. Pure: no look at the host, no clock.

use std::collections::BTreeSet;

use sandbar_types::{
    Change, ChangeFlag, ChangeSet, Confirmed, Conflict, ConflictReason, Entry, Selection, Sha256,
    Skipped, WorkspacePath,
};
use serde::{Deserialize, Serialize};

use super::{
    closure::{Chosen, Table, flags_of},
    operations::operations,
    tree::{self, Tree},
};

/// The flags that keep a change from being applied until a person said yes to them.
///
/// What runs or leads somewhere by itself, and what reads differently from what it is.
pub const NEEDS_CONFIRMATION: [ChangeFlag; 9] = [
    ChangeFlag::ExecOnOpen,
    ChangeFlag::ExecBit,
    ChangeFlag::SymlinkAbsolute,
    ChangeFlag::SymlinkExternal,
    ChangeFlag::NameControlChars,
    ChangeFlag::NameBidi,
    ChangeFlag::NameNonUtf8,
    ChangeFlag::CaseCollision,
    ChangeFlag::ContentBidi,
];

/// What an approve may use, and how it makes new files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyLimits {
    /// The largest file, in bytes as it appears.
    pub file_bytes_max: u64,
    /// Bytes that stay free on the source's file system.
    pub free_bytes_min: u64,
    /// Permission bits that new files do not get.
    pub umask: u32,
}

impl Default for ApplyLimits {
    fn default() -> Self {
        Self {
            // LIMIT: 1 GiB a file; 64 MiB left for everybody else.
            file_bytes_max: 1 << 30,
            free_bytes_min: 64 << 20,
            umask: 0o022,
        }
    }
}

/// One step on the source. The paths of two steps never lie within each other, but for [`Op::Mode`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// Puts a tree where nothing is.
    Create {
        /// Where.
        path: WorkspacePath,
        /// What.
        new: Tree,
    },
    /// Puts a tree in the place of another, in one exchange.
    Replace {
        /// Where.
        path: WorkspacePath,
        /// What must be there.
        old: Tree,
        /// What.
        new: Tree,
    },
    /// Takes a tree away.
    Delete {
        /// Where.
        path: WorkspacePath,
        /// What must be there.
        old: Tree,
    },
    /// Changes the permission bits of a directory.
    Mode {
        /// Which.
        path: WorkspacePath,
        /// The bits it must have.
        old: u32,
        /// The bits it gets.
        new: u32,
    },
}

impl Op {
    /// The path on the source that it is about.
    #[must_use]
    pub fn path(&self) -> &WorkspacePath {
        match self {
            Self::Create { path, .. }
            | Self::Replace { path, .. }
            | Self::Delete { path, .. }
            | Self::Mode { path, .. } => path,
        }
    }

    /// What must be there before; `None` for nothing, and for a change of bits.
    pub(super) fn before(&self) -> Option<&Tree> {
        match self {
            Self::Replace { old, .. } | Self::Delete { old, .. } => Some(old),
            Self::Create { .. } | Self::Mode { .. } => None,
        }
    }

    /// What is there afterwards; `None` for nothing, and for a change of bits.
    pub(super) fn after(&self) -> Option<&Tree> {
        match self {
            Self::Create { new, .. } | Self::Replace { new, .. } => Some(new),
            Self::Delete { .. } | Self::Mode { .. } => None,
        }
    }
}

/// Everything an approve will do, decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyPlan {
    /// The steps, in order.
    pub ops: Vec<Op>,
    /// Every path that counts as approved afterwards, ordered.
    pub approved: Vec<Expected>,
    /// Selected paths that are never applied, ordered.
    pub skipped: Vec<Skipped>,
    /// What a person said yes to.
    pub confirmed: Confirmed,
    /// Contents that lie in the journal, because no tree has them: see [`crate::proposal`].
    #[serde(default)]
    pub composed: BTreeSet<Sha256>,
    /// What it may use.
    pub limits: ApplyLimits,
}

/// One path that counts as approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// The path.
    pub path: WorkspacePath,
    /// What the workspace has; `None` for nothing.
    pub workspace: Option<Entry>,
    /// What the host has then: the same content under the host's rules for modes.
    pub host: Option<Entry>,
}

impl ApplyPlan {
    /// Paths that are written with a content that was composed for it, ordered.
    pub(super) fn composed_paths(&self) -> impl Iterator<Item = &WorkspacePath> {
        let is_composed = |op: &&Op| match op.after().map(|tree| &tree.entry) {
            Some(Entry::File { sha256, .. }) => self.composed.contains(sha256),
            Some(Entry::Directory { .. } | Entry::Symlink { .. } | Entry::Special { .. })
            | None => false,
        };
        self.ops.iter().filter(is_composed).map(Op::path)
    }

    /// Bytes of content that will be staged.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let trees = self.ops.iter().filter_map(Op::after);
        trees.flat_map(Tree::entries).map(size_of).fold(0, u64::saturating_add)
    }
}

/// Why a selection cannot be approved. Nothing was looked at, nothing was touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Selected paths have no change.
    #[error("{}", match paths.len() { 1 => "a selected path has no change".to_owned(), n => format!("{n} selected paths have no change") })]
    Unchanged {
        /// Which.
        paths: Vec<WorkspacePath>,
    },
    /// A selected path lies in a directory that replaced something, which was not selected.
    #[error("the selection needs {} more {}", missing.len(), if missing.len() == 1 { "path" } else { "paths" })]
    Requires {
        /// What to select as well.
        missing: Vec<WorkspacePath>,
    },
    /// Changes that need an explicit yes.
    #[error("{}", match changes.len() { 1 => "1 change needs an explicit yes".to_owned(), n => format!("{n} changes need an explicit yes") })]
    Unconfirmed {
        /// Which, and to what.
        changes: Vec<(WorkspacePath, ChangeFlag)>,
    },
    /// A file is larger than allowed.
    #[error("`{path}` is larger than {limit} bytes")]
    TooLarge {
        /// Which.
        path: WorkspacePath,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The host moved on.
    #[error("the host changed {} of the selected paths", conflicts.len())]
    Conflict {
        /// Which, and how.
        conflicts: Vec<Conflict>,
    },
}

/// Decides what approving `selection` of `set` does.
///
/// `confirmed` says which flags of [`NEEDS_CONFIRMATION`] a person said yes to, and where.
///
/// # Errors
/// See [`Refused`]. All or nothing: one conflict refuses everything that was selected.
pub fn plan(
    set: &ChangeSet,
    selection: &Selection,
    confirmed: &Confirmed,
    limits: ApplyLimits,
) -> Result<ApplyPlan, Refused> {
    let table = Table::of(set);
    let Chosen { changes, skipped } = table.choose(selection)?;
    confirm(changes.values().copied(), confirmed)?;
    measure(changes.values().copied(), limits.file_bytes_max)?;
    let drifted = changes.values().filter(|change| change.flags.contains(&ChangeFlag::BaseDrifted));
    let conflicts: Vec<_> = drifted.map(|change| drift(change)).collect();
    if !conflicts.is_empty() {
        return Err(Refused::Conflict { conflicts });
    }
    let (ops, approved) = operations(&table, &changes, limits.umask);
    Ok(ApplyPlan {
        ops,
        approved,
        skipped,
        confirmed: confirmed.clone(),
        composed: BTreeSet::new(),
        limits,
    })
}

fn confirm<'a>(
    changes: impl Iterator<Item = &'a Change>,
    confirmed: &Confirmed,
) -> Result<(), Refused> {
    let mut unconfirmed = Vec::new();
    for change in changes.filter(|change| change.new.is_some()) {
        let flags = flags_of(change);
        for flag in NEEDS_CONFIRMATION {
            let is_set = flags.contains(&flag) || change.flags.contains(&flag);
            if is_set && !confirmed.allows(&change.path, flag) {
                unconfirmed.push((change.path.clone(), flag));
            }
        }
    }
    if unconfirmed.is_empty() {
        return Ok(());
    }
    Err(Refused::Unconfirmed { changes: unconfirmed })
}

fn measure<'a>(mut changes: impl Iterator<Item = &'a Change>, limit: u64) -> Result<(), Refused> {
    let size = |change: &Change| change.new.as_ref().map_or(0, size_of);
    match changes.find(|change| size(change) > limit) {
        None => Ok(()),
        Some(change) => {
            Err(Refused::TooLarge { path: change.path.clone(), size: size(change), limit })
        }
    }
}

pub(super) fn size_of(entry: &Entry) -> u64 {
    match entry {
        Entry::File { size, .. } => *size,
        Entry::Directory { .. } | Entry::Symlink { .. } | Entry::Special { .. } => 0,
    }
}

/// The conflict in a change whose source is not what the workspace was made from.
pub(crate) fn drift(change: &Change) -> Conflict {
    let reason = match (&change.old, &change.new) {
        (None, _) => ConflictReason::HostDeleted,
        (Some(_), None) => ConflictReason::HostModified,
        (Some(old), Some(new)) if tree::same_type(old, new) => ConflictReason::HostModified,
        (Some(_), Some(_)) => ConflictReason::HostTypeChanged,
    };
    Conflict {
        path: change.path.clone(),
        reason,
        host: change.old.clone(),
        workspace: change.new.clone(),
        text: Vec::new(),
    }
}
