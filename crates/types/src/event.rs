//! The words for what happened.

use serde::{Deserialize, Serialize};

use crate::principal::words;

/// What kind of event it is. New ones are added; none changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    /// A sandbox was asked for.
    Created,
    /// It runs.
    Running,
    /// A server that was restarted found it running.
    Adopted,
    /// It was frozen.
    Paused,
    /// It was let run again.
    Resumed,
    /// It was stopped.
    Stopped,
    /// It failed; its files were kept.
    Failed,
    /// It was removed.
    Deleted,
    /// A command was started.
    ExecStarted,
    /// A command ended.
    ExecEnded,
    /// Changes were written to the source.
    Approved,
    /// An approve was taken back.
    Undone,
    /// An approve that a crash interrupted was carried to its end, or taken back.
    ApproveRecovered,
    /// Files of the host were written to while an approve replaced them.
    ApproveKept,
    /// Changes were dropped.
    Rejected,
    /// What the host changed was brought into the workspace.
    Refreshed,
    /// A point of the workspace's past was kept.
    CheckpointMade,
    /// The workspace has again what a checkpoint has.
    CheckpointRestored,
    /// What differs between two checkpoints was taken back.
    CheckpointReverted,
    /// The app was not started: its manifest cannot be used.
    ManifestInvalid,
    /// A process of the app serves.
    ProcessReady,
    /// A process of the app runs, and does not answer its health check.
    ProcessUnhealthy,
    /// A process of the app ended, and is started again.
    ProcessEnded,
    /// A process of the app ended too often.
    ProcessGivenUp,
    /// It was tried whether the app builds.
    BuildChecked,
    /// A program inside asked for a host that it may not reach.
    EgressDenied,
    /// An upstream said a credential back that was put into a request.
    CredentialEchoed,
    /// A login that the server renews could not be renewed.
    CredentialExpired,
    /// A setting or a secret was made, changed or removed.
    ConfigChanged,
    /// An app was made.
    AppCreated,
    /// An app was made like another one.
    AppCloned,
    /// An app was changed.
    AppUpdated,
    /// An app was removed, with everything that it owned but its history.
    AppDeleted,
    /// An app is about another sandbox now.
    SandboxReplaced,
    /// A sandbox holds nearly as much on disk as it may.
    DiskWarning,
    /// A sandbox holds as much on disk as it may.
    DiskExceeded,
    /// Little is free on the disk that all sandboxes share.
    DataDiskLow,
    /// All sandboxes together hold nearly as much as they may.
    TotalDiskWarning,
    /// The sandboxes of the tenant may take nearly as much as its quota.
    QuotaWarning,
    /// The lease of a sandbox ends soon, and it is stopped then.
    LeaseEnding,
    /// A webhook failed for so long that nothing is sent to it any more.
    WebhookDisabled,
    /// A task was asked for.
    TaskQueued,
    /// A task was begun.
    TaskStarted,
    /// The agent of a task asked, and waits for an answer.
    TaskWaiting,
    /// A task is over.
    TaskFinished,
}

words!(
    EventType,
    "the types that docs/events.md lists",
    Created = "created",
    Running = "running",
    Adopted = "adopted",
    Paused = "paused",
    Resumed = "resumed",
    Stopped = "stopped",
    Failed = "failed",
    Deleted = "deleted",
    ExecStarted = "exec_started",
    ExecEnded = "exec_ended",
    Approved = "approved",
    Undone = "undone",
    ApproveRecovered = "approve_recovered",
    ApproveKept = "approve_kept",
    Rejected = "rejected",
    Refreshed = "refreshed",
    CheckpointMade = "checkpoint_made",
    CheckpointRestored = "checkpoint_restored",
    CheckpointReverted = "checkpoint_reverted",
    ManifestInvalid = "manifest_invalid",
    ProcessReady = "process_ready",
    ProcessUnhealthy = "process_unhealthy",
    ProcessEnded = "process_ended",
    ProcessGivenUp = "process_given_up",
    BuildChecked = "build_checked",
    EgressDenied = "egress_denied",
    CredentialEchoed = "credential_echoed",
    CredentialExpired = "credential_expired",
    ConfigChanged = "config_changed",
    AppCreated = "app_created",
    AppCloned = "app_cloned",
    AppUpdated = "app_updated",
    AppDeleted = "app_deleted",
    SandboxReplaced = "sandbox_replaced",
    DiskWarning = "disk_warning",
    DiskExceeded = "disk_exceeded",
    DataDiskLow = "data_disk_low",
    TotalDiskWarning = "total_disk_warning",
    QuotaWarning = "quota_warning",
    LeaseEnding = "lease_ending",
    WebhookDisabled = "webhook_disabled",
    TaskQueued = "task_queued",
    TaskStarted = "task_started",
    TaskWaiting = "task_waiting",
    TaskFinished = "task_finished"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_written_as_it_is_on_the_wire() {
        for kind in EventType::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
    }
}
