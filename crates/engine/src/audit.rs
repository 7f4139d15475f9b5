//! Who asked for what that changes something, and what became of it. Nothing is decided from it.
//!
//! The lines outlive whom and what they are about, and hold names of fields, never values. What is refused is counted
//! for each asker, so that a flood of refusals cannot fill the disk: see [`throttle`].

mod throttle;

use jiff::Timestamp;
pub use sandbar_store::AuditFilter;
use sandbar_store::{AuditPage, AuditRow, audit_insert_in_txn, audit_list};
use sandbar_types::{Actor, AuditOutcome, TenantId};

pub(crate) use self::throttle::Throttle;
use crate::{Engine, Result};

/// What is to be written of one request.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// In whose log it is; `None` where nobody was known.
    pub tenant: Option<TenantId>,
    /// Who asked.
    pub actor: Actor,
    /// From which address, where it came by TCP.
    pub address: Option<std::net::IpAddr>,
    /// What was asked for, for example `sandbox.deleted`.
    pub action: String,
    /// What it was about.
    pub target: Option<AuditTarget>,
    /// What became of it.
    pub outcome: AuditOutcome,
    /// Why not.
    pub error_code: Option<&'static str>,
    /// Names the request.
    pub request_id: String,
    /// Names of fields and ids, never values.
    pub detail: serde_json::Map<String, serde_json::Value>,
}

/// What a request was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditTarget {
    /// What kind of thing, for example `sandbox`.
    pub kind: String,
    /// Which one.
    pub id: String,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord {
    /// Grows with every line.
    pub id: u64,
    /// In whose log it is.
    pub tenant: Option<TenantId>,
    /// When it was answered.
    pub at: Timestamp,
    /// Who asked.
    pub actor: Actor,
    /// From which address.
    pub address: Option<String>,
    /// What was asked for.
    pub action: String,
    /// What it was about.
    pub target: Option<AuditTarget>,
    /// What became of it.
    pub outcome: AuditOutcome,
    /// Why not.
    pub error_code: Option<String>,
    /// Names the request.
    pub request_id: String,
    /// Names of fields and ids.
    pub detail: serde_json::Value,
}

/// In what order the log is read, and behind which line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditOrder {
    /// Oldest first, behind this line; 0 from the beginning.
    OldestFirst(u64),
    /// Newest first, before this line; `None` from the end.
    NewestFirst(Option<u64>),
}

impl AuditRecord {
    fn of(row: AuditRow) -> Self {
        let target = row.target_kind.zip(row.target_id);
        Self {
            id: row.id.unsigned_abs(),
            tenant: row.tenant_id,
            at: row.at,
            actor: row.actor,
            address: row.address,
            action: row.action,
            target: target.map(|(kind, id)| AuditTarget { kind, id }),
            outcome: row.outcome,
            error_code: row.error_code,
            request_id: row.request_id,
            detail: row.detail,
        }
    }
}

impl Engine {
    /// Writes a line, durably; or counts it, where this asker was refused too often just now.
    ///
    /// What was done is done: where the line cannot be written, the log of the server has it instead.
    pub async fn audit_write(&self, mut entry: AuditEntry) {
        if entry.outcome != AuditOutcome::Ok {
            let asker = (entry.address, format!("{:?}", entry.actor));
            let Some(left_out) = self.inner.audit.admit(asker, self.now()) else { return };
            if left_out > 0 {
                entry.detail.insert("left_out".to_owned(), left_out.into());
            }
        }
        let (kind, id) = entry.target.map(|target| (target.kind, target.id)).unzip();
        let row = AuditRow {
            id: 0,
            tenant_id: entry.tenant,
            at: self.now(),
            actor: entry.actor,
            address: entry.address.map(|address| address.to_string()),
            action: entry.action,
            target_kind: kind,
            target_id: id,
            outcome: entry.outcome,
            error_code: entry.error_code.map(ToOwned::to_owned),
            request_id: entry.request_id,
            detail: serde_json::Value::Object(entry.detail),
        };
        let written = async {
            let mut txn = self.inner.store.begin().await?;
            audit_insert_in_txn(&mut txn, &row).await?;
            txn.commit().await
        };
        if let Err(err) = written.await {
            let error = &err as &dyn std::error::Error;
            tracing::error!(error, line = ?row, "a line of the audit log could not be written");
        }
    }

    /// As [`Engine::audit_write`], by itself: for a request that nobody waits for any more.
    pub fn audit_write_later(&self, entry: AuditEntry) {
        let engine = self.clone();
        self.inner.tasks.spawn(async move { engine.audit_write(entry).await });
    }

    /// At most `limit` lines that pass `filter`.
    ///
    /// # Errors
    /// The store failed.
    pub async fn audit_list(
        &self,
        filter: &AuditFilter,
        order: AuditOrder,
        limit: u32,
    ) -> Result<Vec<AuditRecord>> {
        let bound = |id| i64::try_from(id).unwrap_or(i64::MAX);
        let page = match order {
            AuditOrder::OldestFirst(after) => AuditPage::After(bound(after)),
            AuditOrder::NewestFirst(before) => AuditPage::Before(before.map_or(i64::MAX, bound)),
        };
        let mut conn = self.inner.store.read().await?;
        let rows = audit_list(&mut conn, filter, page, limit).await?;
        Ok(rows.into_iter().map(AuditRecord::of).collect())
    }
}
