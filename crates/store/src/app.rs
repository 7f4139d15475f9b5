//! Apps: named projects that outlive their sandboxes. What is asked is asked of one tenant, always.

use jiff::Timestamp;
use sandbar_types::{
    AppId, AppName, AppTag, ExternalId, Generation, PresetName, TenantId, Visibility,
};

use crate::{
    Reads, Row, StoreError, Update, WriteTxn,
    query::query,
    row::{self, to_int, to_json},
};

/// An app as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppRow {
    /// Its id.
    pub id: AppId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its name, unique in its tenant.
    pub name: AppName,
    /// What it is, in words.
    pub description: String,
    /// What it is filed under, sorted.
    pub tags: Vec<AppTag>,
    /// For whom of another program it is.
    pub external_user_id: Option<ExternalId>,
    /// For what of another program it is.
    pub external_project_id: Option<ExternalId>,
    /// What its sandboxes begin with.
    pub preset: Option<PresetName>,
    /// Who may see previews of sandboxes that do not say; `None` for the server's default.
    pub visibility: Option<Visibility>,
    /// Counts the writes of this row.
    pub generation: Generation,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// Which apps of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppFilter {
    /// Only those that are older than this one.
    pub before: Option<AppId>,
    /// Only those for this user of another program.
    pub external_user_id: Option<ExternalId>,
    /// Only those for this project of another program.
    pub external_project_id: Option<ExternalId>,
}

fn read(found: &Row) -> Result<AppRow, StoreError> {
    Ok(AppRow {
        id: row::parsed(found, "id")?,
        tenant_id: row::parsed(found, "tenant_id")?,
        name: row::parsed(found, "name")?,
        description: row::column(found, "description")?,
        tags: row::json(found, "tags")?,
        external_user_id: row::parsed_opt(found, "external_user_id")?,
        external_project_id: row::parsed_opt(found, "external_project_id")?,
        preset: row::parsed_opt(found, "preset")?,
        visibility: row::json(found, "visibility")?,
        generation: Generation(row::count(found, "generation")?),
        created_at: row::time(found, "created_at")?,
        updated_at: row::time(found, "updated_at")?,
    })
}

/// Inserts `new` as it is.
///
/// # Errors
/// The database failed, or the name is taken: look first, in the same transaction.
pub async fn app_insert_in_txn(txn: &mut WriteTxn, new: &AppRow) -> Result<(), StoreError> {
    query(
        "INSERT INTO app (id, tenant_id, name, description, tags, external_user_id, external_project_id, preset, \
         visibility, generation, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(new.id.to_string())
    .bind(new.tenant_id.to_string())
    .bind(new.name.as_str())
    .bind(&new.description)
    .bind(to_json(&new.tags))
    .bind(new.external_user_id.as_ref().map(ExternalId::as_str))
    .bind(new.external_project_id.as_ref().map(ExternalId::as_str))
    .bind(new.preset.map(PresetName::as_str))
    .bind(to_json(&new.visibility))
    .bind(to_int(new.generation.0))
    .bind(new.created_at.as_microsecond())
    .bind(new.updated_at.as_microsecond())
    .execute(txn)
    .await
    .map_err(StoreError::query("insert an app"))?;
    Ok(())
}

/// Writes everything of `row` that may change, unless somebody else has written since `row.generation`.
///
/// # Errors
/// The database failed, or the name is taken: look first, in the same transaction.
pub async fn app_update_in_txn(txn: &mut WriteTxn, row: &AppRow) -> Result<Update, StoreError> {
    let next = row.generation.next();
    let done = query(
        "UPDATE app SET name = $1, description = $2, tags = $3, external_user_id = $4, external_project_id = $5, \
         preset = $6, visibility = $7, generation = $8, updated_at = $9 \
         WHERE id = $10 AND tenant_id = $11 AND generation = $12",
    )
    .bind(row.name.as_str())
    .bind(&row.description)
    .bind(to_json(&row.tags))
    .bind(row.external_user_id.as_ref().map(ExternalId::as_str))
    .bind(row.external_project_id.as_ref().map(ExternalId::as_str))
    .bind(row.preset.map(PresetName::as_str))
    .bind(to_json(&row.visibility))
    .bind(to_int(next.0))
    .bind(row.updated_at.as_microsecond())
    .bind(row.id.to_string())
    .bind(row.tenant_id.to_string())
    .bind(to_int(row.generation.0))
    .execute(txn)
    .await
    .map_err(StoreError::query("update an app"))?;
    Ok(Update::of(done, next))
}

/// Removes an app. What it owns has writers of its own.
///
/// # Errors
/// The database failed.
pub async fn app_remove_in_txn(
    txn: &mut WriteTxn,
    tenant: TenantId,
    id: AppId,
) -> Result<(), StoreError> {
    query("DELETE FROM app WHERE id = $1 AND tenant_id = $2")
        .bind(id.to_string())
        .bind(tenant.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query("remove an app"))?;
    Ok(())
}

/// Fetches an app of `tenant`.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn app_fetch(
    conn: &mut impl Reads,
    tenant: TenantId,
    id: AppId,
) -> Result<Option<AppRow>, StoreError> {
    let found = query("SELECT * FROM app WHERE id = $1 AND tenant_id = $2")
        .bind(id.to_string())
        .bind(tenant.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::query("fetch an app"))?;
    found.as_ref().map(read).transpose()
}

