//! Users of a tenant.

use jiff::Timestamp;
use sandbar_store::{
    UserRow, WriteTxn, session_remove_others_in_txn, user_count_admins, user_fetch, user_find_name,
    user_insert_in_txn, user_list, user_remove_in_txn, user_update_in_txn,
};
use sandbar_types::{AccountName, Generation, Principal, Role, TenantId, UserId};

use super::{require_within, setup};
use crate::{Engine, Error, ErrorKind, Result, error::require_seen};

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The name.
    pub name: AccountName,
    /// What the user may do.
    pub role: Role,
    /// Whether the user can log in.
    pub has_password: bool,
    /// Grows with every change.
    pub generation: Generation,
    /// When the user was added.
    pub created_at: Timestamp,
}

impl User {
    fn of(row: UserRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            role: row.role,
            has_password: row.password_hash.is_some(),
            generation: row.generation,
            created_at: row.created_at,
        }
    }
}

/// What a user shall be.
#[derive(Clone)]
pub struct UserCreateParams {
    /// Of which tenant.
    pub tenant: TenantId,
    /// The name.
    pub name: AccountName,
    /// What the user may do.
    pub role: Role,
    /// The password; without one the user cannot log in.
    pub password: Option<String>,
}

impl std::fmt::Debug for UserCreateParams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserCreateParams").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What of a user shall be another.
#[derive(Clone, Default)]
pub struct UserUpdateParams {
    /// What the user may do.
    pub role: Option<Role>,
    /// The password; every session of the user ends.
    pub password: Option<String>,
}

impl std::fmt::Debug for UserUpdateParams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserUpdateParams").field("role", &self.role).finish_non_exhaustive()
    }
}

/// Which user, and as of when.
#[derive(Debug, Clone, Copy)]
pub struct UserWhich {
    /// Of which tenant.
    pub tenant: TenantId,
    /// Which one.
    pub id: UserId,
    /// The generation that was seen; `None` for any.
    pub seen: Option<Generation>,
}

/// Under which condition a user is inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Only {
    /// Always.
    Another,
    /// While there is no administrator.
    FirstAdmin,
}

fn not_found(id: UserId) -> Error {
    Error::new(ErrorKind::NotFound, "user_not_found", format!("there is no user {id}"))
        .hint("`sandbar user ls` lists them")
}

async fn fetch(txn: &mut WriteTxn, which: UserWhich) -> Result<UserRow> {
    let UserWhich { tenant, id, seen } = which;
    let row = user_fetch(txn, tenant, id).await?.ok_or_else(|| not_found(id))?;
    require_seen(seen, row.generation)?;
    Ok(row)
}

/// Without an administrator nobody could look after the tenant but the operator.
async fn refuse_last_admin(txn: &mut WriteTxn, user: &UserRow) -> Result<()> {
    if user.role == Role::Admin && user_count_admins(txn, user.tenant_id).await? <= 1 {
        return Err(Error::new(
            ErrorKind::Conflict,
            "last_admin",
            format!("`{}` is the last administrator of the tenant", user.name),
        )
        .hint("make another one first"));
    }
    Ok(())
}

impl Engine {
    /// Adds a user who may do at most what `by` may.
    ///
    /// # Errors
    /// `forbidden`, `account_name_taken`, `invalid_value`.
    pub async fn user_create(&self, by: &Principal, params: UserCreateParams) -> Result<User> {
        require_within(by, params.role.scopes())?;
        self.user_insert(params, Only::Another).await
    }

    pub(super) async fn user_insert(&self, params: UserCreateParams, only: Only) -> Result<User> {
        let password_hash = match params.password {
            None => None,
            Some(password) => Some(self.inner.password_hash(password).await?),
        };
        let row = UserRow {
            id: UserId::generate(),
            tenant_id: params.tenant,
            name: params.name,
            role: params.role,
            password_hash,
            generation: Generation::FIRST,
            created_at: self.now(),
        };
        let mut txn = self.inner.store.begin().await?;
        if only == Only::FirstAdmin && user_count_admins(&mut txn, row.tenant_id).await? > 0 {
            return Err(setup::done());
        }
        if user_find_name(&mut txn, row.tenant_id, &row.name).await?.is_some() {
            let message = format!("there is a user `{}` already", row.name);
            return Err(Error::new(ErrorKind::Conflict, "account_name_taken", message));
        }
        user_insert_in_txn(&mut txn, &row).await?;
        txn.commit().await?;
        if row.role == Role::Admin && row.tenant_id == TenantId::DEFAULT {
            self.setup_end();
        }
        Ok(User::of(row))
    }

    /// Looks at a user of a tenant.
    ///
    /// # Errors
    /// `user_not_found`.
    pub async fn user_fetch(&self, tenant: TenantId, id: UserId) -> Result<User> {
        let found = user_fetch(&mut self.inner.store.read().await?, tenant, id).await?;
        found.map(User::of).ok_or_else(|| not_found(id))
    }

    /// Lists at most `limit` users of a tenant after `after`, oldest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn user_list(
        &self,
        tenant: TenantId,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<User>> {
        let mut conn = self.inner.store.read().await?;
        let rows = user_list(&mut conn, tenant, after, limit).await?;
        Ok(rows.into_iter().map(User::of).collect())
    }

    /// Changes the role or the password of a user who may do at most what `by` may.
    ///
    /// # Errors
    /// `user_not_found`, `stale_generation`, `forbidden`, `last_admin`, `invalid_value`.
    pub async fn user_update(
        &self,
        by: &Principal,
        which: UserWhich,
        params: UserUpdateParams,
    ) -> Result<User> {
        let password_hash = match params.password {
            None => None,
            Some(password) => Some(self.inner.password_hash(password).await?),
        };
        let mut txn = self.inner.store.begin().await?;
        let mut row = fetch(&mut txn, which).await?;
        require_within(by, row.role.scopes())?;
        if let Some(role) = params.role {
            require_within(by, role.scopes())?;
            if role != Role::Admin {
                refuse_last_admin(&mut txn, &row).await?;
            }
            row.role = role;
        }
        if password_hash.is_some() {
            row.password_hash = password_hash;
            session_remove_others_in_txn(&mut txn, row.id, None).await?;
        }
        row.generation = row.generation.next();
        user_update_in_txn(&mut txn, &row).await?;
        txn.commit().await?;
        self.inner.accounts.somebody_ended();
        Ok(User::of(row))
    }

    /// Removes a user who may do at most what `by` may; the user's keys and sessions end.
    ///
    /// # Errors
    /// `user_not_found`, `stale_generation`, `forbidden`, `last_admin`.
    pub async fn user_remove(&self, by: &Principal, which: UserWhich) -> Result<()> {
        let mut txn = self.inner.store.begin().await?;
        let row = fetch(&mut txn, which).await?;
        require_within(by, row.role.scopes())?;
        refuse_last_admin(&mut txn, &row).await?;
        user_remove_in_txn(&mut txn, row.id).await?;
        txn.commit().await?;
        self.inner.accounts.somebody_ended();
        Ok(())
    }
}
