//! Operations that make or remove things outside the database: recorded with all their steps before the first one starts,
//! so that whoever finds one open after a crash knows what may exist.

use jiff::Timestamp;
use sandbar_types::SandboxId;

use crate::{
    Reads, StoreError, WriteTxn,
    query::query,
    row::{self, to_json},
};

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationRow {
    /// Its number.
    pub id: i64,
    /// What it is about.
    pub sandbox_id: SandboxId,
    /// What it does, for example `launch`.
    pub kind: String,
    /// Its steps in order.
    pub steps: Vec<String>,
    /// Part of the names of what it makes.
    pub nonce: String,
    /// When it began.
    pub started_at: Timestamp,
}

/// Records an operation that is about to begin, and returns its number.
///
/// # Errors
/// The database failed.
pub async fn operation_insert_in_txn(
    txn: &mut WriteTxn,
    id: SandboxId,
    kind: &str,
    steps: &[&str],
    nonce: &str,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let done = query(
        "INSERT INTO operation (sandbox_id, kind, steps, nonce, started_at) VALUES ($1, $2, $3, $4, $5) RETURNING id",
    )
    .bind(id.to_string())
    .bind(kind)
    .bind(to_json(&steps))
    .bind(nonce)
    .bind(now.as_microsecond())
    .fetch_one(txn)
    .await
    .map_err(StoreError::query("record an operation"))?;
    row::column(&done, "id")
}

/// Records that every open operation of `id` has ended, with the reason where it failed.
///
/// # Errors
/// The database failed.
pub async fn operation_end_in_txn(
    txn: &mut WriteTxn,
    id: SandboxId,
    error: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    query(
        "UPDATE operation SET ended_at = $1, error = $2 WHERE sandbox_id = $3 AND ended_at IS NULL",
    )
    .bind(now.as_microsecond())
    .bind(error)
    .bind(id.to_string())
    .execute(txn)
    .await
    .map_err(StoreError::query("end an operation"))?;
    Ok(())
}

/// Lists what has not ended.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn operation_list_open(conn: &mut impl Reads) -> Result<Vec<OperationRow>, StoreError> {
    let rows = query("SELECT * FROM operation WHERE ended_at IS NULL ORDER BY id")
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list operations"))?;
    rows.iter()
        .map(|found| {
            Ok(OperationRow {
                id: row::column(found, "id")?,
                sandbox_id: row::parsed(found, "sandbox_id")?,
                kind: row::column(found, "kind")?,
                steps: row::json(found, "steps")?,
                nonce: row::column(found, "nonce")?,
                started_at: row::time(found, "started_at")?,
            })
        })
        .collect()
}
