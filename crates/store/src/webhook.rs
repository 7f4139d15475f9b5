//! Where events of a tenant are sent to, how far that has come, and the last attempts.

use jiff::Timestamp;
use sandbar_types::{AppId, EventType, Generation, TenantId, WebhookId};

use crate::{
    Reads, Row, StoreError, Update, WriteTxn,
    query::query,
    row::{self, to_int, to_json},
};

/// A webhook. Its secret is an item of the configuration with its id as scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRow {
    /// Its id.
    pub id: WebhookId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Where to.
    pub url: String,
    /// What it is for.
    pub description: String,
    /// Which types; every one where there is none.
    pub event_types: Vec<EventType>,
    /// Of which app only.
    pub app_id: Option<AppId>,
    /// Whether anything is sent.
    pub is_active: bool,
    /// Why not, where it was not a person who said so.
    pub disabled_reason: Option<String>,
    /// Until when the secret before signs as well.
    pub old_secret_until: Option<Timestamp>,
    /// How far it has come.
    pub progress: WebhookProgress,
    /// Grows with each change that a person makes.
    pub generation: Generation,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a person changed it.
    pub updated_at: Timestamp,
}

/// How far the deliveries of a webhook have come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WebhookProgress {
    /// The last event that was delivered.
    pub cursor: i64,
    /// How often the next one was tried.
    pub attempts: u32,
    /// Since when that fails.
    pub failing_since: Option<Timestamp>,
    /// When it is tried again.
    pub next_at: Option<Timestamp>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookDeliveryRow {
    /// Grows with every attempt.
    pub id: i64,
    /// Of which webhook.
    pub webhook_id: WebhookId,
    /// Which event; `None` for a test.
    pub event_id: Option<i64>,
    /// When.
    pub at: Timestamp,
    /// The how manieth one of this event, from 1.
    pub attempt: u32,
    /// How long it took.
    pub duration_ms: u64,
    /// What was answered.
    pub status: Option<u32>,
    /// Why nothing was.
    pub error: Option<String>,
    /// The beginning of the answer, escaped.
    pub response: String,
}

fn read(found: &Row) -> Result<WebhookRow, StoreError> {
    Ok(WebhookRow {
        id: row::parsed(found, "id")?,
        tenant_id: row::parsed(found, "tenant_id")?,
        url: row::column(found, "url")?,
        description: row::column(found, "description")?,
        event_types: row::json(found, "event_types")?,
        app_id: row::parsed_opt(found, "app_id")?,
        is_active: row::column(found, "is_active")?,
        disabled_reason: row::column(found, "disabled_reason")?,
        old_secret_until: row::time_opt(found, "old_secret_until")?,
        progress: WebhookProgress {
            cursor: row::column(found, "cursor")?,
            attempts: row::column(found, "attempts")?,
            failing_since: row::time_opt(found, "failing_since")?,
            next_at: row::time_opt(found, "next_at")?,
        },
        generation: Generation(row::count(found, "generation")?),
        created_at: row::time(found, "created_at")?,
        updated_at: row::time(found, "updated_at")?,
    })
}

fn read_delivery(found: &Row) -> Result<WebhookDeliveryRow, StoreError> {
    Ok(WebhookDeliveryRow {
        id: row::column(found, "id")?,
        webhook_id: row::parsed(found, "webhook_id")?,
        event_id: row::column(found, "event_id")?,
        at: row::time(found, "at")?,
        attempt: row::column(found, "attempt")?,
        duration_ms: row::count(found, "duration_ms")?,
        status: row::column(found, "status")?,
        error: row::column(found, "error")?,
        response: row::column(found, "response")?,
    })
}

/// Inserts `new` as it is, but behind every event that there is, and returns where that is.
///
/// # Errors
/// The database failed.
pub async fn webhook_insert_in_txn(
    txn: &mut WriteTxn,
    new: &WebhookRow,
) -> Result<i64, StoreError> {
    let done = query(
        "INSERT INTO webhook (id, tenant_id, url, description, event_types, app_id, is_active, cursor, attempts, \
         generation, created_at, updated_at) \
         SELECT $1, $2, $3, $4, $5, $6, $7, coalesce(max(event.id), 0), 0, $8, $9, $9 FROM event RETURNING cursor",
    )
    .bind(new.id.to_string())
    .bind(new.tenant_id.to_string())
    .bind(&new.url)
    .bind(&new.description)
    .bind(to_json(&new.event_types))
    .bind(new.app_id.map(|id| id.to_string()))
    .bind(new.is_active)
    .bind(to_int(new.generation.0))
    .bind(new.created_at.as_microsecond())
    .fetch_one(txn)
    .await
    .map_err(StoreError::query("insert a webhook"))?;
    row::column(&done, "cursor")
}

