//! What a crash of any part of it leaves, and what comes back.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts programs and waits for them as a user does"
)]

use std::{
    fs,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use sandbar_host_tests::{Project, Server, eventually};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(30);

fn state(server: &Server, sandbox: &str) -> Value {
    server.api("GET", &format!("/v1/sandboxes/{sandbox}"), None).json()["state"].clone()
}

/// Starts a command that counts to `until`, about a hundred a second, and returns the exec's id.
fn start_counting(server: &Server, sandbox: &str, until: u32) -> String {
    let script =
        format!("i=0; while [ $i -lt {until} ]; do i=$((i+1)); echo line $i; sleep 0.01; done");
    let body = json!({ "argv": ["sh", "-c", script] });
    let exec =
        server.api("POST", &format!("/v1/sandboxes/{sandbox}/execs"), Some(&body)).expect(201);
    exec["id"].as_str().expect("an exec has an id").to_owned()
}

/// Everything that `sandbar logs` prints of an exec.
fn output(server: &Server, sandbox: &str, exec: &str) -> String {
    let output = server.sandbar(server.data_dir(), &["logs", sandbox, exec]);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn v3_a_killed_server_finds_its_sandboxes_again_and_no_output_is_lost() {
    let mut server = Server::start();
    let project = Project::new();
    let sandboxes: Vec<(String, String)> = (0..20)
        .map(|_| {
            let sandbox = server.create(&project);
            let exec = start_counting(&server, &sandbox, 300);
            (sandbox, exec)
        })
        .collect();
    server.kill();
    server.restart();
    for (sandbox, exec) in &sandboxes {
        assert_eq!(state(&server, sandbox), "running", "{sandbox}");
        assert_eq!(server.sh(sandbox, "echo alive").trim(), "alive");
        let path = format!("/v1/sandboxes/{sandbox}/execs/{exec}");
        eventually("the exec ends", DEADLINE, || {
            let state = server.api("GET", &path, None).json()["state"].clone();
            if state == "ended" { Ok(()) } else { Err(state) }
        });
        let expected: String = (1..=300).map(|line| format!("line {line}\n")).collect();
        assert_eq!(output(&server, sandbox, exec), expected);
    }
}

#[test]
fn a_killed_keeper_takes_its_sandbox_along_and_the_files_stay() {
    let server = Server::start();
    let project = Project::new().file("a", "x");
    let sandbox = server.create(&project);
    server.sh(&sandbox, "echo y >a; setsid sleep 3601.33 >/dev/null 2>&1 &");
    let pattern = "sandbar __launch";
    // The keeper of this sandbox is the one whose child is the supervisor that has our sleep below it.
    let sleeper = pgrep("sleep 3601.33").pop().expect("it runs");
    let supervisor = parent(sleeper);
    let keeper = parent(supervisor);
    let line = fs::read(format!("/proc/{keeper}/cmdline")).expect("the keeper runs");
    assert!(String::from_utf8_lossy(&line).replace('\0', " ").contains("__launch"), "{pattern}");
    let killed =
        Command::new("kill").args(["-KILL", &keeper.to_string()]).status().expect("kill runs");
    assert!(killed.success());
    eventually("the sandbox is failed", DEADLINE, || {
        let state = state(&server, &sandbox);
        if state == "failed" { Ok(()) } else { Err(state) }
    });
    eventually("nothing of it runs", DEADLINE, || {
        let left = pgrep("sleep 3601.33");
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    let changes = server.changes(&sandbox);
    assert_eq!(changes["items"][0]["path"], "a", "{changes}");
}

fn pgrep(command_line: &str) -> Vec<u32> {
    let output =
        Command::new("pgrep").args(["-x", "-f", command_line]).output().expect("pgrep runs");
    String::from_utf8_lossy(&output.stdout).lines().filter_map(|pid| pid.parse().ok()).collect()
}

fn parent(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))
        .expect("every process has a parent");
    line.trim().parse().expect("a number")
}

#[test]
fn a_server_killed_in_the_middle_of_creates_and_deletes_leaves_no_orphan() {
    let before = pgrep_all("__supervise").len();
    let mut server = Server::start();
    let project = Project::new();
    for round in 0..8_u64 {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| churn(&server, &project, &stop));
            // Not a wait for an effect: the moment of the crash, another one in each round.
            thread::sleep(Duration::from_millis(20 + 13 * round));
            stop.store(true, Ordering::Relaxed);
            server.crash();
        });
        server.restart();
        eventually("every sandbox has settled", DEADLINE, || {
            let list = server.api("GET", "/v1/sandboxes?limit=200", None).expect(200);
            let states: Vec<Value> = list["items"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|s| s["state"].clone())
                .collect();
            let settled = |state: &Value| {
                ["running", "stopped", "failed"].contains(&state.as_str().unwrap_or_default())
            };
            if states.iter().all(settled) { Ok(()) } else { Err(states) }
        });
    }
    let listed = server.api("GET", "/v1/sandboxes?limit=200", None).json()["items"]
        .as_array()
        .map_or(0, Vec::len);
    let running = server.api("GET", "/v1/sandboxes?limit=200&state=running", None).json()["items"]
        .as_array()
        .map_or(0, Vec::len);
    eventually("as many keepers as sandboxes run", DEADLINE, || {
        let supervisors = pgrep_all("__supervise").len();
        if supervisors == before + running { Ok(()) } else { Err((supervisors, running, listed)) }
    });
}

/// Creates and deletes until it is told to stop, or the server goes away.
fn churn(server: &Server, project: &Project, stop: &AtomicBool) {
    let body = json!({ "source": { "kind": "directory", "path": project.path() } });
    for turn in 0.. {
        let created = server.try_api("POST", "/v1/sandboxes", Some(&body));
        let Ok(reply) = created else { return };
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if let (true, Some(id)) = (turn % 2 == 0, reply.json()["id"].as_str()) {
            server.try_api("DELETE", &format!("/v1/sandboxes/{id}"), None).ok();
        }
    }
}

fn pgrep_all(text: &str) -> Vec<u32> {
    let output = Command::new("pgrep").args(["-f", text]).output().expect("pgrep runs");
    String::from_utf8_lossy(&output.stdout).lines().filter_map(|pid| pid.parse().ok()).collect()
}
