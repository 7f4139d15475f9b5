//! Sleep: which sandboxes are stopped because nobody uses them, or because memory is short.
//!
//! Decisions with values; the actor carries them out. A sandbox that sleeps keeps its files and is started again by the
//! next request for its preview. Tests: here, and `tests/host` for the real thing.

use std::{fs, sync::Arc, time::Duration};

use jiff::Timestamp;
use sandbar_store::SandboxRow;
use sandbar_types::{IdlePolicy, SandboxId, SandboxState, StopReason};

use crate::{actor::Urgent, engine::Inner};

/// How often memory is looked at.
const PRESSURE_INTERVAL: Duration = Duration::from_secs(5);
/// Below this share of free memory, in thousandths, the idlest sandbox is put to sleep.
const FREE_MIN: u64 = 100;
/// Who was used within this time is not idle, however short memory is.
const IDLE_MIN: Duration = Duration::from_mins(1);

/// What is to be known of a sandbox to say whether it is idle.
#[derive(Debug, Clone)]
pub(crate) struct Use<'a> {
    pub(crate) state: &'a SandboxState,
    pub(crate) policy: IdlePolicy,
    /// `None`: it may be idle for ever.
    pub(crate) timeout: Option<Duration>,
    pub(crate) keepalive_until: Option<Timestamp>,
    /// An exec or a terminal that runs is activity.
    pub(crate) last_active_at: Timestamp,
}

impl<'a> Use<'a> {
    /// Of the sandbox with this record; `app_timeout` where it does not say how long it may be idle, and an app runs.
    pub(crate) fn of(row: &'a SandboxRow, app_timeout: Option<Duration>) -> Self {
        let own = row.spec.expiry.idle_timeout_ms.map(Duration::from_millis);
        Self {
            state: &row.state,
            policy: row.spec.idle_policy,
            timeout: own.or(app_timeout),
            keepalive_until: row.keepalive_until,
            last_active_at: row.last_active_at,
        }
    }

    /// How long nobody has used it; `None` where it must not be put to sleep.
    fn idle_for(&self, now: Timestamp) -> Option<Duration> {
        match self.state {
            SandboxState::Running | SandboxState::Paused => {}
            SandboxState::Creating
            | SandboxState::Stopping
            | SandboxState::Stopped
            | SandboxState::Failed { .. }
            | SandboxState::Deleting => return None,
        }
        let is_kept = self.policy == IdlePolicy::AlwaysOn
            || self.keepalive_until.is_some_and(|until| until > now);
        // A clock that was set back makes nobody idle.
        (!is_kept && now > self.last_active_at)
            .then(|| now.duration_since(self.last_active_at).unsigned_abs())
    }

    /// Whether its idle timeout is over.
    pub(crate) fn is_idle(&self, now: Timestamp) -> bool {
        self.timeout.zip(self.idle_for(now)).is_some_and(|(timeout, idle)| idle >= timeout)
    }
}

/// Who is put to sleep when memory is short: the one that nobody has used for longest.
pub(crate) fn idlest<'a>(
    all: impl Iterator<Item = (SandboxId, Use<'a>)>,
    now: Timestamp,
) -> Option<SandboxId> {
    all.filter_map(|(id, usage)| Some((usage.idle_for(now)?, id)))
        .filter(|(idle, _)| *idle >= IDLE_MIN)
        .max()
        .map(|(_, id)| id)
}

/// Puts one sandbox after the other to sleep, as long as the host's memory is short.
pub(crate) async fn watch_memory(inner: Arc<Inner>) {
    loop {
        tokio::select! {
            () = inner.leaving.cancelled() => return,
            () = tokio::time::sleep(PRESSURE_INTERVAL) => {}
        }
        // A host that does not say how much is free is never short.
        let Some(free) = fs::read_to_string("/proc/meminfo").ok().and_then(|text| free(&text))
        else {
            continue;
        };
        if free < FREE_MIN {
            relieve(&inner, free).await;
        }
    }
}

async fn relieve(inner: &Inner, free: u64) {
    let handles: Vec<_> = inner.actors().values().cloned().collect();
    let rows: Vec<_> = handles.iter().map(|handle| (handle, handle.row())).collect();
    let uses = rows.iter().map(|(_, row)| (row.id, Use::of(row, None)));
    let Some(id) = idlest(uses, inner.config.clock.now()) else {
        return;
    };
    let Some(handle) = handles.iter().find(|handle| handle.row().id == id) else {
        return;
    };
    tracing::warn!(sandbox.id = %id, memory.free_permille = free, "memory is short; the idlest sandbox is put to sleep");
    let (grace, reason) = (inner.settings().stop_grace, StopReason::MemoryPressure);
    if let Err(err) = handle.end(|reply| Urgent::Stop { grace, reason, reply: Some(reply) }).await {
        tracing::warn!(sandbox.id = %id, error = &err as &dyn std::error::Error, "a sandbox could not be put to sleep");
    }
}

/// Thousandths of memory that are available, of what proc_meminfo(5) says.
fn free(meminfo: &str) -> Option<u64> {
    let value = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().split(' ').next()?.parse().ok()
    };
    value("MemAvailable:")?.checked_mul(1000)?.checked_div(value("MemTotal:")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn used(seconds_ago: i64) -> Use<'static> {
        Use {
            state: &SandboxState::Running,
            policy: IdlePolicy::Sleep,
            timeout: Some(Duration::from_mins(10)),
            keepalive_until: None,
            last_active_at: at(NOW - seconds_ago),
        }
    }

    #[test]
    fn who_was_not_used_for_its_timeout_sleeps() {
        let now = at(NOW);
        assert!(used(600).is_idle(now));
        assert!(!used(599).is_idle(now));
        assert!(!Use { timeout: None, ..used(6_000) }.is_idle(now));
        assert!(!Use { state: &SandboxState::Stopped, ..used(6_000) }.is_idle(now));
        assert!(!used(-600).is_idle(now), "a clock that was set back");
    }

    #[test]
    fn s10_a_keepalive_outlives_the_timeout_and_no_longer() {
        let kept = |until| Use { keepalive_until: Some(at(until)), ..used(6_000) };
        assert!(!kept(NOW + 1).is_idle(at(NOW)));
        assert!(kept(NOW).is_idle(at(NOW)));
    }

    #[test]
    fn d8_always_on_is_never_put_to_sleep_also_when_memory_is_short() {
        let always = Use { policy: IdlePolicy::AlwaysOn, ..used(60_000) };
        assert!(!always.is_idle(at(NOW)));
        assert_eq!(idlest([(SandboxId::generate(), always)].into_iter(), at(NOW)), None);
    }

    #[test]
    fn short_memory_takes_the_idlest_and_spares_who_was_just_used() {
        let ids: Vec<_> = (0..3).map(|_| SandboxId::generate()).collect();
        let all = [(ids[0], used(100)), (ids[1], used(200)), (ids[2], used(30))];
        assert_eq!(idlest(all.into_iter(), at(NOW)), Some(ids[1]));
        assert_eq!(idlest([(ids[2], used(30))].into_iter(), at(NOW)), None);
    }

    #[test]
    fn free_memory_is_a_share() {
        assert_eq!(free("MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:   95 kB\n"), Some(95));
        assert_eq!(free("MemTotal: 0 kB\nMemAvailable: 0 kB\n"), None);
        assert_eq!(free("nonsense"), None);
    }
}
