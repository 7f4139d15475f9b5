//! Users: somebody with a name, a role, and perhaps a password.

use jiff::Timestamp;
use sandbar_types::{AccountName, Generation, Role, TenantId, UserId};

use crate::{
    Reads, Row, StoreError, WriteTxn,
    query::query,
    row::{self, to_int},
};

/// A user.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRow {
    /// The id.
    pub id: UserId,
    /// Whose user.
    pub tenant_id: TenantId,
    /// The name, unique in the tenant.
    pub name: AccountName,
    /// What the user may do.
    pub role: Role,
    /// argon2id, in the PHC string format.
    pub password_hash: Option<String>,
    /// Grows with every change.
    pub generation: Generation,
    /// When the user was added.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for UserRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserRow").field("id", &self.id).finish_non_exhaustive()
    }
}

fn read(found: &Row) -> Result<UserRow, StoreError> {
    Ok(UserRow {
        id: row::parsed(found, "id")?,
        tenant_id: row::parsed(found, "tenant_id")?,
        name: row::parsed(found, "name")?,
        role: row::parsed(found, "role")?,
        password_hash: row::column(found, "password_hash")?,
        generation: Generation(row::count(found, "generation")?),
        created_at: row::time(found, "created_at")?,
    })
}

/// Inserts `new` as it is.
///
/// # Errors
/// The database failed, or the name is taken: look first, in the same transaction.
pub async fn user_insert_in_txn(txn: &mut WriteTxn, new: &UserRow) -> Result<(), StoreError> {
    query(
        "INSERT INTO user_account (id, tenant_id, name, role, password_hash, generation, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(new.id.to_string())
    .bind(new.tenant_id.to_string())
    .bind(new.name.as_str())
    .bind(new.role.as_str())
    .bind(&new.password_hash)
    .bind(to_int(new.generation.0))
    .bind(new.created_at.as_microsecond())
    .execute(txn)
    .await
    .map_err(StoreError::query("insert a user"))?;
    Ok(())
}

/// Writes what of `row` may change: the role, the password, the generation.
///
/// # Errors
/// The database failed.
pub async fn user_update_in_txn(txn: &mut WriteTxn, row: &UserRow) -> Result<(), StoreError> {
    query("UPDATE user_account SET role = $1, password_hash = $2, generation = $3 WHERE id = $4")
        .bind(row.role.as_str())
        .bind(&row.password_hash)
        .bind(to_int(row.generation.0))
        .bind(row.id.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query("update a user"))?;
    Ok(())
}

/// Removes a user, and with it every key and session that it has.
///
/// # Errors
/// The database failed.
pub async fn user_remove_in_txn(txn: &mut WriteTxn, id: UserId) -> Result<(), StoreError> {
    query("DELETE FROM user_account WHERE id = $1")
        .bind(id.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query("remove a user"))?;
    Ok(())
}

/// Fetches a user of `tenant`.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn user_fetch(
    conn: &mut impl Reads,
    tenant: TenantId,
    id: UserId,
) -> Result<Option<UserRow>, StoreError> {
    let found = query("SELECT * FROM user_account WHERE id = $1 AND tenant_id = $2")
        .bind(id.to_string())
        .bind(tenant.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::query("fetch a user"))?;
    found.as_ref().map(read).transpose()
}

/// Finds the user of `tenant` that has `name`.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn user_find_name(
    conn: &mut impl Reads,
    tenant: TenantId,
    name: &AccountName,
) -> Result<Option<UserRow>, StoreError> {
    let found = query("SELECT * FROM user_account WHERE tenant_id = $1 AND name = $2")
        .bind(tenant.to_string())
        .bind(name.as_str())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::query("find a user"))?;
    found.as_ref().map(read).transpose()
}

/// Lists at most `limit` users of `tenant` after `after`, oldest first.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn user_list(
    conn: &mut impl Reads,
    tenant: TenantId,
    after: Option<UserId>,
    limit: u32,
) -> Result<Vec<UserRow>, StoreError> {
    let rows =
        query("SELECT * FROM user_account WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3")
            .bind(tenant.to_string())
            .bind(after.map_or_else(String::new, |id| id.to_string()))
            .bind(limit)
            .fetch_all(conn)
            .await
            .map_err(StoreError::query("list users"))?;
    rows.iter().map(read).collect()
}

/// Counts the administrators of `tenant`.
///
/// # Errors
/// The database failed.
pub async fn user_count_admins(conn: &mut impl Reads, tenant: TenantId) -> Result<u64, StoreError> {
    let found =
        query("SELECT count(*) AS admins FROM user_account WHERE tenant_id = $1 AND role = $2")
            .bind(tenant.to_string())
            .bind(Role::Admin.as_str())
            .fetch_one(conn)
            .await
            .map_err(StoreError::query("count administrators"))?;
    row::count(&found, "admins")
}
