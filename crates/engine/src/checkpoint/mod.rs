//! Points of a sandbox's past: made around tasks and on request, compared, gone back to, taken back one by one.
//!
//! A checkpoint holds a copy of what its writable layer had otherwise than at the one before, below `checkpoints/` of the
//! sandbox's directory, so it costs what changed; its row is written once it is whole, and what has no row is removed at
//! the next start. To be looked at its layer is put together, by other names of the files that it and those before it
//! hold, and stacked over the source in a mount of its own, which is in no mount table and ends with its descriptors.
//!
//! ```text
//! freeze ─► copy what changed ─► thaw ─► sync ─► rename ─► row                           make
//! freeze ─► what is there is kept ─► intent ─► written path by path ─► no intent ─► thaw    restore, revert
//! ```
//!
//! INVARIANT: as long as there is an intent, the workspace is on its way, and the next server (or the reconciler) brings
//! it to the end that the intent names. A checkpoint holds what a sandbox changed, not its source: what the host changed
//! since is seen in every point alike.
//!
//! Tests: `tests/host/tests/checkpoints.rs`.

mod changes;
mod history;
mod intent;
mod keep;
mod lineage;
mod make;
mod model;
mod place;
mod points;
mod restore;
mod revert;
mod turns;

pub use self::model::{
    Checkpoint, CheckpointMakeParams, CheckpointPoint, RestoreOutcome, RevertOutcome,
};
pub(crate) use self::{
    history::remove,
    intent::{recover, recover_all},
    keep::{find as find_old, find_interrupted},
    turns::CheckpointTurns,
};
