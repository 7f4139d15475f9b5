//! What was approved, by whom, and what became of it: the history of a source, path by path.

use std::os::unix::ffi::OsStrExt;

use jiff::Timestamp;
use sandbar_types::{ApproveId, Entry, HostPath, TenantId, WorkspacePath};

use crate::{
    ApproveRow, Reads, StoreError, WriteTxn, approve,
    query::query,
    row::{self, to_int, to_json},
};

/// One path that an approve wrote or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovePathRow {
    /// The path, relative to the source.
    pub path: WorkspacePath,
    /// What the source had.
    pub before: Option<Entry>,
    /// What it has since.
    pub after: Option<Entry>,
}

/// Which approves to list. What is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApproveFilter {
    /// Of this source.
    pub source: Option<HostPath>,
    /// Of the sandbox with this id, or that had this name.
    pub sandbox: Option<String>,
    /// That wrote this path of the source, or something below it.
    pub path: Option<WorkspacePath>,
    /// That came before this one, by [`ApproveRow::seq`].
    pub before_seq: Option<i64>,
}

/// Lists at most `limit` approves of `tenant` that wrote something, the newest first.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn approve_list(
    conn: &mut impl Reads,
    tenant: TenantId,
    filter: &ApproveFilter,
    limit: u32,
) -> Result<Vec<ApproveRow>, StoreError> {
    let path = filter.path.as_ref().map(WorkspacePath::as_bytes);
    // Everything below a directory lies between it with a slash, and it with what comes after the slash.
    let below = |last: u8| path.map(|path| [path, &[last]].concat());
    let rows = query(
        "SELECT * FROM approve WHERE outcome IS NOT NULL AND ($1 IS NULL OR source = $1) \
         AND ($2 IS NULL OR sandbox_id = $2 OR sandbox_name = $2) AND ($3 IS NULL OR seq < $3) \
         AND ($4 IS NULL OR EXISTS (SELECT 1 FROM approve_path WHERE approve_id = approve.id \
         AND (path = $4 OR (path >= $5 AND path < $6)))) AND tenant_id = $8 ORDER BY seq DESC LIMIT $7",
    )
    .bind(filter.source.as_ref().map(|source| source.as_path().as_os_str().as_bytes()))
    .bind(filter.sandbox.as_deref())
    .bind(filter.before_seq)
    .bind(path)
    .bind(below(b'/'))
    .bind(below(b'/' + 1))
    .bind(limit)
    .bind(tenant.to_string())
    .fetch_all(conn)
    .await
    .map_err(StoreError::query("list approves"))?;
    rows.iter().map(approve::read).collect()
}

/// Fetches the last approve of `source` that wrote something and was not taken back; an undo is none.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn approve_last(
    conn: &mut impl Reads,
    source: &HostPath,
) -> Result<Option<ApproveRow>, StoreError> {
    let found = query(
        "SELECT * FROM approve WHERE source = $1 AND outcome IS NOT NULL AND undoes IS NULL AND undone_by IS NULL \
         ORDER BY seq DESC LIMIT 1",
    )
    .bind(source.as_path().as_os_str().as_bytes())
    .fetch_optional(conn)
    .await
    .map_err(StoreError::query("fetch the last approve"))?;
    found.as_ref().map(approve::read).transpose()
}

/// Lists approves whose journal keeps what they replaced: by source, the newest first.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn approve_list_kept(conn: &mut impl Reads) -> Result<Vec<ApproveRow>, StoreError> {
    let rows =
        query("SELECT * FROM approve WHERE kept_bytes IS NOT NULL ORDER BY source, seq DESC")
            .fetch_all(conn)
            .await
            .map_err(StoreError::query("list kept approves"))?;
    rows.iter().map(approve::read).collect()
}

/// Records how much the journal of `id` keeps; `None` for nothing any more.
///
/// # Errors
/// The database failed.
pub async fn approve_set_kept_in_txn(
    txn: &mut WriteTxn,
    id: ApproveId,
    bytes: Option<u64>,
) -> Result<(), StoreError> {
    query("UPDATE approve SET kept_bytes = $1 WHERE id = $2")
        .bind(bytes.map(to_int))
        .bind(id.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query("record what an approve keeps"))?;
    Ok(())
}

