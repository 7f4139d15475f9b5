//! API keys: `sbk_`, eight digits that may be shown, `_`, and 256 random bits.

use std::sync::Arc;

use jiff::Timestamp;
use sandbar_store::{
    ApiKeyRow, api_key_count, api_key_fetch, api_key_find, api_key_insert_in_txn, api_key_list,
    api_key_remove_in_txn, api_key_used_in_txn, user_fetch,
};
use sandbar_types::{
    Actor, ApiKeyId, Authority, Generation, KeyName, Principal, Role, Scopes, TenantId, UserId,
};

use super::{Credential, Identity, require_within, secret, session::USED_RESOLUTION};
use crate::{Engine, Error, ErrorKind, Result, error::require_seen};

/// What every key begins with, so that scanners for leaked secrets know it.
const MARK: &str = "sbk_";
/// Digits that tell one key from another.
const PREFIX_DIGITS: usize = 8;
/// LIMIT: keys of one tenant.
const KEYS_MAX: u64 = 1000;

/// An API key, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is; `None` for the operator's.
    pub user: Option<UserId>,
    /// What it is for.
    pub name: KeyName,
    /// What it begins with.
    pub prefix: String,
    /// What it may do at most.
    pub role: Role,
    /// What of that it may ask for.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// Which API key, and as of when.
#[derive(Debug, Clone, Copy)]
pub struct KeyWhich {
    /// Of which tenant.
    pub tenant: TenantId,
    /// Which one.
    pub id: ApiKeyId,
    /// The generation that was seen; `None` for any.
    pub seen: Option<Generation>,
}

impl ApiKey {
    /// That of every key: once made, a key is used or ended, and never changed.
    pub const GENERATION: Generation = Generation::FIRST;

    fn of(row: ApiKeyRow) -> Self {
        Self {
            id: row.id,
            user: row.user_id,
            name: row.name,
            prefix: row.prefix,
            role: row.role,
            scopes: row.scopes,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        }
    }
}

/// What a key shall be.
#[derive(Debug, Clone)]
pub struct KeyCreateParams {
    /// For which tenant.
    pub tenant: TenantId,
    /// What it is for.
    pub name: KeyName,
    /// What it may do at most; `None`: what its maker may.
    pub role: Option<Role>,
    /// What of that it may ask for; `None`: all of it.
    pub scopes: Option<Scopes>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// A key that was made.
pub struct KeyCreated {
    /// What is kept of it.
    pub key: ApiKey,
    /// The key itself: this is the only time that it is there.
    pub secret: String,
}

impl std::fmt::Debug for KeyCreated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyCreated").field("key", &self.key).finish_non_exhaustive()
    }
}

/// What a key may ask for, given what its user is now.
pub(super) fn scopes(key: &ApiKeyRow, user: Option<Role>) -> Scopes {
    let role = user.map_or(key.role, |user| user.min(key.role));
    role.scopes().and(key.scopes)
}

fn not_found(id: ApiKeyId) -> Error {
    Error::new(ErrorKind::NotFound, "api_key_not_found", format!("there is no API key {id}"))
        .hint("`sandbar key ls` lists them")
}

impl Engine {
    /// Who shows this key; `None` when it ended, or never was.
    ///
    /// # Errors
    /// The store failed.
    pub async fn key_identify(&self, presented: &str) -> Result<Option<Identity>> {
        if !presented.starts_with(MARK) {
            return Ok(None);
        }
        let hash = secret::hash(presented);
        let now = self.now();
        let found = api_key_find(&mut self.inner.store.read().await?, hash).await?;
        let Some((key, user)) = found else { return Ok(None) };
        if key.expires_at.is_some_and(|end| now >= end) {
            return Ok(None);
        }
        if key.last_used_at.is_none_or(|used| now >= used + USED_RESOLUTION) {
            self.key_used(key.id);
        }
        Ok(Some(Identity {
            principal: Principal {
                tenant: key.tenant_id,
                role: user.map_or(key.role, |user| user.min(key.role)),
                scopes: scopes(&key, user),
                authority: Authority::Tenant,
                who: Actor::ApiKey { id: key.id, name: key.name },
            },
            credential: Credential::Key(key.id),
            hash: Some(hash),
        }))
    }

