//! What a sandbox may use, and what becomes of one that uses more.

use std::{thread, time::Duration};

use sandbar_host_tests::{Disk, Project, Server, eventually};
use serde_json::{Value, json};

/// A sandbox over `project` with these limits.
fn limited(server: &Server, project: &Project, limits: &Value) -> String {
    let body =
        json!({ "source": { "kind": "directory", "path": project.path() }, "limits": limits });
    let sandbox = server.api("POST", "/v1/sandboxes", Some(&body)).expect(201);
    sandbox["id"].as_str().expect("a sandbox has an id").to_owned()
}

fn events(server: &Server, sandbox: &str) -> String {
    let path = format!("/v1/sandboxes/{sandbox}/events");
    String::from_utf8_lossy(&server.api("GET", &path, None).body).into_owned()
}

/// Fills memory that nothing can be dropped of, and never ends by itself.
const HOG: &str = "a=x; while :; do a=$a$a; done";

#[test]
fn a_memory_hog_is_killed_and_its_end_says_why() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = limited(&server, &project, &json!({ "memory_bytes_max": 64 << 20 }));
    let result = server.exec(&sandbox, &["sh", "-c", HOG]);
    assert_eq!((&result["exit_code"], &result["end"]["oom_killed"]), (&json!(137), &json!(true)));
    // Nothing but the hog was killed, and what is killed otherwise is not for memory.
    let other = server.exec(&sandbox, &["sh", "-c", "kill -KILL $$"]);
    assert_eq!((&other["exit_code"], &other["end"]["oom_killed"]), (&json!(137), &json!(false)));
    // What it was is known afterwards, too, though the log was written by one who could not know.
    let id = result["id"].as_str().expect("an exec has an id");
    eventually("the end is recorded", Duration::from_secs(10), || {
        let exec =
            server.api("GET", &format!("/v1/sandboxes/{sandbox}/execs/{id}"), None).expect(200);
        if exec.to_string().contains(r#""oom_killed":true"#) { Ok(()) } else { Err(exec) }
    });
    let said = server.sandbar(project.path(), &["exec", &sandbox, "--", "sh", "-c", HOG]);
    assert_eq!(said.status.code(), Some(137));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("memory limit of 64.0 MiB was reached"), "{said}");
}

#[test]
fn agents_go_before_the_host_when_memory_is_short() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    assert_eq!(server.sh(&sandbox, "cat /proc/self/oom_score_adj"), "500\n");
}

#[test]
fn a_fork_bomb_ends_at_the_limit_of_processes() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = limited(&server, &project, &json!({ "pids_max": 64 }));
    let bomb = server.exec(
        &sandbox,
        &["sh", "-c", "i=0; while [ $i -lt 500 ]; do sleep 1000 & i=$((i+1)); done"],
    );
    assert_ne!(bomb["exit_code"], 0, "{bomb}");
    let usage = server.api("GET", &format!("/v1/sandboxes/{sandbox}/usage"), None).expect(200);
    assert!(usage["pids"].as_u64().is_some_and(|pids| pids <= 64), "{usage}");
    let stopped = server.api("POST", &format!("/v1/sandboxes/{sandbox}/stop"), None);
    assert!(stopped.status < 300, "{stopped:?}");
}

#[test]
fn a_command_ends_with_its_timeout() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    // A child that ignores TERM and holds the output open does not hold the end up.
    let argv = ["sh", "-c", "trap '' TERM; sleep 1000 & wait; sleep 1000"];
    let body = json!({ "argv": argv, "wait": true, "timeout_ms": 300 });
    let result =
        server.api("POST", &format!("/v1/sandboxes/{sandbox}/execs"), Some(&body)).expect(200);
    assert_eq!(result["exit_code"], 124, "{result}");
}

#[test]
fn open_files_are_limited() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = limited(&server, &project, &json!({ "open_files_max": 70 }));
    assert_eq!(server.sh(&sandbox, "ulimit -Hn; ulimit -Sn"), "70\n70\n");
    let raised = server.exec(&sandbox, &["sh", "-c", "ulimit -n 71"]);
    assert_ne!(raised["exit_code"], 0, "{raised}");
}

