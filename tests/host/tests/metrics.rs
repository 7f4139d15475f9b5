//! Does a server that did something say so to a scraper, and is its dashboard of that?

use std::time::Duration;

use sandbar_host_tests::{Project, Server, eventually, visit};
use serde_json::json;

const DEADLINE: Duration = Duration::from_secs(30);

const SHOP: &str = "\
version: 1
web:
  command: exec python3 -u -m http.server 8123 --bind 127.0.0.1
  port: 8123
";

fn scrape(server: &Server) -> String {
    let reply = server.api("GET", "/metrics", None);
    assert_eq!(reply.status, 200, "{reply:?}");
    String::from_utf8(reply.body).expect("metrics are text")
}

/// The value of a series; 0 where it is not there yet.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a value is a number"))
}

#[test]
fn a_create_an_exec_and_a_preview_are_counted_and_ids_and_paths_are_not_told() {
    let server = Server::start();
    let project = Project::new().file("index.html", "welcome").file("sandbox.yaml", SHOP);
    let body = json!({ "source": { "kind": "directory", "path": project.path() } });
    let sandbox = server.api("POST", "/v1/sandboxes", Some(&body)).expect(201);
    let name = sandbox["name"].as_str().expect("a name");
    let id = sandbox["id"].as_str().expect("an id");
    let app = server.app_when(name, "ready", DEADLINE);
    let url = app["preview"]["url"].as_str().expect("a URL");
    assert_eq!(server.sh(name, "echo hello"), "hello\n");
    assert_eq!(visit(url, "/", "").expect("it answers").status, 200);
    let text = eventually("the exec is over", DEADLINE, || {
        let text = scrape(&server);
        if value(&text, "sandbar_execs_running") < 0.5 { Ok(text) } else { Err(text) }
    });
    for (series, least) in [
        ("sandbar_creates_total", 1.0),
        ("sandbar_sandboxes{state=\"running\"}", 1.0),
        ("sandbar_launch_duration_seconds_count", 1.0),
        ("sandbar_execs_total", 1.0),
        ("sandbar_preview_requests_total{status=\"2xx\"}", 1.0),
        ("sandbar_events_written_total", 4.0),
        ("sandbar_store_commit_seconds_count", 4.0),
        ("sandbar_data_dir_free_bytes", 1.0),
        ("process_resident_memory_bytes", 1.0),
        ("process_open_fds", 3.0),
        (
            "sandbar_request_duration_seconds_count{route=\"/v1/sandboxes\",method=\"POST\",status=\"2xx\"}",
            1.0,
        ),
    ] {
        assert!(value(&text, series) >= least, "{series} in {text}");
    }
    let source = project.path().display().to_string();
    for told in [id, name, source.as_str()] {
        assert!(!text.contains(told), "{told} in {text}");
    }
    let top = server.sandbar(project.path(), &["top", "--once", "--json"]);
    let rows: serde_json::Value = serde_json::from_slice(&top.stdout).expect("top writes JSON");
    assert_eq!(rows[0]["id"], id, "{rows}");
    assert!(rows[0]["pids"].as_u64().is_none_or(|count| count > 0), "{rows}");
}
