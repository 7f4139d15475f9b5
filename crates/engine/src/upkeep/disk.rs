//! Room for the server itself on the disk of the data directory: new sandboxes are refused while little is free, and a
//! file holds some in reserve, which is given back when nothing else is left, so that ends, stops and deletes can be
//! recorded.

use std::{path::PathBuf, sync::Arc};

use super::plan::{Deed, Planned};
use crate::{Error, ErrorKind, Result, engine::Inner, workspace_view::blocking};

/// The file, below the data directory.
const RESERVE: &str = "reserve";

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    free_bytes: u64,
    /// What the reserve holds now.
    reserve_bytes: u64,
    /// What it is to hold.
    reserve_bytes_wanted: u64,
}

/// Decides about the reserve: it is given where half of it is no longer free, and taken again where it is free four
/// times over; in between it stays as it is, so that it does not come and go.
fn plan(seen: Seen) -> Vec<Planned> {
    let Seen { free_bytes, reserve_bytes, reserve_bytes_wanted: wanted } = seen;
    let (deed, reason) = if reserve_bytes > 0 && (free_bytes < wanted / 2 || wanted == 0) {
        (Deed::GiveReserve, "the disk of the data directory is full")
    } else if reserve_bytes < wanted && free_bytes > wanted.saturating_mul(4) {
        (Deed::TakeReserve, "the disk of the data directory has room again")
    } else {
        return Vec::new();
    };
    vec![Planned {
        sandbox_id: None,
        what: "reserve of the server".to_owned(),
        reason: reason.to_owned(),
        bytes: None,
        deed,
    }]
}

fn reserve(inner: &Inner) -> PathBuf {
    inner.config.data_dir.join(RESERVE)
}

/// Free bytes of the file system of the data directory.
pub(crate) async fn free_bytes(inner: &Inner) -> Result<u64> {
    let dir = inner.config.data_dir.clone();
    blocking(move || sandbar_workspace::room::free_bytes(&dir)).await?.map_err(Error::internal)
}

pub(super) async fn find(inner: &Inner) -> Result<Vec<Planned>> {
    let free_bytes = free_bytes(inner).await?;
    let reserve_bytes = std::fs::metadata(reserve(inner)).map_or(0, |metadata| metadata.len());
    let reserve_bytes_wanted = inner.settings().disk_reserve_bytes;
    Ok(plan(Seen { free_bytes, reserve_bytes, reserve_bytes_wanted }))
}

pub(super) async fn carry_out(inner: &Arc<Inner>, deed: &Deed) -> Result<()> {
    let path = reserve(inner);
    let bytes = inner.settings().disk_reserve_bytes;
    if *deed == Deed::GiveReserve {
        tracing::error!("the disk of the data directory is full; the server lives on its reserve");
        return std::fs::remove_file(path).map_err(Error::internal);
    }
    let taken = blocking(move || sandbar_workspace::room::reserve(&path, bytes));
    taken.await?.map_err(Error::internal)
}

/// Refuses a new sandbox while too little is free.
pub(crate) async fn admit(inner: &Inner) -> Result<()> {
    let least = inner.settings().free_bytes_min;
    let free = free_bytes(inner).await?;
    if free >= least {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::LimitReached,
        "storage_full",
        format!(
            "{} MiB are free on the disk of the server, and {} are needed for a new sandbox",
            free >> 20,
            least >> 20
        ),
    )
    .hint("free some space: `sandbar gc --dry-run` and `sandbar du` show what takes it")
    .details(&serde_json::json!({ "free_bytes": free, "free_bytes_min": least })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deeds(free_bytes: u64, reserve_bytes: u64, wanted: u64) -> Vec<Deed> {
        let seen = Seen { free_bytes, reserve_bytes, reserve_bytes_wanted: wanted };
        plan(seen).into_iter().map(|planned| planned.deed).collect()
    }

    #[test]
    fn the_reserve_is_given_when_nothing_is_left_and_taken_when_there_is_plenty() {
        assert_eq!(deeds(49, 100, 100), [Deed::GiveReserve]);
        // What it gave is free now, and is not taken at once.
        assert_eq!(deeds(149, 0, 100), []);
        assert_eq!(deeds(401, 0, 100), [Deed::TakeReserve]);
        assert_eq!(deeds(401, 100, 100), []);
        assert_eq!(deeds(401, 100, 0), [Deed::GiveReserve], "it is wanted no more");
        assert_eq!(deeds(0, 0, 0), []);
    }
}
