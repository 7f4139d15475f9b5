//! What happened to a tenant, to an app of it, to a sandbox: append-only, and ids only ever grow.

use jiff::Timestamp;
use sandbar_types::{AppId, EventType, SandboxId, TenantId};

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

/// An event that was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventAt {
    /// Its id.
    pub id: i64,
    /// In whose history it is.
    pub subject: EventSubject,
}

fn read_at(found: &Row) -> Result<EventAt, StoreError> {
    let subject = EventSubject {
        tenant_id: row::parsed(found, "tenant_id")?,
        app_id: row::parsed_opt(found, "app_id")?,
        sandbox_id: row::parsed_opt(found, "sandbox_id")?,
    };
    Ok(EventAt { id: row::column(found, "id")?, subject })
}

fn read(found: &Row) -> Result<EventRow, StoreError> {
    let EventAt { id, subject } = read_at(found)?;
    Ok(EventRow { id, subject, at: row::time(found, "at")?, payload: row::json(found, "payload")? })
}

/// Appends an event and returns it.
///
/// # Errors
/// The database failed.
pub async fn event_insert_in_txn(
    txn: &mut WriteTxn,
    subject: &EventSubject,
    at: Timestamp,
    payload: &serde_json::Value,
) -> Result<EventAt, StoreError> {
    let done = query(
        "INSERT INTO event (tenant_id, app_id, sandbox_id, at, kind, payload) \
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING id, tenant_id, app_id, sandbox_id",
    )
    .bind(subject.tenant_id.to_string())
    .bind(subject.app_id.map(|id| id.to_string()))
    .bind(subject.sandbox_id.map(|id| id.to_string()))
    .bind(at.as_microsecond())
    .bind(kind(payload))
    .bind(to_json(payload))
    .fetch_one(txn)
    .await
    .map_err(StoreError::query("append an event"))?;
    read_at(&done)
}

const INSERT_OF_SANDBOX: &str = "INSERT INTO event (tenant_id, app_id, sandbox_id, at, kind, payload) \
    SELECT tenant_id, app_id, id, $2, $3, $4 FROM sandbox WHERE id = $1 RETURNING id, tenant_id, app_id, sandbox_id";

/// Appends an event to the history of a sandbox, its app and its tenant, and returns it.
///
/// # Errors
/// The database failed, or there is no such sandbox.
pub async fn event_insert_of_sandbox_in_txn(
    txn: &mut WriteTxn,
    id: SandboxId,
    at: Timestamp,
    payload: &serde_json::Value,
) -> Result<EventAt, StoreError> {
    let done = query(INSERT_OF_SANDBOX)
        .bind(id.to_string())
        .bind(at.as_microsecond())
        .bind(kind(payload))
        .bind(to_json(payload))
        .fetch_one(txn)
        .await
        .map_err(StoreError::query("append an event"))?;
    read_at(&done)
}

/// As [`event_insert_of_sandbox_in_txn`]; `None`: there is no such sandbox, and the transaction goes on.
pub(crate) async fn event_insert_if_sandbox_in_txn(
    txn: &mut WriteTxn,
    event: &NewEvent,
) -> Result<Option<EventAt>, StoreError> {
    let done = query(INSERT_OF_SANDBOX)
        .bind(event.sandbox_id.to_string())
        .bind(event.at.as_microsecond())
        .bind(kind(&event.payload))
        .bind(to_json(&event.payload))
        .fetch_optional(txn)
        .await
        .map_err(StoreError::query("append an event"))?;
    done.as_ref().map(read_at).transpose()
}

/// Which events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFilter {
    /// Whose.
    pub tenant: TenantId,
    /// Of this app only.
    pub app: Option<AppId>,
    /// Of this sandbox only.
    pub sandbox: Option<SandboxId>,
    /// Of these types only; of every type where there is none.
    pub types: Vec<EventType>,
}

/// Which part of a list of events, and in what order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventPage {
    /// Behind this id, oldest first; 0 begins with the first one.
    After(i64),
    /// Before this id, newest first; [`i64::MAX`] begins with the last one.
    Before(i64),
}

// The tenant is compared as an expression, so that no dialect takes the index of a tenant where the one of a sandbox or an
// app is there: a tenant may have a hundred thousand events and a sandbox ten.
macro_rules! list {
    ($column:literal, $order:literal) => {
        concat!(
            "SELECT * FROM event WHERE ",
            $column,
            " = $1 AND tenant_id || '' = $2 AND ($3 = '' OR app_id = $3) ",
            "AND ($4 = '' OR $4 LIKE '%,' || kind || ',%') ",
            $order,
            " LIMIT $6"
        )
    };
    ($column:literal of $page:expr) => {
        match $page {
            EventPage::After(_) => list!($column, "AND id > $5 ORDER BY id"),
            EventPage::Before(_) => list!($column, "AND id < $5 ORDER BY id DESC"),
        }
    };
}

/// Lists at most `limit` events that pass `filter`, in the order of `page`.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn event_list(
    conn: &mut impl Reads,
    filter: &EventFilter,
    page: EventPage,
    limit: u32,
) -> Result<Vec<EventRow>, StoreError> {
    let EventFilter { tenant, app, sandbox, types } = filter;
    let app_text = app.map_or_else(String::new, |id| id.to_string());
    let (sql, subject) = match (sandbox, app) {
        (Some(id), _) => (list!("sandbox_id" of page), id.to_string()),
        (None, Some(id)) => (list!("app_id" of page), id.to_string()),
        (None, None) => (list!("tenant_id" of page), tenant.to_string()),
    };
    let (EventPage::After(bound) | EventPage::Before(bound)) = page;
    let rows = query(sql)
        .bind(subject)
        .bind(tenant.to_string())
        .bind(app_text)
        .bind(type_list(types))
        .bind(bound)
        .bind(limit)
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list events"))?;
    rows.iter().map(read).collect()
}

/// The types between commas, so that one of them is found as a whole word; nothing for all.
fn type_list(types: &[EventType]) -> String {
    types.iter().fold(String::new(), |list, kind| {
        if list.is_empty() { format!(",{kind},") } else { format!("{list}{kind},") }
    })
}

/// The type, as the payload says it.
fn kind(payload: &serde_json::Value) -> &str {
    payload["type"].as_str().unwrap_or_default()
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
