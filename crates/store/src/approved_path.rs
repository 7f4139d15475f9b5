//! What later changes are compared with, by path.

use sandbar_types::{SandboxId, WorkspacePath};

use crate::{
    Reads, StoreError, WriteTxn,
    query::query,
    row::{self, to_json},
};

/// A path that was approved, and what it is compared with from then on.
#[derive(Debug, Clone, PartialEq)]
pub struct ApprovedPathRow {
    /// The path.
    pub path: WorkspacePath,
    /// What the source had there right after; the engine's own form.
    pub base: serde_json::Value,
}

/// Records what `id` is compared with at `new.path` from now on.
///
/// # Errors
/// The database failed.
pub async fn approved_path_put_in_txn(
    txn: &mut WriteTxn,
    id: SandboxId,
    new: &ApprovedPathRow,
) -> Result<(), StoreError> {
    query(
        "INSERT INTO approved_path (sandbox_id, path, base) VALUES ($1, $2, $3) \
         ON CONFLICT (sandbox_id, path) DO UPDATE SET base = excluded.base",
    )
    .bind(id.to_string())
    .bind(new.path.as_bytes())
    .bind(to_json(&new.base))
    .execute(txn)
    .await
    .map_err(StoreError::query("record an approved path"))?;
    Ok(())
}

/// Lists every approved path of `id`.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn approved_path_list(
    conn: &mut impl Reads,
    id: SandboxId,
) -> Result<Vec<ApprovedPathRow>, StoreError> {
    let rows = query("SELECT path, base FROM approved_path WHERE sandbox_id = $1 ORDER BY path")
        .bind(id.to_string())
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list approved paths"))?;
    rows.iter()
        .map(|found| {
            let path = WorkspacePath::parse(row::column::<&[u8]>(found, "path")?)
                .map_err(|err| StoreError::Row { column: "path", source: err.into() })?;
            Ok(ApprovedPathRow { path, base: row::json(found, "base")? })
        })
        .collect()
}
