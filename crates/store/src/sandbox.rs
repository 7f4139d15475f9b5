//! Sandboxes. A deleted one leaves its row for a while, so that its history can still be read.

use jiff::Timestamp;
use sandbar_types::{
    AppId, Generation, IsolationReport, SandboxId, SandboxName, SandboxSpec, SandboxState,
    StopReason, TenantId,
};

use crate::{
    Reads, Row, StoreError, Update, WriteTxn,
    query::query,
    row::{self, to_int, to_json},
};

/// A sandbox as it is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct SandboxRow {
    /// Its id.
    pub id: SandboxId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The app that it is of.
    pub app_id: Option<AppId>,
    /// Whether it is the one that its app is about: at most one living sandbox of an app is.
    pub is_current: bool,
    /// Its name, unique among the living of its tenant.
    pub name: SandboxName,
    /// What was asked for, its defaults filled in.
    pub spec: SandboxSpec,
    /// On whose behalf it runs; the engine's own form.
    pub caller: serde_json::Value,
    /// Where it is in its life.
    pub state: SandboxState,
    /// Counts the writes of this row.
    pub generation: Generation,
    /// Counts the decisions about its changes.
    pub review_generation: Generation,
    /// Distinguishes the last launch from every other.
    pub nonce: String,
    /// The boot of the host in which it was last launched.
    pub boot_id: String,
    /// First id of its range.
    pub uid_base: Option<u32>,
    /// What was read back at the last launch.
    pub isolation: Option<IsolationReport>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its workspace began, in nanoseconds since 1970 by the clock that stamps files.
    pub beginning_ns: i64,
    /// The commit that the source's repository was at then, where it has one.
    pub base_commit: Option<String>,
    /// The inode of the source's directory at the beginning: another one at its path is another directory.
    pub source_inode: Option<i64>,
    /// When its state last changed.
    pub updated_at: Timestamp,
    /// When its lease ends.
    pub lease_until: Option<Timestamp>,
    /// Why it was stopped last; `None` while it runs.
    pub stop_reason: Option<StopReason>,
    /// Until when it is not stopped for being idle, or for memory.
    pub keepalive_until: Option<Timestamp>,
    /// When somebody last used it.
    pub last_active_at: Timestamp,
    /// Bytes of its upper layer, when last looked at.
    pub upper_bytes: u64,
    /// Files of its upper layer, when last looked at.
    pub upper_files: u64,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

pub(crate) fn read(found: &Row) -> Result<SandboxRow, StoreError> {
    Ok(SandboxRow {
        id: row::parsed(found, "id")?,
        tenant_id: row::parsed(found, "tenant_id")?,
        app_id: row::parsed_opt(found, "app_id")?,
        is_current: row::column::<i64>(found, "is_current")? != 0,
        name: row::parsed(found, "name")?,
        spec: row::json(found, "spec")?,
        caller: row::json(found, "caller")?,
        state: row::json(found, "state")?,
        generation: Generation(row::count(found, "generation")?),
        review_generation: Generation(row::count(found, "review_generation")?),
        nonce: row::column(found, "nonce")?,
        boot_id: row::column(found, "boot_id")?,
        uid_base: row::column(found, "uid_base")?,
        isolation: row::json_opt(found, "isolation")?,
        created_at: row::time(found, "created_at")?,
        beginning_ns: row::column(found, "beginning_ns")?,
        base_commit: row::column(found, "base_commit")?,
        source_inode: row::column(found, "source_inode")?,
        updated_at: row::time(found, "updated_at")?,
        lease_until: row::time_opt(found, "lease_until")?,
        stop_reason: row::json_opt(found, "stop_reason")?,
        keepalive_until: row::time_opt(found, "keepalive_until")?,
        last_active_at: row::time(found, "last_active_at")?,
        upper_bytes: row::count(found, "upper_bytes")?,
        upper_files: row::count(found, "upper_files")?,
        deleted_at: row::time_opt(found, "deleted_at")?,
    })
}

/// Inserts `new` as it is.
///
/// # Errors
/// The database failed, or the name is taken: look first, in the same transaction.
pub async fn sandbox_insert_in_txn(txn: &mut WriteTxn, new: &SandboxRow) -> Result<(), StoreError> {
    query(
        "INSERT INTO sandbox (id, name, spec, caller, state, generation, review_generation, nonce, boot_id, uid_base, \
         isolation, created_at, beginning_ns, base_commit, source_inode, updated_at, lease_until, stop_reason, keepalive_until, last_active_at, upper_bytes, upper_files, deleted_at, tenant_id, app_id, is_current) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26)",
    )
    .bind(new.id.to_string())
    .bind(new.name.as_str())
    .bind(to_json(&new.spec))
    .bind(to_json(&new.caller))
    .bind(to_json(&new.state))
    .bind(to_int(new.generation.0))
    .bind(to_int(new.review_generation.0))
    .bind(&new.nonce)
    .bind(&new.boot_id)
    .bind(new.uid_base)
    .bind(new.isolation.as_ref().map(to_json))
    .bind(new.created_at.as_microsecond())
    .bind(new.beginning_ns)
    .bind(&new.base_commit)
    .bind(new.source_inode)
    .bind(new.updated_at.as_microsecond())
    .bind(new.lease_until.map(Timestamp::as_microsecond))
    .bind(new.stop_reason.as_ref().map(to_json))
    .bind(new.keepalive_until.map(Timestamp::as_microsecond))
    .bind(new.last_active_at.as_microsecond())
    .bind(to_int(new.upper_bytes))
    .bind(to_int(new.upper_files))
    .bind(new.deleted_at.map(Timestamp::as_microsecond))
    .bind(new.tenant_id.to_string())
    .bind(new.app_id.map(|id| id.to_string()))
    .bind(i64::from(new.is_current))
    .execute(txn)
    .await
    .map_err(StoreError::query("insert a sandbox"))?;
    Ok(())
}

