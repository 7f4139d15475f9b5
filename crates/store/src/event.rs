//! What happened to a sandbox, append-only; ids only ever grow.

use jiff::Timestamp;
use sandbar_types::SandboxId;

use crate::{
    Reads, StoreError, WriteTxn,
    conn::Sealed,
    row::{self, to_json},
};

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRow {
    /// Grows with every event of the server.
    pub id: i64,
    /// What it is about.
    pub sandbox_id: SandboxId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened; the engine's own form, never output or secrets.
    pub payload: serde_json::Value,
}

/// Appends an event and returns its id.
///
/// # Errors
/// The database failed.
pub async fn event_insert_in_txn(
    txn: &mut WriteTxn,
    id: SandboxId,
    at: Timestamp,
    payload: &serde_json::Value,
) -> Result<i64, StoreError> {
    let done = sqlx::query("INSERT INTO event (sandbox_id, at, payload) VALUES (?, ?, ?)")
        .bind(id.to_string())
        .bind(at.as_microsecond())
        .bind(to_json(payload))
        .execute(txn.sqlite())
        .await
        .map_err(StoreError::query("append an event"))?;
    Ok(done.last_insert_rowid())
}

/// Lists at most `limit` events of `id` after the event `after`, oldest first.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn event_list(
    conn: &mut impl Reads,
    id: SandboxId,
    after: i64,
    limit: u32,
) -> Result<Vec<EventRow>, StoreError> {
    let rows =
        sqlx::query("SELECT * FROM event WHERE sandbox_id = ? AND id > ? ORDER BY id LIMIT ?")
            .bind(id.to_string())
            .bind(after)
            .bind(limit)
            .fetch_all(conn.sqlite())
            .await
            .map_err(StoreError::query("list events"))?;
    rows.iter()
        .map(|found| {
            Ok(EventRow {
                id: row::column(found, "id")?,
                sandbox_id: row::parsed(found, "sandbox_id")?,
                at: row::time(found, "at")?,
                payload: row::json(found, "payload")?,
            })
        })
        .collect()
}

/// Forgets events before `before`. Returns how many.
///
/// # Errors
/// The database failed.
pub async fn event_prune_in_txn(txn: &mut WriteTxn, before: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query("DELETE FROM event WHERE at < ?")
        .bind(before.as_microsecond())
        .execute(txn.sqlite())
        .await
        .map_err(StoreError::query("forget events"))?;
    Ok(done.rows_affected())
}
