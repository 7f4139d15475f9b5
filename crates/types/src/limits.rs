//! What one sandbox may use at the most.

use serde::{Deserialize, Serialize};

/// Limits of one sandbox. Every field has a default, so a request names only what it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Memory in bytes, page cache and tmpfs included; beyond it the kernel kills.
    pub memory_bytes_max: u64,
    /// Processor time in thousandths of one processor; 2000 is two processors.
    pub cpu_millis_max: u32,
    /// Processes and threads.
    pub pids_max: u32,
    /// Open files of one process.
    pub open_files_max: u32,
    /// Bytes that the upper layer and the home directory inside may hold together.
    pub disk_bytes_max: u64,
    /// Bytes kept of the output of one exec; older output is dropped, and how much is said.
    pub log_bytes_max: u64,
    /// Execs that run at once.
    pub execs_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes_max: 8 << 30,
            cpu_millis_max: 4000,
            pids_max: 4096,
            open_files_max: 65_536,
            disk_bytes_max: 10 << 30,
            log_bytes_max: 64 << 20,
            execs_max: 32,
        }
    }
}
