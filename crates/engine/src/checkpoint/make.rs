//! Making a checkpoint: the sandbox is held still only while its layer is copied.

use std::{fs::File, io, os::fd::AsFd, sync::Arc};

use sandbar_store::{
    CheckpointRow, SandboxRow, checkpoint_insert_in_txn, checkpoint_list,
    event_insert_of_sandbox_in_txn,
};
use sandbar_types::{CheckpointId, CheckpointKind, SandboxId};
use sandbar_workspace::checkpoint::{CaptureError, Captured, Manifest, capture, write_out};

use super::{
    Checkpoint, CheckpointMakeParams, keep,
    place::{Place, failed},
};
use crate::{
    Engine, Error, ErrorKind, Result, actor::Ordinary, engine::Inner, event::EventPayload, upkeep,
    workspace_view::blocking,
};

impl Engine {
    /// Keeps the workspace as it is now. Dropping the future does not stop it.
    ///
    /// What is in memory is not kept; sockets and devices are left out and counted.
    ///
    /// # Errors
    /// `sandbox_not_found`, `state_conflict`, `limit_reached`, `storage_full`, `invalid_value`.
    pub async fn checkpoint_make(
        &self,
        id: SandboxId,
        params: CheckpointMakeParams,
    ) -> Result<Checkpoint> {
        refuse_label(params.label.as_deref())?;
        let inner = Arc::clone(&self.inner);
        let made = self.inner.tasks.spawn(Box::pin(make(inner, id, params)));
        made.await.unwrap_or_else(|panicked| Err(Error::internal(panicked)))
    }
}

async fn make(
    inner: Arc<Inner>,
    id: SandboxId,
    params: CheckpointMakeParams,
) -> Result<Checkpoint> {
    let _looking = inner.checkpoints.look(id).await;
    let source = admit(&inner, &inner.actor(id)?.row()).await?;
    // Before it is held still: what the disk has to take then is what was written since.
    let source = blocking(move || {
        write_out(source.upper.as_fd(), source.previous());
        source
    });
    let source = source.await?;
    let still = inner.hold_still(id).await?;
    let row = Arc::clone(&still.row);
    let begun = begin(&inner, &row, source).await;
    // It runs on while the disk takes what was copied.
    drop(still);
    let made = finish(&inner, &row, begun?, params).await?;
    if let Ok(handle) = inner.actor(id) {
        drop(handle.send(Ordinary::Touch));
    }
    Ok(made)
}

/// A copy that is not yet on the disk.
struct Begun {
    id: CheckpointId,
    captured: Captured,
}

/// Whether there is room for one more, and what it is made from.
async fn admit(inner: &Inner, row: &SandboxRow) -> Result<Source> {
    let existing = checkpoint_list(&mut inner.store.read().await?, row.id).await?;
    keep::admit(&existing, row.spec.limits.disk_bytes_max)?;
    let free = upkeep::free_bytes(inner).await?;
    if free < inner.settings().free_bytes_min {
        let message = "the disk of the server has no space for a checkpoint";
        return Err(Error::new(ErrorKind::LimitReached, "storage_full", message)
            .hint("free some space: `sandbar gc --dry-run` and `sandbar du` show what takes it"));
    }
    let (place, last) = (Place::of(&inner.layout, row.id), existing.first().map(|last| last.id));
    blocking(move || Source::open(&place, last)).await?.map_err(Error::internal)
}

/// Copies the layer of `row`, which is held still.
async fn begin(inner: &Inner, row: &SandboxRow, source: Source) -> Result<Begun> {
    let place = Place::of(&inner.layout, row.id);
    let id = CheckpointId::generate();
    let copying = place.clone();
    match blocking(move || copy(&copying, id, &source)).await? {
        Ok(captured) => Ok(Begun { id, captured }),
        Err(err) => {
            give_up(&place, id).await;
            Err(refused(err))
        }
    }
}

/// What is captured, and the checkpoint of which the capture need not have what is the same.
#[derive(Debug)]
struct Source {
    upper: File,
    last: Option<(CheckpointId, Manifest)>,
}

