//! Opening the files of a sandbox: held still while changes are read, or as they are.

use std::{os::fd::AsFd, sync::Arc};

use sandbar_runtime::View;
use sandbar_store::SandboxRow;
use sandbar_types::{SandboxId, SandboxState};
use sandbar_workspace::{Layers, OverlayMarks};
use tokio::sync::OwnedMutexGuard;

use crate::{
    Error, ErrorKind, Result,
    actor::Ordinary,
    engine::Inner,
    lifecycle::{Request, admit},
    record,
    review::Consistency,
    source,
};

/// Keeps a sandbox still, frozen or stopped, until it is dropped: by success, by an error, or because nobody waits any more.
#[derive(Debug)]
pub(crate) struct StillGuard {
    inner: Arc<Inner>,
    id: SandboxId,
    /// Whether it has to be thawed.
    is_ours: bool,
    /// Nobody else freezes, thaws, launches or stops it meanwhile.
    freezing: Option<OwnedMutexGuard<()>>,
    pub(crate) consistency: Consistency,
    pub(crate) row: Arc<SandboxRow>,
}

impl Drop for StillGuard {
    fn drop(&mut self) {
        let freezing = self.freezing.take();
        if !self.is_ours {
            return;
        }
        let (inner, id) = (Arc::clone(&self.inner), self.id);
        self.inner.tasks.spawn(async move {
            let dir = inner.layout.sandbox(id);
            if let Err(err) = inner.config.runtime.thaw(&dir, id).await {
                // It was killed meanwhile, or the reconciler finds it frozen within a minute.
                tracing::warn!(sandbox.id = %id, error = %err, "a sandbox could not be thawed");
            }
            drop(freezing);
        });
    }
}

impl Inner {
    /// Holds `id` still. What is alive is frozen for as long as the guard lives; what is paused or stopped stays so.
    pub(crate) async fn hold_still(self: &Arc<Self>, id: SandboxId) -> Result<StillGuard> {
        let handle = self.actor(id)?;
        let freezing = Arc::clone(&handle.freezing).lock_owned().await;
        let row = handle.row();
        admit(&row.state, Request::Files)?;
        let mut guard = StillGuard {
            inner: Arc::clone(self),
            id,
            is_ours: false,
            freezing: Some(freezing),
            consistency: Consistency::Frozen,
            row,
        };
        match guard.row.state {
            SandboxState::Running => {
                // Set before it is done: a freeze that was given up half way has to be undone as well.
                guard.is_ours = true;
                let dir = self.layout.sandbox(id);
                self.config.runtime.freeze(&dir, id).await.map_err(|err| {
                    Error::new(
                        ErrorKind::Unavailable,
                        "unavailable",
                        "the sandbox could not be held still",
                    )
                    .because(err)
                })?;
            }
            SandboxState::Paused => {}
            SandboxState::Creating
            | SandboxState::Stopping
            | SandboxState::Stopped
            | SandboxState::Failed { .. }
            | SandboxState::Deleting => guard.consistency = Consistency::Stopped,
        }
        Ok(guard)
    }

    /// Opens the files of `id` as they are, while it may be writing.
    pub(crate) async fn view(&self, id: SandboxId) -> Result<View> {
        let handle = self.actor(id)?;
        let row = handle.row();
        admit(&row.state, Request::Files)?;
        drop(handle.send(Ordinary::Touch));
        self.view_of(&row).await
    }

    pub(crate) async fn view_of(&self, row: &SandboxRow) -> Result<View> {
        let spec = record::launch_spec(row, self.layout.sandbox(row.id));
        match self.config.runtime.view(&spec).await {
            Ok(view) => Ok(view),
            Err(err) => {
                source::check(row).await?;
                let message = "the files of the sandbox cannot be opened";
                Err(Error::new(ErrorKind::Unavailable, "unavailable", message).because(err))
            }
        }
    }

    /// How the upper layers of this runtime are marked.
    pub(crate) fn marks(&self) -> OverlayMarks {
        if self.config.runtime.has_id_ranges() { OverlayMarks::Trusted } else { OverlayMarks::User }
    }
}

/// The trees of `view`, for functions of the workspace.
pub(crate) fn layers(view: &View, marks: OverlayMarks) -> Layers<'_> {
    Layers {
        merged: view.merged.as_fd(),
        upper: view.upper.as_fd(),
        lower: view.lower.as_ref().map(AsFd::as_fd),
        marks,
    }
}

/// Runs what reads a disk where it holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)
}
