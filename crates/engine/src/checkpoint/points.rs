//! Opening points of a workspace, so that they can be compared.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use sandbar_runtime::{SandboxDir, View};
use sandbar_store::SandboxRow;
use sandbar_types::CheckpointId;
use sandbar_workspace::{Point, checkpoint::Paths};

use super::{
    CheckpointPoint,
    place::{Place, remove},
};
use crate::{Error, ErrorKind, Result, engine::Inner, record, source, workspace_view::blocking};

/// An open point; what it needs on disk goes with it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) view: Arc<View>,
    /// The layer of a checkpoint, which its view has below an empty one.
    layer: Option<OwnedFd>,
    _scratch: Option<Scratch>,
}

impl Opened {
    pub(super) fn point(&self) -> Point<'_> {
        let upper = self.layer.as_ref().unwrap_or(&self.view.upper);
        Point { merged: self.view.merged.as_fd(), upper: upper.as_fd() }
    }
}

/// The directory of a view, removed when nobody looks any more.
#[derive(Debug)]
struct Scratch(SandboxDir);

impl Drop for Scratch {
    fn drop(&mut self) {
        let dir = std::mem::take(&mut self.0.0);
        // Names without end, perhaps; what cannot be removed is swept at the next start.
        let removing = move || {
            if let Err(err) = remove(&dir) {
                tracing::debug!(error = %err, "the directory of a view could not be removed");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(removing)),
            Err(_) => removing(),
        }
    }
}

impl Inner {
    /// Opens `which` of the sandbox of `row`. For [`CheckpointPoint::Now`] the sandbox is held still.
    pub(super) async fn point(&self, row: &SandboxRow, which: CheckpointPoint) -> Result<Opened> {
        match which {
            CheckpointPoint::Now => {
                let view = Arc::new(self.view_of(row).await?);
                Ok(Opened { view, layer: None, _scratch: None })
            }
            CheckpointPoint::Source => self.opened(row, None).await,
            CheckpointPoint::Checkpoint(id) => self.opened(row, Some((id, None))).await,
        }
    }

    /// Opens two checkpoints to be compared with each other, and with nothing else: of what both have alike, nothing is
    /// put together.
    pub(super) async fn two_points(
        &self,
        row: &SandboxRow,
        points: [CheckpointId; 2],
    ) -> Result<[Opened; 2]> {
        let place = Place::of(&self.layout, row.id);
        let [old, new] = points;
        let differing = move || Ok(place.manifest(old)?.differing(&place.manifest(new)?));
        let wanted: io::Result<Paths> = blocking(differing).await?;
        let wanted = Arc::new(wanted.map_err(|err| unreadable(err.into()))?);
        let old = self.opened(row, Some((old, Some(Arc::clone(&wanted))))).await?;
        Ok([old, self.opened(row, Some((new, Some(wanted)))).await?])
    }

    async fn opened(
        &self,
        row: &SandboxRow,
        which: Option<(CheckpointId, Option<Arc<Paths>>)>,
    ) -> Result<Opened> {
        let place = Place::of(&self.layout, row.id);
        let scratch = Scratch(place.view_dir().map_err(Error::internal)?);
        let mut spec = record::launch_spec(row, scratch.0.clone());
        let mut layer = None;
        if let Some((id, wanted)) = which {
            let dir = scratch.0.clone();
            let assembled = blocking(move || place.assemble(id, wanted.as_deref(), &dir)).await?;
            let assembled = assembled.map_err(|err| unreadable(err.into()))?;
            layer = Some(File::open(assembled.0.join("upper")).map_err(Error::internal)?.into());
            spec.fork_of = Some(assembled);
        }
        match self.config.runtime.view(&spec).await {
            Ok(view) => Ok(Opened { view: Arc::new(view), layer, _scratch: Some(scratch) }),
            Err(err) => {
                source::check(row).await?;
                Err(unreadable(err.into()))
            }
        }
    }
}

fn unreadable(err: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let message = "the files of a checkpoint cannot be opened";
    Error::new(ErrorKind::Unavailable, "unavailable", message).because(err)
}
