//! Counters of this process, in Prometheus' text format (version 0.0.4).

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{Method, StatusCode};
use sandbar_engine::CommitTimes;

/// Upper bounds of the latency buckets, in microseconds.
const BUCKETS_US: [u64; 11] =
    [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000, 10_000_000];

/// What this process counts. One lock, held for a look-up in a small map.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<Key, Series>>,
    /// Creates that were answered from an idempotency key.
    pub(crate) replays: AtomicU64,
    /// Sandboxes that were created.
    pub(crate) creates: AtomicU64,
    /// Execs that were started.
    pub(crate) execs: AtomicU64,
    /// Connections of either listener that are open.
    pub(crate) connections: AtomicU64,
}

/// Routes, methods and statuses are few, so the map is bounded: a path is never a label, only its route is.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Default)]
struct Series {
    buckets: [u64; BUCKETS_US.len()],
    count: u64,
    sum_us: u64,
}

impl Metrics {
    /// Counts one answered request.
    pub(crate) fn observe(&self, route: &str, method: &Method, status: StatusCode, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let key = Key { route: route.to_owned(), method: known(method), status: status.as_u16() };
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let series = requests.entry(key).or_default();
        series.count += 1;
        series.sum_us = series.sum_us.saturating_add(took_us);
        for (bucket, bound) in series.buckets.iter_mut().zip(BUCKETS_US) {
            *bucket += u64::from(took_us <= bound);
        }
    }

    /// Writes everything. `sandboxes` is how many there are in each state, `commits` what the store's commits took.
    pub(crate) fn render(
        &self,
        sandboxes: &BTreeMap<&'static str, u64>,
        commits: CommitTimes,
    ) -> String {
        let mut out = String::new();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        for (name, help, value) in [
            ("sandbar_creates_total", "Sandboxes that were created.", load(&self.creates)),
            ("sandbar_execs_total", "Execs that were started.", load(&self.execs)),
            (
                "sandbar_idempotent_replays_total",
                "Creates that were answered from an idempotency key.",
                load(&self.replays),
            ),
        ] {
            line(
                &mut out,
                format_args!("# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}"),
            );
        }
        let connections = load(&self.connections);
        line(
            &mut out,
            format_args!(
                "# HELP sandbar_connections Open connections.\n# TYPE sandbar_connections gauge\nsandbar_connections {connections}"
            ),
        );
        line(
            &mut out,
            format_args!(
                "# HELP sandbar_sandboxes Sandboxes by state.\n# TYPE sandbar_sandboxes gauge"
            ),
        );
        for (state, count) in sandboxes {
            line(&mut out, format_args!("sandbar_sandboxes{{state=\"{state}\"}} {count}"));
        }
        let CommitTimes { count, sum } = commits;
        let sum = sum.as_secs_f64();
        line(
            &mut out,
            format_args!(
                "# HELP sandbar_store_commit_seconds Time that commits of the database took.\n# TYPE sandbar_store_commit_seconds summary\nsandbar_store_commit_seconds_sum {sum}\nsandbar_store_commit_seconds_count {count}"
            ),
        );
        self.render_requests(&mut out);
        out
    }

    fn render_requests(&self, out: &mut String) {
        const NAME: &str = "sandbar_request_duration_seconds";
        line(
            out,
            format_args!(
                "# HELP {NAME} Time from the request's head to the answer's head.\n# TYPE {NAME} histogram"
            ),
        );
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        for (Key { route, method, status }, series) in requests.iter() {
            let labels = format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"");
            for (count, bound) in series.buckets.iter().zip(BUCKETS_US) {
                let le = Duration::from_micros(bound).as_secs_f64();
                line(out, format_args!("{NAME}_bucket{{{labels},le=\"{le}\"}} {count}"));
            }
            let count = series.count;
            let sum = Duration::from_micros(series.sum_us).as_secs_f64();
            line(out, format_args!("{NAME}_bucket{{{labels},le=\"+Inf\"}} {count}"));
            line(out, format_args!("{NAME}_sum{{{labels}}} {sum}"));
            line(out, format_args!("{NAME}_count{{{labels}}} {count}"));
        }
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("a String takes all that is written to it");
}

/// A method as a label; a client may make up others, which must not grow the map.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_in_every_bucket_that_it_fits() {
        let metrics = Metrics::default();
        metrics.observe("/v1/gc", &Method::POST, StatusCode::OK, Duration::from_millis(3));
        let text = metrics.render(
            &BTreeMap::from([("running", 2)]),
            CommitTimes { count: 2, sum: Duration::from_millis(3) },
        );
        let labels = r#"route="/v1/gc",method="POST",status="200""#;
        for line in [
            format!("sandbar_request_duration_seconds_bucket{{{labels},le=\"0.0025\"}} 0"),
            format!("sandbar_request_duration_seconds_bucket{{{labels},le=\"0.005\"}} 1"),
            format!("sandbar_request_duration_seconds_sum{{{labels}}} 0.003"),
            "sandbar_sandboxes{state=\"running\"} 2".to_owned(),
            "sandbar_store_commit_seconds_sum 0.003".to_owned(),
            "sandbar_store_commit_seconds_count 2".to_owned(),
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in {text}");
        }
    }

    #[test]
    fn made_up_methods_share_one_label() {
        let metrics = Metrics::default();
        for name in ["A", "B", "C"] {
            let method = Method::from_bytes(name.as_bytes()).unwrap();
            metrics.observe("/", &method, StatusCode::OK, Duration::ZERO);
        }
        assert_eq!(metrics.requests.lock().unwrap().len(), 1);
    }
}
