//! What happened to a sandbox, an app or a tenant, in words that a program can read.

use jiff::Timestamp;
pub use sandbar_store::EventFilter;
use sandbar_store::{EventAt, EventPage, EventRow, NewEvent, event_list};
use sandbar_types::{
    AppId, ApproveId, Enforcement, EnvName, EventType, ExecEnd, ExecId, ExitStatus, FailureReason,
    ProcessName, QuotaKind, SandboxId, StopReason, WebhookId, WorkspacePath,
};
use serde::{Deserialize, Serialize};

use crate::{AppField, CheckStatus, Engine, Error, Result, engine::Inner};

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Grows with each event of the server; the id of the server-sent event, too.
    pub id: u64,
    /// When it happened.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// The app that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_id: Option<AppId>,
    /// The sandbox that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_id: Option<SandboxId>,
    /// What happened. New types may come; skip what you do not know.
    #[serde(flatten)]
    pub payload: EventPayload,
}

impl Event {
    pub(crate) fn of(row: EventRow) -> Result<Self> {
        Ok(Self {
            id: row.id.unsigned_abs(),
            at: row.at,
            app_id: row.subject.app_id,
            sandbox_id: row.subject.sandbox_id,
            payload: serde_json::from_value(row.payload).map_err(Error::internal)?,
        })
    }
}

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
            Self::ManifestInvalid { .. } => EventType::ManifestInvalid,
            Self::ProcessReady { .. } => EventType::ProcessReady,
            Self::ProcessUnhealthy { .. } => EventType::ProcessUnhealthy,
            Self::ProcessEnded { .. } => EventType::ProcessEnded,
            Self::ProcessGivenUp { .. } => EventType::ProcessGivenUp,
            Self::BuildChecked { .. } => EventType::BuildChecked,
            Self::EgressDenied { .. } => EventType::EgressDenied,
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
        }
    }

    pub(crate) fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a plain value can be written as JSON")
    }
}

/// In what order events are listed, and behind which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventOrder {
    /// Oldest first, behind this one; 0 from the beginning.
    OldestFirst(u64),
    /// Newest first, before this one; `None` from the end.
    NewestFirst(Option<u64>),
}

impl Inner {
    /// Tells everybody who waits for events.
    pub(crate) fn event_written(&self, event: EventAt) {
        self.metrics.events_written.add_one();
        self.events.send_modify(|last| *last = event.id.max(*last));
        self.watchers.tell(&event.subject);
    }

    /// Appends an event by itself, with all that are appended at the same time.
    pub(crate) async fn event_append(&self, id: SandboxId, payload: &EventPayload) {
        if let Err(err) = self.event_try_append(id, payload).await {
            tracing::warn!(sandbox.id = %id, error = &err as &dyn std::error::Error, "an event could not be written");
        }
    }

    /// Appends an event by itself, and says where that failed.
    pub(crate) async fn event_try_append(
        &self,
        id: SandboxId,
        payload: &EventPayload,
    ) -> Result<()> {
        let (at, payload) = (self.config.clock.now(), payload.to_value());
        let event = self.event_writer.append(NewEvent { sandbox_id: id, at, payload }).await;
        self.event_written(event.map_err(Error::internal)?);
        Ok(())
    }
}

impl Engine {
    /// At most `limit` events that pass `filter`. What they are about may be gone.
    ///
    /// Whoever goes on behind the last one that they saw misses none: ids grow in the order of commits.
    ///
    /// # Errors
    /// The store failed.
    pub async fn event_list(
        &self,
        filter: &EventFilter,
        order: EventOrder,
        limit: u32,
    ) -> Result<Vec<Event>> {
        let bound = |id| i64::try_from(id).unwrap_or(i64::MAX);
        let page = match order {
            EventOrder::OldestFirst(after) => EventPage::After(bound(after)),
            EventOrder::NewestFirst(before) => EventPage::Before(before.map_or(i64::MAX, bound)),
        };
        let mut conn = self.inner.store.read().await?;
        let rows = event_list(&mut conn, filter, page, limit).await?;
        rows.into_iter().map(Event::of).collect()
    }

    /// The events behind `after`, oldest first, as soon as there is one. Empty: the sandbox that `filter` names is gone,
    /// or the server leaves.
    ///
    /// # Errors
    /// The store failed.
    pub async fn event_wait(
        &self,
        filter: &EventFilter,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Event>> {
        let watch = self.inner.watchers.watch(filter);
        loop {
            // Begun before it is looked, so that what is written in between is not missed.
            let mut told = std::pin::pin!(watch.told.notified());
            told.as_mut().enable();
            let events = self.event_list(filter, EventOrder::OldestFirst(after), limit).await?;
            let is_gone = filter.sandbox.is_some_and(|id| self.inner.actor(id).is_err());
            if !events.is_empty() || is_gone || self.inner.leaving.is_cancelled() {
                return Ok(events);
            }
            tokio::select! {
                () = self.inner.leaving.cancelled() => {}
                () = told => {}
            }
        }
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
