//! Many events in one commit: what is told at the same time waits for the disk once.

use jiff::Timestamp;
use sandbar_types::SandboxId;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{EventAt, Store, StoreError, event::event_insert_if_sandbox_in_txn};

/// LIMIT: events in one commit, which keeps every other writer waiting.
const BATCH_MAX: usize = 256;

/// One more event of a sandbox.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Whose.
    pub sandbox_id: SandboxId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub payload: serde_json::Value,
}

struct Waiting {
    event: NewEvent,
    written: oneshot::Sender<EventAt>,
}

/// An event that was not written: its sandbox is gone, the store failed, or the writer has ended. The writer's log has why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event was not written")]
pub struct EventLost;

/// Where events are handed in. [`EventWriter::new`] makes it with the [`EventBatches`] that write them.
#[derive(Debug, Clone)]
pub struct EventWriter(mpsc::Sender<Waiting>);

/// What writes the events, a commit for all that wait.
#[derive(Debug)]
pub struct EventBatches(mpsc::Receiver<Waiting>);

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.event.fmt(f)
    }
}

impl EventWriter {
    /// Returns both ends.
    #[must_use]
    pub fn new() -> (Self, EventBatches) {
        let (sender, receiver) = mpsc::channel(BATCH_MAX);
        (Self(sender), EventBatches(receiver))
    }

    /// Appends an event, and returns it once it is durable.
    ///
    /// # Errors
    /// See [`EventLost`].
    pub async fn append(&self, event: NewEvent) -> Result<EventAt, EventLost> {
        let (written, event_at) = oneshot::channel();
        self.0.send(Waiting { event, written }).await.map_err(|_ended| EventLost)?;
        event_at.await.map_err(|_dropped| EventLost)
    }
}

impl EventBatches {
    /// Writes what is handed in; after `leaving`, what was handed in before, and then ends.
    pub async fn write(mut self, store: Store, leaving: CancellationToken) {
        let (mut batch, mut is_closed) = (Vec::with_capacity(BATCH_MAX), false);
        loop {
            tokio::select! {
                () = leaving.cancelled(), if !is_closed => {
                    self.0.close();
                    is_closed = true;
                    continue;
                }
                count = self.0.recv_many(&mut batch, BATCH_MAX) => {
                    if count == 0 {
                        return;
                    }
                }
            }
            if let Err(err) = commit(&store, &mut batch).await {
                tracing::warn!(
                    events = batch.len(),
                    error = &err as &dyn std::error::Error,
                    "events could not be written"
                );
            }
            // Who waits for one of these learns that it was lost.
            batch.clear();
        }
    }
}

/// Writes `batch` and answers who waits for it. One whose sandbox is gone costs the others nothing.
async fn commit(store: &Store, batch: &mut Vec<Waiting>) -> Result<(), StoreError> {
    let mut txn = store.begin().await?;
    let mut done = Vec::with_capacity(batch.len());
    for Waiting { event, .. } in batch.iter() {
        done.push(event_insert_if_sandbox_in_txn(&mut txn, event).await?);
    }
    txn.commit().await?;
    for (Waiting { written, .. }, event) in batch.drain(..).zip(done) {
        if let Some(event) = event {
            written.send(event).ok();
        }
    }
    Ok(())
}
