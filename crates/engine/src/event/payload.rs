//! The types of events, with what belongs to each.

use jiff::Timestamp;
use sandbar_types::{
    AppId, ApproveId, CheckStatus, CheckpointId, CheckpointKind, Enforcement, EnvName, EventType,
    ExecEnd, ExecId, ExitStatus, FailureReason, ProcessName, QuestionId, QuotaKind, SandboxId,
    StopReason, TaskFailure, TaskId, TaskState, WebhookId, WorkspacePath,
};
use serde::{Deserialize, Serialize};

use crate::AppField;

/// What happened. Never output, values of variables, or command lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum EventPayload {
    /// It was asked for.
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
    Stopped {
        /// Why.
        reason: StopReason,
    },
    /// It failed; its files were kept.
    Failed {
        /// Why.
        reason: FailureReason,
    },
    /// It was removed.
    Deleted,
    /// A command was started.
    ExecStarted {
        /// Which.
        exec_id: ExecId,
    },
    /// A command ended.
    ExecEnded {
        /// Which.
        exec_id: ExecId,
        /// How; `None` when nobody saw it.
        end: Option<ExecEnd>,
    },
    /// Changes were written to the source.
    Approved {
        /// Which approve.
        approve_id: ApproveId,
        /// How many paths.
        paths: u64,
    },
    /// An approve was taken back: the source has again what it had before.
    Undone {
        /// The undo.
        approve_id: ApproveId,
        /// What was taken back.
        undone: ApproveId,
        /// How many paths.
        paths: u64,
    },
    /// An approve that a crash interrupted was carried to its end, or taken back.
    ApproveRecovered {
        /// Which approve.
        approve_id: ApproveId,
        /// Whether its changes are in the source now.
        is_applied: bool,
    },
    /// Files of the host were written to while an approve replaced them, through descriptors that were open then. What
    /// was written is in the approve's `.sandbar-stage-…` directory at the top of the source, and is removed by nobody.
    ApproveKept {
        /// Which approve.
        approve_id: ApproveId,
        /// Which files.
        paths: Vec<WorkspacePath>,
    },
    /// Changes were dropped.
    Rejected {
        /// How many paths.
        paths: u64,
    },
    /// What the host changed was brought into the workspace.
    Refreshed {
        /// How many paths.
        paths: u64,
    },
    /// A point of the workspace's past was kept.
    CheckpointMade {
        /// Which.
        checkpoint_id: CheckpointId,
        /// Why.
        kind: CheckpointKind,
    },
    /// The workspace has again what a checkpoint has.
    CheckpointRestored {
        /// Which.
        checkpoint_id: CheckpointId,
        /// What was there before.
        kept: CheckpointId,
        /// How many paths.
        paths: u64,
    },
    /// What differs between two checkpoints was taken back, and nothing that came later.
    CheckpointReverted {
        /// The earlier one.
        before: CheckpointId,
        /// The later one.
        after: CheckpointId,
        /// What was there before it was taken back.
        kept: CheckpointId,
        /// How many paths.
        paths: u64,
    },
    /// The app was not started: its manifest cannot be used.
    ManifestInvalid {
        /// What is wrong with it.
        findings: Vec<sandbar_manifest::Finding>,
    },
    /// A process of the app serves.
    ProcessReady {
        /// Which.
        process: ProcessName,
    },
    /// A process of the app runs, and does not answer its health check.
    ProcessUnhealthy {
        /// Which.
        process: ProcessName,
        /// What the check found.
        reason: String,
    },
    /// A process of the app ended, and is started again.
    ProcessEnded {
        /// Which.
        process: ProcessName,
        /// How.
        reason: String,
        /// How often it was started again before.
        restarts: u32,
    },
    /// A process of the app ended too often, and is not started again by itself.
    ProcessGivenUp {
        /// Which.
        process: ProcessName,
        /// Why.
        reason: String,
    },
    /// It was tried whether the app builds.
    BuildChecked {
        /// How that came out.
        status: CheckStatus,
        /// How the build ended; `None` where nothing was built, or nobody saw it.
        exit: Option<ExitStatus>,
        /// How long it took.
        duration_ms: u64,
    },
    /// A program inside asked for a host that it may not reach.
    EgressDenied {
        /// Its name or address.
        host: String,
        /// The port.
        port: u16,
        /// Why, as a stable code; `docs/network.md` tells how to allow it.
        reason: String,
    },
    /// An upstream said a credential back that was put into a request. It was taken out of the answer.
    CredentialEchoed {
        /// What it is called.
        credential: String,
        /// Who said it.
        host: String,
    },
    /// A login that the server renews could not be renewed. What needs it is refused once its token has ended.
    CredentialExpired {
        /// What it is called.
        credential: String,
        /// Why, for people.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// A setting or a secret was made, changed or removed.
    ConfigChanged {
        /// Its name, and nothing else of it.
        key: EnvName,
    },
    /// An app was made.
    AppCreated,
    /// An app was made like another one.
    AppCloned {
        /// Like which.
        from: AppId,
    },
    /// An app was changed.
    AppUpdated {
        /// What of it.
        fields: Vec<AppField>,
    },
    /// An app was removed, with everything that it owned but its history.
    AppDeleted {
        /// The sandboxes that went with it.
        sandboxes: Vec<SandboxId>,
        /// How many settings and secrets went with it.
        config_items: u64,
    },
    /// An app is about another sandbox now.
    SandboxReplaced {
        /// What it was about before.
        old: SandboxId,
        /// What it is about now.
        new: SandboxId,
    },
    /// It holds nearly as much on disk as it may; said at 80 and at 90 percent, once each time it gets there.
    DiskWarning {
        /// What its upper layer and its home directory hold.
        upper_bytes: u64,
        /// What they may hold.
        limit_bytes: u64,
        /// What share that reaches.
        #[serde(default)]
        percent: u8,
    },
    /// It holds as much on disk as it may.
    DiskExceeded {
        /// What its upper layer and its home directory hold.
        upper_bytes: u64,
        /// What they may hold.
        limit_bytes: u64,
        /// Who holds the limit: of `quota` the kernel refuses what is more, and it runs on; else it is stopped.
        held_by: Enforcement,
    },
    /// Little is free on the disk that all sandboxes share.
    DataDiskLow {
        /// What is free.
        free_bytes: u64,
    },
    /// All sandboxes together hold nearly as much as they may.
    TotalDiskWarning {
        /// What they hold.
        total_bytes: u64,
        /// What they may hold.
        limit_bytes: u64,
        /// What share that reaches.
        percent: u8,
    },
    /// The sandboxes of the tenant may take nearly as much as its quota.
    QuotaWarning {
        /// Of what.
        quota: QuotaKind,
        /// What they may take.
        used: u64,
        /// The quota.
        most: u64,
    },
    /// Its lease ends soon, and it is stopped then.
    LeaseEnding {
        /// When.
        #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
        lease_until: Timestamp,
    },
    /// A webhook failed for so long that nothing is sent to it any more.
    WebhookDisabled {
        /// Which.
        webhook_id: WebhookId,
        /// Why.
        reason: String,
    },
    /// A task was asked for.
    TaskQueued {
        /// Which.
        task_id: TaskId,
    },
    /// A task was begun.
    TaskStarted {
        /// Which.
        task_id: TaskId,
    },
    /// The agent of a task asked, and waits for an answer.
    TaskWaiting {
        /// Which.
        task_id: TaskId,
        /// What it waits for an answer to.
        question_id: QuestionId,
    },
    /// A task is over.
    TaskFinished {
        /// Which.
        task_id: TaskId,
        /// How.
        state: TaskState,
        /// Why it failed; absent where it did not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure_reason: Option<TaskFailure>,
        /// How many files it changed; absent where nobody looked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        files_changed: Option<u64>,
        /// How it came out whether the app builds; absent where it was not tried.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        build_status: Option<CheckStatus>,
    },
}

