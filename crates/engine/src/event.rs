//! What happened to a sandbox, an app or a tenant, in words that a program can read.

use jiff::Timestamp;
use sandbar_store::{EventRow, NewEvent, event_list, sandbox_fetch};
use sandbar_types::{
    AppId, ApproveId, Enforcement, EnvName, ExecEnd, ExecId, ExitStatus, FailureReason,
    ProcessName, QuotaKind, SandboxId, StopReason, WorkspacePath,
};
use serde::{Deserialize, Serialize};

use crate::{AppField, CheckStatus, Engine, Error, ErrorKind, Result, engine::Inner};

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Grows with every event.
    pub id: u64,
    /// The app that it is about.
    pub app_id: Option<AppId>,
    /// The sandbox that it is about.
    pub sandbox_id: Option<SandboxId>,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub payload: EventPayload,
}

/// What happened. Never output, values of variables, or command lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
        lease_until: Timestamp,
    },
}

impl Event {
    pub(crate) fn of(row: EventRow) -> Result<Self> {
        Ok(Self {
            id: row.id.unsigned_abs(),
            app_id: row.subject.app_id,
            sandbox_id: row.subject.sandbox_id,
            at: row.at,
            payload: serde_json::from_value(row.payload).map_err(Error::internal)?,
        })
    }
}

impl EventPayload {
    pub(crate) fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a plain value can be written as JSON")
    }
}

impl Inner {
    /// Tells everybody who waits for events.
    pub(crate) fn event_written(&self, id: i64) {
        self.metrics.events_written.add_one();
        self.events.send_modify(|last| *last = id.max(*last));
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
    /// At most `limit` events after the event `after` (0: from the beginning), oldest first; of a deleted sandbox, too.
    ///
    /// # Errors
    /// `sandbox_not_found`.
    pub async fn event_list(&self, id: SandboxId, after: u64, limit: u32) -> Result<Vec<Event>> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let mut conn = self.inner.store.read().await?;
        let rows = event_list(&mut conn, id, after, limit).await?;
        if rows.is_empty() && sandbox_fetch(&mut conn, id).await?.is_none() {
            return Err(Error::new(
                ErrorKind::NotFound,
                "sandbox_not_found",
                format!("there is no sandbox {id}"),
            ));
        }
        rows.into_iter().map(Event::of).collect()
    }

    /// As [`Engine::event_list`], but waits until there is at least one. Empty: the sandbox is gone, or the server leaves.
    ///
    /// # Errors
    /// `sandbox_not_found`.
    pub async fn event_wait(&self, id: SandboxId, after: u64, limit: u32) -> Result<Vec<Event>> {
        let mut written = self.inner.events.subscribe();
        loop {
            // Seen before it is looked, so that what is written in between is not missed.
            written.borrow_and_update();
            let events = self.event_list(id, after, limit).await?;
            let is_over = self.inner.leaving.is_cancelled() || self.inner.actor(id).is_err();
            if !events.is_empty() || is_over {
                return Ok(events);
            }
            tokio::select! {
                () = self.inner.leaving.cancelled() => {}
                _changed = written.changed() => {}
            }
        }
    }
}
