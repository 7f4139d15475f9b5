//! Requests that carry a key, so that a repeated one is one: what was answered is remembered, and answered again.
//!
//! Only what was done is remembered; what was refused or failed may be asked again with the same key. A create of a
//! sandbox does not come by here: its key is written together with the sandbox.
//! What runs is known in memory alone: a server that is killed between doing and remembering does it again.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sandbar_store::{
    IdempotencyAt, IdempotencyRow, idempotency_fetch, idempotency_insert_in_txn,
    idempotency_replayed_in_txn,
};
use sandbar_types::{Sha256, TenantId};
use serde_json::Value;

use crate::{Engine, Error, ErrorKind, Result, engine::Inner};

/// LIMIT: how long an answer is remembered; less, where the operator says so of keys.
const ANSWER_TTL: Duration = Duration::from_hours(24);

/// A request with a key.
#[derive(Debug, Clone)]
pub struct KeyedRequest {
    /// On behalf of which tenant.
    pub tenant: TenantId,
    /// Who asks; see [`crate::Credential::owner`].
    pub principal: String,
    /// The method and the address.
    pub route: String,
    /// The key, or its hash.
    pub key: String,
    /// Hash of the rest of the request.
    pub request_hash: Sha256,
}

/// What is to be done about it.
#[derive(Debug)]
pub enum Keyed {
    /// It is the first: carry it out.
    First(KeyGuard),
    /// It was carried out; this was remembered.
    Again(Value),
}

/// Which keyed requests are being carried out.
pub(crate) type InFlight = Mutex<HashSet<IdempotencyAt>>;

/// A keyed request that is being carried out; another one like it is refused until this is dropped.
#[derive(Debug)]
pub struct KeyGuard {
    inner: Arc<Inner>,
    at: IdempotencyAt,
    request_hash: Sha256,
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        self.inner.in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.at);
    }
}

impl KeyGuard {
    /// Remembers what was answered.
    ///
    /// # Errors
    /// The store failed: the same request would be carried out again.
    pub async fn remember(self, answer: Value) -> Result<()> {
        let row = IdempotencyRow {
            at: self.at.clone(),
            request_hash: self.request_hash,
            sandbox_id: None,
            response: Some(answer),
            expires_at: self.inner.config.clock.now()
                + ANSWER_TTL.min(self.inner.settings().idempotency_ttl),
            replays: 0,
        };
        let mut txn = self.inner.store.begin().await?;
        idempotency_insert_in_txn(&mut txn, &row).await?;
        Ok(txn.commit().await?)
    }
}

/// The refusal of a key that meant something else before.
pub(crate) fn reused() -> Error {
    let message = "this idempotency key was used with another request";
    Error::new(ErrorKind::Conflict, "idempotency_key_reused", message)
        .hint("use a new key for a new request")
}

impl Engine {
    /// Says whether a keyed request is the first of its key.
    ///
    /// # Errors
    /// `idempotency_key_reused`, `idempotency_in_progress`.
    pub async fn keyed_begin(&self, request: KeyedRequest) -> Result<Keyed> {
        let KeyedRequest { tenant: tenant_id, principal, route, key, request_hash } = request;
        let at = IdempotencyAt { tenant_id, principal, route, key };
        let inner = Arc::clone(&self.inner);
        let is_first = self.in_flight().insert(at.clone());
        if !is_first {
            let message = "the first request with this idempotency key is still being carried out";
            return Err(Error::new(ErrorKind::Conflict, "idempotency_in_progress", message)
                .hint("come back in a moment")
                .details(&serde_json::json!({ "retry_after_s": 1 })));
        }
        // From here on it is taken back whatever happens. Looked up only now: the one before may have ended just then.
        let guard = KeyGuard { inner, at, request_hash };
        let mut conn = self.inner.store.read().await?;
        let found = idempotency_fetch(&mut conn, &guard.at, self.now()).await?;
        drop(conn);
        let Some(row) = found else { return Ok(Keyed::First(guard)) };
        if row.request_hash != request_hash {
            return Err(reused());
        }
        let mut txn = self.inner.store.begin().await?;
        idempotency_replayed_in_txn(&mut txn, &guard.at).await?;
        txn.commit().await?;
        Ok(Keyed::Again(row.response.unwrap_or_default()))
    }

    fn in_flight(&self) -> std::sync::MutexGuard<'_, HashSet<IdempotencyAt>> {
        self.inner.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
