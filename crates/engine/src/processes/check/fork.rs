//! A throw-away copy of a sandbox: launched over that one's layers, in a directory of its own, known to no record.

use std::{io, sync::Arc};

use sandbar_runtime::SandboxDir;
use sandbar_store::SandboxRow;
use sandbar_types::SandboxId;

use super::turns::{Minded, Turn};
use crate::{
    Error, Result,
    actor::effects::{launch_refusal, release},
    credential,
    engine::Inner,
    record,
    upkeep::Reconciler,
};

/// A copy that runs.
pub(super) struct Fork {
    pub(super) inner: Arc<Inner>,
    pub(super) id: SandboxId,
    pub(super) dir: SandboxDir,
    /// Whose it is.
    pub(super) of: SandboxId,
    /// LIMIT: bytes that it may write; as many as the sandbox.
    pub(super) disk_bytes_max: u64,
    /// Let go of in this order: the next check of the sandbox begins when this copy is nobody's any more.
    _minded: Minded,
    _turn: Turn,
}

impl Fork {
    /// Launches a copy of the sandbox of `row`, with its ids, its limits, its environment and its way out.
    pub(super) async fn make(inner: &Arc<Inner>, row: &SandboxRow, turn: Turn) -> Result<Self> {
        let id = SandboxId::generate();
        let fork = Self {
            inner: Arc::clone(inner),
            id,
            dir: inner.layout.fork(id),
            of: row.id,
            disk_bytes_max: row.spec.limits.disk_bytes_max,
            _minded: turn.mind(id),
            _turn: turn,
        };
        let mut spec = record::launch_spec(row, fork.dir.clone());
        inner.network_prepare(&row.spec.network, &mut spec);
        credential::prepare(inner, row, &mut spec);
        spec.id = id;
        spec.nonce = inner.nonce();
        spec.fork_of = Some(inner.layout.sandbox(row.id));
        let prepared = inner.layout.fork_prepare(id).map_err(Error::internal);
        let launched = match prepared {
            Ok(()) => inner
                .config
                .runtime
                .launch(spec)
                .await
                .map(drop)
                .map_err(|err| launch_refusal(&err)),
            Err(err) => Err(err),
        };
        match launched {
            Ok(()) => Ok(fork),
            Err(err) => {
                fork.remove().await;
                Err(err)
            }
        }
    }

    /// Kills everything of it and removes its files; what cannot be removed now is found by [`sweep`].
    pub(super) async fn remove(self) {
        if let Err(err) = remove(&self.inner, self.id).await {
            tracing::warn!(sandbox.id = %self.of, error = %err, "the copy of a check could not be removed yet");
        }
    }
}

/// Removes the copies that no check minds: those of a server that was killed.
pub(crate) async fn sweep(inner: &Inner) {
    let forks = inner.layout.fork_list().unwrap_or_default();
    for id in forks.into_iter().filter(|id| !inner.turns.is_minded(*id)) {
        if let Err(err) = remove(inner, id).await {
            tracing::warn!(fork.id = %id, error = %err, "the copy of a check could not be removed yet");
        }
    }
}

/// Kills everything of a copy and removes its files.
pub(crate) async fn remove(inner: &Inner, id: SandboxId) -> io::Result<()> {
    release(inner, &inner.layout.fork(id), id).await?;
    inner.layout.fork_discard(id)?;
    inner.upkeep.nudge(Reconciler::Trash);
    Ok(())
}
