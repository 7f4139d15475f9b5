//! Sessions of users who gave their password, by the hash of a token that only the browser has.

use jiff::Timestamp;
use sandbar_types::{AccountName, Role, SessionId, Sha256, TenantId, UserId};

use crate::{Reads, Row, StoreError, WriteTxn, api_key::hash, query::query, row};

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// SHA-256 of its token.
    pub hash: Sha256,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was used last, to the minute.
    pub last_seen_at: Timestamp,
    /// When it ends, however much it is used.
    pub expires_at: Timestamp,
}

/// A session with its user, as the user is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFound {
    /// The session.
    pub session: SessionRow,
    /// The user's tenant.
    pub tenant_id: TenantId,
    /// The user's name.
    pub name: AccountName,
    /// The user's role.
    pub role: Role,
}

fn read(found: &Row) -> Result<SessionFound, StoreError> {
    Ok(SessionFound {
        session: SessionRow {
            id: row::parsed(found, "id")?,
            user_id: row::parsed(found, "user_id")?,
            hash: hash(found)?,
            created_at: row::time(found, "created_at")?,
            last_seen_at: row::time(found, "last_seen_at")?,
            expires_at: row::time(found, "expires_at")?,
        },
        tenant_id: row::parsed(found, "tenant_id")?,
        name: row::parsed(found, "name")?,
        role: row::parsed(found, "role")?,
    })
}

/// Inserts `new` as it is.
///
/// # Errors
/// The database failed.
pub async fn session_insert_in_txn(txn: &mut WriteTxn, new: &SessionRow) -> Result<(), StoreError> {
    query(
        "INSERT INTO session (id, user_id, hash, created_at, last_seen_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(new.id.to_string())
    .bind(new.user_id.to_string())
    .bind(&new.hash.0[..])
    .bind(new.created_at.as_microsecond())
    .bind(new.last_seen_at.as_microsecond())
    .bind(new.expires_at.as_microsecond())
    .execute(txn)
    .await
    .map_err(StoreError::query("insert a session"))?;
    Ok(())
}

/// Finds the session with `hash`.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn session_find(
    conn: &mut impl Reads,
    hash: Sha256,
) -> Result<Option<SessionFound>, StoreError> {
    let found = query(
        "SELECT session.*, tenant_id, name, role FROM session \
         JOIN user_account ON user_account.id = session.user_id WHERE hash = $1",
    )
    .bind(&hash.0[..])
    .fetch_optional(conn)
    .await
    .map_err(StoreError::query("find a session"))?;
    found.as_ref().map(read).transpose()
}

/// Records that a session was used.
///
/// # Errors
/// The database failed.
pub async fn session_seen_in_txn(
    txn: &mut WriteTxn,
    id: SessionId,
    now: Timestamp,
) -> Result<(), StoreError> {
    query("UPDATE session SET last_seen_at = $1 WHERE id = $2")
        .bind(now.as_microsecond())
        .bind(id.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query("record the use of a session"))?;
    Ok(())
}

/// Removes a session.
///
/// # Errors
/// The database failed.
pub async fn session_remove_in_txn(txn: &mut WriteTxn, id: SessionId) -> Result<(), StoreError> {
    query("DELETE FROM session WHERE id = $1")
        .bind(id.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query("remove a session"))?;
    Ok(())
}

/// Removes every session of `user` but `kept`.
///
/// # Errors
/// The database failed.
pub async fn session_remove_others_in_txn(
    txn: &mut WriteTxn,
    user: UserId,
    kept: Option<SessionId>,
) -> Result<(), StoreError> {
    query("DELETE FROM session WHERE user_id = $1 AND id <> $2")
        .bind(user.to_string())
        .bind(kept.map_or_else(String::new, |id| id.to_string()))
        .execute(txn)
        .await
        .map_err(StoreError::query("remove sessions"))?;
    Ok(())
}

/// Forgets sessions that ended before `now`, or were last used before `idle_since`. Returns how many.
///
/// # Errors
/// The database failed.
pub async fn session_prune_in_txn(
    txn: &mut WriteTxn,
    now: Timestamp,
    idle_since: Timestamp,
) -> Result<u64, StoreError> {
    let done = query("DELETE FROM session WHERE expires_at <= $1 OR last_seen_at <= $2")
        .bind(now.as_microsecond())
        .bind(idle_since.as_microsecond())
        .execute(txn)
        .await
        .map_err(StoreError::query("forget ended sessions"))?;
    Ok(done)
}

/// Counts sessions that [`session_prune_in_txn`] would forget.
///
/// # Errors
/// The database failed.
pub async fn session_count_ended(
    conn: &mut impl Reads,
    now: Timestamp,
    idle_since: Timestamp,
) -> Result<u64, StoreError> {
    let found =
        query("SELECT count(*) AS ended FROM session WHERE expires_at <= $1 OR last_seen_at <= $2")
            .bind(now.as_microsecond())
            .bind(idle_since.as_microsecond())
            .fetch_one(conn)
            .await
            .map_err(StoreError::query("count ended sessions"))?;
    row::count(&found, "ended")
}
