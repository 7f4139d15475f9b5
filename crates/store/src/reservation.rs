//! Subtrees of the host that a living sandbox holds for itself. Whether two overlap is for the engine to say.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use sandbar_types::{HostPath, SandboxId};

use crate::{Reads, StoreError, WriteTxn, query::query, row};

/// A reserved subtree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservationRow {
    /// Who holds it.
    pub sandbox_id: SandboxId,
    /// The subtree.
    pub path: HostPath,
}

/// Lists every reservation.
///
/// # Errors
/// The database failed, or holds a path that is none.
pub async fn reservation_list(conn: &mut impl Reads) -> Result<Vec<ReservationRow>, StoreError> {
    let rows = query("SELECT sandbox_id, path FROM reservation ORDER BY path, sandbox_id")
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list reservations"))?;
    rows.iter()
        .map(|found| {
            let bytes: &[u8] = row::column(found, "path")?;
            let path = HostPath::parse(OsStr::from_bytes(bytes))
                .map_err(|err| StoreError::Row { column: "path", source: err.into() })?;
            Ok(ReservationRow { sandbox_id: row::parsed(found, "sandbox_id")?, path })
        })
        .collect()
}

/// Records that `id` holds `path`.
///
/// # Errors
/// The database failed.
pub async fn reservation_insert_in_txn(
    txn: &mut WriteTxn,
    id: SandboxId,
    path: &HostPath,
) -> Result<(), StoreError> {
    query(
        "INSERT INTO reservation (sandbox_id, path) VALUES ($1, $2) ON CONFLICT (sandbox_id, path) DO NOTHING",
    )
        .bind(id.to_string())
        .bind(path.as_path().as_os_str().as_bytes())
        .execute(txn)
        .await
        .map_err(StoreError::query("insert a reservation"))?;
    Ok(())
}

/// Gives back everything that `id` holds.
///
/// # Errors
/// The database failed.
pub async fn reservation_release_in_txn(
    txn: &mut WriteTxn,
    id: SandboxId,
) -> Result<(), StoreError> {
    query("DELETE FROM reservation WHERE sandbox_id = $1")
        .bind(id.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query("release reservations"))?;
    Ok(())
}
