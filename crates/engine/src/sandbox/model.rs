//! A sandbox as its users see it, and what a create is given.

use std::sync::Arc;

use jiff::Timestamp;
use sandbar_runtime::Caller;
use sandbar_store::SandboxRow;
use sandbar_types::{
    AppId, Generation, HostPath, IsolationReport, SandboxId, SandboxName, SandboxSpec,
    SandboxState, Sha256, Source, StopReason, TenantId,
};
use tokio::sync::watch;

/// A sandbox, as it is at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Sandbox {
    /// Its id.
    pub id: SandboxId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The app that it is of.
    pub app_id: Option<AppId>,
    /// Its name.
    pub name: SandboxName,
    /// What was asked for, with the name and the place of the workspace filled in.
    pub spec: SandboxSpec,
    /// Where the workspace is inside.
    pub workspace_path: HostPath,
    /// Where it is in its life.
    pub state: SandboxState,
    /// Counts the changes of its record.
    pub generation: Generation,
    /// What was read back from the kernel at the last launch.
    pub isolation: Option<IsolationReport>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
    /// When somebody last used it.
    pub last_active_at: Timestamp,
    /// Why it was stopped last; `None` while it runs.
    pub stop_reason: Option<StopReason>,
    /// Until when it does not sleep.
    pub keepalive_until: Option<Timestamp>,
    /// When its lease ends and it is stopped.
    pub expires_at: Option<Timestamp>,
    /// Bytes of its upper layer, when last measured.
    pub upper_bytes: u64,
    /// Files of its upper layer, when last measured.
    pub upper_files: u64,
}

impl Sandbox {
    pub(crate) fn of(row: &SandboxRow) -> Self {
        Self {
            id: row.id,
            tenant: row.tenant_id,
            app_id: row.app_id,
            name: row.name.clone(),
            spec: row.spec.clone(),
            workspace_path: workspace_path(&row.spec),
            state: row.state.clone(),
            generation: row.generation,
            isolation: row.isolation.clone(),
            created_at: row.created_at,
            updated_at: row.updated_at,
            last_active_at: row.last_active_at,
            stop_reason: row.stop_reason,
            keepalive_until: row.keepalive_until,
            expires_at: row.lease_until,
            upper_bytes: row.upper_bytes,
            upper_files: row.upper_files,
        }
    }
}

/// Where the workspace of `spec` is inside: where it was asked for, or at the source's own path.
pub(crate) fn workspace_path(spec: &SandboxSpec) -> HostPath {
    match (&spec.workspace_path, &spec.source) {
        (Some(path), _) => path.clone(),
        (None, Source::Directory { path }) => path.clone(),
        (None, Source::Empty | Source::Preset { .. }) => {
            HostPath::parse("/workspace").expect("it is absolute and short")
        }
    }
}

/// Makes a repeated create one create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Who sent it; see [`crate::Credential::owner`].
    pub principal: String,
    /// What the client chose.
    pub key: String,
    /// Hash of the request as it was sent.
    pub request_hash: Sha256,
}

/// What a create is given.
#[derive(Debug, Clone)]
pub struct SandboxCreateParams {
    /// Whose it shall be.
    pub tenant: TenantId,
    /// What it shall be.
    pub spec: SandboxSpec,
    /// On whose behalf.
    pub caller: Caller,
    /// Where the client sent one.
    pub idempotency: Option<IdempotencyKey>,
}

/// What a create did.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum SandboxCreated {
    /// A new sandbox.
    New(Box<Sandbox>),
    /// The key was seen before with the same request: the sandbox that it made then.
    Replayed(Box<Sandbox>),
}

impl SandboxCreated {
    /// The sandbox, whichever of both.
    pub(crate) fn into_sandbox(self) -> Sandbox {
        match self {
            Self::New(sandbox) | Self::Replayed(sandbox) => *sandbox,
        }
    }
}

/// Follows one sandbox: always the last state, never a queue.
#[derive(Debug, Clone)]
pub struct SandboxWatch(pub(crate) watch::Receiver<Arc<SandboxRow>>);

impl SandboxWatch {
    /// What it is now.
    #[must_use]
    pub fn current(&self) -> Sandbox {
        Sandbox::of(&self.0.borrow())
    }

    /// Waits until it is something else, and returns that; `None` when it is gone.
    pub async fn changed(&mut self) -> Option<Sandbox> {
        self.0.changed().await.ok()?;
        Some(Sandbox::of(&self.0.borrow_and_update()))
    }
}

/// What is on disk of a sandbox, measured now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SandboxSize {
    /// Bytes of the upper layer, as the disk counts them.
    pub upper_bytes: u64,
    /// Files, links and directories of the upper layer.
    pub upper_files: u64,
    /// Bytes below the home directory inside, as the disk counts them.
    pub home_bytes: u64,
    /// Bytes of logs.
    pub logs_bytes: u64,
    /// Bytes of checkpoints, as they were when each was made.
    pub checkpoints_bytes: u64,
}

impl SandboxSize {
    /// Everything together.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        let living = self.upper_bytes.saturating_add(self.home_bytes);
        living.saturating_add(self.logs_bytes).saturating_add(self.checkpoints_bytes)
    }
}
