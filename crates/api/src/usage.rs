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
    /// Bytes of its logs.
    pub logs_bytes: u64,
    /// When the record last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// How to clean up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GcRequest {
    /// Says what would go, and removes nothing.
    pub dry_run: bool,
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
}