/// Records that `undo` took `id` back.
///
/// # Errors
/// The database failed.
pub async fn approve_set_undone_in_txn(
    txn: &mut WriteTxn,
    id: ApproveId,
    undo: ApproveId,
) -> Result<(), StoreError> {
    query("UPDATE approve SET undone_by = $1 WHERE id = $2")
        .bind(undo.to_string())
        .bind(id.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query("record an undo"))?;
    Ok(())
}

/// Records the commit that `id` became.
///
/// # Errors
/// The database failed.
pub async fn approve_set_commit_in_txn(
    txn: &mut WriteTxn,
    id: ApproveId,
    commit_id: &str,
) -> Result<(), StoreError> {
    query("UPDATE approve SET commit_id = $1 WHERE id = $2")
        .bind(commit_id)
        .bind(id.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query("record the commit of an approve"))?;
    Ok(())
}

/// Records every path that `id` wrote or removed.
///
/// # Errors
/// The database failed, or they are recorded already.
pub async fn approve_path_insert_in_txn(
    txn: &mut WriteTxn,
    id: ApproveId,
    paths: &[ApprovePathRow],
) -> Result<(), StoreError> {
    const WHAT: &str = "record approved paths";
    for path in paths {
        query("INSERT INTO approve_path (approve_id, path, before, after) VALUES ($1, $2, $3, $4)")
            .bind(id.to_string())
            .bind(path.path.as_bytes())
            .bind(path.before.as_ref().map(to_json))
            .bind(path.after.as_ref().map(to_json))
            .execute(txn)
            .await
            .map_err(StoreError::query(WHAT))?;
    }
    query("UPDATE approve SET paths = $1 WHERE id = $2")
        .bind(to_int(paths.len() as u64))
        .bind(id.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query(WHAT))?;
    Ok(())
}

/// Lists at most `limit` paths of `id`, ordered by their bytes.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn approve_path_list(
    conn: &mut impl Reads,
    id: ApproveId,
    limit: u32,
) -> Result<Vec<ApprovePathRow>, StoreError> {
    let rows = query(
        "SELECT path, before, after FROM approve_path WHERE approve_id = $1 ORDER BY path LIMIT $2",
    )
    .bind(id.to_string())
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(StoreError::query("list the paths of an approve"))?;
    rows.iter()
        .map(|found| {
            let path = WorkspacePath::parse(row::column::<&[u8]>(found, "path")?)
                .map_err(|err| StoreError::Row { column: "path", source: err.into() })?;
            let (before, after) = (row::json_opt(found, "before")?, row::json_opt(found, "after")?);
            Ok(ApprovePathRow { path, before, after })
        })
        .collect()
}

/// Counts approves that [`approve_prune_in_txn`] would forget.
///
/// # Errors
/// The database failed.
pub async fn approve_count_prunable(
    conn: &mut impl Reads,
    before: Timestamp,
    paths_max: u64,
) -> Result<u64, StoreError> {
    let found = query(
        "SELECT count(*) AS old FROM approve WHERE kept_bytes IS NULL AND ended_at IS NOT NULL AND (ended_at < $1 OR seq IN \
         (SELECT seq FROM (SELECT seq, sum(paths) OVER (ORDER BY seq DESC) AS so_far FROM approve) AS recent \
         WHERE so_far > $2))",
    )
    .bind(before.as_microsecond())
    .bind(to_int(paths_max))
    .fetch_one(conn)
    .await
    .map_err(StoreError::query("count old approves"))?;
    row::count(&found, "old")
}

/// Forgets approves that ended before `before`, and the oldest ones where all together have more than `paths_max`
/// paths. One whose journal keeps something stays. Returns how many went.
///
/// # Errors
/// The database failed.
pub async fn approve_prune_in_txn(
    txn: &mut WriteTxn,
    before: Timestamp,
    paths_max: u64,
) -> Result<u64, StoreError> {
    let done = query(
        "DELETE FROM approve WHERE kept_bytes IS NULL AND ended_at IS NOT NULL AND (ended_at < $1 OR seq IN \
         (SELECT seq FROM (SELECT seq, sum(paths) OVER (ORDER BY seq DESC) AS so_far FROM approve) AS recent \
         WHERE so_far > $2))",
    )
    .bind(before.as_microsecond())
    .bind(to_int(paths_max))
    .execute(txn)
    .await
    .map_err(StoreError::query("forget old approves"))?;
    Ok(done)
}
