//! Who asked for what that changes something: append-only, and refers to nothing.

use jiff::Timestamp;
use sandbar_types::{Actor, AuditOutcome, TenantId};

use crate::{
    Reads, Row, StoreError, WriteTxn,
    query::query,
    row::{self, to_json},
};

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRow {
    /// Grows with every line.
    pub id: i64,
    /// In whose log it is; `None` where nobody was known.
    pub tenant_id: Option<TenantId>,
    /// When it was answered.
    pub at: Timestamp,
    /// Who asked.
    pub actor: Actor,
    /// From which address, where it was another one than this host's socket.
    pub address: Option<String>,
    /// What was asked for.
    pub action: String,
    /// What it was about: what kind of thing.
    pub target_kind: Option<String>,
    /// What it was about: which one.
    pub target_id: Option<String>,
    /// What became of it.
    pub outcome: AuditOutcome,
    /// Why not.
    pub error_code: Option<String>,
    /// Names the request, in the log of the server as well.
    pub request_id: String,
    /// Names of fields and ids, never values.
    pub detail: serde_json::Value,
}

/// Which lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this tenant only.
    pub tenant: Option<TenantId>,
    /// Of this actor only: `kind:id`, or the id of a user or a key.
    pub actor: Option<String>,
    /// Of this action only.
    pub action: Option<String>,
    /// About this only, by its id.
    pub target: Option<String>,
    /// Not from before.
    pub since: Option<Timestamp>,
    /// From before this.
    pub until: Option<Timestamp>,
}

/// Which part of the log, and in what order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditPage {
    /// Behind this id, oldest first; 0 begins with the first one.
    After(i64),
    /// Before this id, newest first; [`i64::MAX`] begins with the last one.
    Before(i64),
}

/// What tells one actor from another.
fn actor_key(actor: &Actor) -> String {
    match actor {
        Actor::User { uid, .. } => format!("user:{uid}"),
        Actor::Token => "token".to_owned(),
        Actor::Account { id, .. } => format!("account:{id}"),
        Actor::ApiKey { id, .. } => format!("api_key:{id}"),
        Actor::Rules => "rules".to_owned(),
        Actor::Unknown => "unknown".to_owned(),
    }
}

fn read(found: &Row) -> Result<AuditRow, StoreError> {
    Ok(AuditRow {
        id: row::column(found, "id")?,
        tenant_id: row::parsed_opt(found, "tenant_id")?,
        at: row::time(found, "at")?,
        actor: row::json(found, "actor")?,
        address: row::column(found, "address")?,
        action: row::column(found, "action")?,
        target_kind: row::column(found, "target_kind")?,
        target_id: row::column(found, "target_id")?,
        outcome: row::parsed(found, "outcome")?,
        error_code: row::column(found, "error_code")?,
        request_id: row::column(found, "request_id")?,
        detail: row::json(found, "detail")?,
    })
}

/// Appends `new`, whatever its id is, and returns the id that it has.
///
/// # Errors
/// The database failed.
pub async fn audit_insert_in_txn(txn: &mut WriteTxn, new: &AuditRow) -> Result<i64, StoreError> {
    let done = query(
        "INSERT INTO audit_log (tenant_id, at, actor, actor_key, address, action, target_kind, target_id, outcome, \
         error_code, request_id, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id",
    )
    .bind(new.tenant_id.map(|id| id.to_string()))
    .bind(new.at.as_microsecond())
    .bind(to_json(&new.actor))
    .bind(actor_key(&new.actor))
    .bind(&new.address)
    .bind(&new.action)
    .bind(&new.target_kind)
    .bind(&new.target_id)
    .bind(new.outcome.as_str())
    .bind(&new.error_code)
    .bind(&new.request_id)
    .bind(to_json(&new.detail))
    .fetch_one(txn)
    .await
    .map_err(StoreError::query("append to the audit log"))?;
    row::column(&done, "id")
}

macro_rules! list {
    ($tenant:literal, $order:literal) => {
        concat!(
            "SELECT * FROM audit_log WHERE ",
            $tenant,
            " AND ($2 = '' OR actor_key = $2 OR actor_key = 'account:' || $2 OR actor_key = 'api_key:' || $2) ",
            "AND ($3 = '' OR action = $3) AND ($4 = '' OR target_id = $4) AND at >= $5 AND at < $6 ",
            $order,
            " LIMIT $8"
        )
    };
    ($tenant:literal of $page:expr) => {
        match $page {
            AuditPage::After(_) => list!($tenant, "AND id > $7 ORDER BY id"),
            AuditPage::Before(_) => list!($tenant, "AND id < $7 ORDER BY id DESC"),
        }
    };
}

/// Lists at most `limit` lines that pass `filter`, in the order of `page`.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn audit_list(
    conn: &mut impl Reads,
    filter: &AuditFilter,
    page: AuditPage,
    limit: u32,
) -> Result<Vec<AuditRow>, StoreError> {
    let sql = match filter.tenant {
        Some(_) => list!("tenant_id = $1" of page),
        None => list!("$1 = ''" of page),
    };
    let (AuditPage::After(bound) | AuditPage::Before(bound)) = page;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let rows = query(sql)
        .bind(filter.tenant.map_or_else(String::new, |id| id.to_string()))
        .bind(text(&filter.actor))
        .bind(text(&filter.action))
        .bind(text(&filter.target))
        .bind(filter.since.map_or(i64::MIN, Timestamp::as_microsecond))
        .bind(filter.until.map_or(i64::MAX, Timestamp::as_microsecond))
        .bind(bound)
        .bind(limit)
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list the audit log"))?;
    rows.iter().map(read).collect()
}

/// Counts lines from before `before`.
///
/// # Errors
/// The database failed.
pub async fn audit_count_before(
    conn: &mut impl Reads,
    before: Timestamp,
) -> Result<u64, StoreError> {
    let found = query("SELECT count(*) AS old FROM audit_log WHERE at < $1")
        .bind(before.as_microsecond())
        .fetch_one(conn)
        .await
        .map_err(StoreError::query("count audit lines"))?;
    row::count(&found, "old")
}

/// Forgets lines from before `before`. Returns how many.
///
/// # Errors
/// The database failed.
pub async fn audit_prune_in_txn(txn: &mut WriteTxn, before: Timestamp) -> Result<u64, StoreError> {
    query("DELETE FROM audit_log WHERE at < $1")
        .bind(before.as_microsecond())
        .execute(txn)
        .await
        .map_err(StoreError::query("forget audit lines"))
}