/// Writes what a person may change, where nobody else did since the generation of `new`.
///
/// # Errors
/// The database failed.
pub async fn webhook_update_in_txn(
    txn: &mut WriteTxn,
    new: &WebhookRow,
) -> Result<Update, StoreError> {
    let next = new.generation.next();
    let changed = query(
        "UPDATE webhook SET url = $1, description = $2, event_types = $3, app_id = $4, is_active = $5, \
         disabled_reason = $6, old_secret_until = $7, attempts = $8, failing_since = $9, next_at = $10, \
         generation = $11, updated_at = $12 WHERE id = $13 AND tenant_id = $14 AND generation = $15",
    )
    .bind(&new.url)
    .bind(&new.description)
    .bind(to_json(&new.event_types))
    .bind(new.app_id.map(|id| id.to_string()))
    .bind(new.is_active)
    .bind(&new.disabled_reason)
    .bind(new.old_secret_until.map(Timestamp::as_microsecond))
    .bind(new.progress.attempts)
    .bind(new.progress.failing_since.map(Timestamp::as_microsecond))
    .bind(new.progress.next_at.map(Timestamp::as_microsecond))
    .bind(to_int(next.0))
    .bind(new.updated_at.as_microsecond())
    .bind(new.id.to_string())
    .bind(new.tenant_id.to_string())
    .bind(to_int(new.generation.0))
    .execute(txn)
    .await
    .map_err(StoreError::query("change a webhook"))?;
    Ok(Update::of(changed, next))
}

/// Writes how far the deliveries have come.
///
/// # Errors
/// The database failed.
pub async fn webhook_progress_in_txn(
    txn: &mut WriteTxn,
    id: WebhookId,
    progress: &WebhookProgress,
) -> Result<(), StoreError> {
    query(
        "UPDATE webhook SET cursor = $1, attempts = $2, failing_since = $3, next_at = $4 WHERE id = $5",
    )
    .bind(progress.cursor)
    .bind(progress.attempts)
    .bind(progress.failing_since.map(Timestamp::as_microsecond))
    .bind(progress.next_at.map(Timestamp::as_microsecond))
    .bind(id.to_string())
    .execute(txn)
    .await
    .map_err(StoreError::query("record the progress of a webhook"))?;
    Ok(())
}

/// Fetches a webhook of `tenant`.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn webhook_fetch(
    conn: &mut impl Reads,
    tenant: TenantId,
    id: WebhookId,
) -> Result<Option<WebhookRow>, StoreError> {
    let found = query("SELECT * FROM webhook WHERE id = $1 AND tenant_id = $2")
        .bind(id.to_string())
        .bind(tenant.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::query("fetch a webhook"))?;
    found.as_ref().map(read).transpose()
}

/// Lists at most `limit` webhooks of `tenant` after `after`, oldest first.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn webhook_list(
    conn: &mut impl Reads,
    tenant: TenantId,
    after: Option<WebhookId>,
    limit: u32,
) -> Result<Vec<WebhookRow>, StoreError> {
    let rows = query("SELECT * FROM webhook WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3")
        .bind(tenant.to_string())
        .bind(after.map_or_else(String::new, |id| id.to_string()))
        .bind(limit)
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list webhooks"))?;
    rows.iter().map(read).collect()
}

/// Lists every active webhook of the server, whoever owns it: for the one who delivers.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn webhook_list_active(conn: &mut impl Reads) -> Result<Vec<WebhookRow>, StoreError> {
    let rows = query("SELECT * FROM webhook WHERE is_active = 1 ORDER BY id")
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list active webhooks"))?;
    rows.iter().map(read).collect()
}

/// Removes a webhook with its attempts.
///
/// # Errors
/// The database failed.
pub async fn webhook_remove_in_txn(
    txn: &mut WriteTxn,
    tenant: TenantId,
    id: WebhookId,
) -> Result<(), StoreError> {
    query("DELETE FROM webhook WHERE id = $1 AND tenant_id = $2")
        .bind(id.to_string())
        .bind(tenant.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query("remove a webhook"))?;
    Ok(())
}

/// Records an attempt, whatever its id is, and forgets those before the last `kept`. Returns the id that it has.
///
/// # Errors
/// The database failed.
pub async fn webhook_delivery_insert_in_txn(
    txn: &mut WriteTxn,
    new: &WebhookDeliveryRow,
    kept: u32,
) -> Result<i64, StoreError> {
    let done = query(
        "INSERT INTO webhook_delivery (webhook_id, event_id, at, attempt, duration_ms, status, error, response) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
    )
    .bind(new.webhook_id.to_string())
    .bind(new.event_id)
    .bind(new.at.as_microsecond())
    .bind(new.attempt)
    .bind(to_int(new.duration_ms))
    .bind(new.status)
    .bind(&new.error)
    .bind(&new.response)
    .fetch_one(txn)
    .await
    .map_err(StoreError::query("record an attempt of a webhook"))?;
    query(
        "DELETE FROM webhook_delivery WHERE webhook_id = $1 AND id <= \
         coalesce((SELECT id FROM webhook_delivery WHERE webhook_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2), 0)",
    )
    .bind(new.webhook_id.to_string())
    .bind(kept)
    .execute(txn)
    .await
    .map_err(StoreError::query("forget attempts of a webhook"))?;
    row::column(&done, "id")
}

/// Lists at most `limit` attempts of a webhook before `before`, newest first.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn webhook_delivery_list(
    conn: &mut impl Reads,
    id: WebhookId,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<WebhookDeliveryRow>, StoreError> {
    let rows = query(
        "SELECT * FROM webhook_delivery WHERE webhook_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
    )
    .bind(id.to_string())
    .bind(before.unwrap_or(i64::MAX))
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(StoreError::query("list attempts of a webhook"))?;
    rows.iter().map(read_delivery).collect()
}
