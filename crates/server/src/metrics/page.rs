//! Every metric, once: its name, kind, labels, meaning and where its value is from.

use std::{collections::BTreeMap, sync::PoisonError};

use sandbar_engine::{CommitTimes, EgressCounts, Metrics as EngineMetrics, UpkeepStatus};

use super::{
    Metrics,
    process::Process,
    text::{Family, Kind, Text},
};

/// What is looked at when somebody asks, because nobody counts it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Sandboxes in each state.
    pub(crate) sandboxes: BTreeMap<&'static str, u64>,
    /// Tasks that are not over, in each state.
    pub(crate) tasks: BTreeMap<&'static str, u64>,
    /// Tasks with a question that nobody answered yet.
    pub(crate) tasks_asking: u64,
    /// What commits of the store took.
    pub(crate) commits: CommitTimes,
    /// How often the store could not be used.
    pub(crate) store_unavailable: u64,
    /// What the way out of sandboxes counted.
    pub(crate) egress: EgressCounts,
    /// Free bytes of the data directory's file system.
    pub(crate) free_bytes: Option<u64>,
    /// How upkeep is.
    pub(crate) upkeep: Vec<UpkeepStatus>,
}

/// Everything that one answer is made of.
#[derive(Debug)]
pub(crate) struct Page<'counts> {
    pub(crate) server: &'counts Metrics,
    pub(crate) engine: &'counts EngineMetrics,
    pub(crate) seen: Seen,
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family { kind: Kind::Counter, name, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { kind: Kind::Gauge, name, labels, help }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family { kind: Kind::Histogram, name, labels, help }
}

