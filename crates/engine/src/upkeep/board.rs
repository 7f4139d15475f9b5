//! What each reconciler last did, and when it runs next: for people, metrics and tests. In memory: after a restart of
//! the server everything is looked at again anyway.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::{Reconciler, warnings::Said};
use crate::{Engine, EngineSettings, Error};

/// How one reconciler is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpkeepStatus {
    /// Which one.
    pub reconciler: Reconciler,
    /// Whether it does anything without being asked.
    pub is_automatic: bool,
    /// How often it runs; more seldom where looking takes long.
    pub interval: Duration,
    /// When it last began.
    pub last_run_at: Option<Timestamp>,
    /// How long that took.
    pub duration: Duration,
    /// What it then found to do.
    pub found: u64,
    /// How much of it was done.
    pub done: u64,
    /// Why its last run failed, in part or whole; `None` where it did not.
    pub last_error: Option<String>,
    /// When a run last failed, though a later one may have done better.
    pub failed_at: Option<Timestamp>,
    /// When it runs next, unless it is nudged before.
    pub next_run_at: Option<Timestamp>,
    /// How often it ran since the server started.
    pub runs: u64,
    /// How many of these failed.
    pub failures: u64,
    /// Everything that it did since then.
    pub done_total: u64,
}

/// How one run went.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) found: u64,
    pub(super) done: u64,
    pub(super) error: Option<String>,
}

impl Round {
    /// Something failed; the rest goes on.
    pub(super) fn fail(&mut self, which: Reconciler, err: &Error) {
        tracing::warn!(
            upkeep.reconciler = which.as_str(),
            error = err as &dyn std::error::Error,
            "upkeep failed and is tried again"
        );
        self.error = Some(said(err));
    }
}

/// For who runs the server: with the cause, which clients are not told.
fn said(err: &Error) -> String {
    let mut text = err.to_string();
    let mut cause = std::error::Error::source(err);
    while let Some(found) = cause {
        text.push_str(": ");
        text.push_str(&found.to_string());
        cause = found.source();
    }
    text
}

#[derive(Debug)]
struct Entry {
    status: Mutex<UpkeepStatus>,
    nudge: Notify,
    running: tokio::sync::Mutex<()>,
}

/// Everything that upkeep keeps between two runs.
#[derive(Debug)]
pub(crate) struct Upkeep {
    entries: BTreeMap<Reconciler, Entry>,
    /// What was said already.
    said: Mutex<Said>,
    /// What all sandboxes hold together, when last measured.
    total_bytes: Mutex<Option<u64>>,
}

impl Upkeep {
    pub(crate) fn new(settings: &EngineSettings) -> Self {
        let entry = |reconciler: Reconciler| Entry {
            status: Mutex::new(UpkeepStatus {
                reconciler,
                is_automatic: reconciler.is_automatic(settings),
                interval: reconciler.interval(settings),
                last_run_at: None,
                duration: Duration::ZERO,
                found: 0,
                done: 0,
                last_error: None,
                failed_at: None,
                next_run_at: None,
                runs: 0,
                failures: 0,
                done_total: 0,
            }),
            nudge: Notify::new(),
            running: tokio::sync::Mutex::new(()),
        };
        Self {
            entries: Reconciler::ALL.into_iter().map(|which| (which, entry(which))).collect(),
            said: Mutex::default(),
            total_bytes: Mutex::default(),
        }
    }

    fn entry(&self, which: Reconciler) -> &Entry {
        self.entries.get(&which).expect("there is an entry for each")
    }

    fn status(&self, which: Reconciler) -> MutexGuard<'_, UpkeepStatus> {
        self.entry(which).status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has it run soon.
    pub(crate) fn nudge(&self, which: Reconciler) {
        self.entry(which).nudge.notify_one();
    }

    pub(super) async fn nudged(&self, which: Reconciler) {
        self.entry(which).nudge.notified().await;
    }

    /// At most one run at once, those that were asked for included.
    pub(super) async fn alone(&self, which: Reconciler) -> tokio::sync::MutexGuard<'_, ()> {
        self.entry(which).running.lock().await
    }

    pub(super) fn is_next_at(&self, which: Reconciler, interval: Duration, at: Timestamp) {
        let mut status = self.status(which);
        status.interval = interval;
        status.next_run_at = Some(at);
    }

    pub(super) fn failed(&self, which: Reconciler, err: &Error, at: Timestamp) {
        let mut round = Round::default();
        round.fail(which, err);
        self.ended(which, at, Duration::ZERO, round);
    }

    pub(super) fn ended(&self, which: Reconciler, at: Timestamp, took: Duration, round: Round) {
        let mut status = self.status(which);
        status.last_run_at = Some(at);
        status.duration = took;
        status.found = round.found;
        status.done = round.done;
        status.runs += 1;
        status.done_total += round.done;
        if round.error.is_some() {
            status.failures += 1;
            status.failed_at = Some(at);
        }
        status.last_error = round.error;
    }

    pub(super) fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn total_measured(&self, bytes: u64) {
        *self.total_bytes.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    }

    /// What all sandboxes hold together, when last measured; `None`: nobody measures it.
    pub(crate) fn total_bytes(&self) -> Option<u64> {
        *self.total_bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// How every reconciler is.
    #[must_use]
    pub fn upkeep(&self) -> Vec<UpkeepStatus> {
        let upkeep = &self.inner.upkeep;
        Reconciler::ALL.into_iter().map(|which| upkeep.status(which).clone()).collect()
    }
}
