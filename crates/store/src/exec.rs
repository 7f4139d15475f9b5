//! Execs. Values of environment variables are never stored: they may be secrets.

use jiff::Timestamp;
use sandbar_types::{ExecId, ExecSpec, ExecState, Generation, SandboxId};

use crate::{
    Reads, Row, StoreError, Update, WriteTxn,
    query::query,
    row::{self, to_int, to_json},
};

/// An exec as it is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecRow {
    /// Its id; its log is `logs/<id>.log`.
    pub id: ExecId,
    /// Where it runs.
    pub sandbox_id: SandboxId,
    /// What was asked for; names of environment variables with empty values.
    pub spec: ExecSpec,
    /// Where it is in its life.
    pub state: ExecState,
    /// Counts the writes of this row.
    pub generation: Generation,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// When its end was seen.
    pub ended_at: Option<Timestamp>,
}

fn read(found: &Row) -> Result<ExecRow, StoreError> {
    Ok(ExecRow {
        id: row::parsed(found, "id")?,
        sandbox_id: row::parsed(found, "sandbox_id")?,
        spec: row::json(found, "spec")?,
        state: row::json(found, "state")?,
        generation: Generation(row::count(found, "generation")?),
        started_at: row::time(found, "started_at")?,
        ended_at: row::time_opt(found, "ended_at")?,
    })
}

/// Inserts `new`, without the values of its environment.
///
/// # Errors
/// The database failed.
pub async fn exec_insert_in_txn(txn: &mut WriteTxn, new: &ExecRow) -> Result<(), StoreError> {
    let mut spec = new.spec.clone();
    spec.env.values_mut().for_each(String::clear);
    query(
        "INSERT INTO exec (id, sandbox_id, spec, state, is_running, generation, started_at, ended_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(new.id.to_string())
    .bind(new.sandbox_id.to_string())
    .bind(to_json(&spec))
    .bind(to_json(&new.state))
    .bind(new.state == ExecState::Running)
    .bind(to_int(new.generation.0))
    .bind(new.started_at.as_microsecond())
    .bind(new.ended_at.map(Timestamp::as_microsecond))
    .execute(txn)
    .await
    .map_err(StoreError::query("insert an exec"))?;
    Ok(())
}

/// Writes the state and the end of `row`, unless somebody else has written since `row.generation`.
///
/// # Errors
/// The database failed.
pub async fn exec_update_in_txn(txn: &mut WriteTxn, row: &ExecRow) -> Result<Update, StoreError> {
    let next = row.generation.next();
    let done = query(
        "UPDATE exec SET state = $1, is_running = $2, generation = $3, ended_at = $4 WHERE id = $5 AND generation = $6",
    )
    .bind(to_json(&row.state))
    .bind(row.state == ExecState::Running)
    .bind(to_int(next.0))
    .bind(row.ended_at.map(Timestamp::as_microsecond))
    .bind(row.id.to_string())
    .bind(to_int(row.generation.0))
    .execute(txn)
    .await
    .map_err(StoreError::query("update an exec"))?;
    Ok(Update::of(done, next))
}

/// Fetches an exec.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn exec_fetch(conn: &mut impl Reads, id: ExecId) -> Result<Option<ExecRow>, StoreError> {
    let found = query("SELECT * FROM exec WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::query("fetch an exec"))?;
    found.as_ref().map(read).transpose()
}

/// Lists at most `limit` execs of `id`, newest first.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn exec_list(
    conn: &mut impl Reads,
    id: SandboxId,
    limit: u32,
) -> Result<Vec<ExecRow>, StoreError> {
    let rows = query("SELECT * FROM exec WHERE sandbox_id = $1 ORDER BY id DESC LIMIT $2")
        .bind(id.to_string())
        .bind(limit)
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list execs"))?;
    rows.iter().map(read).collect()
}

/// Lists the execs of `id` that are recorded as running.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn exec_list_running(
    conn: &mut impl Reads,
    id: SandboxId,
) -> Result<Vec<ExecRow>, StoreError> {
    let rows = query("SELECT * FROM exec WHERE sandbox_id = $1 AND is_running = 1 ORDER BY id")
        .bind(id.to_string())
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list running execs"))?;
    rows.iter().map(read).collect()
}

/// Lists at most `limit` execs of living sandboxes that ended before `before`, the oldest first.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn exec_list_ended_before(
    conn: &mut impl Reads,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<ExecRow>, StoreError> {
    let rows = query(
        "SELECT exec.* FROM exec JOIN sandbox ON sandbox.id = exec.sandbox_id \
         WHERE exec.is_running = 0 AND exec.ended_at < $1 AND sandbox.deleted_at IS NULL \
         ORDER BY exec.ended_at LIMIT $2",
    )
    .bind(before.as_microsecond())
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(StoreError::query("list execs that ended long ago"))?;
    rows.iter().map(read).collect()
}

/// Removes an exec: one that was recorded and never started, or that nobody wants to know of any more.
///
/// # Errors
/// The database failed.
pub async fn exec_remove_in_txn(txn: &mut WriteTxn, id: ExecId) -> Result<(), StoreError> {
    query("DELETE FROM exec WHERE id = $1")
        .bind(id.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query("remove an exec"))?;
    Ok(())
}
