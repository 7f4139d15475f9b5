//! What this process counts, for Prometheus.
//!
//! [`page`] says every metric once; `docs/operations.md` has them as a table, and a test compares. The format is written
//! by hand ([`text`]): the usual library keeps its counters in a global of the process, and two servers of one test
//! would share them. Values of labels are bounded: a route, never a path; no ids and no hosts.

mod page;
mod process;
mod text;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{Method, StatusCode};
use sandbar_engine::{Counter, Counters, DurationCounts};

pub(crate) use self::page::{Page, Seen};

/// What the server counts beside what the engine does. One lock, held for a look-up in a small map.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<Key, DurationCounts>>,
    /// Creates that were answered from an idempotency key.
    pub(crate) replays: Counter,
    /// Sandboxes that were created.
    pub(crate) creates: Counter,
    /// Answers that were no success, by their code.
    pub(crate) problems: Counters,
    /// Requests of previews, by the class of their status.
    pub(crate) previews: Counters,
    /// Requests that came too often.
    pub(crate) rate_limited: Counter,
    /// Connections of either listener that are open.
    pub(crate) connections: AtomicU64,
}

/// Routes, methods and classes are few, so the map is bounded.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    route: String,
    method: &'static str,
    status: &'static str,
}

impl Metrics {
    /// Counts one answered request.
    pub(crate) fn observe(&self, route: &str, method: &Method, status: StatusCode, took: Duration) {
        let key =
            Key { route: route.to_owned(), method: known(method), status: status_class(status) };
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.entry(key).or_default().add(took);
    }

    /// Counts a request of a preview.
    pub(crate) fn preview(&self, status: StatusCode) {
        self.previews.add_one(status_class(status));
    }

    fn open_connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

/// The class of a status as a label.
fn status_class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500..600 => "5xx",
        _ => "other",
    }
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
    fn made_up_methods_share_one_label() {
        let metrics = Metrics::default();
        for name in ["A", "B", "C"] {
            let method = Method::from_bytes(name.as_bytes()).unwrap();
            metrics.observe("/", &method, StatusCode::OK, Duration::ZERO);
        }
        assert_eq!(metrics.requests.lock().unwrap().len(), 1);
    }

    #[test]
    fn statuses_of_a_class_share_one_label() {
        let classes = [101, 204, 304, 422, 503, 999]
            .map(|status| status_class(StatusCode::from_u16(status).unwrap()));
        assert_eq!(classes, ["1xx", "2xx", "3xx", "4xx", "5xx", "other"]);
    }
}
