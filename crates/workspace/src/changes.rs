//! Finding every path that differs between the source and the workspace.
//!
//! The upper layer says where to look, and nothing else: whiteouts, opaque and redirected directories are never
//! interpreted, only taken as hints. The truth is what the merged tree and the source have at a path.
//! So the cost follows the number of changes, and nothing that a sandbox does to its upper layer can hide a change.

mod between;
mod compare;
mod flags;
mod hint;
mod ignored;
mod manifest;
mod orphans;
mod walk;

use std::io;

use sandbar_types::{ChangeSet, WorkspacePath};

pub use self::{
    between::{Point, changes_between},
    compare::kind,
    ignored::leave_ignored,
    manifest::diff_id,
};
use crate::{Base, Layers};

/// How much is looked at, and how much shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeLimits {
    /// LIMIT: paths that differ; more is an error.
    pub changes_max: usize,
    /// LIMIT: bytes of one file, holes included; more is an error, because a hash takes a second for every gigabyte.
    pub file_bytes_max: u64,
    /// LIMIT: bytes of one side of a text that is compared by line; more is shown by size and hash.
    pub display_bytes_max: u64,
    /// LIMIT: lines of one side of a text that is compared by line.
    pub display_lines_max: u64,
    /// LIMIT: bytes that are compared by line in one call; what comes after is shown by size and hash.
    pub display_total_bytes_max: u64,
}

impl Default for ChangeLimits {
    fn default() -> Self {
        Self {
            changes_max: 1_000_000,
            file_bytes_max: 16 << 30,
            display_bytes_max: 4 << 20,
            display_lines_max: 200_000,
            display_total_bytes_max: 256 << 20,
        }
    }
}

/// Which tree could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// What the sandbox sees.
    Merged,
    /// The writable layer.
    Upper,
    /// The source.
    Lower,
}

/// Why the changes could not be listed. Nothing is ever left out instead.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    /// A tree cannot be opened at all.
    #[error("cannot read the top of the {layer:?} tree")]
    Top {
        /// Which one.
        layer: Layer,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// A path cannot be read.
    #[error("cannot read {path:?} in the {layer:?} tree")]
    Unreadable {
        /// The path.
        path: WorkspacePath,
        /// In which tree.
        layer: Layer,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// A path is too long to be named.
    #[error("a path below {parent:?} is longer than 64 KiB")]
    TooDeep {
        /// A beginning of it.
        parent: WorkspacePath,
    },
    /// A file is too large to be hashed.
    #[error("{path:?} has {size_bytes} bytes; at most {limit_bytes} are hashed")]
    TooLarge {
        /// The path.
        path: WorkspacePath,
        /// Its size.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// More paths differ than can be listed.
    #[error("more than {limit} paths differ")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

/// Lists every path that differs, ordered by path.
///
/// A directory that is added or deleted is listed, and so is everything below it. The mode of the top itself is not
/// compared: it has no path. Names at the top of a source that begin with `.sandbar-` are our own, and left out.
/// The sandbox must be frozen or stopped: the list is of one instant only if nothing writes meanwhile.
///
/// # Errors
/// A path that cannot be read or named is an error that names it; nothing is omitted.
pub fn changes(
    layers: &Layers<'_>,
    base: &Base,
    limits: &ChangeLimits,
) -> Result<ChangeSet, ChangesError> {
    let mut found = walk::Walk::new(layers, base, limits)?.run()?;
    found.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    flags::add_case_collisions(layers.merged, &mut found)?;
    ignored::flag(layers.lower, &mut found)?;
    manifest::add_renames(&mut found);
    Ok(ChangeSet { diff_id: diff_id(&found), changes: found })
}
