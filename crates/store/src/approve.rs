//! Approves, and what they wrote: the base that later changes are compared with.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use jiff::Timestamp;
use sandbar_types::{ApproveId, DiffId, HostPath, SandboxId, Sha256, WorkspacePath};
use sqlx::sqlite::SqliteRow;

use crate::{
    Reads, StoreError, WriteTxn,
    conn::Sealed,
    row::{self, to_json},
};

/// An approve: recorded before it writes anything, ended with what it did.
#[derive(Debug, Clone, PartialEq)]
pub struct ApproveRow {
    /// Its id, and its journal's.
    pub id: ApproveId,
    /// Whose changes.
    pub sandbox_id: SandboxId,
    /// The changes that the person saw.
    pub diff_id: DiffId,
    /// Hash of everything that was asked for, the changes included.
    pub request_hash: Sha256,
    /// Where it writes to.
    pub source: HostPath,
    /// What it did; the engine's own form.
    pub outcome: Option<serde_json::Value>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, in whatever way.
    pub ended_at: Option<Timestamp>,
}

fn read(found: &SqliteRow) -> Result<ApproveRow, StoreError> {
    let hash: &[u8] = row::column(found, "request_hash")?;
    let hash = <[u8; 32]>::try_from(hash)
        .map_err(|err| StoreError::Row { column: "request_hash", source: err.into() })?;
    let source: &[u8] = row::column(found, "source")?;
    Ok(ApproveRow {
        id: row::parsed(found, "id")?,
        sandbox_id: row::parsed(found, "sandbox_id")?,
        diff_id: DiffId(row::parsed(found, "diff_id")?),
        request_hash: Sha256(hash),
        source: HostPath::parse(OsStr::from_bytes(source))
            .map_err(|err| StoreError::Row { column: "source", source: err.into() })?,
        outcome: row::json_opt(found, "outcome")?,
        started_at: row::time(found, "started_at")?,
        ended_at: row::time_opt(found, "ended_at")?,
    })
}

/// Records an approve that is about to begin.
///
/// # Errors
/// The database failed.
pub async fn approve_insert_in_txn(txn: &mut WriteTxn, new: &ApproveRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO approve (id, sandbox_id, diff_id, request_hash, source, started_at) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(new.id.to_string())
    .bind(new.sandbox_id.to_string())
    .bind(new.diff_id.to_string())
    .bind(&new.request_hash.0[..])
    .bind(new.source.as_path().as_os_str().as_bytes())
    .bind(new.started_at.as_microsecond())
    .execute(txn.sqlite())
    .await
    .map_err(StoreError::query("record an approve"))?;
    Ok(())
}

/// Records what became of an approve; without an outcome, it wrote nothing.
///
/// # Errors
/// The database failed.
pub async fn approve_end_in_txn(
    txn: &mut WriteTxn,
    id: ApproveId,
    outcome: Option<&serde_json::Value>,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE approve SET outcome = ?, ended_at = ? WHERE id = ?")
        .bind(outcome.map(to_json))
        .bind(now.as_microsecond())
        .bind(id.to_string())
        .execute(txn.sqlite())
        .await
        .map_err(StoreError::query("end an approve"))?;
    Ok(())
}

/// Records more of what an ended approve did: the commit that was made of it.
///
/// # Errors
/// The database failed.
pub async fn approve_outcome_in_txn(
    txn: &mut WriteTxn,
    id: ApproveId,
    outcome: &serde_json::Value,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE approve SET outcome = ? WHERE id = ?")
        .bind(to_json(outcome))
        .bind(id.to_string())
        .execute(txn.sqlite())
        .await
        .map_err(StoreError::query("record the commit of an approve"))?;
    Ok(())
}

/// Fetches an approve.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn approve_fetch(
    conn: &mut impl Reads,
    id: ApproveId,
) -> Result<Option<ApproveRow>, StoreError> {
    let found = sqlx::query("SELECT * FROM approve WHERE id = ?")
        .bind(id.to_string())
        .fetch_optional(conn.sqlite())
        .await
        .map_err(StoreError::query("fetch an approve"))?;
    found.as_ref().map(read).transpose()
}

/// Finds the last approve of `id` that wrote exactly what `request_hash` asks for.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn approve_find(
    conn: &mut impl Reads,
    id: SandboxId,
    request_hash: Sha256,
) -> Result<Option<ApproveRow>, StoreError> {
    let found = sqlx::query(
        "SELECT * FROM approve WHERE sandbox_id = ? AND request_hash = ? AND outcome IS NOT NULL \
         ORDER BY id DESC LIMIT 1",
    )
    .bind(id.to_string())
    .bind(&request_hash.0[..])
    .fetch_optional(conn.sqlite())
    .await
    .map_err(StoreError::query("find an approve"))?;
    found.as_ref().map(read).transpose()
}

/// Lists approves that were begun and not ended: after a crash, their journals are rolled forward or back.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn approve_list_open(conn: &mut impl Reads) -> Result<Vec<ApproveRow>, StoreError> {
    let rows = sqlx::query("SELECT * FROM approve WHERE ended_at IS NULL ORDER BY id")
        .fetch_all(conn.sqlite())
        .await
        .map_err(StoreError::query("list open approves"))?;
    rows.iter().map(read).collect()
}

/// A path that was approved, and what it is compared with from then on.
#[derive(Debug, Clone, PartialEq)]
pub struct ApprovedPathRow {
    /// The path.
    pub path: WorkspacePath,
    /// What the source had there right after; the engine's own form.
    pub base: serde_json::Value,
}

/// Records what `id` is compared with at `new.path` from now on.
///
/// # Errors
/// The database failed.
pub async fn approved_path_put_in_txn(
    txn: &mut WriteTxn,
    id: SandboxId,
    new: &ApprovedPathRow,
) -> Result<(), StoreError> {
    sqlx::query("INSERT OR REPLACE INTO approved_path (sandbox_id, path, base) VALUES (?, ?, ?)")
        .bind(id.to_string())
        .bind(new.path.as_bytes())
        .bind(to_json(&new.base))
        .execute(txn.sqlite())
        .await
        .map_err(StoreError::query("record an approved path"))?;
    Ok(())
}

/// Lists every approved path of `id`.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn approved_path_list(
    conn: &mut impl Reads,
    id: SandboxId,
) -> Result<Vec<ApprovedPathRow>, StoreError> {
    let rows =
        sqlx::query("SELECT path, base FROM approved_path WHERE sandbox_id = ? ORDER BY path")
            .bind(id.to_string())
            .fetch_all(conn.sqlite())
            .await
            .map_err(StoreError::query("list approved paths"))?;
    rows.iter()
        .map(|found| {
            let path = WorkspacePath::parse(row::column::<&[u8]>(found, "path")?)
                .map_err(|err| StoreError::Row { column: "path", source: err.into() })?;
            Ok(ApprovedPathRow { path, base: row::json(found, "base")? })
        })
        .collect()
}