impl Page<'_> {
    /// Writes it.
    pub(crate) fn render(&self) -> String {
        self.write().finish().0
    }

    fn write(&self) -> Text {
        let mut text = Text::default();
        self.requests(&mut text);
        self.sandboxes(&mut text);
        self.tasks(&mut text);
        self.review(&mut text);
        self.previews(&mut text);
        self.network(&mut text);
        self.store(&mut text);
        self.upkeep(&mut text);
        self.refusals(&mut text);
        process(&mut text);
        text
    }

    fn requests(&self, text: &mut Text) {
        let mut samples = text.begin(histogram(
            "sandbar_request_duration_seconds",
            &["route", "method", "status"],
            "Time from the request's head to the answer's head.",
        ));
        let requests = self.server.requests.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, counts) in requests.iter() {
            samples.durations(&[&key.route, key.method, key.status], counts);
        }
        drop(requests);
        text.begin(counter("sandbar_problems_total", &["code"], "Answers that were no success."))
            .values(self.server.problems.counts());
        text.begin(gauge("sandbar_connections", &[], "Open connections."))
            .value(&[], self.server.open_connections());
    }

    fn sandboxes(&self, text: &mut Text) {
        let Self { server, engine, seen } = self;
        text.begin(gauge("sandbar_sandboxes", &["state"], "Sandboxes by state."))
            .values(seen.sandboxes.iter().map(|(state, count)| (*state, *count)));
        text.begin(counter("sandbar_creates_total", &[], "Sandboxes that were created."))
            .value(&[], server.creates.count());
        text.begin(counter(
            "sandbar_idempotent_replays_total",
            &[],
            "Creates that were answered from an idempotency key.",
        ))
        .value(&[], server.replays.count());
        text.begin(histogram(
            "sandbar_launch_duration_seconds",
            &[],
            "Time that launches took that ended well.",
        ))
        .durations(&[], &engine.launches.counts());
        text.begin(counter("sandbar_launch_failures_total", &["step"], "Launches that failed."))
            .values(engine.launch_failures.counts());
        text.begin(counter("sandbar_execs_total", &[], "Execs that were started."))
            .value(&[], engine.execs_started.count());
        text.begin(gauge("sandbar_execs_running", &[], "Execs that run."))
            .value(&[], engine.execs_running.count());
        text.begin(histogram(
            "sandbar_reconcile_duration_seconds",
            &[],
            "Time that comparisons of the store with the host took.",
        ))
        .durations(&[], &engine.reconciles.counts());
        text.begin(counter("sandbar_reconcile_failures_total", &[], "Comparisons that failed."))
            .value(&[], engine.reconcile_failures.count());
        text.begin(counter(
            "sandbar_reconcile_actions_total",
            &["action"],
            "What comparisons found to do.",
        ))
        .values(engine.reconcile_actions.counts());
    }

    fn tasks(&self, text: &mut Text) {
        let Self { engine, seen, .. } = self;
        text.begin(gauge("sandbar_tasks", &["state"], "Tasks that are not over, by state."))
            .values(seen.tasks.iter().map(|(state, count)| (*state, *count)));
        text.begin(gauge(
            "sandbar_tasks_asking",
            &[],
            "Tasks with a question that nobody answered yet.",
        ))
        .value(&[], seen.tasks_asking);
        text.begin(counter("sandbar_tasks_ended_total", &["state"], "Tasks that are over."))
            .values(engine.tasks_ended.counts());
        text.begin(histogram(
            "sandbar_task_duration_seconds",
            &[],
            "Time from a task's turn to its end.",
        ))
        .durations(&[], &engine.tasks.counts());
    }

    fn review(&self, text: &mut Text) {
        text.begin(counter(
            "sandbar_approves_total",
            &["outcome"],
            "Approves that were asked for.",
        ))
        .values(self.engine.approves.counts());
        text.begin(counter("sandbar_undos_total", &["outcome"], "Undos that were asked for."))
            .values(self.engine.undos.counts());
    }

    fn previews(&self, text: &mut Text) {
        text.begin(counter("sandbar_preview_requests_total", &["status"], "Requests of previews."))
            .values(self.server.previews.counts());
        text.begin(gauge(
            "sandbar_preview_requests_held",
            &[],
            "Requests of previews that wait for a sandbox to wake.",
        ))
        .value(&[], self.engine.previews_held.count());
        text.begin(histogram(
            "sandbar_wake_duration_seconds",
            &[],
            "Time that wakes took until the sandbox ran.",
        ))
        .durations(&[], &self.engine.wakes.counts());
        text.begin(counter("sandbar_wake_failures_total", &[], "Wakes that failed."))
            .value(&[], self.engine.wake_failures.count());
    }

    fn network(&self, text: &mut Text) {
        let EgressCounts { allowed, denied } = &self.seen.egress;
        text.begin(counter(
            "sandbar_egress_allowed_total",
            &[],
            "Connections of sandboxes to the outside that were made.",
        ))
        .value(&[], allowed);
        text.begin(counter(
            "sandbar_egress_denied_total",
            &["reason"],
            "Refusals of connections and names to the outside, as far as they were told: the same one once a minute.",
        ))
        .values(denied.iter().map(|(reason, count)| (*reason, *count)));
    }

    fn store(&self, text: &mut Text) {
        text.begin(counter("sandbar_events_written_total", &[], "Events that were written."))
            .value(&[], self.engine.events_written.count());
        let CommitTimes { count, sum } = self.seen.commits;
        text.begin(Family {
            kind: Kind::Summary,
            name: "sandbar_store_commit_seconds",
            labels: &[],
            help: "Time that commits of the database took.",
        })
        .sum(&[], sum, count);
        text.begin(counter(
            "sandbar_store_unavailable_total",
            &[],
            "How often the database was busy or could not be reached.",
        ))
        .value(&[], self.seen.store_unavailable);
        let mut free = text.begin(gauge(
            "sandbar_data_dir_free_bytes",
            &[],
            "Free space of the file system of the data directory.",
        ));
        if let Some(bytes) = self.seen.free_bytes {
            free.value(&[], bytes);
        }
    }

    fn upkeep(&self, text: &mut Text) {
        let of = |value: fn(&UpkeepStatus) -> u64| {
            self.seen.upkeep.iter().map(move |one| (one.reconciler.as_str(), value(one)))
        };
        text.begin(counter("sandbar_upkeep_runs_total", &["reconciler"], "Runs of upkeep."))
            .values(of(|one| one.runs));
        text.begin(counter(
            "sandbar_upkeep_failures_total",
            &["reconciler"],
            "Runs of upkeep that failed, in part or whole.",
        ))
        .values(of(|one| one.failures));
        text.begin(counter(
            "sandbar_upkeep_done_total",
            &["reconciler"],
            "What upkeep found to do and did.",
        ))
        .values(of(|one| one.done_total));
        text.begin(gauge(
            "sandbar_upkeep_left",
            &["reconciler"],
            "What the last run found to do and did not do.",
        ))
        .values(of(|one| one.found.saturating_sub(one.done)));
        text.begin(gauge(
            "sandbar_upkeep_duration_milliseconds",
            &["reconciler"],
            "Time that the last run took.",
        ))
        .values(of(|one| u64::try_from(one.duration.as_millis()).unwrap_or(u64::MAX)));
    }

    fn refusals(&self, text: &mut Text) {
        text.begin(counter(
            "sandbar_quota_refusals_total",
            &["quota"],
            "Creates that the quota of a tenant refused.",
        ))
        .values(self.engine.quota_refusals.counts());
        text.begin(counter(
            "sandbar_rate_limited_total",
            &[],
            "Requests of users and keys that came too often.",
        ))
        .value(&[], self.server.rate_limited.count());
        text.begin(counter("sandbar_login_failures_total", &["code"], "Logins that were refused."))
            .values(self.engine.login_failures.counts());
    }
}

fn process(text: &mut Text) {
    let Process { resident_bytes, open_fds, fds_max } = Process::read();
    let all = [
        ("process_resident_memory_bytes", "Memory of the server itself.", resident_bytes),
        ("process_open_fds", "Open descriptors of the server itself.", open_fds),
        ("process_max_fds", "How many descriptors it may open.", fds_max),
    ];
    for (name, help, value) in all {
        let mut samples = text.begin(gauge(name, &[], help));
        if let Some(value) = value {
            samples.value(&[], value);
        }
    }
    text.begin(gauge("sandbar_build_info", &["version"], "Always 1; the version is its label."))
        .value(&[env!("CARGO_PKG_VERSION")], 1);
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
