//! Reading what happened in a task: from disk, whether or not its sandbox runs, or is still there.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sandbar_store::task_fetch;
use sandbar_types::{TaskEvent, TaskEventPayload, TaskId, TenantId};

use super::history::{self, Place};
use crate::{Engine, Error, Result, workspace_view::blocking};

/// LIMIT: events that a follower is given at once.
const BATCH_MAX: usize = 200;
/// How long the last event is kept back for the store.
const SETTLE_PATIENCE: Duration = Duration::from_secs(5);

/// Follows a task to its end.
#[derive(Debug)]
pub struct TaskFollower {
    engine: Engine,
    task: TaskId,
    path: PathBuf,
    place: Place,
    is_over: bool,
}

impl Engine {
    /// The events of a task behind the event `after`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// `task_not_found`.
    pub async fn task_event_list(
        &self,
        tenant: TenantId,
        id: TaskId,
        (after, limit): (u64, u32),
    ) -> Result<Vec<TaskEvent>> {
        let follower = self.task_follow(tenant, id, after).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        follower.read(limit).await.map(|(events, _)| events)
    }

    /// Follows a task from behind the event `after` on.
    ///
    /// # Errors
    /// `task_not_found`.
    pub async fn task_follow(
        &self,
        tenant: TenantId,
        id: TaskId,
        after: u64,
    ) -> Result<TaskFollower> {
        self.task_fetch(tenant, id).await?;
        let path = history::path(&self.inner.layout.task(id));
        let found = path.clone();
        let place =
            blocking(move || Place::behind(&found, after)).await?.map_err(Error::internal)?;
        Ok(TaskFollower { engine: self.clone(), task: id, path, place, is_over: false })
    }
}

impl TaskFollower {
    async fn read(&self, limit: usize) -> Result<(Vec<TaskEvent>, Place)> {
        let (path, place) = (self.path.clone(), self.place);
        blocking(move || place.next(&path, limit)).await?.map_err(Error::internal)
    }

    /// Waits until the store knows what the history says: who is told that a task is over asks for it next, and is to find
    /// it over.
    async fn settled(&self) -> Result<()> {
        let inner = Arc::clone(&self.engine.inner);
        let followed = inner.work.follow(self.task);
        let settled = async {
            loop {
                let mut told = std::pin::pin!(followed.notified());
                told.as_mut().enable();
                if self.is_final().await? {
                    return Ok(());
                }
                told.await;
            }
        };
        tokio::select! {
            () = inner.leaving.cancelled() => Ok(()),
            // What cannot be written down is no reason to keep what happened back.
            settled = tokio::time::timeout(SETTLE_PATIENCE, settled) => settled.unwrap_or(Ok(())),
        }
    }

    /// The next events, as soon as there is one; `None`: the task is over, or the server leaves.
    ///
    /// # Errors
    /// The history cannot be read.
    pub async fn next(&mut self) -> Result<Option<Vec<TaskEvent>>> {
        let inner = Arc::clone(&self.engine.inner);
        let followed = inner.work.follow(self.task);
        while !self.is_over && !inner.leaving.is_cancelled() {
            // Begun before it is looked, so that what is written in between is not missed.
            let mut told = std::pin::pin!(followed.notified());
            told.as_mut().enable();
            if let Some(events) = self.batch().await? {
                if self.is_over {
                    self.settled().await?;
                }
                return Ok(Some(events));
            }
            if self.is_final().await? {
                // The history has its end before the store knows, so what is there now is all.
                return self.batch().await;
            }
            tokio::select! {
                () = inner.leaving.cancelled() => {}
                () = told => {}
            }
        }
        Ok(None)
    }

    /// What is there behind the last event; `None`: nothing yet.
    async fn batch(&mut self) -> Result<Option<Vec<TaskEvent>>> {
        let (events, place) = self.read(BATCH_MAX).await?;
        self.place = place;
        let Some(last) = events.last() else { return Ok(None) };
        self.is_over = matches!(last.payload, TaskEventPayload::Done { .. });
        Ok(Some(events))
    }

    /// Whether the store says that it is over, or has forgotten it.
    async fn is_final(&self) -> Result<bool> {
        let mut conn = self.engine.inner.store.read().await?;
        Ok(task_fetch(&mut conn, self.task).await?.is_none_or(|row| row.state.is_final()))
    }
}
