//! Which sandbox an app is about: of the living at most one, which an index sees to.

use sandbar_types::{AppId, SandboxId, TenantId};

use crate::{Reads, SandboxRow, StoreError, WriteTxn, query::query, row, sandbox::read};

/// Makes `current` the one sandbox that `app` is about, or none. Returns whether there is such a living sandbox.
///
/// The generation stays as it is: whoever else writes a sandbox writes nothing of this.
///
/// # Errors
/// The database failed.
pub async fn sandbox_set_current_in_txn(
    txn: &mut WriteTxn,
    app: AppId,
    current: Option<SandboxId>,
) -> Result<bool, StoreError> {
    const DOING: &str = "say which sandbox is current";
    query("UPDATE sandbox SET is_current = 0 WHERE app_id = $1 AND is_current = 1")
        .bind(app.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query(DOING))?;
    let Some(current) = current else { return Ok(true) };
    let done = query(
        "UPDATE sandbox SET is_current = 1 WHERE id = $1 AND app_id = $2 AND deleted_at IS NULL",
    )
    .bind(current.to_string())
    .bind(app.to_string())
    .execute(txn)
    .await
    .map_err(StoreError::query(DOING))?;
    Ok(done == 1)
}

/// Fetches the living sandbox that `app` is about.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn sandbox_fetch_current(
    conn: &mut impl Reads,
    app: AppId,
) -> Result<Option<SandboxRow>, StoreError> {
    let found =
        query("SELECT * FROM sandbox WHERE app_id = $1 AND is_current = 1 AND deleted_at IS NULL")
            .bind(app.to_string())
            .fetch_optional(conn)
            .await
            .map_err(StoreError::query("fetch the sandbox of an app"))?;
    found.as_ref().map(read).transpose()
}

/// Lists the living sandboxes of `tenant` that an app is about, each with its app.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn sandbox_list_current(
    conn: &mut impl Reads,
    tenant: TenantId,
) -> Result<Vec<(AppId, SandboxId)>, StoreError> {
    let rows = query(
        "SELECT app_id, id FROM sandbox \
         WHERE tenant_id = $1 AND app_id IS NOT NULL AND is_current = 1 AND deleted_at IS NULL",
    )
    .bind(tenant.to_string())
    .fetch_all(conn)
    .await
    .map_err(StoreError::query("list the sandboxes of apps"))?;
    rows.iter()
        .map(|found| Ok((row::parsed(found, "app_id")?, row::parsed(found, "id")?)))
        .collect()
}

/// Lists the living sandboxes of `app`, those that were replaced included, oldest first.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn sandbox_list_of_app(
    conn: &mut impl Reads,
    app: AppId,
) -> Result<Vec<SandboxId>, StoreError> {
    let rows = query("SELECT id FROM sandbox WHERE app_id = $1 AND deleted_at IS NULL ORDER BY id")
        .bind(app.to_string())
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list the sandboxes of an app"))?;
    rows.iter().map(|found| row::parsed(found, "id")).collect()
}
