//! Opening points of a workspace, so that they can be compared.

use std::{
    fs::File,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use sandbar_runtime::{SandboxDir, View};
use sandbar_store::SandboxRow;
use sandbar_types::CheckpointId;
use sandbar_workspace::Point;

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
        // A few empty directories; what cannot be removed is swept at the next start.
        if let Err(err) = remove(&self.0.0) {
            tracing::debug!(error = %err, "the directory of a view could not be removed");
        }
    }
}

impl Inner {
    /// Opens `which` of the sandbox of `row`. For [`CheckpointPoint::Now`] the sandbox is held still.
    pub(super) async fn point(&self, row: &SandboxRow, which: CheckpointPoint) -> Result<Opened> {
        let (place, id) = match which {
            CheckpointPoint::Now => {
                let view = Arc::new(self.view_of(row).await?);
                return Ok(Opened { view, layer: None, _scratch: None });
            }
            CheckpointPoint::Source => (Place::of(&self.layout, row.id), None),
            CheckpointPoint::Checkpoint(id) => (Place::of(&self.layout, row.id), Some(id)),
        };
        let scratch = Scratch(place.view_dir().map_err(Error::internal)?);
        let mut spec = record::launch_spec(row, scratch.0.clone());
        spec.fork_of = id.map(|id| place.checkpoint(id));
        let layer = match id {
            Some(id) => Some(layer(&place, id).await?),
            None => None,
        };
        match self.config.runtime.view(&spec).await {
            Ok(view) => Ok(Opened { view: Arc::new(view), layer, _scratch: Some(scratch) }),
            Err(err) => {
                source::check(row).await?;
                let message = "the files of a checkpoint cannot be opened";
                Err(Error::new(ErrorKind::Unavailable, "unavailable", message).because(err))
            }
        }
    }
}

async fn layer(place: &Place, id: CheckpointId) -> Result<OwnedFd> {
    let upper = place.upper(id);
    let opened = blocking(move || File::open(upper)).await?;
    opened.map(OwnedFd::from).map_err(|err| super::history::not_found(id).because(err))
}
