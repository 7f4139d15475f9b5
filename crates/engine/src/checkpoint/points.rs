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
use sandbar_workspace::{
    Point,
    checkpoint::{Manifest, Paths},
};

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

/// What is to be put together: a checkpoint, what it consists of, and what is wanted of that where not all is.
struct Layer {
    id: CheckpointId,
    manifest: Manifest,
    wanted: Option<Arc<Paths>>,
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
            CheckpointPoint::Checkpoint(id) => {
                let place = Place::of(&self.layout, row.id);
                let manifest = blocking(move || place.manifest(id)).await?;
                let manifest = manifest.map_err(|err| unreadable(err.into()))?;
                self.opened(row, Some(Layer { id, manifest, wanted: None })).await
            }
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
        let layers = blocking(move || {
            let manifests = (place.manifest(old)?, place.manifest(new)?);
            let wanted = Some(Arc::new(manifests.0.differing(&manifests.1)));
            let new = Layer { id: new, manifest: manifests.1, wanted: wanted.clone() };
            Ok::<_, io::Error>((Layer { id: old, manifest: manifests.0, wanted }, new))
        });
        let (old, new) = layers.await?.map_err(|err| unreadable(err.into()))?;
        Ok([self.opened(row, Some(old)).await?, self.opened(row, Some(new)).await?])
    }

    /// Opens what the source is below `which`, or the source itself.
    async fn opened(&self, row: &SandboxRow, which: Option<Layer>) -> Result<Opened> {
        let place = Place::of(&self.layout, row.id);
        let scratch = Scratch(place.view_dir().map_err(Error::internal)?);
        let mut spec = record::launch_spec(row, scratch.0.clone());
        let mut layer = None;
        if let Some(Layer { id, manifest, wanted }) = which {
            let dir = scratch.0.clone();
            let assembled =
                blocking(move || place.assemble((id, &manifest), wanted.as_deref(), &dir));
            let assembled = assembled.await?.map_err(|err| unreadable(err.into()))?;
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
