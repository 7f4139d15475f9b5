//! Do apps stay up, sleep and wake, and say truthfully how they are?

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts programs and waits for them as a user does"
)]

use std::{fs, thread, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use sandbar_host_tests::{Project, Server, eventually, visit};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(30);

/// A shop that python serves, and a worker that counts.
const SHOP: &str = "\
version: 1
web:
  command: echo opened; exec python3 -u -m http.server 8123 --bind 127.0.0.1
  port: 8123
  health: {http: {path: /}, interval: 500ms, timeout: 1s, failures: 2}
workers:
  - name: beat
    command: while true; do echo beat; sleep 0.2; done
";

fn shop(manifest: &str) -> Project {
    Project::new().file("index.html", "welcome to the shop").file("sandbox.yaml", manifest)
}

/// The sandbox lives no longer than its source, so both are returned.
fn create(server: &Server, project: Project, more: &Value) -> (String, Project) {
    let mut body = json!({ "source": { "kind": "directory", "path": project.path() } });
    body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    let sandbox = server.api("POST", "/v1/sandboxes", Some(&body)).expect(201);
    (sandbox["name"].as_str().expect("a sandbox has a name").to_owned(), project)
}

fn url(app: &Value) -> String {
    app["preview"]["url"].as_str().expect("the preview has a URL").to_owned()
}

fn sandbox(server: &Server, name: &str) -> Value {
    server.api("GET", &format!("/v1/sandboxes/{name}"), None).expect(200)
}

fn state(server: &Server, name: &str) -> Value {
    sandbox(server, name)["state"].clone()
}

fn process(app: &Value, name: &str) -> Value {
    let all = app["processes"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|process| process["name"] == name).unwrap_or_default()
}

fn events(server: &Server, sandbox: &str) -> Vec<Value> {
    let path = format!("/v1/sandboxes/{sandbox}/events?limit=200");
    let page = server.api_with("GET", &path, &[("accept", "application/json")], None).expect(200);
    page["items"].as_array().cloned().unwrap_or_default()
}

/// The host's id of the process that runs `command` in a sandbox, whatever the path of its program is there.
fn host_pid(command: &str) -> Pid {
    let found = fs::read_dir("/proc").expect("proc is there").filter_map(|entry| {
        let pid = entry.ok()?.file_name().to_str()?.parse::<i32>().ok()?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        (line.contains(command) && !line.contains("bash ")).then_some(pid)
    });
    found.last().and_then(Pid::from_raw).unwrap_or_else(|| panic!("nobody runs {command}"))
}

#[test]
fn an_app_is_served_by_its_url_and_unknown_foreign_and_stopped_ones_are_told_apart() {
    let server = Server::start();
    let (name, _project) = create(&server, shop(SHOP), &json!({}));
    let url = url(&server.app_when(&name, "ready", DEADLINE));
    let page = visit(&url, "/", "").expect("it answers");
    assert_eq!((page.status, page.body.as_str()), (200, "welcome to the shop"));
    let unknown = visit(&url.replace(&name, "nobody"), "/", "").expect("it answers");
    assert_eq!(unknown.status, 404, "{unknown:?}");
    let port = url.trim_end_matches('/').rsplit(':').next().expect("a port");
    let foreign = visit(&format!("http://shop.example.org:{port}/"), "/", "").expect("it answers");
    assert_eq!(foreign.status, 421, "{foreign:?}");
    let other = visit(&url.replace("8123-", "8124-"), "/", "").expect("it answers");
    assert_eq!(other.status, 502, "{other:?}");
    assert!(other.body.contains("8123"), "{other:?}");
    assert_eq!(server.api("POST", &format!("/v1/sandboxes/{name}/stop"), None).status, 200);
    let stopped = visit(&url, "/", "").expect("it answers");
    assert_eq!(stopped.status, 503, "{stopped:?}");
    assert!(stopped.body.contains("preview_stopped"), "{stopped:?}");
    // D11: no process of a stopped sandbox is shown as one that runs.
    eventually("nothing is shown as running", DEADLINE, || {
        let web = process(&server.app(&name), "web");
        if web["state"] == "stopped" && web["pid"].is_null() { Ok(()) } else { Err(web) }
    });
}

#[test]
fn sb10_an_idle_app_sleeps_a_hundred_requests_wake_it_once_and_a_keepalive_outlives_it() {
    let server = Server::start();
    let idle = json!({ "expiry": { "idle_timeout_ms": 2_000 } });
    // One that takes a hundred connections at once: the module's own queue has room for five.
    let many = shop(&SHOP.replace("-m http.server 8123 --bind 127.0.0.1", "serve.py")).file(
        "serve.py",
        "import http.server as h\nh.ThreadingHTTPServer.request_queue_size = 256\n\
         h.test(h.SimpleHTTPRequestHandler, h.ThreadingHTTPServer, port=8123, bind='127.0.0.1')\n",
    );
    let (name, _project) = create(&server, many, &idle);
    let (kept, _kept) = create(&server, shop(SHOP), &idle);
    let until = hour_ahead();
    let body = json!({ "until": until });
    let answer = server.api("POST", &format!("/v1/sandboxes/{kept}/keepalive"), Some(&body));
    assert!(answer.expect(200)["keepalive_until"].is_string());
    let url = url(&server.app_when(&name, "asleep", DEADLINE));
    assert_eq!(sandbox(&server, &name)["stop_reason"], "idle");
    let visitors: Vec<_> = (0..100)
        .map(|_| {
            let url = url.clone();
            thread::spawn(move || visit(&url, "/", "").expect("it is held").status)
        })
        .collect();
    let statuses: Vec<u16> =
        visitors.into_iter().map(|visitor| visitor.join().expect("it ended")).collect();
    assert_eq!(statuses, [200; 100]);
    let woken = events(&server, &name).iter().filter(|event| event["type"] == "running").count();
    assert_eq!(woken, 2, "created, and woken once");
    assert_eq!(state(&server, &kept), "running", "kept awake");
}

/// An hour ahead, in RFC 3339; by the clock of the host.
fn hour_ahead() -> String {
    let date = std::process::Command::new("date")
        .args(["-u", "-d", "+1 hour", "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .expect("date is there");
    String::from_utf8_lossy(&date.stdout).trim().to_owned()
}

#[test]
fn s3_a_browser_sees_a_page_while_the_app_wakes_that_is_no_success() {
    let server = Server::start();
    let slow = SHOP.replace("echo opened;", "sleep 2;");
    let more = json!({ "expiry": { "idle_timeout_ms": 2_000 } });
    let (name, _project) = create(&server, shop(&slow), &more);
    let url = url(&server.app_when(&name, "asleep", DEADLINE));
    let browser = "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n";
    let page = visit(&url, "/", browser).expect("it answers");
    assert_eq!(page.status, 503, "{page:?}");
    assert!(page.head.contains("retry-after:") && page.body.contains("<html"), "{page:?}");
    eventually("the page leads into the app", DEADLINE, || {
        let page = visit(&url, "/", browser).expect("it answers");
        if page.body == "welcome to the shop" { Ok(()) } else { Err(page.status) }
    });
}

#[test]
fn an_app_that_hangs_is_unhealthy_and_healthy_again_when_it_answers() {
    let server = Server::start();
    let (name, _project) = create(&server, shop(&SHOP.replace("8123", "8131")), &json!({}));
    let _ready = server.app_when(&name, "ready", DEADLINE);
    let serving = host_pid("-u -m http.server 8131");
    kill_process(serving, Signal::STOP).expect("it runs");
    let unhealthy = server.app_when(&name, "down", DEADLINE);
    assert_eq!(process(&unhealthy, "web")["state"], "unhealthy", "{unhealthy}");
    eventually("the history says so", DEADLINE, || {
        let all = events(&server, &name);
        if all.iter().any(|event| event["type"] == "process_unhealthy") { Ok(()) } else { Err(all) }
    });
    kill_process(serving, Signal::CONT).expect("it runs");
    let _again = server.app_when(&name, "ready", DEADLINE);
}

#[test]
fn a_server_on_another_port_is_said_to_be_there() {
    let server = Server::start();
    let manifest = SHOP.replace("port: 8123", "port: 3000\n  ready: {deadline: 20s}");
    let (name, _project) = create(&server, shop(&manifest), &json!({}));
    eventually("the hint names both ports", DEADLINE, || {
        let web = process(&server.app(&name), "web");
        let hint = web["hint"].as_str().unwrap_or_default().to_owned();
        if hint.contains("8123") && hint.contains("3000") { Ok(()) } else { Err(web) }
    });
}

#[test]
fn d10_an_app_of_workers_alone_has_no_preview_and_no_url() {
    let server = Server::start();
    let manifest = "version: 1\nworkers: [{name: beat, command: exec sleep 3600}]\n";
    let (name, _project) = create(&server, shop(manifest), &json!({}));
    let app = eventually("it works", DEADLINE, || {
        let app = server.app(&name);
        if process(&app, "beat")["state"] == "running" { Ok(app) } else { Err(app) }
    });
    assert_eq!((&app["preview"]["status"], &app["preview"]["url"]), (&json!("none"), &Value::Null));
}
