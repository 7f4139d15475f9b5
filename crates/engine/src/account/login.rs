//! From a name and a password to a session.

use std::net::IpAddr;

use jiff::Timestamp;
use sandbar_store::{
    SessionRow, UserRow, session_insert_in_txn, session_prune_in_txn, tenant_find_name,
    user_find_name,
};
use sandbar_types::{AccountName, Actor, SessionId, TenantId};

use super::{secret, session, throttle::Key};
use crate::{Engine, Error, ErrorKind, Result};

/// What somebody says to be let in.
#[derive(Clone)]
pub struct LoginParams {
    /// Of which tenant.
    pub tenant: AccountName,
    /// Which user.
    pub name: AccountName,
    /// The password.
    pub password: String,
    /// From where; `None` on the unix socket.
    pub address: Option<IpAddr>,
}

impl std::fmt::Debug for LoginParams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginParams").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A session that began.
pub struct LoggedIn {
    /// What the browser shows from now on; we do not keep it.
    pub token: String,
    /// When it ends, however much it is used.
    pub expires_at: Timestamp,
    /// Of which tenant they are.
    pub tenant: TenantId,
    /// Who they are.
    pub who: Actor,
}

impl std::fmt::Debug for LoggedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoggedIn").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl Engine {
    /// Begins a session. Takes as long for a user that is not there, and says the same.
    ///
    /// # Errors
    /// `invalid_credentials`; `rate_limited` after too many attempts.
    pub async fn login(&self, params: LoginParams) -> Result<LoggedIn> {
        let logged_in = self.login_checked(params).await;
        if let Err(refused) = &logged_in {
            self.inner.metrics.login_failed(refused);
        }
        logged_in
    }

    async fn login_checked(&self, params: LoginParams) -> Result<LoggedIn> {
        let LoginParams { tenant, name, password, address } = params;
        let user_key = Key::User(format!("{tenant}/{name}"));
        self.attempt(std::slice::from_ref(&user_key), address)?;
        let user = self.login_user(&tenant, &name).await?;
        let expected = user.as_ref().and_then(|user| user.password_hash.clone());
        let is_right = self.inner.password_is(password, expected).await?;
        let Some(user) = user.filter(|_| is_right) else {
            return Err(wrong("no user of this name has this password"));
        };
        self.inner.accounts.throttle().forget(&user_key);
        let now = self.now();
        let token = secret::generate()?;
        let row = SessionRow {
            id: SessionId::generate(),
            user_id: user.id,
            hash: secret::hash(&token),
            created_at: now,
            last_seen_at: now,
            expires_at: now + session::LIFETIME,
        };
        let mut txn = self.inner.store.begin().await?;
        session_prune_in_txn(&mut txn, now, now - session::IDLE).await?;
        session_insert_in_txn(&mut txn, &row).await?;
        txn.commit().await?;
        let who = Actor::Account { id: user.id, name: user.name };
        Ok(LoggedIn { token, expires_at: row.expires_at, tenant: user.tenant_id, who })
    }

    async fn login_user(
        &self,
        tenant: &AccountName,
        name: &AccountName,
    ) -> Result<Option<UserRow>> {
        let mut conn = self.inner.store.read().await?;
        match tenant_find_name(&mut conn, tenant).await? {
            Some(tenant) => Ok(user_find_name(&mut conn, tenant.id, name).await?),
            None => Ok(None),
        }
    }

    /// Counts an attempt, or refuses it.
    pub(super) fn attempt(&self, keys: &[Key], address: Option<IpAddr>) -> Result<()> {
        let address = address.map(|address| Key::Address(address.to_string()));
        let keys: Vec<_> = keys.iter().cloned().chain(address).collect();
        self.inner.accounts.throttle().attempt(&keys, self.now()).map_err(|left| {
            let seconds = left.as_secs().max(1);
            Error::new(ErrorKind::LimitReached, "rate_limited", "too many attempts")
                .hint(format!("try again in {seconds} seconds"))
                .details(&serde_json::json!({ "retry_after_s": seconds }))
        })
    }
}

pub(super) fn wrong(message: &'static str) -> Error {
    Error::new(ErrorKind::Denied, "invalid_credentials", message)
}
