//! What differs between two points.

use std::sync::Arc;

use sandbar_runtime::View;
use sandbar_store::SandboxRow;
use sandbar_types::{ChangeSet, CheckpointId, SandboxId, Selection};
use sandbar_workspace::{ChangeLimits, Layers, changes_between, diff, proposal::Proposal};

use super::{CheckpointPoint, points::Opened};
use crate::{
    Engine, Error, Result,
    engine::Inner,
    lifecycle::{Request, admit},
    review::unreadable,
    source,
    workspace_view::{StillGuard, blocking},
};

/// Two open points, with what differs between them.
pub(super) struct Compared {
    pub(super) old: Arc<Opened>,
    pub(super) new: Arc<Opened>,
    pub(super) set: Arc<ChangeSet>,
}

/// A sandbox of which points are opened: held still where the living one is among them.
struct Held {
    row: Arc<SandboxRow>,
    _still: Option<StillGuard>,
}

impl Inner {
    pub(super) async fn compare(&self, old: Arc<Opened>, new: Arc<Opened>) -> Result<Compared> {
        let (from, to, marks) = (Arc::clone(&old), Arc::clone(&new), self.marks());
        let set = blocking(move || {
            changes_between(from.point(), to.point(), marks, &ChangeLimits::default())
        });
        let set = Arc::new(set.await?.map_err(unreadable)?);
        Ok(Compared { old, new, set })
    }

    async fn held(self: &Arc<Self>, id: SandboxId, points: [CheckpointPoint; 2]) -> Result<Held> {
        let held = if points.contains(&CheckpointPoint::Now) {
            let still = self.hold_still(id).await?;
            Held { row: Arc::clone(&still.row), _still: Some(still) }
        } else {
            let row = self.actor(id)?.row();
            admit(&row.state, Request::Files)?;
            Held { row, _still: None }
        };
        source::check(&held.row).await?;
        for point in points {
            if let CheckpointPoint::Checkpoint(checkpoint) = point {
                self.checkpoint_row(id, checkpoint).await?;
            }
        }
        Ok(held)
    }

    async fn compared(&self, held: &Held, points: [CheckpointPoint; 2]) -> Result<Compared> {
        if let [CheckpointPoint::Checkpoint(old), CheckpointPoint::Checkpoint(new)] = points {
            return self.compare_two(&held.row, [old, new]).await;
        }
        let [old, new] = points;
        let old = Arc::new(self.point(&held.row, old).await?);
        let new = Arc::new(self.point(&held.row, new).await?);
        self.compare(old, new).await
    }

    pub(super) async fn compare_two(
        &self,
        row: &SandboxRow,
        points: [CheckpointId; 2],
    ) -> Result<Compared> {
        let [old, new] = self.two_points(row, points).await?.map(Arc::new);
        self.compare(old, new).await
    }
}

impl Engine {
    /// Everything that differs between two points, ordered by path.
    ///
    /// # Errors
    /// `sandbox_not_found`, `checkpoint_not_found`, `state_conflict`, `limit_reached`.
    pub async fn checkpoint_changes(
        &self,
        id: SandboxId,
        from: CheckpointPoint,
        to: CheckpointPoint,
    ) -> Result<ChangeSet> {
        let _looking = self.inner.checkpoints.look(id).await;
        let held = self.inner.held(id, [from, to]).await?;
        let Compared { set, .. } = self.inner.compared(&held, [from, to]).await?;
        Ok(Arc::unwrap_or_clone(set))
    }

    /// The same as a patch that `git apply` accepts.
    ///
    /// # Errors
    /// As [`Engine::checkpoint_changes`].
    pub async fn checkpoint_diff(
        &self,
        id: SandboxId,
        from: CheckpointPoint,
        to: CheckpointPoint,
    ) -> Result<Vec<u8>> {
        let _looking = self.inner.checkpoints.look(id).await;
        let held = self.inner.held(id, [from, to]).await?;
        let Compared { old, new, set } = self.inner.compared(&held, [from, to]).await?;
        let marks = self.inner.marks();
        let written = blocking(move || {
            let (from, to) = (old.point(), new.point());
            let layers =
                Layers { merged: to.merged, upper: to.upper, lower: Some(from.merged), marks };
            let (proposal, limits) = (Proposal::of((*set).clone()), ChangeLimits::default());
            let mut out = Vec::new();
            let _left_out = diff::write(&layers, &proposal, &Selection::All, &limits, &mut out)
                .map_err(Error::internal)?;
            Ok(out)
        });
        written.await?
    }
}

/// What a view shows.
pub(super) fn merged(view: &View) -> std::os::fd::BorrowedFd<'_> {
    std::os::fd::AsFd::as_fd(&view.merged)
}
