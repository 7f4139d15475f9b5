//! What the source was when the workspace began, as far as it must be remembered.

use std::{collections::BTreeMap, io, os::fd::BorrowedFd};

use rustix::fs::FileType;
use sandbar_types::{Entry, WorkspacePath};
use serde::{Deserialize, Serialize};

use crate::entry::{HostStamp, Stamp};

/// When a workspace began, and what was approved since.
///
/// Nothing is recorded of the tree itself: the kernel's own ctime, which no program can set back,
/// shows whether a path of the source changed after the beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The beginning, in nanoseconds since 1970; see [`Base::beginning_ns`].
    pub created_ns: i64,
    /// What was approved since, by path.
    #[serde(with = "pairs")]
    pub approved: BTreeMap<WorkspacePath, Approved>,
}

/// What an approve left behind at one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// What the workspace had, and the person said yes to; `None` for an approved deletion.
    pub entry: Option<Entry>,
    /// The object on the host right after; `None` where the host then had nothing there.
    pub host: Option<HostStamp>,
}

impl Base {
    /// The beginning of a workspace that is made now, for [`Base::created_ns`].
    ///
    /// Files are stamped by a clock that is never ahead of this one, but may be a tick (1 to 10 ms) behind.
    /// So whatever was there before is never taken for the host's later work, as it would be right after a checkout.
    /// The price: an edit in the very tick in which the sandbox is made counts as before it. It is still seen: a change
    /// is always shown against what the source has at the time of the review, and an approve compares with that.
    #[must_use]
    pub fn beginning_ns() -> i64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec)
    }

    /// Whether `workspace`, what the workspace has at `path`, was approved as it is.
    #[must_use]
    pub fn is_settled(&self, path: &WorkspacePath, workspace: Option<&Entry>) -> bool {
        self.approved.get(path).is_some_and(|approved| approved.entry.as_ref() == workspace)
    }

    /// Whether the source changed at `path` since the beginning, or since it was approved.
    ///
    /// A directory is judged by what happened to itself: making or removing a name in it moves its mtime together
    /// with its ctime, and everything that it holds is judged on its own. `None` is never drifted without an approve:
    /// what the host removed cannot be seen in what it has.
    pub(crate) fn is_drifted(&self, path: &WorkspacePath, host: Option<&Stamp>) -> bool {
        let is_directory = host.is_some_and(|stamp| stamp.file_type() == FileType::Directory);
        match (self.approved.get(path).map(|approved| approved.host), host) {
            (Some(Some(approved)), Some(host)) if is_directory => approved.ino != host.ino,
            (Some(approved), host) => approved != host.map(Stamp::host),
            (None, Some(host)) => {
                let is_later = host.ctime_ns > self.created_ns;
                is_later && (!is_directory || host.mtime_ns != host.ctime_ns)
            }
            (None, None) => false,
        }
    }

    /// Whether names were made or removed in a directory of the source since the beginning.
    pub(crate) fn is_entered(&self, dir: BorrowedFd<'_>) -> io::Result<bool> {
        let stamp = Stamp::of(&rustix::fs::fstat(dir)?);
        Ok(stamp.ctime_ns > self.created_ns)
    }

    /// Whether what the source has at `path`, and the workspace never saw, is the host's own:
    /// made below a directory that came into being by an approve.
    pub(crate) fn is_hosts_own(&self, path: &WorkspacePath, host: HostStamp) -> bool {
        let made_by_approve = path.parent().is_some_and(|parent| {
            let approved = self.approved.get(&parent);
            approved.is_some_and(|a| matches!(a.entry, Some(Entry::Directory { .. })))
        });
        made_by_approve && !self.approved.contains_key(path) && host.ctime_ns > self.created_ns
    }
}

/// A map as a list of pairs: a path that is not UTF-8 cannot be a key in JSON.
mod pairs {
    use std::collections::BTreeMap;

    use sandbar_types::WorkspacePath;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Approved;

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<WorkspacePath, Approved>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<WorkspacePath, Approved>, D::Error> {
        let pairs = Vec::<(WorkspacePath, Approved)>::deserialize(deserializer)?;
        Ok(pairs.into_iter().collect())
    }
}
