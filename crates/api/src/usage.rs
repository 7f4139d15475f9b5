//! What sandboxes use, and what can be given back.

use jiff::Timestamp;
use sandbar_types::{SandboxId, SandboxName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What one sandbox uses now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SandboxUsage {
    /// Bytes of memory; absent when it does not run or nobody counts.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Processor time since the start, in microseconds.
    pub cpu_us: Option<u64>,
    /// How often the kernel killed for memory.
    pub oom_kills: Option<u64>,
    /// Bytes of its upper layer.
    pub upper_bytes: u64,
    /// Files of its upper layer.
    pub upper_files: u64,
    /// Bytes of its home directory; they count for the same limit as those of the upper layer.
    #[serde(default)]
    pub home_bytes: u64,
    /// Bytes of its logs.
    pub logs_bytes: u64,
}

/// What the data directory holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiskUsage {
    /// Bytes of all sandboxes.
    pub total_bytes: u64,
    /// Bytes of the store; 0 for who does not run the server.
    pub store_bytes: u64,
    /// By sandbox, the largest first.
    pub sandboxes: Vec<SandboxDiskUsage>,
}

/// What one sandbox holds on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SandboxDiskUsage {
    /// Which.
    pub id: SandboxId,
    /// Its name.
    pub name: SandboxName,
    /// Bytes of its upper layer.
    pub upper_bytes: u64,
    /// Files of its upper layer.
    pub upper_files: u64,
    /// Bytes of its home directory; they count for the same limit as those of the upper layer.
    #[serde(default)]
    pub home_bytes: u64,
    /// Bytes of its logs.
    pub logs_bytes: u64,
    /// When the record last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// How to clean up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GcRequest {
    /// Says what would go, and removes nothing.
    pub dry_run: bool,
    /// Removes this stopped sandbox, by id, prefix or name, and nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// Removes the sandbox that is named also where it has changes that nobody decided about.
    pub with_changes: bool,
}

/// What a cleaning removed, or would remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GcOutcome {
    /// Whether nothing was removed.
    pub dry_run: bool,
    /// What went, or would go.
    pub actions: Vec<GcAction>,
}

/// One thing that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GcAction {
    /// The reconciler that found it.
    #[serde(default)]
    pub reconciler: String,
    /// Whose it is, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox_id: Option<SandboxId>,
    /// What, for example `directory`, `processes`, `log`.
    pub what: String,
    /// Why it goes.
    pub reason: String,
    /// Bytes that come back, where counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Why it could not go; it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How the server keeps itself in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Upkeep {
    /// Each part of it.
    pub reconcilers: Vec<ReconcilerStatus>,
}

/// How one part of upkeep is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReconcilerStatus {
    /// Its name.
    pub name: String,
    /// What it sees to.
    pub meaning: String,
    /// Whether it does anything without being asked; the others run with `POST /v1/gc`.
    pub is_automatic: bool,
    /// How often it runs; more seldom where looking takes long.
    pub interval_ms: u64,
    /// When it last ran; absent before the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_run_at: Option<Timestamp>,
    /// How long that took.
    pub duration_ms: u64,
    /// What it then found to do.
    pub found: u64,
    /// How much of it was done.
    pub done: u64,
    /// Why its last run failed, in part or whole; absent where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When a run last failed, though a later one may have done better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub failed_at: Option<Timestamp>,
    /// When it runs next; absent where it does not by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_run_at: Option<Timestamp>,
    /// How often it ran since the server started.
    pub runs: u64,
    /// How many of these failed.
    pub failures: u64,
    /// Everything that it did since then.
    pub done_total: u64,
}