    /// Beside the request, which does not wait for the disk.
    fn key_used(&self, id: ApiKeyId) {
        let (inner, now) = (Arc::clone(&self.inner), self.now());
        self.inner.tasks.spawn(async move {
            let written = async {
                let mut txn = inner.store.begin().await?;
                api_key_used_in_txn(&mut txn, id, now).await?;
                txn.commit().await
            };
            if let Err(error) = written.await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the use of a key could not be written"
                );
            }
        });
    }

    /// Makes a key that may do at most what `by` may.
    ///
    /// # Errors
    /// `forbidden`, `invalid_value`, `limit_reached`.
    pub async fn key_create(&self, by: &Identity, params: KeyCreateParams) -> Result<KeyCreated> {
        let now = self.now();
        let invalid = |message| Error::new(ErrorKind::Invalid, "invalid_value", message);
        if params.expires_at.is_some_and(|end| end <= now) {
            return Err(invalid("`expires_at` must be in the future"));
        }
        let role = params.role.unwrap_or(by.principal.role);
        let allowed = role.scopes().and(by.principal.scopes);
        let scopes = params.scopes.unwrap_or(allowed);
        if scopes.is_empty() {
            return Err(invalid("a key needs a scope"));
        }
        require_within(&by.principal, scopes)?;
        if role > by.principal.role || !scopes.is_within(role.scopes()) {
            return Err(Error::new(
                ErrorKind::Denied,
                "forbidden",
                "the scopes are more than the role allows, or the role is more than yours",
            ));
        }
        let (prefix, secret) = (secret::generate()?, secret::generate()?);
        let prefix = format!("{MARK}{}", &prefix[..PREFIX_DIGITS]);
        let secret = format!("{prefix}_{secret}");
        let mut txn = self.inner.store.begin().await?;
        if api_key_count(&mut txn, params.tenant).await? >= KEYS_MAX {
            let message = format!("the tenant has {KEYS_MAX} keys already");
            return Err(Error::new(ErrorKind::LimitReached, "limit_reached", message)
                .hint("remove some: `sandbar key rm`"));
        }
        let row = ApiKeyRow {
            id: ApiKeyId::generate(),
            tenant_id: params.tenant,
            user_id: self.owner(by).await?,
            name: params.name,
            prefix,
            hash: secret::hash(&secret),
            role,
            scopes,
            created_at: now,
            expires_at: params.expires_at,
            last_used_at: None,
        };
        api_key_insert_in_txn(&mut txn, &row).await?;
        txn.commit().await?;
        Ok(KeyCreated { key: ApiKey::of(row), secret })
    }

    /// The user that stands behind `by`: what a key makes belongs to the key's user, and goes with them.
    async fn owner(&self, by: &Identity) -> Result<Option<UserId>> {
        match by.credential {
            Credential::Instance => Ok(None),
            Credential::Session(_, user) => Ok(Some(user)),
            Credential::Key(id) => {
                let mut conn = self.inner.store.read().await?;
                let key = api_key_fetch(&mut conn, by.principal.tenant, id).await?;
                let Some(key) = key else { return Err(not_found(id)) };
                Ok(key.user_id)
            }
        }
    }

    /// Looks at a key of a tenant.
    ///
    /// # Errors
    /// `api_key_not_found`.
    pub async fn key_fetch(&self, tenant: TenantId, id: ApiKeyId) -> Result<ApiKey> {
        let found = api_key_fetch(&mut self.inner.store.read().await?, tenant, id).await?;
        found.map(ApiKey::of).ok_or_else(|| not_found(id))
    }

    /// Lists at most `limit` keys of a tenant after `after`, oldest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn key_list(
        &self,
        tenant: TenantId,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>> {
        let mut conn = self.inner.store.read().await?;
        let rows = api_key_list(&mut conn, tenant, None, after, limit).await?;
        Ok(rows.into_iter().map(ApiKey::of).collect())
    }

    /// Ends a key that may do at most what `by` may.
    ///
    /// # Errors
    /// `api_key_not_found`, `stale_generation`, `forbidden`.
    pub async fn key_remove(&self, by: &Principal, which: KeyWhich) -> Result<()> {
        let KeyWhich { tenant, id, seen } = which;
        let mut txn = self.inner.store.begin().await?;
        let key = api_key_fetch(&mut txn, tenant, id).await?.ok_or_else(|| not_found(id))?;
        require_seen(seen, ApiKey::GENERATION)?;
        let user = match key.user_id {
            None => None,
            Some(user) => user_fetch(&mut txn, tenant, user).await?.map(|user| user.role),
        };
        require_within(by, scopes(&key, user))?;
        api_key_remove_in_txn(&mut txn, id).await?;
        txn.commit().await?;
        self.inner.accounts.somebody_ended();
        Ok(())
    }
}
