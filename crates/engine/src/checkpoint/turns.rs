//! Who is at the checkpoints of a sandbox: many who look, or one who writes or removes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use sandbar_types::SandboxId;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// One lock for each sandbox that somebody is at.
#[derive(Debug, Default)]
pub(crate) struct CheckpointTurns(Mutex<BTreeMap<SandboxId, Arc<RwLock<()>>>>);

impl CheckpointTurns {
    fn of(&self, id: SandboxId) -> Arc<RwLock<()>> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody holds or waits for are only in this table.
        table.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(table.entry(id).or_default())
    }

    /// Nothing of `id` is removed or written meanwhile.
    pub(super) async fn look(&self, id: SandboxId) -> OwnedRwLockReadGuard<()> {
        self.of(id).read_owned().await
    }

    /// Nobody else is there meanwhile.
    pub(super) async fn alone(&self, id: SandboxId) -> OwnedRwLockWriteGuard<()> {
        self.of(id).write_owned().await
    }

    /// As [`Self::alone`], where nobody is there now.
    pub(super) fn try_alone(&self, id: SandboxId) -> Option<OwnedRwLockWriteGuard<()>> {
        self.of(id).try_write_owned().ok()
    }
}
