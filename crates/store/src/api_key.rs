//! API keys, by the hash of what only their owner has.

use jiff::Timestamp;
use sandbar_types::{ApiKeyId, KeyName, Role, Scopes, Sha256, TenantId, UserId};

use crate::{
    Reads, Row, StoreError, WriteTxn,
    query::query,
    row::{self, to_json},
};

/// An API key. The key itself is nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// Its id.
    pub id: ApiKeyId,
    /// For which tenant it asks.
    pub tenant_id: TenantId,
    /// Whose it is; `None` for the operator's.
    pub user_id: Option<UserId>,
    /// What it is for.
    pub name: KeyName,
    /// What it begins with, so that it can be known again.
    pub prefix: String,
    /// SHA-256 of the whole key.
    pub hash: Sha256,
    /// What it may do at most.
    pub role: Role,
    /// What of that it may ask for.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Timestamp>,
}

fn read(found: &Row) -> Result<ApiKeyRow, StoreError> {
    Ok(ApiKeyRow {
        id: row::parsed(found, "id")?,
        tenant_id: row::parsed(found, "tenant_id")?,
        user_id: row::parsed_opt(found, "user_id")?,
        name: row::parsed(found, "name")?,
        prefix: row::column(found, "prefix")?,
        hash: hash(found)?,
        role: row::parsed(found, "role")?,
        scopes: row::json(found, "scopes")?,
        created_at: row::time(found, "created_at")?,
        expires_at: row::time_opt(found, "expires_at")?,
        last_used_at: row::time_opt(found, "last_used_at")?,
    })
}

pub(crate) fn hash(found: &Row) -> Result<Sha256, StoreError> {
    let bytes: &[u8] = row::column(found, "hash")?;
    <[u8; 32]>::try_from(bytes)
        .map(Sha256)
        .map_err(|err| StoreError::Row { column: "hash", source: err.into() })
}

/// Inserts `new` as it is.
///
/// # Errors
/// The database failed.
pub async fn api_key_insert_in_txn(txn: &mut WriteTxn, new: &ApiKeyRow) -> Result<(), StoreError> {
    query(
        "INSERT INTO api_key (id, tenant_id, user_id, name, prefix, hash, role, scopes, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(new.id.to_string())
    .bind(new.tenant_id.to_string())
    .bind(new.user_id.map(|id| id.to_string()))
    .bind(new.name.as_str())
    .bind(&new.prefix)
    .bind(&new.hash.0[..])
    .bind(new.role.as_str())
    .bind(to_json(&new.scopes))
    .bind(new.created_at.as_microsecond())
    .bind(new.expires_at.map(Timestamp::as_microsecond))
    .execute(txn)
    .await
    .map_err(StoreError::query("insert an API key"))?;
    Ok(())
}

/// Finds the key with `hash`, and the role that its user has now.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn api_key_find(
    conn: &mut impl Reads,
    hash: Sha256,
) -> Result<Option<(ApiKeyRow, Option<Role>)>, StoreError> {
    let found = query(
        "SELECT api_key.*, user_account.role AS user_role FROM api_key \
         LEFT JOIN user_account ON user_account.id = api_key.user_id WHERE hash = $1",
    )
    .bind(&hash.0[..])
    .fetch_optional(conn)
    .await
    .map_err(StoreError::query("find an API key"))?;
    found.as_ref().map(|found| Ok((read(found)?, row::parsed_opt(found, "user_role")?))).transpose()
}

/// Lists at most `limit` keys of `tenant` after `after`, oldest first; of one user, where it is said.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn api_key_list(
    conn: &mut impl Reads,
    tenant: TenantId,
    user: Option<UserId>,
    after: Option<ApiKeyId>,
    limit: u32,
) -> Result<Vec<ApiKeyRow>, StoreError> {
    let rows = query(
        "SELECT * FROM api_key WHERE tenant_id = $1 AND id > $2 AND ($3 = '' OR user_id = $3) \
         ORDER BY id LIMIT $4",
    )
    .bind(tenant.to_string())
    .bind(after.map_or_else(String::new, |id| id.to_string()))
    .bind(user.map_or_else(String::new, |id| id.to_string()))
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(StoreError::query("list API keys"))?;
    rows.iter().map(read).collect()
}

/// Counts the keys of `tenant`.
///
/// # Errors
/// The database failed.
pub async fn api_key_count(conn: &mut impl Reads, tenant: TenantId) -> Result<u64, StoreError> {
    let found = query("SELECT count(*) AS keys FROM api_key WHERE tenant_id = $1")
        .bind(tenant.to_string())
        .fetch_one(conn)
        .await
        .map_err(StoreError::query("count API keys"))?;
    row::count(&found, "keys")
}

/// Fetches a key of `tenant`.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn api_key_fetch(
    conn: &mut impl Reads,
    tenant: TenantId,
    id: ApiKeyId,
) -> Result<Option<ApiKeyRow>, StoreError> {
    let found = query("SELECT * FROM api_key WHERE id = $1 AND tenant_id = $2")
        .bind(id.to_string())
        .bind(tenant.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::query("fetch an API key"))?;
    found.as_ref().map(read).transpose()
}

/// Removes a key.
///
/// # Errors
/// The database failed.
pub async fn api_key_remove_in_txn(txn: &mut WriteTxn, id: ApiKeyId) -> Result<(), StoreError> {
    query("DELETE FROM api_key WHERE id = $1")
        .bind(id.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query("remove an API key"))?;
    Ok(())
}

/// Records that a key was used.
///
/// # Errors
/// The database failed.
pub async fn api_key_used_in_txn(
    txn: &mut WriteTxn,
    id: ApiKeyId,
    now: Timestamp,
) -> Result<(), StoreError> {
    query("UPDATE api_key SET last_used_at = $1 WHERE id = $2")
        .bind(now.as_microsecond())
        .bind(id.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query("record the use of an API key"))?;
    Ok(())
}
