//! Two programs change one app as fast as they can while the server is killed again and again.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts programs and waits for them as a user does"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use sandbar_host_tests::{Leaks, Server, bin_dir, eventually};
use serde_json::{Value, json};

/// How often the server is killed; `SANDBAR_TEST_KILLS` says otherwise.
fn kills() -> usize {
    std::env::var("SANDBAR_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

fn hammer(server: &Server, dir: &Path, name: &str) -> Child {
    let socket = server.data_dir().join("run/sandbar.sock");
    let mut command = Command::new(bin_dir().join("hammer"));
    command.arg(socket).args(["shop", name]).arg(dir.join(name)).arg(dir.join("end"));
    command.stdin(Stdio::null()).spawn().expect("the hammer is built")
}

fn lines(dir: &Path) -> Vec<String> {
    let texts = ["A", "B"].map(|name| fs::read_to_string(dir.join(name)).unwrap_or_default());
    texts.iter().flat_map(|text| text.lines()).map(ToOwned::to_owned).collect()
}

/// Every item of a list, over all its pages.
fn every(server: &Server, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.api("GET", &format!("{path}?limit=200{cursor}"), None).expect(200);
        items.extend(page["items"].as_array().expect("a list").iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

#[test]
fn what_was_acknowledged_outlives_every_kill_while_two_programs_change_one_app() {
    let mut server = Server::start();
    let before = Leaks::count(server.data_dir());
    let dir = tempfile::tempdir().expect("a directory");
    let app = server.api("POST", "/v1/apps", Some(&json!({ "name": "shop" }))).expect(201);
    let mut hammers = ["A", "B"].map(|name| hammer(&server, dir.path(), name));
    for kill in 0..kills() {
        // At another moment each time: after some more was acknowledged.
        let wanted = lines(dir.path()).len() + 5 + kill * 7 % 23;
        eventually("they go on", Duration::from_mins(1), || {
            let now = lines(dir.path()).len();
            let ended = hammers.each_mut().map(|one| one.try_wait().expect("our own child"));
            assert_eq!(ended, [None, None], "one of them found something lost");
            if now >= wanted { Ok(()) } else { Err(now) }
        });
        server.kill();
        server.restart();
    }
    fs::write(dir.path().join("end"), "").expect("written");
    for one in &mut hammers {
        assert!(one.wait().expect("our own child").success(), "something was lost");
    }

    let acknowledged = lines(dir.path());
    let generations = acknowledged.iter().filter(|line| line.starts_with("generation "));
    let different: BTreeSet<_> = generations.clone().collect();
    assert_eq!(different.len(), generations.count(), "one change was written over another");
    let rotated = server.api("POST", "/v1/secrets/rotate", None).expect(200);
    assert_eq!(rotated["left"], 0, "{rotated}");
    let events = every(&server, "/v1/events");
    let ids: Vec<_> = events.iter().map(|event| event["id"].as_u64()).collect();
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
    let settings = |line: &&String| line.starts_with("A_") || line.starts_with("B_");
    let told = events.iter().filter(|event| event["type"] == "config_changed").count();
    assert!(told >= acknowledged.iter().filter(settings).count());
    let audited = every(&server, "/v1/audit");
    let done = audited.iter().filter(|line| line["outcome"] == "ok").count();
    assert!(done >= acknowledged.len(), "{done} lines for {} changes", acknowledged.len());
    let sandboxes = every(&server, "/v1/sandboxes");
    let shown = server.api("GET", "/v1/apps/shop", None).expect(200);
    let current = &shown["current_sandbox_id"];
    let is_there = |one: &Value| one["id"] == *current && one["app_id"] == app["id"];
    assert!(current.is_null() || sandboxes.iter().any(is_there), "{shown}: {sandboxes:?}");
    // A backup verifies the whole file; PostgreSQL has tools of its own for that.
    if std::env::var("SANDBAR_TEST_STORE").as_deref() != Ok("postgres") {
        let backup = dir.path().join("backup");
        let backup = backup.to_str().expect("text");
        let made = server.sandbar(dir.path(), &["backup", "create", backup]);
        assert!(made.status.success(), "{made:?}");
    }

    let id = app["id"].as_str().expect("an id");
    for sandbox in sandboxes {
        let path = format!("/v1/sandboxes/{}", sandbox["id"].as_str().expect("an id"));
        let gone = server.api("DELETE", &path, None);
        assert!(gone.status < 300, "{gone:?}");
    }
    drop(server.api("DELETE", &format!("/v1/apps/{id}"), None).expect(200));
    let after = Leaks::count(server.data_dir());
    assert_eq!(after.mounts, before.mounts, "a mount is left");
    let kept = fs::read_dir(server.data_dir().join("sandboxes")).expect("a directory");
    assert_eq!(kept.count(), 0, "a directory of a sandbox is left");
}
