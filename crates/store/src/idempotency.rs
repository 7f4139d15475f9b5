//! Keys that make a repeated request one request. They expire, and replays are counted.

use jiff::Timestamp;
use sandbar_types::{SandboxId, Sha256, TenantId};

use crate::{
    Reads, Row, StoreError, WriteTxn,
    query::query,
    row::{self, to_json},
};

/// Which key: two who ask may choose the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyAt {
    /// On behalf of which tenant.
    pub tenant_id: TenantId,
    /// Who sent it: whoever runs the server, a user, or an API key.
    pub principal: String,
    /// The route it was sent to, for example `POST /v1/users`.
    pub route: String,
    /// What the client sent, or its hash.
    pub key: String,
}

/// A key that was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct IdempotencyRow {
    /// Which one.
    pub at: IdempotencyAt,
    /// Hash of the request's body.
    pub request_hash: Sha256,
    /// The sandbox that the request made or was about.
    pub sandbox_id: Option<SandboxId>,
    /// What was answered, where that cannot be told from the sandbox.
    pub response: Option<serde_json::Value>,
    /// When the key is forgotten.
    pub expires_at: Timestamp,
    /// How often the request came again.
    pub replays: u64,
}

fn read_at(found: &Row) -> Result<IdempotencyAt, StoreError> {
    Ok(IdempotencyAt {
        tenant_id: row::parsed(found, "tenant_id")?,
        principal: row::column(found, "principal")?,
        route: row::column(found, "route")?,
        key: row::column(found, "key")?,
    })
}

fn read(found: &Row) -> Result<IdempotencyRow, StoreError> {
    let hash: &[u8] = row::column(found, "request_hash")?;
    let hash = <[u8; 32]>::try_from(hash)
        .map_err(|err| StoreError::Row { column: "request_hash", source: err.into() })?;
    let sandbox: Option<&str> = row::column(found, "sandbox_id")?;
    Ok(IdempotencyRow {
        at: read_at(found)?,
        request_hash: Sha256(hash),
        sandbox_id: sandbox.map(|_present| row::parsed(found, "sandbox_id")).transpose()?,
        response: row::json_opt(found, "response")?,
        expires_at: row::time(found, "expires_at")?,
        replays: row::count(found, "replays")?,
    })
}

/// Fetches a key that has not expired at `now`.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn idempotency_fetch(
    conn: &mut impl Reads,
    at: &IdempotencyAt,
    now: Timestamp,
) -> Result<Option<IdempotencyRow>, StoreError> {
    let found = query(
        "SELECT * FROM idempotency_key \
         WHERE tenant_id = $1 AND principal = $2 AND route = $3 AND key = $4 AND expires_at > $5",
    )
    .bind(at.tenant_id.to_string())
    .bind(&at.principal)
    .bind(&at.route)
    .bind(&at.key)
    .bind(now.as_microsecond())
    .fetch_optional(conn)
    .await
    .map_err(StoreError::query("fetch an idempotency key"))?;
    found.as_ref().map(read).transpose()
}

/// Inserts `new`, in the place of an expired one with the same key.
///
/// # Errors
/// The database failed.
pub async fn idempotency_insert_in_txn(
    txn: &mut WriteTxn,
    new: &IdempotencyRow,
) -> Result<(), StoreError> {
    query(
        "INSERT INTO idempotency_key (tenant_id, principal, route, key, request_hash, sandbox_id, response, \
         expires_at, replays) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0) ON CONFLICT (tenant_id, principal, route, key) DO UPDATE SET \
         request_hash = excluded.request_hash, sandbox_id = excluded.sandbox_id, response = excluded.response, \
         expires_at = excluded.expires_at, replays = 0",
    )
    .bind(new.at.tenant_id.to_string())
    .bind(&new.at.principal)
    .bind(&new.at.route)
    .bind(&new.at.key)
    .bind(&new.request_hash.0[..])
    .bind(new.sandbox_id.map(|id| id.to_string()))
    .bind(new.response.as_ref().map(to_json))
    .bind(new.expires_at.as_microsecond())
    .execute(txn)
    .await
    .map_err(StoreError::query("insert an idempotency key"))?;
    Ok(())
}

/// Counts one more replay of a key.
///
/// # Errors
/// The database failed.
pub async fn idempotency_replayed_in_txn(
    txn: &mut WriteTxn,
    at: &IdempotencyAt,
) -> Result<(), StoreError> {
    query(
        "UPDATE idempotency_key SET replays = replays + 1 \
         WHERE tenant_id = $1 AND principal = $2 AND route = $3 AND key = $4",
    )
    .bind(at.tenant_id.to_string())
    .bind(&at.principal)
    .bind(&at.route)
    .bind(&at.key)
    .execute(txn)
    .await
    .map_err(StoreError::query("count a replay"))?;
    Ok(())
}

/// Counts the replays of every key that is still known.
///
/// # Errors
/// The database failed.
pub async fn idempotency_replay_count(conn: &mut impl Reads) -> Result<u64, StoreError> {
    let found =
        query("SELECT CAST(coalesce(sum(replays), 0) AS BIGINT) AS replays FROM idempotency_key")
            .fetch_one(conn)
            .await
            .map_err(StoreError::query("count replays"))?;
    row::count(&found, "replays")
}

/// Lists what has expired at `now`.
///
/// # Errors
/// The database failed.
pub async fn idempotency_list_expired(
    conn: &mut impl Reads,
    now: Timestamp,
) -> Result<Vec<IdempotencyAt>, StoreError> {
    let rows = query(
        "SELECT tenant_id, principal, route, key FROM idempotency_key WHERE expires_at <= $1 \
         ORDER BY expires_at",
    )
    .bind(now.as_microsecond())
    .fetch_all(conn)
    .await
    .map_err(StoreError::query("list expired keys"))?;
    rows.iter().map(read_at).collect()
}

/// Removes a key.
///
/// # Errors
/// The database failed.
pub async fn idempotency_remove_in_txn(
    txn: &mut WriteTxn,
    at: &IdempotencyAt,
) -> Result<(), StoreError> {
    query(
        "DELETE FROM idempotency_key \
         WHERE tenant_id = $1 AND principal = $2 AND route = $3 AND key = $4",
    )
    .bind(at.tenant_id.to_string())
    .bind(&at.principal)
    .bind(&at.route)
    .bind(&at.key)
    .execute(txn)
    .await
    .map_err(StoreError::query("remove an idempotency key"))?;
    Ok(())
}

/// Removes the keys that made `id`.
///
/// # Errors
/// The database failed.
pub async fn idempotency_forget_in_txn(
    txn: &mut WriteTxn,
    id: SandboxId,
) -> Result<(), StoreError> {
    query("DELETE FROM idempotency_key WHERE sandbox_id = $1")
        .bind(id.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query("forget idempotency keys"))?;
    Ok(())
}
