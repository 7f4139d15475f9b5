//! Reading what happened in a task: from disk, whether or not its sandbox runs, or is still there.

use std::{io, time::Duration};

use sandbar_types::{TaskEvent, TaskEventPayload, TaskId, TenantId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{history, reader::Reader, work::Told};
use crate::{Engine, Error, Result, workspace_view::blocking};

/// LIMIT: events that a follower is given at once.
const BATCH_MAX: usize = 200;
/// How long the last event is kept back for the store.
const SETTLE_PATIENCE: Duration = Duration::from_secs(5);

/// Follows a task to its end.
#[derive(Debug)]
pub struct TaskFollower {
    /// `None`: who asked for the next events did not wait for them.
    reader: Option<Reader>,
    told: watch::Receiver<Told>,
    leaving: CancellationToken,
    is_over: bool,
    /// Whether the store said that it was over before anybody followed it.
    was_over: bool,
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
        self.task_row(tenant, id).await?;
        let path = history::path(&self.inner.layout.task(id));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let read = move || Reader::behind(path, after)?.next(limit);
        blocking(read).await?.map_err(Error::internal)
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
        // Before the store is asked, so that an end in between is not missed.
        let told = self.inner.work.follow(id);
        let was_over = self.task_row(tenant, id).await?.state.is_final();
        let path = history::path(&self.inner.layout.task(id));
        let opened = blocking(move || Reader::behind(path, after)).await?;
        let reader = Some(opened.map_err(Error::internal)?);
        let leaving = self.inner.leaving.clone();
        Ok(TaskFollower { reader, told, leaving, is_over: false, was_over })
    }
}

impl TaskFollower {
    /// The next events, as soon as there is one; `None`: the task is over, or the server leaves.
    ///
    /// # Errors
    /// The history cannot be read, or an earlier call was given up.
    pub async fn next(&mut self) -> Result<Option<Vec<TaskEvent>>> {
        while !self.is_over && !self.leaving.is_cancelled() {
            // The history has its end before the store knows, so what is read after this is all.
            let is_whole = self.was_over || *self.told.borrow_and_update() == Told::Over;
            let events = self.batch().await?;
            if let Some(last) = events.last() {
                self.is_over = matches!(last.payload, TaskEventPayload::Done { .. });
                if self.is_over && !is_whole {
                    self.settled().await;
                }
                return Ok(Some(events));
            }
            if is_whole {
                self.is_over = true;
                break;
            }
            let leaving = self.leaving.clone();
            tokio::select! {
                () = leaving.cancelled() => {}
                // Who tells it is there for as long as somebody is to be told.
                _ = self.told.changed() => {}
            }
        }
        Ok(None)
    }

    /// What is there behind the last event.
    async fn batch(&mut self) -> Result<Vec<TaskEvent>> {
        let Some(mut reader) = self.reader.take() else {
            return Err(Error::internal(io::Error::other("a follower of a task was given up")));
        };
        let (reader, read) = blocking(move || {
            let read = reader.next(BATCH_MAX);
            (reader, read)
        })
        .await?;
        self.reader = Some(reader);
        read.map_err(Error::internal)
    }

    /// Waits until the store knows what the history says: who is told that a task is over asks for it next, and is to find
    /// it over.
    async fn settled(&mut self) {
        let leaving = self.leaving.clone();
        let over = self.told.wait_for(|told| *told == Told::Over);
        tokio::select! {
            () = leaving.cancelled() => {}
            // What cannot be written down is no reason to keep what happened back.
            _ = tokio::time::timeout(SETTLE_PATIENCE, over) => {}
        }
    }
}
