use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;

use super::*;

fn families() -> (String, Vec<Family>) {
    let (server, engine) = (Metrics::default(), EngineMetrics::default());
    Page { server: &server, engine: &engine, seen: Seen::default() }.write().finish()
}

#[test]
fn what_is_counted_is_what_is_shown() {
    let (server, engine) = (Metrics::default(), EngineMetrics::default());
    engine.launch_failures.add_one("seed");
    engine.launches.add(Duration::from_millis(300));
    let _running = engine.execs_running.hold();
    server.preview(http::StatusCode::BAD_GATEWAY);
    server.rate_limited.add_one();
    engine.tasks_ended.add_one("failed");
    engine.tasks.add(Duration::from_secs(100));
    let seen = Seen {
        sandboxes: BTreeMap::from([("running", 2)]),
        tasks: BTreeMap::from([("waiting", 3)]),
        tasks_asking: 2,
        commits: CommitTimes { count: 2, sum: Duration::from_millis(3) },
        egress: EgressCounts { allowed: 3, denied: BTreeMap::from([("host_not_allowed", 4)]) },
        store_unavailable: 5,
        free_bytes: Some(6),
        upkeep: Vec::new(),
    };
    let text = Page { server: &server, engine: &engine, seen }.render();
    for line in [
        "sandbar_sandboxes{state=\"running\"} 2",
        "sandbar_tasks{state=\"waiting\"} 3",
        "sandbar_tasks_asking 2",
        "sandbar_tasks_ended_total{state=\"failed\"} 1",
        "sandbar_task_duration_seconds_bucket{le=\"60\"} 0",
        "sandbar_task_duration_seconds_bucket{le=\"600\"} 1",
        "sandbar_store_commit_seconds_sum 0.003",
        "sandbar_store_commit_seconds_count 2",
        "sandbar_launch_failures_total{step=\"seed\"} 1",
        "sandbar_launch_duration_seconds_bucket{le=\"0.1\"} 0",
        "sandbar_launch_duration_seconds_bucket{le=\"0.5\"} 1",
        "sandbar_execs_running 1",
        "sandbar_preview_requests_total{status=\"5xx\"} 1",
        "sandbar_rate_limited_total 1",
        "sandbar_egress_allowed_total 3",
        "sandbar_egress_denied_total{reason=\"host_not_allowed\"} 4",
        "sandbar_store_unavailable_total 5",
        "sandbar_data_dir_free_bytes 6",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in {text}");
    }
}

#[test]
fn names_follow_the_rules_of_prometheus() {
    let (_, families) = families();
    let names: BTreeSet<_> = families.iter().map(|family| family.name).collect();
    assert_eq!(names.len(), families.len(), "each is there once");
    for Family { kind, name, labels, help } in families {
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        assert!(name.starts_with("sandbar_") || name.starts_with("process_"), "{name}");
        assert!(help.ends_with('.'), "{name}");
        match kind {
            Kind::Counter => assert!(name.ends_with("_total"), "{name}"),
            Kind::Histogram | Kind::Summary => assert!(name.ends_with("_seconds"), "{name}"),
            Kind::Gauge => assert!(!name.ends_with("_total"), "{name}"),
        }
        let is_bounded = |label: &&str| !["sandbox", "id", "path", "host", "user"].contains(label);
        assert!(labels.iter().all(is_bounded), "{name}");
    }
}

#[test]
fn the_documentation_lists_every_metric_as_it_is() {
    let docs = include_str!("../../../../docs/operations.md");
    let listed: Vec<&str> = docs
        .lines()
        .filter(|line| line.starts_with("| `sandbar_") || line.starts_with("| `process_"))
        .collect();
    let expected: Vec<String> = families()
        .1
        .iter()
        .map(|Family { kind, name, labels, help }| {
            let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
            format!("| `{name}` | {} | {} | {help} |", kind.as_str(), labels.join(", "))
        })
        .collect();
    assert_eq!(listed, expected, "\n{}\n", expected.join("\n"));
}

/// Words of a query that begin as metrics do.
fn metrics_of(query: &str) -> impl Iterator<Item = &str> {
    query
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("sandbar_") || word.starts_with("process_"))
}

fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(query) if name == "expr" => found.push(query.to_owned()),
                    Some(_) | None => queries(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| queries(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    let dashboard = include_str!("../../../../docs/grafana.json");
    let dashboard: Value = serde_json::from_str(dashboard).unwrap();
    let mut asked = Vec::new();
    queries(&dashboard, &mut asked);
    assert!(asked.len() >= 10, "{asked:?}");
    let families = families().1;
    for query in &asked {
        for word in metrics_of(query) {
            let is_there = families.iter().any(|Family { kind, name, .. }| {
                let suffixes: &[&str] = match kind {
                    Kind::Counter | Kind::Gauge => &[""],
                    Kind::Histogram => &["_bucket", "_sum", "_count"],
                    Kind::Summary => &["_sum", "_count"],
                };
                suffixes.iter().any(|suffix| word.strip_suffix(suffix) == Some(name))
            });
            assert!(is_there, "{word} in {query}");
        }
        assert!(metrics_of(query).next().is_some(), "{query}");
    }
}
