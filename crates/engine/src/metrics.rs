//! What the engine counts, where it happens. Each engine has its own: nothing here is global.
//!
//! A value of a label is text of the program, never text from outside: so there are few, and none is an id, a path or a
//! host. How it is written for a scraper is the server's part.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use sandbar_runtime::LaunchError;
use sandbar_types::{QuotaKind, TaskState};

use crate::{
    Error, ErrorKind, Result,
    reconcile::Action,
    record::{LAUNCH_STEPS, STEP_LAUNCH},
};

/// Only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A [`Counter`] for each value of one label.
#[derive(Debug, Default)]
pub struct Counters(Mutex<BTreeMap<&'static str, u64>>);

impl Counters {
    /// One more of `label`.
    pub fn add_one(&self, label: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(label).or_default() += 1;
    }

    /// How many of each.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How many there are now.
#[derive(Debug, Default, Clone)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// One more, for as long as the answer lives.
    #[must_use]
    pub fn hold(&self) -> GaugeGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        GaugeGuard(self.clone())
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counted by a [`Gauge`].
#[derive(Debug)]
pub struct GaugeGuard(Gauge);

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Upper bounds of the buckets of [`Durations`], in microseconds.
pub const DURATION_BOUNDS_US: [u64; 14] = [
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    500_000,
    2_500_000,
    10_000_000,
    60_000_000,
    600_000_000,
    3_600_000_000,
];

/// How long something took, as a histogram.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DurationCounts {
    /// How many took at most as long as the bound of the same place in [`DURATION_BOUNDS_US`].
    pub buckets: [u64; DURATION_BOUNDS_US.len()],
    /// How many there were.
    pub count: u64,
    /// Their time in sum, in microseconds.
    pub sum_us: u64,
}

impl DurationCounts {
    /// One more.
    pub fn add(&mut self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(took_us);
        for (bucket, bound) in self.buckets.iter_mut().zip(DURATION_BOUNDS_US) {
            *bucket += u64::from(took_us <= bound);
        }
    }
}

/// [`DurationCounts`] that many tasks add to.
#[derive(Debug, Default)]
pub struct Durations(Mutex<DurationCounts>);

impl Durations {
    /// One more.
    pub fn add(&self, took: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(took);
    }

    /// How they are spread.
    #[must_use]
    pub fn counts(&self) -> DurationCounts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Everything that the engine counts since it started.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Launches that ended well.
    pub launches: Durations,
    /// Launches that failed, by step.
    pub launch_failures: Counters,
    /// Execs that were started.
    pub execs_started: Counter,
    /// Execs that run.
    pub execs_running: Gauge,
    /// Approves by outcome.
    pub approves: Counters,
    /// Undos by outcome.
    pub undos: Counters,
    /// Wakes of sandboxes that slept.
    pub wakes: Durations,
    /// Wakes that failed.
    pub wake_failures: Counter,
    /// Requests of previews that wait for a sandbox to wake.
    pub previews_held: Gauge,
    /// Events that were written.
    pub events_written: Counter,
    /// Comparisons of the store with the host.
    pub reconciles: Durations,
    /// Comparisons that failed.
    pub reconcile_failures: Counter,
    /// What comparisons found to do.
    pub reconcile_actions: Counters,
    /// Creates that a quota refused, by its part.
    pub quota_refusals: Counters,
    /// Logins that were refused.
    pub login_failures: Counters,
    /// Tasks that are over, by how they ended.
    pub tasks_ended: Counters,
    /// Tasks whose turn had come, from then to their end.
    pub tasks: Durations,
}

/// How something that was asked for ended.
pub(crate) fn outcome<T>(result: &Result<T>) -> &'static str {
    match result {
        Ok(_) => "done",
        Err(err) => match err.kind() {
            ErrorKind::NotFound
            | ErrorKind::Invalid
            | ErrorKind::Conflict
            | ErrorKind::Denied
            | ErrorKind::Stale
            | ErrorKind::LimitReached => "refused",
            ErrorKind::Unavailable | ErrorKind::Internal => "failed",
        },
    }
}

/// The step at which a launch failed. Steps of the runtime below the launch itself are one.
pub(crate) fn failed_step(err: &LaunchError) -> &'static str {
    match err {
        LaunchError::Unsupported { .. } => "host",
        LaunchError::Source { .. } => "source",
        LaunchError::Step { step, .. } => {
            LAUNCH_STEPS.into_iter().find(|known| known == step).unwrap_or(STEP_LAUNCH)
        }
        LaunchError::Verify { .. } => "verify",
        LaunchError::Lost(_) => "lost",
    }
}

/// What a comparison found to do.
pub(crate) const fn action_name(action: &Action) -> &'static str {
    match action {
        Action::Adopt { .. } => "adopt",
        Action::Thaw => "thaw",
        Action::Fail(_) => "fail",
        Action::Stop => "stop",
        Action::Delete => "delete",
        Action::Abandon => "abandon",
        Action::Release => "release",
        Action::Kill => "kill",
    }
}

impl Metrics {
    pub(crate) fn quota_refused(&self, kind: QuotaKind) {
        self.quota_refusals.add_one(kind.as_str());
    }

    /// A task is over; `began` is when its turn had come.
    pub(crate) fn task_ended(
        &self,
        state: TaskState,
        (began, ended): (Option<Timestamp>, Timestamp),
    ) {
        self.tasks_ended.add_one(state.as_str());
        if let Some(began) = began {
            // A clock that was set back is no time.
            self.tasks.add(ended.duration_since(began).try_into().unwrap_or_default());
        }
    }

    pub(crate) fn login_failed(&self, err: &Error) {
        self.login_failures.add_one(err.code());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_every_bucket_that_it_fits() {
        let mut counts = DurationCounts::default();
        counts.add(Duration::from_millis(5));
        counts.add(Duration::from_secs(100));
        assert_eq!(counts.buckets, [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2]);
        assert_eq!((counts.count, counts.sum_us), (2, 100_005_000));
    }

    #[test]
    fn what_is_held_counts_until_it_is_dropped() {
        let gauge = Gauge::default();
        let (one, two) = (gauge.hold(), gauge.hold());
        assert_eq!(gauge.count(), 2);
        drop((one, two));
        assert_eq!(gauge.count(), 0);
    }

    #[test]
    fn a_step_that_nobody_listed_makes_no_label() {
        let step = |step: &str| LaunchError::Step {
            step: step.to_owned(),
            source: std::io::ErrorKind::Other.into(),
        };
        assert_eq!(failed_step(&step("seed")), "seed");
        assert_eq!(failed_step(&step("mount /home/somebody")), "launch");
        assert_eq!(failed_step(&LaunchError::Verify { what: "x".to_owned() }), "verify");
    }

    #[test]
    fn a_refusal_is_told_from_a_failure() {
        let error = |kind| Err::<(), _>(Error::new(kind, "code", "message"));
        assert_eq!(outcome(&Ok(())), "done");
        assert_eq!(outcome(&error(ErrorKind::Stale)), "refused");
        assert_eq!(outcome(&error(ErrorKind::Unavailable)), "failed");
    }
}