#[test]
fn s8_where_the_limit_is_watched_a_sandbox_that_fills_the_disk_is_stopped_and_keeps_its_files() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = limited(&server, &project, &json!({ "disk_bytes_max": 16 << 20 }));
    let (server, sandbox) = (&server, sandbox.as_str());
    thread::scope(|scope| {
        // Ended with its sandbox; what it answers does not matter.
        scope.spawn(|| {
            let script = "head -c 32000000 /dev/urandom >big; sleep 1000";
            let body = json!({ "argv": ["sh", "-c", script], "wait": true });
            let path = format!("/v1/sandboxes/{sandbox}/execs");
            drop(server.try_api("POST", &path, Some(&body)));
        });
        eventually("it is stopped", Duration::from_secs(30), || {
            let shown = server.api("GET", &format!("/v1/sandboxes/{sandbox}"), None).expect(200);
            if shown["state"] == "stopped" { Ok(()) } else { Err(shown["state"].clone()) }
        });
    });
    let events = events(server, sandbox);
    assert!(events.contains("disk_full") && events.contains("disk_exceeded"), "{events}");
    let shown = server.api("GET", &format!("/v1/sandboxes/{sandbox}"), None).expect(200);
    assert_eq!(shown["isolation"]["limits"]["disk"], "watched", "{shown}");
    assert!(server.changes(sandbox).to_string().contains("big"));
}

/// A sandbox on `disk` cannot write more than its limit, is told so, and runs on.
fn assert_held_by_the_file_system(disk: &Disk) {
    let server = Server::start_in(&disk.at());
    let project = Project::new();
    let sandbox = limited(&server, &project, &json!({ "disk_bytes_max": 16 << 20 }));
    let shown = server.api("GET", &format!("/v1/sandboxes/{sandbox}"), None).expect(200);
    assert_eq!(shown["isolation"]["limits"]["disk"], "quota", "{shown}");
    // No file is as large as the limit: that would be refused otherwise.
    let fill = "for n in 1 2 3 4 5 6 7 8 9; do head -c 4000000 /dev/urandom >part$n; sync; done";
    let filled = server.exec(&sandbox, &["sh", "-c", fill]).to_string();
    assert!(filled.contains("quota exceeded") || filled.contains("No space left"), "{filled}");
    let size: u64 = server.sh(&sandbox, "cat part* | wc -c").trim().parse().expect("a number");
    assert!((8 << 20..21 << 20).contains(&size), "{size}");
    // The home directory is in the same limit.
    let fill = "head -c 8000000 /dev/urandom >~/big; sync";
    let filled = server.exec(&sandbox, &["sh", "-c", fill]).to_string();
    assert!(filled.contains("quota exceeded") || filled.contains("No space left"), "{filled}");
    eventually("it is said outside", Duration::from_secs(30), || {
        let events = events(&server, &sandbox);
        if events.contains("disk_exceeded") { Ok(()) } else { Err(events) }
    });
    // It can make room by itself, and goes on.
    server.sh(&sandbox, "rm part*; sync; echo small >small");
    assert_eq!(server.sh(&sandbox, "cat small"), "small\n");
}

#[test]
fn s8_btrfs_refuses_what_a_sandbox_writes_beyond_its_limit() {
    let Some(disk) = Disk::btrfs_with_quotas() else { return };
    assert_held_by_the_file_system(&disk);
}

#[test]
fn s8_a_project_quota_refuses_what_a_sandbox_writes_beyond_its_limit() {
    let Some(disk) = Disk::ext4_with_project_quotas() else { return };
    assert_held_by_the_file_system(&disk);
}

#[test]
fn s8_a_disk_with_little_room_takes_no_new_sandbox() {
    let mut server = Server::start();
    server.crash();
    server.set_env("SANDBAR_LIMITS_FREE_DISK_BYTES_MIN", &(1_u64 << 60).to_string());
    server.restart();
    let project = Project::new();
    let body = json!({ "source": { "kind": "directory", "path": project.path() } });
    let refused = server.api("POST", "/v1/sandboxes", Some(&body));
    assert_eq!((refused.status, refused.code().as_str()), (507, "storage_full"));
}
