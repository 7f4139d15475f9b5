//! What happened to a sandbox, append-only; ids only ever grow.

use jiff::Timestamp;
use sandbar_types::SandboxId;

use crate::{
    Reads, StoreError, WriteTxn,
    query::query,
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
    let done =
        query("INSERT INTO event (sandbox_id, at, payload) VALUES ($1, $2, $3) RETURNING id")
            .bind(id.to_string())
            .bind(at.as_microsecond())
            .bind(to_json(payload))
            .fetch_one(txn)
            .await
            .map_err(StoreError::query("append an event"))?;
    row::column(&done, "id")
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
    let rows = query("SELECT * FROM event WHERE sandbox_id = $1 AND id > $2 ORDER BY id LIMIT $3")
        .bind(id.to_string())
        .bind(after)
        .bind(limit)
        .fetch_all(conn)
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
    let done = query("DELETE FROM event WHERE at < $1")
        .bind(before.as_microsecond())
        .execute(txn)
        .await
        .map_err(StoreError::query("forget events"))?;
    Ok(done)
}
