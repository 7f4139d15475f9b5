//! Copies in the upper layer of what the host no longer has.
//!
//! A copy keeps a mark of what it was copied from, `overlay.origin`. Where the host lacks its path, either the host
//! removed it since, or the workspace moved or linked the copy there from another path. The mark is a file handle: it
//! holds the inode's number (exportfs, name_to_handle_at(2)), so a copy of an inode that the walk saw under another
//! path was moved. What remains is flagged as drifted: approving it would bring back what the host removed.

use std::collections::BTreeSet;

use sandbar_types::{Change, ChangeFlag};

use crate::entry::Stamp;

/// Bytes before the file handle: version, magic, length, flags, type and the id of the file system
/// (`struct ovl_fb`, fs/overlayfs/overlayfs.h).
const HEADER_BYTES: usize = 21;

/// What the walk saw that matters for telling moved copies from orphans.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    /// Lower halves of the numbers of the source's inodes at the paths that were looked at.
    seen: BTreeSet<u32>,
    /// Indices of changes, with the marks of their copies.
    suspects: Vec<(usize, Vec<u8>)>,
}

impl Orphans {
    /// The source has this at a path that was looked at.
    pub(super) fn saw(&mut self, stamp: &Stamp) {
        self.seen.insert(lower_half(stamp.ino));
    }

    /// The change at `index` is a copy, and the host lacks its path.
    pub(super) fn suspect(&mut self, index: usize, origin: Vec<u8>) {
        self.suspects.push((index, origin));
    }

    /// Flags the suspects that were not moved.
    pub(super) fn flag(self, changes: &mut [Change]) {
        for (index, origin) in &self.suspects {
            if !self.was_moved(origin) {
                changes[*index].flags.insert(ChangeFlag::BaseDrifted);
            }
        }
    }

    /// Every file system puts the number at some word of the handle; which one differs.
    fn was_moved(&self, origin: &[u8]) -> bool {
        let handle = origin.get(HEADER_BYTES..).unwrap_or_default();
        handle.as_chunks::<4>().0.iter().any(|word| self.seen.contains(&u32::from_ne_bytes(*word)))
    }
}

fn lower_half(ino: u64) -> u32 {
    let bytes = ino.to_le_bytes();
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
