//! The reconcilers by name, how often each runs, and whether it does so by itself.

use std::time::Duration;

use crate::EngineSettings;

macro_rules! reconcilers {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)+) => {
        /// One part of upkeep.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reconciler {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reconciler {
            /// Each of them.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$name),+];

            /// Its name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// What it sees to, in a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii()),+ }
            }
        }
    };
}

reconcilers! {
    /// Processes, control groups and mounts are those that the records say.
    Host = "host";
    /// Approves that a crash interrupted are ended.
    Approves = "approves";
    /// Sandboxes whose lease is over are stopped.
    Lease = "lease";
    /// Sandboxes that nobody uses are stopped.
    Idle = "idle";
    /// Limits that are nearly reached are said, once.
    Warnings = "warnings";
    /// The disk of the data directory has room for the server itself.
    Disk = "disk";
    /// All sandboxes together hold no more than they may.
    Total = "total";
    /// Sandboxes that were stopped long ago without changes are deleted.
    Terminal = "terminal";
    /// Directories that belong to no sandbox and hold no work are removed.
    Orphans = "orphans";
    /// What old approves replaced is dropped.
    Kept = "kept";
    /// Old checkpoints are removed, and interrupted restores are ended.
    Checkpoints = "checkpoints";
    /// Idempotency keys that expired are forgotten.
    Keys = "keys";
    /// Sessions that ended are forgotten.
    Sessions = "sessions";
    /// Sandboxes that were deleted long ago are forgotten.
    History = "history";
    /// Old events are forgotten.
    Events = "events";
    /// Old lines of the audit log are forgotten.
    Audit = "audit";
    /// Old approves are forgotten.
    Approved = "approved";
    /// Execs that ended long ago are forgotten, with their logs.
    Logs = "logs";
    /// What was moved out of sight is removed.
    Trash = "trash";
}

impl Reconciler {
    /// Whether it does anything without being asked.
    #[must_use]
    pub const fn is_automatic(self, settings: &EngineSettings) -> bool {
        match self {
            Self::Terminal => settings.stopped_ttl.is_some(),
            Self::Total => settings.total_disk_bytes_max.is_some(),
            Self::Host
            | Self::Approves
            | Self::Lease
            | Self::Idle
            | Self::Warnings
            | Self::Disk
            | Self::Orphans
            | Self::Kept
            | Self::Checkpoints
            | Self::Keys
            | Self::Sessions
            | Self::History
            | Self::Events
            | Self::Audit
            | Self::Approved
            | Self::Logs
            | Self::Trash => true,
        }
    }

    /// How often it runs.
    #[must_use]
    pub fn interval(self, settings: &EngineSettings) -> Duration {
        match self {
            // A system call; and what it is for is fast.
            Self::Disk => settings.size_interval,
            // It compares every stopped sandbox with its source.
            Self::Terminal => settings.reconcile_interval * 10,
            // It is nudged whenever something is moved there.
            Self::Trash => settings.reconcile_interval * 10,
            Self::Host
            | Self::Approves
            | Self::Lease
            | Self::Idle
            | Self::Warnings
            | Self::Total
            | Self::Orphans
            | Self::Kept
            | Self::Checkpoints
            | Self::Keys
            | Self::Sessions
            | Self::History
            | Self::Events
            | Self::Audit
            | Self::Approved
            | Self::Logs => settings.reconcile_interval,
        }
    }

    /// Whether `gc` has it run: the others give nothing back, or need nobody to ask.
    pub(super) const fn gives_back(self) -> bool {
        match self {
            Self::Total
            | Self::Terminal
            | Self::Orphans
            | Self::Kept
            | Self::Checkpoints
            | Self::Keys
            | Self::Sessions
            | Self::History
            | Self::Events
            | Self::Audit
            | Self::Approved
            | Self::Logs => true,
            Self::Host
            | Self::Approves
            | Self::Lease
            | Self::Idle
            | Self::Warnings
            | Self::Disk
            | Self::Trash => false,
        }
    }
}
