//! Control groups on whichever hierarchies the host has: version 2, version 1, or both at once.
//!
//! A sandbox has a *slot*: one directory `sandbar-<instance>/<slot>` below the server's own group in each hierarchy that
//! is of use. A controller may be in any of them, so every limit is written where its controller is, read back, and
//! reported with the version that holds it. What nobody holds is reported as such, never left out.
//!
//! Version 2 keeps processes out of groups that hand controllers down, so where the server's own group is ours alone,
//! [`Hierarchies::prepare`] moves the server into a leaf of its own first.
//!
//! Tests: `discovery.rs` over texts of several hosts, `tests.rs` as root on this one.

mod discovery;
mod file;
mod freeze;
mod hierarchy;
mod kill;
mod limits;
mod slot;
mod usage;

use std::{io, path::PathBuf};

use sandbar_types::Enforcement;

pub use self::{
    hierarchy::{Hierarchies, Hierarchy, Version},
    slot::{CgroupSlot, SlotDir, SlotProcesses, SlotRecord},
};

/// What went wrong with a control group.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// A file or directory could not be used.
    #[error("failed to {what} `{path}`", path = path.display())]
    Access {
        /// What was tried: `read`, `write`, `make`, `remove`.
        what: &'static str,
        /// Which file or directory.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// No hierarchy of this host lets us make a group.
    #[error("no control group hierarchy can be written")]
    NoHierarchy,
    /// The host has nothing that can do it.
    #[error("this host's control groups cannot {what}")]
    Unsupported {
        /// What was wanted: `freeze`.
        what: &'static str,
    },
    /// It was not done in time.
    #[error("the control group did not {what} in time")]
    TimedOut {
        /// What was waited for: `freeze`, `empty`.
        what: &'static str,
    },
    /// The kernel took another value than was written.
    #[error("`{path}` holds `{found}` instead of `{wanted}`", path = path.display())]
    ReadBack {
        /// Which file.
        path: PathBuf,
        /// What was written.
        wanted: u64,
        /// What is there.
        found: String,
    },
}

impl From<CgroupError> for io::Error {
    fn from(err: CgroupError) -> Self {
        let kind = match &err {
            CgroupError::Access { source, .. } => source.kind(),
            CgroupError::NoHierarchy | CgroupError::Unsupported { .. } => {
                io::ErrorKind::Unsupported
            }
            CgroupError::TimedOut { .. } => io::ErrorKind::TimedOut,
            CgroupError::ReadBack { .. } => io::ErrorKind::InvalidData,
        };
        Self::new(kind, err)
    }
}

/// Who holds which limit, as read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitsHeld {
    /// Memory.
    pub memory: Enforcement,
    /// Processor time.
    pub cpu: Enforcement,
    /// Processes and threads.
    pub pids: Enforcement,
}

#[cfg(test)]
mod tests;