/// Finds the app of `tenant` that has `name`.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn app_find_name(
    conn: &mut impl Reads,
    tenant: TenantId,
    name: &AppName,
) -> Result<Option<AppRow>, StoreError> {
    let found = query("SELECT * FROM app WHERE tenant_id = $1 AND name = $2")
        .bind(tenant.to_string())
        .bind(name.as_str())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::query("find an app"))?;
    found.as_ref().map(read).transpose()
}

/// Lists at most `limit` apps of `tenant`, newest first.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn app_list(
    conn: &mut impl Reads,
    tenant: TenantId,
    filter: &AppFilter,
    limit: u32,
) -> Result<Vec<AppRow>, StoreError> {
    let rows = query(
        "SELECT * FROM app WHERE tenant_id = $1 AND ($2 IS NULL OR id < $2) \
         AND ($3 IS NULL OR external_user_id = $3) AND ($4 IS NULL OR external_project_id = $4) \
         ORDER BY id DESC LIMIT $5",
    )
    .bind(tenant.to_string())
    .bind(filter.before.map(|id| id.to_string()))
    .bind(filter.external_user_id.as_ref().map(ExternalId::as_str))
    .bind(filter.external_project_id.as_ref().map(ExternalId::as_str))
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(StoreError::query("list apps"))?;
    rows.iter().map(read).collect()
}

/// Counts the apps of `tenant`.
///
/// # Errors
/// The database failed.
pub async fn app_count(conn: &mut impl Reads, tenant: TenantId) -> Result<u64, StoreError> {
    let found = query("SELECT count(*) AS apps FROM app WHERE tenant_id = $1")
        .bind(tenant.to_string())
        .fetch_one(conn)
        .await
        .map_err(StoreError::query("count apps"))?;
    row::count(&found, "apps")
}

/// Lists who may see the previews of every app of the server that says so, with the generation of its record.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn app_list_visibilities(
    conn: &mut impl Reads,
) -> Result<Vec<(AppId, Generation, Visibility)>, StoreError> {
    let rows = query("SELECT id, generation, visibility FROM app WHERE visibility <> 'null'")
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list the visibilities of apps"))?;
    let read = |found| {
        let generation = Generation(row::count(found, "generation")?);
        Ok((row::parsed(found, "id")?, generation, row::json(found, "visibility")?))
    };
    rows.iter().map(read).collect()
}
