//! The files of a sandbox: layers, changes, review, and the way back to the source.
//!
//! Everything works below directory descriptors and follows no link of what a sandbox could write.
//! Knows no processes, runs no program, and is not async.

pub mod applier;
pub mod apply;
mod base;
pub mod beneath;
mod changes;
pub mod checkpoint;
pub mod diff;
pub mod entry;
pub mod files;
mod inode;
pub mod journal;
mod layers;
mod lines;
pub mod merge;
pub mod pick;
pub mod proposal;
pub mod protected;
pub mod put;
pub mod rebase;
pub mod reject;
pub mod room;
mod sizes;
mod tree;
mod xattr;

pub use base::{Approved, Base};
pub use changes::{
    ChangeLimits, ChangesError, Layer, Point, changes, changes_between, diff_id,
    kind as change_kind, leave_ignored,
};
pub use inode::inode;
pub use layers::{Layers, OverlayMarks};
pub use sizes::{Artifact, ArtifactKind, Large, SizeLimits, Sizes, sizes};
