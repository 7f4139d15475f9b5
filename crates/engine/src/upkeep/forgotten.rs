//! Records that are forgotten once they are old.

use jiff::Timestamp;
use sandbar_store::{
    IdempotencyAt, approve_count_prunable, approve_prune_in_txn, audit_count_before,
    audit_prune_in_txn, event_count_before, event_prune_in_txn, exec_list_ended_before,
    exec_remove_in_txn, idempotency_list_expired, idempotency_remove_in_txn,
    sandbox_count_deleted_before, sandbox_prune_in_txn, session_count_ended, session_prune_in_txn,
};
use sandbar_types::{ExecId, SandboxId};

use super::plan::{Deed, Planned};
use crate::{Error, Result, account, engine::Inner, review::retention};

/// LIMIT: execs that are forgotten in one run; the next one goes on.
const LOGS_MAX: u32 = 1000;

/// Rows that are forgotten by their age alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Old {
    Sessions,
    Sandboxes,
    Events,
    Audit,
    Approves,
}

impl Old {
    /// What is older is forgotten.
    fn before(self, inner: &Inner) -> Timestamp {
        let settings = inner.settings();
        inner.config.clock.now()
            - match self {
                Self::Sessions => account::SESSION_IDLE,
                Self::Sandboxes => settings.history_ttl,
                Self::Events => settings.event_ttl,
                Self::Audit => settings.audit_ttl,
                Self::Approves => retention::PROVENANCE_AGE_MAX,
            }
    }
}

pub(super) async fn find(inner: &Inner, old: Old) -> Result<Vec<Planned>> {
    let before = old.before(inner);
    let mut conn = inner.store.read().await?;
    let (count, what, reason) = match old {
        Old::Sessions => {
            let now = inner.config.clock.now();
            (session_count_ended(&mut conn, now, before).await?, "sessions", "ended")
        }
        Old::Sandboxes => (
            sandbox_count_deleted_before(&mut conn, before).await?,
            "records of sandboxes",
            "deleted longer ago than history is kept",
        ),
        Old::Events => {
            (event_count_before(&mut conn, before).await?, "events", "older than events are kept")
        }
        Old::Audit => (
            audit_count_before(&mut conn, before).await?,
            "lines of the audit log",
            "older than the audit log is kept",
        ),
        Old::Approves => (
            approve_count_prunable(&mut conn, before, retention::PROVENANCE_PATHS_MAX).await?,
            "records of approves",
            "older than 90 days, or more than 100,000 paths ago",
        ),
    };
    Ok(planned(count, what, reason, Deed::Forget(old)))
}

pub(super) async fn find_keys(inner: &Inner) -> Result<Vec<Planned>> {
    let now = inner.config.clock.now();
    let keys = idempotency_list_expired(&mut inner.store.read().await?, now).await?;
    Ok(planned(keys.len() as u64, "idempotency keys", "expired", Deed::ForgetKeys(keys)))
}

fn planned(count: u64, what: &str, reason: &str, deed: Deed) -> Vec<Planned> {
    if count == 0 {
        return Vec::new();
    }
    let (what, reason) = (format!("{count} {what}"), reason.to_owned());
    vec![Planned { sandbox_id: None, what, reason, bytes: None, deed }]
}

pub(super) async fn find_logs(inner: &Inner) -> Result<Vec<Planned>> {
    let before = inner.config.clock.now() - inner.settings().log_ttl;
    let rows = exec_list_ended_before(&mut inner.store.read().await?, before, LOGS_MAX).await?;
    let planned = rows.into_iter().map(|row| Planned {
        sandbox_id: Some(row.sandbox_id),
        what: format!("exec {} and its log", row.id),
        reason: "ended longer ago than logs are kept".to_owned(),
        bytes: inner.layout.log_bytes(row.sandbox_id, row.id),
        deed: Deed::ForgetLog { sandbox: row.sandbox_id, exec: row.id },
    });
    Ok(planned.collect())
}

pub(super) async fn keys(inner: &Inner, keys: &[IdempotencyAt]) -> Result<()> {
    let mut txn = inner.store.begin().await?;
    for at in keys {
        idempotency_remove_in_txn(&mut txn, at).await?;
    }
    Ok(txn.commit().await?)
}

pub(super) async fn log(inner: &Inner, sandbox: SandboxId, exec: ExecId) -> Result<()> {
    // INVARIANT: the log first. A record without a log is found again; a log without a record is found by nobody.
    match inner.layout.log_remove(sandbox, exec) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => return Err(Error::internal(err)),
        Ok(()) | Err(_) => {}
    }
    let mut txn = inner.store.begin().await?;
    exec_remove_in_txn(&mut txn, exec).await?;
    Ok(txn.commit().await?)
}

pub(super) async fn rows(inner: &Inner, old: Old) -> Result<()> {
    let before = old.before(inner);
    let mut txn = inner.store.begin().await?;
    match old {
        Old::Sessions => session_prune_in_txn(&mut txn, inner.config.clock.now(), before).await?,
        Old::Sandboxes => sandbox_prune_in_txn(&mut txn, before).await?,
        Old::Events => event_prune_in_txn(&mut txn, before).await?,
        Old::Audit => audit_prune_in_txn(&mut txn, before).await?,
        Old::Approves => {
            approve_prune_in_txn(&mut txn, before, retention::PROVENANCE_PATHS_MAX).await?
        }
    };
    Ok(txn.commit().await?)
}
