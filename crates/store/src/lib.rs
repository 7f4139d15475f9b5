//! What Sandbar remembers: its rows, and the questions that are asked of them, in one SQL for every database.
//! A [`Driver`] says where they are kept; each dialect has a crate of its own, with its schema.
//!
//! Nothing here decides. Time and random values are arguments; a rule that spans several rows is the engine's,
//! which composes these functions inside one [`WriteTxn`].
//! Writing and reading are different types, so that a write can never begin on a connection that only reads.
//! Rows that are rewritten carry a [`sandbar_types::Generation`]; a writer that saw an older one gets [`Update::Stale`].

mod api_key;
mod app;
mod app_sandbox;
mod approve;
mod approved_path;
mod audit;
mod checkpoint;
mod config_item;
mod conn;
mod credential;
mod driver;
mod error;
mod event;
mod event_writer;
mod exec;
mod idempotency;
mod operation;
mod provenance;
mod query;
mod reservation;
mod row;
mod sandbox;
mod session;
mod setting;
mod snapshot;
mod store;
mod task;
mod tenant;
mod user;
mod value;
mod webhook;

pub use api_key::{
    ApiKeyRow, api_key_count, api_key_fetch, api_key_find, api_key_insert_in_txn, api_key_list,
    api_key_remove_in_txn, api_key_used_in_txn,
};
pub use app::{
    AppFilter, AppRow, app_count, app_fetch, app_find_name, app_insert_in_txn, app_list,
    app_list_visibilities, app_remove_in_txn, app_update_in_txn,
};
pub use app_sandbox::{
    sandbox_fetch_current, sandbox_list_current, sandbox_list_of_app, sandbox_set_current_in_txn,
};
pub use approve::{
    ApproveRow, approve_end_in_txn, approve_fetch, approve_find, approve_insert_in_txn,
    approve_list_open, approve_outcome_in_txn,
};
pub use approved_path::{ApprovedPathRow, approved_path_list, approved_path_put_in_txn};
pub use audit::{
    AuditFilter, AuditPage, AuditRow, audit_count_before, audit_insert_in_txn, audit_list,
    audit_prune_in_txn,
};
pub use checkpoint::{
    CheckpointRow, checkpoint_fetch, checkpoint_insert_in_txn, checkpoint_list,
    checkpoint_list_all, checkpoint_list_of_task, checkpoint_remove_all_in_txn,
    checkpoint_remove_in_txn,
};
pub use config_item::{
    ConfigItemRow, ConfigKey, config_fetch, config_list, config_list_sealed, config_put_in_txn,
    config_remove_all_in_txn, config_remove_in_txn, config_reseal_in_txn,
};
pub use conn::{CommitTimes, ReadConn, Reads, WriteTxn};
pub use credential::{
    CredentialRow, credential_fetch, credential_insert_in_txn, credential_list,
    credential_list_of_scope, credential_list_of_scopes, credential_remove_all_in_txn,
    credential_remove_in_txn, credential_update_in_txn,
};
pub use driver::{Connection, Database, Driver, DriverError, FailureClass, Transaction};
pub use error::{OpenError, StoreError};
pub use event::{
    EventAt, EventFilter, EventPage, EventRow, EventSubject, event_count_before,
    event_insert_in_txn, event_insert_of_sandbox_in_txn, event_list, event_prune_in_txn,
};
pub use event_writer::{EventBatches, EventLost, EventWriter, NewEvent};
pub use exec::{
    ExecRow, exec_fetch, exec_insert_in_txn, exec_list, exec_list_ended_before, exec_list_running,
    exec_remove_in_txn, exec_update_in_txn,
};
pub use idempotency::{
    IdempotencyAt, IdempotencyRow, idempotency_fetch, idempotency_forget_in_txn,
    idempotency_insert_in_txn, idempotency_list_expired, idempotency_remove_in_txn,
    idempotency_replay_count, idempotency_replayed_in_txn,
};
pub use operation::{
    OperationRow, operation_end_in_txn, operation_insert_in_txn, operation_list_open,
};
pub use provenance::{
    ApproveFilter, ApprovePathRow, approve_count_prunable, approve_last, approve_list,
    approve_list_kept, approve_path_insert_in_txn, approve_path_list, approve_prune_in_txn,
    approve_set_commit_in_txn, approve_set_kept_in_txn, approve_set_undone_in_txn,
};
pub use reservation::{
    ReservationRow, reservation_insert_in_txn, reservation_list, reservation_release_in_txn,
};
use sandbar_types::Generation;
pub use sandbox::{
    SandboxRow, sandbox_count_deleted_before, sandbox_count_living, sandbox_fetch,
    sandbox_find_name, sandbox_insert_in_txn, sandbox_list_living, sandbox_prune_in_txn,
    sandbox_update_in_txn, sandbox_update_review_in_txn,
};
pub use session::{
    SessionFound, SessionRow, session_count_ended, session_find, session_insert_in_txn,
    session_prune_in_txn, session_remove_in_txn, session_remove_others_in_txn, session_seen_in_txn,
};
pub use setting::{SettingRow, setting_list, setting_put_in_txn};
pub use snapshot::{SnapshotContents, SnapshotError};
pub use store::Store;
pub use task::{
    TaskCount, TaskFilter, TaskRow, task_count_open, task_fetch, task_fetch_of_tenant,
    task_find_session, task_insert_in_txn, task_list, task_list_finished_before, task_list_open,
    task_list_open_sandboxes, task_remove_in_txn, task_update_in_txn,
};
pub use tenant::{
    TenantRow, tenant_fetch, tenant_find_name, tenant_has_sandbox, tenant_insert_in_txn,
    tenant_list, tenant_list_limits, tenant_update_in_txn,
};
pub use user::{
    UserRow, user_count_admins, user_fetch, user_find_name, user_insert_in_txn, user_list,
    user_remove_in_txn, user_update_in_txn,
};
pub use value::{Param, Row, Value};
pub use webhook::{
    WebhookDeliveryRow, WebhookProgress, WebhookRow, webhook_delivery_insert_in_txn,
    webhook_delivery_list, webhook_fetch, webhook_insert_in_txn, webhook_list, webhook_list_active,
    webhook_progress_in_txn, webhook_remove_in_txn, webhook_update_in_txn,
};

/// What became of a write that was meant for one generation of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Update {
    /// It was written; the row now has this generation.
    Applied(Generation),
    /// Somebody else wrote since; nothing was changed.
    Stale,
}

impl Update {
    fn of(rows_changed: u64, next: Generation) -> Self {
        if rows_changed == 1 { Self::Applied(next) } else { Self::Stale }
    }
}
