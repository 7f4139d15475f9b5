//! What was approved: by whom, when, from which sandbox, path by path, and whether it was taken back.

use jiff::Timestamp;
use sandbar_store::{
    ApproveFilter, ApprovePathRow, ApproveRow, approve_fetch, approve_last, approve_list,
    approve_path_list,
};
use sandbar_types::{
    Actor, ApproveId, ApprovedPath, HostPath, SandboxId, SandboxName, TenantId, WorkspacePath,
};

use super::undo;
use crate::{Engine, Result, engine::Inner};

/// LIMIT: paths of one approve in a list; all of them are in the approve itself.
const LISTED_PATHS_MAX: u32 = 100;
/// LIMIT: paths of one approve.
const PATHS_MAX: u32 = 1_000_000;

/// Which approves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApproveListParams {
    /// Of this source.
    pub source: Option<HostPath>,
    /// Of the sandbox with this id, or that had this name; it may be gone.
    pub sandbox: Option<String>,
    /// That wrote this path of the source, or something below it.
    pub path: Option<WorkspacePath>,
    /// That came before the one with this [`ApproveRecord::position`].
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// An approve that wrote something, or an undo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApproveRecord {
    /// Its id.
    pub id: ApproveId,
    /// Its place among all approves; later ones have a larger one.
    pub position: i64,
    /// Where it wrote to.
    pub source: HostPath,
    /// Whose changes. The sandbox may be gone.
    pub sandbox_id: SandboxId,
    /// The name of the sandbox then.
    pub sandbox_name: SandboxName,
    /// Who asked.
    pub actor: Actor,
    /// When it was written.
    pub at: Timestamp,
    /// The commit that it became.
    pub commit_id: Option<String>,
    /// The approve that it took back.
    pub undoes: Option<ApproveId>,
    /// The approve that took it back.
    pub undone_by: Option<ApproveId>,
    /// Whether it can be undone now, but for what the host changed since.
    pub is_undoable: bool,
    /// How many paths it wrote.
    pub paths_total: u64,
    /// The paths; in a list the first ones only.
    pub paths: Vec<ApprovedPath>,
}

impl Engine {
    /// Lists approves of a tenant, the newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn approve_list(
        &self,
        tenant: TenantId,
        params: ApproveListParams,
    ) -> Result<Vec<ApproveRecord>> {
        let filter = ApproveFilter {
            source: params.source,
            sandbox: params.sandbox,
            path: params.path,
            before_seq: params.before,
        };
        let mut conn = self.inner.store.read().await?;
        let rows = approve_list(&mut conn, tenant, &filter, params.limit).await?;
        drop(conn);
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            records.push(record(&self.inner, row, LISTED_PATHS_MAX).await?);
        }
        Ok(records)
    }

    /// Looks at one approve of a tenant that wrote something.
    ///
    /// # Errors
    /// `approve_not_found`.
    pub async fn approve_fetch(&self, tenant: TenantId, id: ApproveId) -> Result<ApproveRecord> {
        let found = approve_fetch(&mut self.inner.store.read().await?, id).await?;
        let is_shown = |row: &ApproveRow| row.outcome.is_some() && row.tenant_id == tenant;
        let row = found.filter(is_shown).ok_or_else(|| undo::not_found(id))?;
        record(&self.inner, row, PATHS_MAX).await
    }
}

async fn record(inner: &Inner, row: ApproveRow, limit: u32) -> Result<ApproveRecord> {
    let mut conn = inner.store.read().await?;
    let paths = approve_path_list(&mut conn, row.id, limit).await?;
    let is_undoable = row.kept_bytes.is_some()
        && approve_last(&mut conn, &row.source).await?.is_some_and(|last| last.id == row.id);
    Ok(ApproveRecord {
        id: row.id,
        position: row.seq,
        source: row.source,
        sandbox_id: row.sandbox_id,
        sandbox_name: row.sandbox_name,
        actor: row.actor,
        at: row.ended_at.unwrap_or(row.started_at),
        commit_id: row.commit_id,
        undoes: row.undoes,
        undone_by: row.undone_by,
        is_undoable,
        paths_total: row.paths,
        paths: paths.into_iter().filter_map(approved_path).collect(),
    })
}

fn approved_path(row: ApprovePathRow) -> Option<ApprovedPath> {
    let kind = sandbar_workspace::change_kind(row.before.as_ref(), row.after.as_ref())?;
    Some(ApprovedPath { path: row.path, kind, before: row.before, after: row.after })
}
