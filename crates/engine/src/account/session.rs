//! Sessions that were begun: who it is, until when, and their end.

use std::{sync::Arc, time::Duration};

use sandbar_store::{
    api_key_find, session_find, session_remove_in_txn, session_remove_others_in_txn,
    session_seen_in_txn, user_fetch, user_update_in_txn,
};
use sandbar_types::{Actor, Authority, Principal, SessionId, UserId};

use super::{Credential, Identity, login::wrong, password, secret, throttle::Key};
use crate::{Engine, Result};

/// LIMIT: how long a session lasts, however much it is used.
pub(super) const LIFETIME: Duration = Duration::from_hours(7 * 24);
/// LIMIT: how long a session lasts unused.
pub(crate) const IDLE: Duration = Duration::from_hours(12);
/// How exactly it is known when something was used last: a write for each request would be a write too many.
pub(super) const USED_RESOLUTION: Duration = Duration::from_mins(1);
/// How often whoever lives on a credential looks whether it has expired.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

impl Engine {
    /// Who shows this token of a session; `None` when it ended, or never was.
    ///
    /// # Errors
    /// The store failed.
    pub async fn session_identify(&self, token: &str) -> Result<Option<Identity>> {
        let hash = secret::hash(token);
        let now = self.now();
        let found = session_find(&mut self.inner.store.read().await?, hash).await?;
        let is_alive = |found: &sandbar_store::SessionFound| {
            now < found.session.expires_at && now < found.session.last_seen_at + IDLE
        };
        let Some(found) = found.filter(is_alive) else { return Ok(None) };
        if now >= found.session.last_seen_at + USED_RESOLUTION {
            self.session_seen(found.session.id);
        }
        Ok(Some(Identity {
            principal: Principal {
                tenant: found.tenant_id,
                who: Actor::Account { id: found.session.user_id, name: found.name },
                role: found.role,
                scopes: found.role.scopes(),
                authority: Authority::Tenant,
            },
            credential: Credential::Session(found.session.id, found.session.user_id),
            hash: Some(hash),
        }))
    }

    /// Beside the request, which does not wait for the disk.
    fn session_seen(&self, id: SessionId) {
        let (inner, now) = (Arc::clone(&self.inner), self.now());
        self.inner.tasks.spawn(async move {
            let written = async {
                let mut txn = inner.store.begin().await?;
                session_seen_in_txn(&mut txn, id, now).await?;
                txn.commit().await
            };
            if let Err(error) = written.await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the use of a session could not be written"
                );
            }
        });
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The store failed.
    pub async fn logout(&self, id: SessionId) -> Result<()> {
        let mut txn = self.inner.store.begin().await?;
        session_remove_in_txn(&mut txn, id).await?;
        txn.commit().await?;
        self.inner.accounts.somebody_ended();
        Ok(())
    }

    /// Changes the password of whoever has this session, and ends the user's other sessions.
    ///
    /// # Errors
    /// `invalid_credentials` when `current` is not the password; `invalid_value`; `rate_limited`.
    pub async fn password_change(
        &self,
        identity: &Identity,
        current: String,
        new: String,
    ) -> Result<()> {
        let Credential::Session(session, user) = identity.credential else {
            return Err(wrong("only a user who logged in has a password to change"));
        };
        password::check(&new)?;
        let key = Key::User(format!("password/{user}"));
        self.attempt(std::slice::from_ref(&key), None)?;
        let tenant = identity.principal.tenant;
        let row = user_fetch(&mut self.inner.store.read().await?, tenant, user).await?;
        let row = row.ok_or_else(|| wrong("the user is gone"))?;
        if !self.inner.password_is(current, row.password_hash).await? {
            return Err(wrong("`current` is not the password"));
        }
        self.inner.accounts.throttle().forget(&key);
        let hash = self.inner.password_hash(new).await?;
        self.password_write(tenant, user, hash, Some(session)).await
    }

    async fn password_write(
        &self,
        tenant: sandbar_types::TenantId,
        user: UserId,
        hash: String,
        kept: Option<SessionId>,
    ) -> Result<()> {
        let mut txn = self.inner.store.begin().await?;
        // Read again: the role may have changed while the password was hashed.
        let row = user_fetch(&mut txn, tenant, user).await?;
        let mut row = row.ok_or_else(|| wrong("the user is gone"))?;
        row.password_hash = Some(hash);
        row.generation = row.generation.next();
        user_update_in_txn(&mut txn, &row).await?;
        session_remove_others_in_txn(&mut txn, user, kept).await?;
        txn.commit().await?;
        self.inner.accounts.somebody_ended();
        Ok(())
    }

    /// Waits until `identity` may not be used any more: its key or session ended, or its user is less than it was.
    pub async fn identity_ended(&self, identity: &Identity) {
        let mut ended = self.inner.accounts.ended.subscribe();
        loop {
            ended.borrow_and_update();
            // A store that fails is no reason to cut anybody off; the next look will tell.
            if let Ok(false) = self.identity_holds(identity).await {
                return;
            }
            tokio::select! {
                _changed = ended.changed() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    async fn identity_holds(&self, identity: &Identity) -> Result<bool> {
        let Some(hash) = identity.hash else { return Ok(true) };
        let now = self.now();
        let mut conn = self.inner.store.read().await?;
        let still = match identity.credential {
            Credential::Instance => return Ok(true),
            Credential::Key(_) => api_key_find(&mut conn, hash)
                .await?
                .filter(|(key, _)| key.expires_at.is_none_or(|end| now < end))
                .map(|(key, user)| super::key::scopes(&key, user)),
            Credential::Session(..) => session_find(&mut conn, hash)
                .await?
                .filter(|found| now < found.session.expires_at)
                .map(|found| found.role.scopes()),
        };
        Ok(still.is_some_and(|scopes| identity.principal.scopes.is_within(scopes)))
    }
}
