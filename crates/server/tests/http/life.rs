//! The life of a sandbox as a client sees it.

use std::sync::Arc;

use http::{Method, StatusCode};
use http_body_util::Full;
use sandbar_api::{ErrorCode, Exec, ExecResult, Page, Sandbox};
use sandbar_runtime::fake::Fake;
use serde_json::json;

use crate::server::{Answer, TestServer, request};

async fn create(server: &TestServer, key: Option<&str>, name: &str) -> Answer {
    let body =
        json!({ "source": { "kind": "empty" }, "name": name, "env": { "SECRET": "s3cr3t" } });
    let mut ask = request(Method::POST, "/v1/sandboxes").header("content-type", "application/json");
    if let Some(key) = key {
        ask = ask.header("idempotency-key", key);
    }
    server.ask(ask.body(Full::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn a_sandbox_is_made_found_used_stopped_and_removed() {
    let server = TestServer::start_on(Arc::new(Fake::new())).await;
    let made = create(&server, None, "demo").await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert!(!String::from_utf8_lossy(&made.body).contains("s3cr3t"), "values are shown");
    let sandbox: Sandbox = serde_json::from_slice(&made.body).unwrap();
    assert_eq!(made.headers["location"], format!("/v1/sandboxes/{}", sandbox.id));
    assert_eq!(made.json()["state"], "running");

    let prefix = &sandbox.id.to_string()[..20];
    for found in ["demo", prefix] {
        let found = server.get(&format!("/v1/sandboxes/{found}")).await;
        assert_eq!(found.json()["id"], sandbox.id.to_string());
        let etag = found.headers["etag"].to_str().unwrap();
        assert_eq!(etag, format!("\"{}\"", found.json()["generation"]));
        let again = request(Method::GET, "/v1/sandboxes/demo").header("if-none-match", etag);
        let again = server.ask(again.body(Full::default()).unwrap()).await;
        assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    }

    let ran =
        server.post("/v1/sandboxes/demo/execs", r#"{"argv":["echo","hello"],"wait":true}"#).await;
    assert_eq!(ran.status, StatusCode::OK, "{ran:?}");
    let ran: ExecResult = serde_json::from_slice(&ran.body).unwrap();
    assert_eq!((ran.exit_code, ran.stdout.text.as_deref()), (0, Some("hello")));
    let lost = server.post("/v1/sandboxes/demo/execs", r#"{"argv":["nothing"],"wait":true}"#).await;
    assert_eq!(lost.json()["exit_code"], 127);

    let stopped = server.post("/v1/sandboxes/demo/stop", "").await;
    assert_eq!(stopped.json()["state"], "stopped", "{stopped:?}");
    let again = server.post("/v1/sandboxes/demo/stop", r#"{"grace_ms":5}"#).await;
    assert_eq!(again.status, StatusCode::OK);
    let refused = server.post("/v1/sandboxes/demo/execs", r#"{"argv":["echo"]}"#).await;
    assert_eq!(refused.problem().code, ErrorCode::StateConflict);

    let gone = request(Method::DELETE, "/v1/sandboxes/demo").body(Full::default()).unwrap();
    assert_eq!(server.ask(gone).await.status, StatusCode::NO_CONTENT);
    let problem = server.get("/v1/sandboxes/demo").await.problem();
    assert_eq!(problem.code, ErrorCode::SandboxNotFound);
    assert!(problem.hint.is_some());
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_create_is_one_create() {
    let server = TestServer::start_on(Arc::new(Fake::new())).await;
    let first = create(&server, Some("k1"), "one").await;
    let second = create(&server, Some("k1"), "one").await;
    assert_eq!((first.status, second.status), (StatusCode::CREATED, StatusCode::OK));
    assert_eq!(second.headers["idempotency-replayed"], "true");
    assert_eq!(first.json()["id"], second.json()["id"]);
    let other = create(&server, Some("k1"), "two").await;
    assert_eq!(other.problem().code, ErrorCode::IdempotencyKeyReused);
    let metrics = server.get("/metrics").await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    for line in [
        "sandbar_creates_total 1",
        "sandbar_idempotent_replays_total 1",
        "sandbar_sandboxes{state=\"running\"} 1",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in {text}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a9_lists_come_in_pages_and_the_last_one_says_so() {
    let server = TestServer::start_on(Arc::new(Fake::new())).await;
    for name in ["a", "b", "c"] {
        assert_eq!(create(&server, None, name).await.status, StatusCode::CREATED);
    }
    // As many as there are: nobody has to ask once more to learn that this was all.
    let all = server.get("/v1/sandboxes?limit=3").await.json();
    assert!(all.get("next_cursor").is_none(), "{all}");
    let mut names = Vec::new();
    let mut address = "/v1/sandboxes?limit=2".to_owned();
    loop {
        let page: Page<Sandbox> = serde_json::from_slice(&server.get(&address).await.body).unwrap();
        names.extend(page.items.iter().map(|sandbox| sandbox.name.to_string()));
        match page.next_cursor {
            Some(cursor) => address = format!("/v1/sandboxes?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(names, ["c", "b", "a"]);
    let named = server.get("/v1/sandboxes?name=b&state=running").await.json();
    assert_eq!(named["items"].as_array().unwrap().len(), 1);
    let none = server.get("/v1/sandboxes?state=failed").await.json();
    assert!(none["items"].as_array().unwrap().is_empty());
    server.stop().await;
}

#[tokio::test]
async fn execs_are_listed_and_signaled() {
    let server = TestServer::start_on(Arc::new(Fake::new())).await;
    create(&server, None, "demo").await;
    let started = server.post("/v1/sandboxes/demo/execs", r#"{"argv":["sleep"]}"#).await;
    assert_eq!(started.status, StatusCode::CREATED, "{started:?}");
    let exec: Exec = serde_json::from_slice(&started.body).unwrap();
    let address = started.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(server.get(&address).await.json()["state"], "running");
    for odd in ["0", "65"] {
        let answer =
            server.post(&format!("{address}/signal"), format!(r#"{{"signal":{odd}}}"#)).await;
        assert_eq!(answer.problem().code, ErrorCode::InvalidValue);
    }
    let listed: Page<Exec> =
        serde_json::from_slice(&server.get("/v1/sandboxes/demo/execs").await.body).unwrap();
    assert_eq!(listed.items.iter().map(|exec| exec.id).collect::<Vec<_>>(), [exec.id]);
    for unknown in ["ex_0", "ex_00000000000000000000000000000000"] {
        let answer = server.get(&format!("/v1/sandboxes/demo/execs/{unknown}")).await;
        assert_eq!(answer.problem().code, ErrorCode::ExecNotFound);
    }
    let both = server
        .post("/v1/sandboxes/demo/execs", r#"{"argv":["echo"],"wait":true,"stdin":true}"#)
        .await;
    assert_eq!(both.problem().code, ErrorCode::InvalidValue);
    server.stop().await;
}