impl EventPayload {
    /// What kind of event it is.
    #[must_use]
    pub const fn kind(&self) -> EventType {
        match self {
            Self::Created => EventType::Created,
            Self::Running => EventType::Running,
            Self::Adopted => EventType::Adopted,
            Self::Paused => EventType::Paused,
            Self::Resumed => EventType::Resumed,
            Self::Stopped { .. } => EventType::Stopped,
            Self::Failed { .. } => EventType::Failed,
            Self::Deleted => EventType::Deleted,
            Self::ExecStarted { .. } => EventType::ExecStarted,
            Self::ExecEnded { .. } => EventType::ExecEnded,
            Self::Approved { .. } => EventType::Approved,
            Self::Undone { .. } => EventType::Undone,
            Self::ApproveRecovered { .. } => EventType::ApproveRecovered,
            Self::ApproveKept { .. } => EventType::ApproveKept,
            Self::Rejected { .. } => EventType::Rejected,
            Self::Refreshed { .. } => EventType::Refreshed,
            Self::CheckpointMade { .. } => EventType::CheckpointMade,
            Self::CheckpointRestored { .. } => EventType::CheckpointRestored,
            Self::CheckpointReverted { .. } => EventType::CheckpointReverted,
            Self::ManifestInvalid { .. } => EventType::ManifestInvalid,
            Self::ProcessReady { .. } => EventType::ProcessReady,
            Self::ProcessUnhealthy { .. } => EventType::ProcessUnhealthy,
            Self::ProcessEnded { .. } => EventType::ProcessEnded,
            Self::ProcessGivenUp { .. } => EventType::ProcessGivenUp,
            Self::BuildChecked { .. } => EventType::BuildChecked,
            Self::EgressDenied { .. } => EventType::EgressDenied,
            Self::CredentialEchoed { .. } => EventType::CredentialEchoed,
            Self::CredentialExpired { .. } => EventType::CredentialExpired,
            Self::ConfigChanged { .. } => EventType::ConfigChanged,
            Self::DiskWarning { .. } => EventType::DiskWarning,
            Self::AppCreated => EventType::AppCreated,
            Self::AppCloned { .. } => EventType::AppCloned,
            Self::AppUpdated { .. } => EventType::AppUpdated,
            Self::AppDeleted { .. } => EventType::AppDeleted,
            Self::SandboxReplaced { .. } => EventType::SandboxReplaced,
            Self::DiskExceeded { .. } => EventType::DiskExceeded,
            Self::DataDiskLow { .. } => EventType::DataDiskLow,
            Self::TotalDiskWarning { .. } => EventType::TotalDiskWarning,
            Self::QuotaWarning { .. } => EventType::QuotaWarning,
            Self::LeaseEnding { .. } => EventType::LeaseEnding,
            Self::WebhookDisabled { .. } => EventType::WebhookDisabled,
            Self::TaskQueued { .. } => EventType::TaskQueued,
            Self::TaskStarted { .. } => EventType::TaskStarted,
            Self::TaskWaiting { .. } => EventType::TaskWaiting,
            Self::TaskFinished { .. } => EventType::TaskFinished,
        }
    }

    pub(crate) fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a plain value can be written as JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_names_the_type_that_it_is() {
        let payload = EventPayload::DiskWarning { upper_bytes: 1, limit_bytes: 2, percent: 80 };
        assert_eq!(payload.to_value()["type"], payload.kind().as_str());
        let payload =
            EventPayload::ApproveKept { approve_id: ApproveId::generate(), paths: vec![] };
        assert_eq!(payload.to_value()["type"], payload.kind().as_str());
    }
}
