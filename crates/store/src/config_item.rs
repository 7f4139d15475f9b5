//! Settings and secrets of a scope. A secret is here only as it was sealed.

use jiff::Timestamp;
use sandbar_types::{ConfigAccess, EnvName, Generation, TenantId};

use crate::{
    Reads, Row, StoreError, WriteTxn,
    query::query,
    row::{self, to_int},
};

/// A setting or a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigItemRow {
    /// Where it is.
    pub at: ConfigKey,
    /// The secret, sealed.
    pub sealed: Option<Vec<u8>>,
    /// The setting, where it is no secret.
    pub plain: Option<String>,
    /// Who gets it.
    pub access: ConfigAccess,
    /// Counts its values.
    pub value_version: u64,
    /// Grows with every change.
    pub generation: Generation,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// Where an item is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigKey {
    /// Whose.
    pub tenant_id: TenantId,
    /// The id of what owns it.
    pub scope_id: String,
    /// Its name.
    pub key: EnvName,
}

fn read(found: &Row) -> Result<ConfigItemRow, StoreError> {
    Ok(ConfigItemRow {
        at: ConfigKey {
            tenant_id: row::parsed(found, "tenant_id")?,
            scope_id: row::column(found, "scope_id")?,
            key: row::parsed(found, "key")?,
        },
        sealed: row::column::<Option<&[u8]>>(found, "sealed")?.map(<[u8]>::to_vec),
        plain: row::column(found, "plain")?,
        access: row::parsed(found, "access")?,
        value_version: row::count(found, "value_version")?,
        generation: Generation(row::count(found, "generation")?),
        created_at: row::time(found, "created_at")?,
        updated_at: row::time(found, "updated_at")?,
    })
}

/// Writes an item as it is, over the one that is there.
///
/// # Errors
/// The database failed.
pub async fn config_put_in_txn(txn: &mut WriteTxn, new: &ConfigItemRow) -> Result<(), StoreError> {
    query(
        "INSERT INTO config_item (tenant_id, scope_id, key, sealed, plain, is_sensitive, access, value_version, \
         generation, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
         ON CONFLICT (tenant_id, scope_id, key) DO UPDATE SET sealed = excluded.sealed, plain = excluded.plain, \
         is_sensitive = excluded.is_sensitive, access = excluded.access, value_version = excluded.value_version, \
         generation = excluded.generation, updated_at = excluded.updated_at",
    )
    .bind(new.at.tenant_id.to_string())
    .bind(&new.at.scope_id)
    .bind(new.at.key.as_str())
    .bind(new.sealed.clone())
    .bind(&new.plain)
    .bind(new.sealed.is_some())
    .bind(new.access.as_str())
    .bind(to_int(new.value_version))
    .bind(to_int(new.generation.0))
    .bind(new.created_at.as_microsecond())
    .bind(new.updated_at.as_microsecond())
    .execute(txn)
    .await
    .map_err(StoreError::query("write an item of a configuration"))?;
    Ok(())
}

/// Fetches an item.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn config_fetch(
    conn: &mut impl Reads,
    at: &ConfigKey,
) -> Result<Option<ConfigItemRow>, StoreError> {
    let found =
        query("SELECT * FROM config_item WHERE tenant_id = $1 AND scope_id = $2 AND key = $3")
            .bind(at.tenant_id.to_string())
            .bind(&at.scope_id)
            .bind(at.key.as_str())
            .fetch_optional(conn)
            .await
            .map_err(StoreError::query("fetch an item of a configuration"))?;
    found.as_ref().map(read).transpose()
}

/// Lists the items of a scope by name. There are never many.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn config_list(
    conn: &mut impl Reads,
    tenant: TenantId,
    scope: &str,
) -> Result<Vec<ConfigItemRow>, StoreError> {
    let rows =
        query("SELECT * FROM config_item WHERE tenant_id = $1 AND scope_id = $2 ORDER BY key")
            .bind(tenant.to_string())
            .bind(scope)
            .fetch_all(conn)
            .await
            .map_err(StoreError::query("list a configuration"))?;
    rows.iter().map(read).collect()
}

/// Lists at most `limit` secrets of the whole server after `after`, whoever owns them.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn config_list_sealed(
    conn: &mut impl Reads,
    after: Option<&ConfigKey>,
    limit: u32,
) -> Result<Vec<ConfigItemRow>, StoreError> {
    let rows = query(
        "SELECT * FROM config_item WHERE sealed IS NOT NULL AND (tenant_id, scope_id, key) > ($1, $2, $3) \
         ORDER BY tenant_id, scope_id, key LIMIT $4",
    )
    .bind(after.map_or_else(String::new, |at| at.tenant_id.to_string()))
    .bind(after.map_or("", |at| &at.scope_id))
    .bind(after.map_or("", |at| at.key.as_str()))
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(StoreError::query("list secrets"))?;
    rows.iter().map(read).collect()
}

/// Writes the same secret as another key sealed it; nothing where it is not `before` any more.
///
/// # Errors
/// The database failed.
pub async fn config_reseal_in_txn(
    txn: &mut WriteTxn,
    before: &ConfigItemRow,
    sealed: Vec<u8>,
) -> Result<(), StoreError> {
    query(
        "UPDATE config_item SET sealed = $1 \
         WHERE tenant_id = $2 AND scope_id = $3 AND key = $4 AND sealed = $5",
    )
    .bind(sealed)
    .bind(before.at.tenant_id.to_string())
    .bind(&before.at.scope_id)
    .bind(before.at.key.as_str())
    .bind(before.sealed.clone())
    .execute(txn)
    .await
    .map_err(StoreError::query("seal a secret again"))?;
    Ok(())
}

/// Removes an item.
///
/// # Errors
/// The database failed.
pub async fn config_remove_in_txn(txn: &mut WriteTxn, at: &ConfigKey) -> Result<(), StoreError> {
    query("DELETE FROM config_item WHERE tenant_id = $1 AND scope_id = $2 AND key = $3")
        .bind(at.tenant_id.to_string())
        .bind(&at.scope_id)
        .bind(at.key.as_str())
        .execute(txn)
        .await
        .map_err(StoreError::query("remove an item of a configuration"))?;
    Ok(())
}

/// Removes everything of a scope.
///
/// # Errors
/// The database failed.
pub async fn config_remove_all_in_txn(
    txn: &mut WriteTxn,
    tenant: TenantId,
    scope: &str,
) -> Result<(), StoreError> {
    query("DELETE FROM config_item WHERE tenant_id = $1 AND scope_id = $2")
        .bind(tenant.to_string())
        .bind(scope)
        .execute(txn)
        .await
        .map_err(StoreError::query("remove a configuration"))?;
    Ok(())
}
