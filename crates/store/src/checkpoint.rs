//! Points of a sandbox's past. Their files are not the store's.

use jiff::Timestamp;
use sandbar_types::{CheckpointId, CheckpointKind, SandboxId, TaskId};

use crate::{
    Reads, Row, StoreError, WriteTxn,
    query::query,
    row::{self, to_int},
};

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRow {
    /// Its id; later ones have larger ones.
    pub id: CheckpointId,
    /// Of which sandbox.
    pub sandbox_id: SandboxId,
    /// Around which task.
    pub task_id: Option<TaskId>,
    /// Why it was made.
    pub kind: CheckpointKind,
    /// What somebody called it.
    pub label: Option<String>,
    /// What it alone held on disk when it was made.
    pub bytes: u64,
    /// Sockets and devices that it does not hold.
    pub left_out: u64,
    /// When it was made.
    pub created_at: Timestamp,
}

fn read(found: &Row) -> Result<CheckpointRow, StoreError> {
    Ok(CheckpointRow {
        id: row::parsed(found, "id")?,
        sandbox_id: row::parsed(found, "sandbox_id")?,
        task_id: row::parsed_opt(found, "task_id")?,
        kind: row::parsed(found, "kind")?,
        label: row::column(found, "label")?,
        bytes: row::count(found, "bytes")?,
        left_out: row::count(found, "left_out")?,
        created_at: row::time(found, "created_at")?,
    })
}

/// Inserts `new` as it is.
///
/// # Errors
/// The database failed.
pub async fn checkpoint_insert_in_txn(
    txn: &mut WriteTxn,
    new: &CheckpointRow,
) -> Result<(), StoreError> {
    query(
        "INSERT INTO checkpoint (id, sandbox_id, task_id, kind, label, bytes, left_out, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(new.id.to_string())
    .bind(new.sandbox_id.to_string())
    .bind(new.task_id.map(|id| id.to_string()))
    .bind(new.kind.as_str())
    .bind(&new.label)
    .bind(to_int(new.bytes))
    .bind(to_int(new.left_out))
    .bind(new.created_at.as_microsecond())
    .execute(txn)
    .await
    .map_err(StoreError::query("insert a checkpoint"))?;
    Ok(())
}

/// Looks up one of the checkpoints of `sandbox`.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn checkpoint_fetch(
    conn: &mut impl Reads,
    sandbox: SandboxId,
    id: CheckpointId,
) -> Result<Option<CheckpointRow>, StoreError> {
    let row = query("SELECT * FROM checkpoint WHERE id = $1 AND sandbox_id = $2")
        .bind(id.to_string())
        .bind(sandbox.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::query("fetch a checkpoint"))?;
    row.as_ref().map(read).transpose()
}

/// Lists every checkpoint of `id`, the newest first.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn checkpoint_list(
    conn: &mut impl Reads,
    id: SandboxId,
) -> Result<Vec<CheckpointRow>, StoreError> {
    let rows = query("SELECT * FROM checkpoint WHERE sandbox_id = $1 ORDER BY id DESC")
        .bind(id.to_string())
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list checkpoints"))?;
    rows.iter().map(read).collect()
}

/// Lists the checkpoints of every sandbox, those of one together, the newest first.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn checkpoint_list_all(conn: &mut impl Reads) -> Result<Vec<CheckpointRow>, StoreError> {
    let rows = query("SELECT * FROM checkpoint ORDER BY sandbox_id, id DESC")
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list all checkpoints"))?;
    rows.iter().map(read).collect()
}

/// Lists the checkpoints around `task`, the oldest first.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn checkpoint_list_of_task(
    conn: &mut impl Reads,
    task: TaskId,
) -> Result<Vec<CheckpointRow>, StoreError> {
    let rows = query("SELECT * FROM checkpoint WHERE task_id = $1 ORDER BY id")
        .bind(task.to_string())
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list checkpoints of a task"))?;
    rows.iter().map(read).collect()
}

/// Removes a checkpoint.
///
/// # Errors
/// The database failed.
pub async fn checkpoint_remove_in_txn(
    txn: &mut WriteTxn,
    id: CheckpointId,
) -> Result<(), StoreError> {
    query("DELETE FROM checkpoint WHERE id = $1")
        .bind(id.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query("remove a checkpoint"))?;
    Ok(())
}

/// Removes every checkpoint of a sandbox.
///
/// # Errors
/// The database failed.
pub async fn checkpoint_remove_all_in_txn(
    txn: &mut WriteTxn,
    id: SandboxId,
) -> Result<(), StoreError> {
    query("DELETE FROM checkpoint WHERE sandbox_id = $1")
        .bind(id.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query("remove the checkpoints of a sandbox"))?;
    Ok(())
}