impl Source {
    fn open(place: &Place, last: Option<CheckpointId>) -> io::Result<Self> {
        // After one that cannot be read the next is whole.
        let last = last.filter(|last| place.has(*last));
        let last = last.and_then(|last| Some((last, place.manifest(last).ok()?)));
        Ok(Self { upper: File::open(place.living())?, last })
    }

    fn previous(&self) -> Option<&Manifest> {
        self.last.as_ref().map(|(_, manifest)| manifest)
    }
}

fn copy(place: &Place, id: CheckpointId, source: &Source) -> Result<Captured, CaptureError> {
    let last = source.last.as_ref().map(|(last, _)| *last);
    let into = place.begin(id, last).and_then(File::open).map_err(failed)?;
    capture(source.upper.as_fd(), into.as_fd(), source.previous())
}

/// Brings a copy to the disk, gives it its name and records it.
async fn finish(
    inner: &Inner,
    row: &SandboxRow,
    begun: Begun,
    params: CheckpointMakeParams,
) -> Result<Checkpoint> {
    let (place, id) = (Place::of(&inner.layout, row.id), begun.id);
    let mut new = CheckpointRow {
        id,
        sandbox_id: row.id,
        task_id: params.task_id,
        kind: params.kind,
        label: params.label,
        bytes: begun.captured.bytes,
        left_out: begun.captured.left_out,
        created_at: inner.config.clock.now(),
    };
    let syncing = place.clone();
    let synced = blocking(move || syncing.finish(id, &begun.captured)).await?;
    match synced {
        Ok(manifest_bytes) => new.bytes += manifest_bytes,
        Err(err) => {
            give_up(&place, id).await;
            return Err(refused(err));
        }
    }
    if let Err(err) = record(inner, &new).await {
        drop(blocking(move || place.remove(id)).await);
        return Err(err);
    }
    Ok(new.into())
}

async fn record(inner: &Inner, new: &CheckpointRow) -> Result<()> {
    let payload = EventPayload::CheckpointMade { checkpoint_id: new.id, kind: new.kind }.to_value();
    let mut txn = inner.store.begin().await?;
    checkpoint_insert_in_txn(&mut txn, new).await?;
    let event =
        event_insert_of_sandbox_in_txn(&mut txn, new.sandbox_id, new.created_at, &payload).await?;
    txn.commit().await?;
    inner.event_written(event);
    Ok(())
}

async fn give_up(place: &Place, id: CheckpointId) {
    let removing = place.clone();
    let removed = blocking(move || removing.give_up(id)).await;
    if let Ok(Err(err)) = removed {
        tracing::warn!(checkpoint.id = %id, error = %err, "a checkpoint that was given up could not be removed yet");
    }
}

/// Keeps what is there before something else is put in its place; the sandbox is held still.
pub(super) async fn keep_now(
    inner: &Inner,
    row: &SandboxRow,
    label: String,
) -> Result<CheckpointId> {
    let source = admit(inner, row).await?;
    let begun = begin(inner, row, source).await?;
    let params =
        CheckpointMakeParams { kind: CheckpointKind::Kept, task_id: None, label: Some(label) };
    Ok(finish(inner, row, begun, params).await?.id)
}

fn refused(err: CaptureError) -> Error {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ResourceBusy, StorageFull};

    let kind = err.source.kind();
    if matches!(kind, StorageFull | QuotaExceeded) {
        let message = "the disk of the server has no space for a checkpoint";
        return Error::new(ErrorKind::LimitReached, "storage_full", message).because(err);
    }
    if matches!(kind, PermissionDenied | ResourceBusy) {
        let message = format!("{err}: {}", err.source);
        return Error::new(ErrorKind::Unavailable, "unavailable", message).because(err);
    }
    Error::internal(err)
}

fn refuse_label(label: Option<&str>) -> Result<()> {
    let most = CheckpointMakeParams::LABEL_BYTES_MAX;
    match label {
        Some(label)
            if label.is_empty() || label.len() > most || label.chars().any(char::is_control) =>
        {
            let message = format!("a label has 1 to {most} bytes and no control characters");
            Err(Error::new(ErrorKind::Invalid, "invalid_value", message))
        }
        Some(_) | None => Ok(()),
    }
}
