//! Whether the logs of an app are whole, whoever is killed: no line is missing, and the next run goes on where the last one ended.

#![expect(clippy::disallowed_methods, reason = "a test looks for processes as a user does")]

use std::{fs, process::Command, time::Duration};

use sandbar_host_tests::{App, Project, Server, eventually, visit};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(30);

/// The first line of each run of `beat` says so, and each later line one more than the one before.
const BEAT: &str =
    "echo a run began; i=0; while :; do i=$((i+1)); echo $i >beats; echo beat $i; sleep 0.1; done";

fn project() -> Project {
    let manifest = "version: 1
web: {command: exec /usr/bin/python3 -m http.server 4000, port: 4000}
workers: [{name: beat, command: exec sh beat.sh}, {name: mark, command: exec sleep 3607.21}]
";
    Project::new().file("sandbox.yaml", manifest).file("beat.sh", BEAT).file("hello.txt", "hello\n")
}

fn started(server: &Server, project: &Project) -> App {
    let source = json!({ "kind": "directory", "path": project.path() });
    let app = App::create(server, &json!({ "source": source }));
    app.ready(server, DEADLINE);
    eventually("it beats", DEADLINE, || {
        let lines = app.lines(server, "beat");
        if lines.iter().any(|line| line == "beat 5") { Ok(()) } else { Err(lines) }
    });
    app
}

fn serves(server: &Server, app: &App) {
    let url = app.ready(server, DEADLINE);
    let reply = visit(&url, "/hello.txt", "").expect("an answer");
    assert_eq!((reply.status, reply.body.as_str()), (200, "hello\n"), "{reply:?}");
}

fn pids(status: &Value) -> Vec<Value> {
    let processes = status["processes"].as_array().expect("a list");
    processes.iter().map(|process| process["pid"].clone()).collect()
}

/// The supervisor of our marked worker, and its keeper, by their numbers on the host.
fn supervisor_and_keeper() -> (u32, u32) {
    let output =
        Command::new("pgrep").args(["-x", "-f", "sleep 3607.21"]).output().expect("pgrep runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let mark = text.lines().next().and_then(|pid| pid.parse().ok()).expect("the worker runs");
    let supervisor = parent(mark);
    let keeper = parent(supervisor);
    let line = fs::read(format!("/proc/{keeper}/cmdline")).expect("the keeper runs");
    assert!(String::from_utf8_lossy(&line).contains("__launch"), "{line:?}");
    (supervisor, keeper)
}

fn parent(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    line.and_then(|line| line.trim().parse().ok()).expect("every process has a parent")
}

fn kill(pid: u32) {
    let killed = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
    assert!(killed.expect("kill runs").success());
}

/// Every run of `beat` counts from 1 without a gap; how many runs there are.
fn runs(lines: &[String]) -> usize {
    let mut next = 1;
    // Between two runs the supervisor says how the first one ended, where it lived to see it.
    for line in lines.iter().filter(|line| !line.starts_with("ended as asked")) {
        if line == "a run began" {
            next = 1;
        } else {
            assert_eq!(line, &format!("beat {next}"), "a line is missing in {lines:?}");
            next += 1;
        }
    }
    lines.iter().filter(|line| *line == "a run began").count()
}

#[test]
fn an_app_goes_on_when_the_server_is_killed_and_is_known_again() {
    let mut server = Server::start();
    let project = project();
    let app = started(&server, &project);
    let before = app.status(&server);
    let beats = app.read(&server, "beats");
    server.kill();
    let (supervisor, _) = supervisor_and_keeper();
    server.restart();
    assert_eq!(supervisor_and_keeper().0, supervisor);
    serves(&server, &app);
    let after = app.status(&server);
    assert_eq!(pids(&after), pids(&before), "the same processes");
    eventually("it beats on", DEADLINE, || {
        let now = app.read(&server, "beats");
        if now == beats { Err(now) } else { Ok(()) }
    });
    assert_eq!(runs(&app.lines(&server, "beat")), 1);
}

#[test]
fn an_app_whose_keeper_is_killed_is_back_after_a_start_and_its_logs_are_whole() {
    let reason = comes_back(|(_, keeper)| keeper);
    assert_eq!(reason, "keeper_lost");
}

#[test]
fn an_app_whose_supervisor_is_killed_is_back_after_a_start_and_its_logs_are_whole() {
    let reason = comes_back(|(supervisor, _)| supervisor);
    assert_eq!(reason, "supervisor_exited");
}

/// Kills one of supervisor and keeper, starts the sandbox again, and returns why it had failed.
fn comes_back(which: impl FnOnce((u32, u32)) -> u32) -> String {
    let server = Server::start();
    let project = project();
    let app = started(&server, &project);
    kill(which(supervisor_and_keeper()));
    let failed = app.sandbox_is(&server, "failed", DEADLINE);
    let status = app.when(&server, DEADLINE, |app| app["processes"][0]["state"] == "stopped");
    assert_eq!(status["preview"]["status"], "error", "{status}");
    assert_eq!(pids(&status), [Value::Null, Value::Null, Value::Null], "{status}");
    let old = app.lines(&server, "beat");
    assert!(runs(&old) == 1 && old.len() > 5, "still readable: {old:?}");

    let start = server.api("POST", &app.path("start"), None);
    assert!(start.status < 300, "{start:?}");
    serves(&server, &app);
    let lines = eventually("the new run is in the log", DEADLINE, || {
        let lines = app.lines(&server, "beat");
        if runs(&lines) == 2 { Ok(lines) } else { Err(lines) }
    });
    assert_eq!(lines[..old.len()], old[..], "what was there comes first");
    failed["reason"]["code"].as_str().unwrap_or_default().to_owned()
}
