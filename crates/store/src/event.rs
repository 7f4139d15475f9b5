//! What happened to a tenant, to an app of it, to a sandbox: append-only, and ids only ever grow.

use jiff::Timestamp;
use sandbar_types::{AppId, SandboxId, TenantId};

use crate::{
    NewEvent, Reads, Row, StoreError, WriteTxn,
    query::query,
    row::{self, to_json},
};

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRow {
    /// Grows with every event of the server.
    pub id: i64,
    /// In whose history it is.
    pub subject: EventSubject,
    /// When it happened.
    pub at: Timestamp,
    /// What happened; the engine's own form, never output or secrets.
    pub payload: serde_json::Value,
}

/// In whose history an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventSubject {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The app that it is about.
    pub app_id: Option<AppId>,
    /// The sandbox that it is about.
    pub sandbox_id: Option<SandboxId>,
}

fn read(found: &Row) -> Result<EventRow, StoreError> {
    Ok(EventRow {
        id: row::column(found, "id")?,
        subject: EventSubject {
            tenant_id: row::parsed(found, "tenant_id")?,
            app_id: row::parsed_opt(found, "app_id")?,
            sandbox_id: row::parsed_opt(found, "sandbox_id")?,
        },
        at: row::time(found, "at")?,
        payload: row::json(found, "payload")?,
    })
}

/// Appends an event and returns its id.
///
/// # Errors
/// The database failed.
pub async fn event_insert_in_txn(
    txn: &mut WriteTxn,
    subject: &EventSubject,
    at: Timestamp,
    payload: &serde_json::Value,
) -> Result<i64, StoreError> {
    let done = query(
        "INSERT INTO event (tenant_id, app_id, sandbox_id, at, payload) VALUES ($1, $2, $3, $4, $5) RETURNING id",
    )
    .bind(subject.tenant_id.to_string())
    .bind(subject.app_id.map(|id| id.to_string()))
    .bind(subject.sandbox_id.map(|id| id.to_string()))
    .bind(at.as_microsecond())
    .bind(to_json(payload))
    .fetch_one(txn)
    .await
    .map_err(StoreError::query("append an event"))?;
    row::column(&done, "id")
}

const INSERT_OF_SANDBOX: &str = "INSERT INTO event (tenant_id, app_id, sandbox_id, at, payload) \
    SELECT tenant_id, app_id, id, $2, $3 FROM sandbox WHERE id = $1 RETURNING id";

/// Appends an event to the history of a sandbox, its app and its tenant, and returns its id.
///
/// # Errors
/// The database failed, or there is no such sandbox.
pub async fn event_insert_of_sandbox_in_txn(
    txn: &mut WriteTxn,
    id: SandboxId,
    at: Timestamp,
    payload: &serde_json::Value,
) -> Result<i64, StoreError> {
    let done = query(INSERT_OF_SANDBOX)
        .bind(id.to_string())
        .bind(at.as_microsecond())
        .bind(to_json(payload))
        .fetch_one(txn)
        .await
        .map_err(StoreError::query("append an event"))?;
    row::column(&done, "id")
}

/// As [`event_insert_of_sandbox_in_txn`]; `None`: there is no such sandbox, and the transaction goes on.
pub(crate) async fn event_insert_if_sandbox_in_txn(
    txn: &mut WriteTxn,
    event: &NewEvent,
) -> Result<Option<i64>, StoreError> {
    let done = query(INSERT_OF_SANDBOX)
        .bind(event.sandbox_id.to_string())
        .bind(event.at.as_microsecond())
        .bind(to_json(&event.payload))
        .fetch_optional(txn)
        .await
        .map_err(StoreError::query("append an event"))?;
    done.as_ref().map(|done| row::column(done, "id")).transpose()
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
    rows.iter().map(read).collect()
}

/// Lists at most `limit` events of the app `id` of `tenant` after the event `after`, oldest first: those of its
/// sandboxes, too.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn event_list_of_app(
    conn: &mut impl Reads,
    (tenant, id): (TenantId, AppId),
    after: i64,
    limit: u32,
) -> Result<Vec<EventRow>, StoreError> {
    let rows = query(
        "SELECT * FROM event WHERE app_id = $1 AND tenant_id = $2 AND id > $3 ORDER BY id LIMIT $4",
    )
    .bind(id.to_string())
    .bind(tenant.to_string())
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(StoreError::query("list the events of an app"))?;
    rows.iter().map(read).collect()
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

/// Counts events before `before`.
///
/// # Errors
/// The database failed.
pub async fn event_count_before(
    conn: &mut impl Reads,
    before: Timestamp,
) -> Result<u64, StoreError> {
    let found = query("SELECT count(*) AS old FROM event WHERE at < $1")
        .bind(before.as_microsecond())
        .fetch_one(conn)
        .await
        .map_err(StoreError::query("count old events"))?;
    row::count(&found, "old")
}