/// Writes everything of `row` that may change, unless somebody else has written since `row.generation`.
///
/// The review generation, and whether it is current, are not touched: they have writers of their own.
///
/// # Errors
/// The database failed.
pub async fn sandbox_update_in_txn(
    txn: &mut WriteTxn,
    row: &SandboxRow,
) -> Result<Update, StoreError> {
    let next = row.generation.next();
    let done = query(
        "UPDATE sandbox SET state = $1, generation = $2, nonce = $3, boot_id = $4, isolation = $5, uid_base = $6, updated_at = $7, lease_until = $8, \
         stop_reason = $9, keepalive_until = $10, last_active_at = $11, upper_bytes = $12, upper_files = $13, deleted_at = $14, spec = $15 WHERE id = $16 AND generation = $17",
    )
    .bind(to_json(&row.state))
    .bind(to_int(next.0))
    .bind(&row.nonce)
    .bind(&row.boot_id)
    .bind(row.isolation.as_ref().map(to_json))
    .bind(row.uid_base)
    .bind(row.updated_at.as_microsecond())
    .bind(row.lease_until.map(Timestamp::as_microsecond))
    .bind(row.stop_reason.as_ref().map(to_json))
    .bind(row.keepalive_until.map(Timestamp::as_microsecond))
    .bind(row.last_active_at.as_microsecond())
    .bind(to_int(row.upper_bytes))
    .bind(to_int(row.upper_files))
    .bind(row.deleted_at.map(Timestamp::as_microsecond))
    .bind(to_json(&row.spec))
    .bind(row.id.to_string())
    .bind(to_int(row.generation.0))
    .execute(txn)
    .await
    .map_err(StoreError::query("update a sandbox"))?;
    Ok(Update::of(done, next))
}

/// Counts one more decision about the changes of `id`, unless somebody else has decided since `seen`.
///
/// # Errors
/// The database failed.
pub async fn sandbox_update_review_in_txn(
    txn: &mut WriteTxn,
    id: SandboxId,
    seen: Generation,
) -> Result<Update, StoreError> {
    let next = seen.next();
    let done =
        query("UPDATE sandbox SET review_generation = $1 WHERE id = $2 AND review_generation = $3")
            .bind(to_int(next.0))
            .bind(id.to_string())
            .bind(to_int(seen.0))
            .execute(txn)
            .await
            .map_err(StoreError::query("count a decision"))?;
    Ok(Update::of(done, next))
}

/// Fetches a sandbox, a deleted one included.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn sandbox_fetch(
    conn: &mut impl Reads,
    id: SandboxId,
) -> Result<Option<SandboxRow>, StoreError> {
    let found = query("SELECT * FROM sandbox WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::query("fetch a sandbox"))?;
    found.as_ref().map(read).transpose()
}

/// Finds the living sandbox of `tenant` that has `name`.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn sandbox_find_name(
    conn: &mut impl Reads,
    tenant: TenantId,
    name: &SandboxName,
) -> Result<Option<SandboxId>, StoreError> {
    const QUERY: &str =
        "SELECT id FROM sandbox WHERE tenant_id = $1 AND name = $2 AND deleted_at IS NULL";
    let found = query(QUERY)
        .bind(tenant.to_string())
        .bind(name.as_str())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::query("find a name"))?;
    found.as_ref().map(|found| row::parsed(found, "id")).transpose()
}

/// Lists the living, oldest first.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn sandbox_list_living(conn: &mut impl Reads) -> Result<Vec<SandboxRow>, StoreError> {
    let rows = query("SELECT * FROM sandbox WHERE deleted_at IS NULL ORDER BY id")
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list sandboxes"))?;
    rows.iter().map(read).collect()
}

/// Counts the living.
///
/// # Errors
/// The database failed.
pub async fn sandbox_count_living(conn: &mut impl Reads) -> Result<u64, StoreError> {
    let found = query("SELECT count(*) AS living FROM sandbox WHERE deleted_at IS NULL")
        .fetch_one(conn)
        .await
        .map_err(StoreError::query("count sandboxes"))?;
    row::count(&found, "living")
}

/// Counts sandboxes that were deleted before `before` and are still recorded.
///
/// # Errors
/// The database failed.
pub async fn sandbox_count_deleted_before(
    conn: &mut impl Reads,
    before: Timestamp,
) -> Result<u64, StoreError> {
    let found = query("SELECT count(*) AS old FROM sandbox WHERE deleted_at < $1")
        .bind(before.as_microsecond())
        .fetch_one(conn)
        .await
        .map_err(StoreError::query("count deleted sandboxes"))?;
    row::count(&found, "old")
}

/// Forgets sandboxes that were deleted before `before`, with everything that belongs to them. Returns how many.
///
/// # Errors
/// The database failed.
pub async fn sandbox_prune_in_txn(
    txn: &mut WriteTxn,
    before: Timestamp,
) -> Result<u64, StoreError> {
    let done = query("DELETE FROM sandbox WHERE deleted_at < $1")
        .bind(before.as_microsecond())
        .execute(txn)
        .await
        .map_err(StoreError::query("forget deleted sandboxes"))?;
    Ok(done)
}
