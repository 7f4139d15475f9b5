//! Approves, and the undos among them: recorded before they write anything. They outlive their sandbox.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use jiff::Timestamp;
use sandbar_types::{Actor, ApproveId, DiffId, HostPath, SandboxId, SandboxName, Sha256, TenantId};

use crate::{
    Reads, Row, StoreError, WriteTxn,
    query::query,
    row::{self, to_json},
};

/// An approve: recorded before it writes anything, ended with what it did.
#[derive(Debug, Clone, PartialEq)]
pub struct ApproveRow {
    /// Its id, and its journal's.
    pub id: ApproveId,
    /// Its place among all approves; given by the store when it is recorded.
    pub seq: i64,
    /// On whose behalf.
    pub tenant_id: TenantId,
    /// Whose changes.
    pub sandbox_id: SandboxId,
    /// The name of the sandbox then.
    pub sandbox_name: SandboxName,
    /// Who asked.
    pub actor: Actor,
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
    /// How many paths it wrote.
    pub paths: u64,
    /// The approve that this one takes back.
    pub undoes: Option<ApproveId>,
    /// The approve that took this one back.
    pub undone_by: Option<ApproveId>,
    /// The commit that it became.
    pub commit_id: Option<String>,
    /// Bytes that its journal keeps for an undo; `None` where it keeps nothing.
    pub kept_bytes: Option<u64>,
}

pub(crate) fn read(found: &Row) -> Result<ApproveRow, StoreError> {
    let hash: &[u8] = row::column(found, "request_hash")?;
    let hash = <[u8; 32]>::try_from(hash)
        .map_err(|err| StoreError::Row { column: "request_hash", source: err.into() })?;
    let source: &[u8] = row::column(found, "source")?;
    Ok(ApproveRow {
        id: row::parsed(found, "id")?,
        seq: row::column(found, "seq")?,
        tenant_id: row::parsed(found, "tenant_id")?,
        sandbox_id: row::parsed(found, "sandbox_id")?,
        sandbox_name: row::parsed(found, "sandbox_name")?,
        actor: row::json(found, "actor")?,
        diff_id: DiffId(row::parsed(found, "diff_id")?),
        request_hash: Sha256(hash),
        source: HostPath::parse(OsStr::from_bytes(source))
            .map_err(|err| StoreError::Row { column: "source", source: err.into() })?,
        outcome: row::json_opt(found, "outcome")?,
        started_at: row::time(found, "started_at")?,
        ended_at: row::time_opt(found, "ended_at")?,
        paths: row::count(found, "paths")?,
        undoes: row::parsed_opt(found, "undoes")?,
        undone_by: row::parsed_opt(found, "undone_by")?,
        commit_id: row::column(found, "commit_id")?,
        kept_bytes: row::count_opt(found, "kept_bytes")?,
    })
}

/// Records an approve that is about to begin.
///
/// # Errors
/// The database failed.
pub async fn approve_insert_in_txn(txn: &mut WriteTxn, new: &ApproveRow) -> Result<(), StoreError> {
    query(
        "INSERT INTO approve (id, sandbox_id, sandbox_name, actor, diff_id, request_hash, source, started_at, paths, \
         undoes, tenant_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10)",
    )
    .bind(new.id.to_string())
    .bind(new.sandbox_id.to_string())
    .bind(new.sandbox_name.as_str())
    .bind(to_json(&new.actor))
    .bind(new.diff_id.to_string())
    .bind(&new.request_hash.0[..])
    .bind(new.source.as_path().as_os_str().as_bytes())
    .bind(new.started_at.as_microsecond())
    .bind(new.undoes.map(|id| id.to_string()))
    .bind(new.tenant_id.to_string())
    .execute(txn)
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
    query("UPDATE approve SET outcome = $1, ended_at = $2 WHERE id = $3")
        .bind(outcome.map(to_json))
        .bind(now.as_microsecond())
        .bind(id.to_string())
        .execute(txn)
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
    query("UPDATE approve SET outcome = $1 WHERE id = $2")
        .bind(to_json(outcome))
        .bind(id.to_string())
        .execute(txn)
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
    let found = query("SELECT * FROM approve WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::query("fetch an approve"))?;
    found.as_ref().map(read).transpose()
}

/// Finds the last approve of `id` that wrote exactly what `request_hash` asks for, and was not taken back.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn approve_find(
    conn: &mut impl Reads,
    id: SandboxId,
    request_hash: Sha256,
) -> Result<Option<ApproveRow>, StoreError> {
    let found = query(
        "SELECT * FROM approve WHERE sandbox_id = $1 AND request_hash = $2 AND outcome IS NOT NULL \
         AND undoes IS NULL AND undone_by IS NULL ORDER BY seq DESC LIMIT 1",
    )
    .bind(id.to_string())
    .bind(&request_hash.0[..])
    .fetch_optional(conn)
    .await
    .map_err(StoreError::query("find an approve"))?;
    found.as_ref().map(read).transpose()
}

/// Lists approves that were begun and not ended: after a crash, their journals are rolled forward or back.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn approve_list_open(conn: &mut impl Reads) -> Result<Vec<ApproveRow>, StoreError> {
    let rows = query("SELECT * FROM approve WHERE ended_at IS NULL ORDER BY seq")
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list open approves"))?;
    rows.iter().map(read).collect()
}
