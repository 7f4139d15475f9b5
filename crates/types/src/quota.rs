//! What a tenant may have at most. Limits of one sandbox are [`crate::Limits`].

use serde::{Deserialize, Serialize};

use crate::Limits;

/// At most so much, over all living sandboxes of a tenant; what is absent is without end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Sandboxes that live at once, the stopped ones included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandboxes: Option<u64>,
    /// Sum of what they may take of memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Sum of what their upper layers may hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
    /// Sum of how many processes they may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// Requests in a minute of each user and each key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
}

/// Which part of a quota would be exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum QuotaKind {
    /// [`Quota::sandboxes`].
    Sandboxes,
    /// [`Quota::memory_bytes`].
    MemoryBytes,
    /// [`Quota::disk_bytes`].
    DiskBytes,
    /// [`Quota::processes`].
    Processes,
}

impl QuotaKind {
    /// As it is written in a quota.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sandboxes => "sandboxes",
            Self::MemoryBytes => "memory_bytes",
            Self::DiskBytes => "disk_bytes",
            Self::Processes => "processes",
        }
    }
}

impl Quota {
    /// What would be exceeded by one more sandbox with `asked`, beside sandboxes with `held`: which part, what it is
    /// now, what it would be, what it may be.
    #[must_use]
    pub fn exceeded<'a>(
        &self,
        held: impl IntoIterator<Item = &'a Limits>,
        asked: &Limits,
    ) -> Option<(QuotaKind, u64, u64, u64)> {
        let (used, more) = (sums(held), sums([asked]));
        self.parts().into_iter().zip(used).zip(more).find_map(|(((kind, most), used), more)| {
            let would_be = used.saturating_add(more);
            most.filter(|most| would_be > *most).map(|most| (kind, used, would_be, most))
        })
    }

    /// What sandboxes with `held` use of each part that has an end: which part, what is used, what may be.
    #[must_use]
    pub fn used<'a>(
        &self,
        held: impl IntoIterator<Item = &'a Limits>,
    ) -> Vec<(QuotaKind, u64, u64)> {
        let of_part = |((kind, most), used): ((_, Option<u64>), _)| Some((kind, used, most?));
        self.parts().into_iter().zip(sums(held)).filter_map(of_part).collect()
    }

    /// Whether no part that sandboxes use has an end.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.parts().iter().all(|(_, most)| most.is_none())
    }

    /// The parts that sandboxes use, in the order of [`sums`].
    const fn parts(&self) -> [(QuotaKind, Option<u64>); 4] {
        [
            (QuotaKind::Sandboxes, self.sandboxes),
            (QuotaKind::MemoryBytes, self.memory_bytes),
            (QuotaKind::DiskBytes, self.disk_bytes),
            (QuotaKind::Processes, self.processes),
        ]
    }
}

fn sums<'a>(held: impl IntoIterator<Item = &'a Limits>) -> [u64; 4] {
    held.into_iter().fold([0; 4], |sums, limits| {
        let mut parts =
            [1, limits.memory_bytes_max, limits.disk_bytes_max, u64::from(limits.pids_max)];
        for (part, sum) in parts.iter_mut().zip(sums) {
            *part = part.saturating_add(sum);
        }
        parts
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_met_exactly_and_not_exceeded() {
        let limits = Limits { memory_bytes_max: 10, ..Limits::default() };
        let quota = Quota { memory_bytes: Some(20), ..Quota::default() };
        assert_eq!(quota.exceeded([&limits], &limits), None);
        let full = quota.exceeded([&limits, &limits], &limits);
        assert_eq!(full, Some((QuotaKind::MemoryBytes, 20, 30, 20)));
        let huge = Limits { memory_bytes_max: u64::MAX, ..Limits::default() };
        assert_eq!(quota.used([&limits, &limits]), [(QuotaKind::MemoryBytes, 20, 20)]);
        assert!(!quota.is_unlimited() && Quota::default().is_unlimited());
        assert!(quota.exceeded([&huge, &huge], &huge).is_some());
        assert_eq!(Quota::default().exceeded([&huge, &huge], &huge), None);
    }
}
