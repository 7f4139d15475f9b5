//! Tenants, and what is asked on behalf of one.

use jiff::Timestamp;
use sandbar_types::{
    AccountName, Generation, HostPath, Limits, Quota, SandboxId, SandboxSpec, TenantId,
};

use crate::{
    Reads, Row, StoreError, WriteTxn,
    query::query,
    row::{self, to_int, to_json},
};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRow {
    /// Its id.
    pub id: TenantId,
    /// Its name, unique in the server.
    pub name: AccountName,
    /// What it may have.
    pub quota: Quota,
    /// Below which directories its sources are; `None` for anywhere.
    pub source_roots: Option<Vec<HostPath>>,
    /// Grows with every change.
    pub generation: Generation,
    /// When it was made.
    pub created_at: Timestamp,
}

fn read(found: &Row) -> Result<TenantRow, StoreError> {
    Ok(TenantRow {
        id: row::parsed(found, "id")?,
        name: row::parsed(found, "name")?,
        quota: row::json(found, "quota")?,
        source_roots: row::json_opt(found, "source_roots")?,
        generation: Generation(row::count(found, "generation")?),
        created_at: row::time(found, "created_at")?,
    })
}

/// Inserts `new` as it is.
///
/// # Errors
/// The database failed, or the name is taken: look first, in the same transaction.
pub async fn tenant_insert_in_txn(txn: &mut WriteTxn, new: &TenantRow) -> Result<(), StoreError> {
    query(
        "INSERT INTO tenant (id, name, quota, source_roots, generation, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(new.id.to_string())
    .bind(new.name.as_str())
    .bind(to_json(&new.quota))
    .bind(new.source_roots.as_ref().map(to_json))
    .bind(to_int(new.generation.0))
    .bind(new.created_at.as_microsecond())
    .execute(txn)
    .await
    .map_err(StoreError::query("insert a tenant"))?;
    Ok(())
}

/// Writes what of `row` may change: its quota, where its sources may be, its generation.
///
/// # Errors
/// The database failed.
pub async fn tenant_update_in_txn(txn: &mut WriteTxn, row: &TenantRow) -> Result<(), StoreError> {
    query("UPDATE tenant SET quota = $1, source_roots = $2, generation = $3 WHERE id = $4")
        .bind(to_json(&row.quota))
        .bind(row.source_roots.as_ref().map(to_json))
        .bind(to_int(row.generation.0))
        .bind(row.id.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query("update a tenant"))?;
    Ok(())
}

/// Fetches a tenant.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn tenant_fetch(
    conn: &mut impl Reads,
    id: TenantId,
) -> Result<Option<TenantRow>, StoreError> {
    let found = query("SELECT * FROM tenant WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::query("fetch a tenant"))?;
    found.as_ref().map(read).transpose()
}

/// Finds the tenant that has `name`.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn tenant_find_name(
    conn: &mut impl Reads,
    name: &AccountName,
) -> Result<Option<TenantRow>, StoreError> {
    let found = query("SELECT * FROM tenant WHERE name = $1")
        .bind(name.as_str())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::query("find a tenant"))?;
    found.as_ref().map(read).transpose()
}

/// Lists every tenant, oldest first.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn tenant_list(conn: &mut impl Reads) -> Result<Vec<TenantRow>, StoreError> {
    let rows = query("SELECT * FROM tenant ORDER BY id")
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list tenants"))?;
    rows.iter().map(read).collect()
}

/// Whether `tenant` has or had the sandbox `id`; a deleted one is known for a while.
///
/// # Errors
/// The database failed.
pub async fn tenant_has_sandbox(
    conn: &mut impl Reads,
    tenant: TenantId,
    id: SandboxId,
) -> Result<bool, StoreError> {
    let found = query("SELECT 1 FROM sandbox WHERE id = $1 AND tenant_id = $2")
        .bind(id.to_string())
        .bind(tenant.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::query("find a sandbox of a tenant"))?;
    Ok(found.is_some())
}

/// Lists the limits of the living sandboxes of `tenant`: what its quota counts.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn tenant_list_limits(
    conn: &mut impl Reads,
    tenant: TenantId,
) -> Result<Vec<Limits>, StoreError> {
    let rows = query("SELECT spec FROM sandbox WHERE tenant_id = $1 AND deleted_at IS NULL")
        .bind(tenant.to_string())
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list the limits of a tenant"))?;
    rows.iter().map(|found| Ok(row::json::<SandboxSpec>(found, "spec")?.limits)).collect()
}
