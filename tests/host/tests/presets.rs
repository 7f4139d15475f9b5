//! Each starter, from an empty workspace to a page in a browser that follows an edit.
//!
//! They install from the registries that the host reaches. `SANDBAR_SHOTS=DIR` keeps a picture of each page.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sandbar_host_tests::{App, Browser, Server, eventually};

/// How long a first start may take: it fetches packages.
const INSTALL_DEADLINE: Duration = Duration::from_mins(4);
const DEADLINE: Duration = Duration::from_mins(1);

/// A starter, what its page says, and an edit that shows on the page.
struct Starter {
    preset: &'static str,
    says: &'static str,
    /// True in the page once it would hear of an edit.
    listens: &'static str,
    file: &'static str,
    before: &'static str,
    after: &'static str,
    /// True in the page once the edit is there.
    shows: &'static str,
}

/// A memory of the page that a reload takes away.
const REMEMBER: &str = "window.remembered = true";

/// Packages by the thousand are for a disk, not for memory.
fn server() -> Server {
    Server::start_in(Path::new("/var/tmp"))
}

fn edit(server: &Server, app: &App, starter: &Starter) {
    let text = app.read(server, starter.file);
    let edited = text.replacen(starter.before, starter.after, 1);
    assert_ne!(edited, text, "{} has {:?}", starter.file, starter.before);
    app.write(server, starter.file, &edited);
}

fn see(starter: &Starter) {
    let server = server();
    let app = App::from_preset(&server, starter.preset);
    let url = app.ready(&server, INSTALL_DEADLINE);
    let mut browser = Browser::open(&url);
    let words = format!("document.body.innerText.includes({:?})", starter.says);
    browser.wait_until(&words, DEADLINE);
    if let Some(dir) = std::env::var_os("SANDBAR_SHOTS") {
        let dir = PathBuf::from(dir);
        std::fs::create_dir_all(&dir).expect("a directory can be made");
        browser.screenshot(&dir.join(format!("{}.png", starter.preset)));
    }
    browser.wait_until(starter.listens, DEADLINE);
    browser.eval(REMEMBER).expect("the page runs scripts");
    edit(&server, &app, starter);
    browser.wait_until(starter.shows, DEADLINE);
    assert_eq!(browser.eval("window.remembered === true"), Ok(true.into()), "it was not reloaded");
    let events = app.events(&server);
    let ended = events.iter().filter(|event| event["type"] == "process_ended").count();
    assert_eq!(ended, 0, "it was ready at its first start: {events:?}");
}

#[test]
fn react_vite_is_seen_and_an_edit_comes_by_itself() {
    see(&Starter {
        preset: "react-vite",
        says: "It runs. Now make it",
        listens: "heard.some(text => JSON.parse(text).type === 'connected')",
        file: "src/App.tsx",
        before: "It runs. Now make it",
        after: "It was changed, now make it",
        shows: "document.body.innerText.includes('It was changed, now make it')",
    });
}

#[test]
fn nextjs_is_seen_and_an_edit_comes_by_itself() {
    see(&Starter {
        preset: "nextjs",
        says: "A blank page, with the lights",
        listens: "heard.some(text => JSON.parse(text).type === 'sync')",
        file: "app/page.tsx",
        before: "A blank page, with",
        after: "A changed page, with",
        shows: "document.body.innerText.includes('A changed page, with')",
    });
}

#[test]
fn node_express_is_seen_and_a_new_route_is_there_by_itself() {
    see(&Starter {
        preset: "node-express",
        says: "Your API is listening.",
        listens: "document.readyState === 'complete'",
        file: "server.js",
        before: "app.use((request, response) => {",
        after: "app.get(\"/added\", (_request, response) => response.send(\"it was added\"));\n\napp.use((request, response) => {",
        shows: "fetch('/added').then(answer => answer.text()).then(text => text === 'it was added')",
    });
}

#[test]
fn fastapi_is_seen_and_a_new_route_is_there_by_itself() {
    see(&Starter {
        preset: "fastapi",
        says: "Up, typed and",
        listens: "document.readyState === 'complete'",
        file: "main.py",
        before: "@app.get(\"/health\")",
        after: "@app.get(\"/added\")\ndef added() -> str:\n    return \"it was added\"\n\n\n@app.get(\"/health\")",
        shows: "fetch('/added').then(answer => answer.text()).then(text => text === '\"it was added\"')",
    });
}

#[test]
fn worker_runs_without_a_preview_and_its_heartbeat_is_in_its_log() {
    let server = server();
    let app = App::from_preset(&server, "worker");
    let status = app.when(&server, DEADLINE, |app| app["processes"][0]["state"] == "running");
    assert_eq!(status["preview"], serde_json::json!({ "status": "none" }));
    eventually("two heartbeats", DEADLINE, || {
        let lines = app.lines(&server, "worker");
        let beats = lines.iter().filter(|line| line.starts_with("heartbeat 20")).count();
        if beats >= 2 { Ok(()) } else { Err(lines) }
    });
}

#[test]
fn a10_an_install_that_was_cut_off_is_repaired_at_the_next_start() {
    let server = server();
    let app = App::from_preset(&server, "node-express");
    eventually("the install has begun and is not done", INSTALL_DEADLINE, || {
        let seen = server.exec(&app.sandbox, &["sh", "-c", "ls -A node_modules"]);
        let listed = seen["stdout"]["text"].as_str().unwrap_or_default();
        assert!(!listed.contains(".installed"), "too late to be cut off: {seen}");
        if listed.is_empty() { Err(seen) } else { Ok(()) }
    });
    let stop = server.api("POST", &app.path("stop"), Some(&serde_json::json!({ "grace_ms": 0 })));
    assert!(stop.status < 300, "{stop:?}");
    app.sandbox_is(&server, "stopped", DEADLINE);
    let start = server.api("POST", &app.path("start"), None);
    assert!(start.status < 300, "{start:?}");
    app.ready(&server, INSTALL_DEADLINE);
    server.sh(&app.sandbox, "test -e node_modules/.installed && test -d node_modules/express");
}
