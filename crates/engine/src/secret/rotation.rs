//! A new key for every secret, while everything runs.
//!
//! The new key is in the file first, and seals from then on; then every secret is sealed again, some at a time; then the
//! old key goes. Killed in between, the file has both keys, everything opens, and the next server goes on.

use std::sync::Arc;

use sandbar_secrets::Keyring;
use sandbar_store::{ConfigItemRow, config_list_sealed, config_reseal_in_txn};

use super::{keys, with_place};
use crate::{Engine, Error, ErrorKind, Result, engine::Inner};

/// LIMIT: secrets that are sealed again in one transaction, for which every other writer waits.
const BATCH: u32 = 100;

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Names the key that seals now.
    pub key: String,
    /// Secrets that were sealed again.
    pub resealed: u64,
    /// Secrets that do not open, and were left; with any, the old keys are kept.
    pub left: u64,
}

impl Engine {
    /// Seals every secret of the server with a new key, and drops the old one. Goes on when nobody waits for it.
    ///
    /// # Errors
    /// `secrets_key_unusable`, `unavailable`.
    pub async fn secrets_rotate(&self) -> Result<Rotation> {
        let rotated = self.inner.tasks.spawn(rotate(Arc::clone(&self.inner)));
        rotated.await.unwrap_or_else(|panicked| Err(Error::internal(panicked)))
    }
}

async fn rotate(inner: Arc<Inner>) -> Result<Rotation> {
    let _one = inner.secrets.rotating.lock().await;
    let key = inner.secrets.rotate(&inner.store).await?;
    reseal(&inner, key).await
}

/// Goes on with a rotation that an earlier server did not end.
pub(crate) async fn resume(inner: Arc<Inner>) {
    let _one = inner.secrets.rotating.lock().await;
    let resumed = async {
        let ring = inner.secrets.to_open().await?;
        let Some(ring) = ring.as_ref().filter(|ring| ring.has_old()) else { return Ok(None) };
        Ok(Some(ring.active().to_string()))
    };
    let done = match resumed.await {
        Ok(None) => return,
        Ok(Some(key)) => reseal(&inner, key).await,
        Err(err) => Err(err),
    };
    match done {
        Ok(done) => tracing::info!(resealed = done.resealed, left = done.left, "a key was rotated"),
        Err(err) => {
            tracing::warn!(
                error = &err as &dyn std::error::Error,
                "a rotation of keys could not be ended"
            );
        }
    }
}

async fn reseal(inner: &Inner, key: String) -> Result<Rotation> {
    let mut done = Rotation { key, resealed: 0, left: 0 };
    let mut after = None;
    loop {
        if inner.leaving.is_cancelled() {
            return Err(Error::new(ErrorKind::Unavailable, "unavailable", "the server is leaving")
                .hint("the next one goes on with it"));
        }
        let ring = inner.secrets.to_open().await?;
        let Some(ring) = ring.as_ref() else { break };
        let mut txn = inner.store.begin().await?;
        let rows = config_list_sealed(&mut txn, after.as_ref(), BATCH).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.at.clone());
        for row in &rows {
            match again(ring, row) {
                Ok(None) => {}
                Ok(Some(sealed)) => {
                    config_reseal_in_txn(&mut txn, row, sealed).await?;
                    done.resealed += 1;
                }
                Err(err) => {
                    tracing::warn!(error = &err as &dyn std::error::Error, "a secret was left");
                    done.left += 1;
                }
            }
        }
        txn.commit().await?;
    }
    if done.left == 0 {
        inner.secrets.retire_old().await?;
    }
    Ok(done)
}

/// The secret of a row under the key that seals now; `None` where it is so already.
fn again(ring: &Keyring, row: &ConfigItemRow) -> Result<Option<Vec<u8>>> {
    if keys::sealed(row).is_some_and(|sealed| sealed.key() == ring.active()) {
        return Ok(None);
    }
    let value = keys::open(Some(ring), row)?;
    Ok(Some(with_place(row, |place| ring.seal(place, &value)).into_bytes()))
}
