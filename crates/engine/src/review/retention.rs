//! How long what approves replaced is kept, and which of it goes. Pure.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use sandbar_store::ApproveRow;
use sandbar_types::{ApproveId, HostPath};

/// LIMIT: approves of one source that can be undone, one after another.
pub(crate) const KEPT_APPROVES_MAX: usize = 20;
/// LIMIT: how long an approve can be undone, but for the last one of its source.
pub(crate) const KEPT_AGE_MAX: Duration = Duration::from_hours(7 * 24);
/// LIMIT: bytes that are kept for one source, but for its last approve.
pub(crate) const KEPT_BYTES_MAX: u64 = 1 << 30;
/// LIMIT: how long it is remembered what was approved, and by whom.
pub(crate) const PROVENANCE_AGE_MAX: Duration = Duration::from_hours(90 * 24);
/// LIMIT: paths whose approve is remembered; above it the oldest approves go, whole.
pub(crate) const PROVENANCE_PATHS_MAX: u64 = 100_000;

/// Why something is no longer kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There are enough later ones.
    Count,
    /// It is old.
    Age,
    /// Together with later ones it is too large.
    Bytes,
    /// A later one went, which would have to be undone first.
    Unreachable,
}

impl Reason {
    /// In words.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Count => "20 later ones can be undone",
            Self::Age => "older than 7 days",
            Self::Bytes => "with the later ones more than 1 GiB",
            Self::Unreachable => "a later one can no longer be undone",
        }
    }
}

/// What has happened to the later approves of one source.
#[derive(Debug, Default)]
struct Seen {
    count: usize,
    bytes: u64,
    /// The last approve that can be undone was among them.
    has_last: bool,
    /// One that can be undone is no longer kept.
    is_cut: bool,
}

/// Decides which of `kept` go. Given, for each source, with the newest first.
pub(crate) fn releasable(kept: &[ApproveRow], now: Timestamp) -> Vec<(ApproveId, Reason)> {
    let mut sources: BTreeMap<&HostPath, Seen> = BTreeMap::new();
    let mut released = Vec::new();
    for row in kept {
        let seen = sources.entry(&row.source).or_default();
        let can_be_undone = row.undoes.is_none() && row.undone_by.is_none();
        let is_last = can_be_undone && !seen.has_last;
        seen.has_last |= is_last;
        let bytes = seen.bytes.saturating_add(row.kept_bytes.unwrap_or(0));
        let reason = if is_last {
            None
        } else if seen.is_cut {
            Some(Reason::Unreachable)
        } else if seen.count >= KEPT_APPROVES_MAX {
            Some(Reason::Count)
        } else if row.ended_at.is_some_and(|ended| ended + KEPT_AGE_MAX < now) {
            Some(Reason::Age)
        } else if bytes > KEPT_BYTES_MAX {
            Some(Reason::Bytes)
        } else {
            None
        };
        match reason {
            Some(reason) => {
                seen.is_cut |= can_be_undone;
                released.push((row.id, reason));
            }
            None => {
                seen.count += 1;
                seen.bytes = bytes;
            }
        }
    }
    released
}

#[cfg(test)]
mod tests {
    use sandbar_types::{Actor, DiffId, SandboxId, Sha256};

    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_700_000_000, 0);

    fn row(source: &str, age: Duration, bytes: u64) -> ApproveRow {
        ApproveRow {
            id: ApproveId::generate(),
            seq: 0,
            sandbox_id: SandboxId::generate(),
            sandbox_name: "x".parse().unwrap(),
            tenant_id: sandbar_types::TenantId::DEFAULT,
            actor: Actor::Unknown,
            diff_id: DiffId(Sha256([0; 32])),
            request_hash: Sha256([0; 32]),
            source: HostPath::parse(source).unwrap(),
            outcome: None,
            started_at: NOW,
            ended_at: Some(NOW - age),
            paths: 1,
            undoes: None,
            undone_by: None,
            commit_id: None,
            kept_bytes: Some(bytes),
        }
    }

    fn reasons(kept: &[ApproveRow]) -> Vec<Option<Reason>> {
        let released: BTreeMap<_, _> = releasable(kept, NOW).into_iter().collect();
        kept.iter().map(|row| released.get(&row.id).copied()).collect()
    }

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn the_last_one_stays_however_old_and_large_it_is() {
        let rows =
            [row("/a", 100 * DAY, 5 << 30), row("/a", 100 * DAY, 1), row("/b", 300 * DAY, 9 << 30)];
        assert_eq!(reasons(&rows), [None, Some(Reason::Age), None]);
    }

    #[test]
    fn each_limit_is_one_and_what_comes_after_it_goes_as_well() {
        let many: Vec<_> = (0..22).map(|_| row("/a", DAY, 1)).collect();
        let mut expected = vec![None; 20];
        expected.extend([Some(Reason::Count), Some(Reason::Unreachable)]);
        assert_eq!(reasons(&many), expected);
        let large = [row("/a", DAY, 1), row("/a", DAY, 1 << 30), row("/a", DAY, 1)];
        assert_eq!(reasons(&large), [None, Some(Reason::Bytes), Some(Reason::Unreachable)]);
    }

    #[test]
    fn an_undo_is_kept_for_a_while_and_stands_in_nobodys_place() {
        let mut undo = row("/a", 8 * DAY, 1);
        undo.undoes = Some(ApproveId::generate());
        let rows = [undo, row("/a", 100 * DAY, 1)];
        assert_eq!(reasons(&rows), [Some(Reason::Age), None]);
    }
}
