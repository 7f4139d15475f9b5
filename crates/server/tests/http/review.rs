//! Changes over HTTP: pages of one instant, and decisions about what was seen.

use std::sync::Arc;

use http::{Method, StatusCode};
use http_body_util::Full;
use sandbar_api::{ChangesPage, ErrorCode};
use sandbar_runtime::{SandboxDir, fake::Fake};
use serde_json::json;

use crate::server::{TestServer, request};

struct Scene {
    server: TestServer,
    fake: Fake,
    dir: SandboxDir,
    _project: tempfile::TempDir,
}

/// A sandbox over a project with one file, in which a process changed that and added two.
async fn scene() -> Scene {
    let project = tempfile::tempdir().unwrap();
    std::fs::write(project.path().join("a.txt"), "old\n").unwrap();
    let fake = Fake::new();
    let server = TestServer::start_on(Arc::new(fake.clone())).await;
    let body = json!({ "source": { "kind": "directory", "path": project.path() }, "name": "demo" });
    let made = server.post("/v1/sandboxes", body.to_string()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let dir = SandboxDir(server.data_dir.join("sandboxes").join(id));
    for (path, content) in [("a.txt", "new\n"), ("b.txt", "b\n"), ("c.txt", "c\n")] {
        fake.write(&dir, path, content.as_bytes()).unwrap();
    }
    Scene { server, fake, dir, _project: project }
}

async fn page(server: &TestServer, query: &str) -> (ChangesPage, String) {
    let answer = server.get(&format!("/v1/sandboxes/demo/changes?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let etag = answer.headers["etag"].to_str().unwrap().to_owned();
    (serde_json::from_slice(&answer.body).unwrap(), etag)
}

#[tokio::test]
async fn the_pages_of_a_list_are_of_one_instant() {
    let Scene { server, fake, dir, _project } = scene().await;
    let (first, _) = page(&server, "limit=2").await;
    assert_eq!((first.items.len(), first.total), (2, 3));
    fake.write(&dir, "d.txt", b"d\n").unwrap();
    let cursor = first.next_cursor.unwrap();
    let (second, _) = page(&server, &format!("limit=2&cursor={cursor}")).await;
    assert_eq!((second.items.len(), second.total, second.next_cursor), (1, 3, None));
    assert_eq!(second.diff_id, first.diff_id);
    let (now, _) = page(&server, "").await;
    assert_eq!(now.total, 4);
    let unknown = format!("/v1/sandboxes/demo/changes?cursor={}.2", "0".repeat(64));
    assert_eq!(server.get(&unknown).await.problem().code, ErrorCode::DiffChanged);
    server.stop().await;
}

#[tokio::test]
async fn a_decision_about_what_is_no_longer_so_is_refused() {
    let Scene { server, fake, dir, _project } = scene().await;
    let (seen, etag) = page(&server, "").await;
    fake.write(&dir, "a.txt", b"newer\n").unwrap();
    let body = json!({ "diff_id": seen.diff_id, "selection": "all" }).to_string();
    let stale = server.post("/v1/sandboxes/demo/approve", body).await;
    assert_eq!(stale.problem().code, ErrorCode::DiffChanged);
    let (now, _) = page(&server, "").await;
    let body = json!({ "diff_id": now.diff_id, "selection": "all" }).to_string();
    let ask = request(Method::POST, "/v1/sandboxes/demo/approve")
        .header("content-type", "application/json")
        .header("if-match", etag);
    let mixed = server.ask(ask.body(Full::from(body)).unwrap()).await;
    assert_eq!(mixed.problem().code, ErrorCode::StaleGeneration);
    server.stop().await;
}

#[tokio::test]
async fn a_change_is_shown_as_hunks_and_as_a_patch() {
    let Scene { server, _project, .. } = scene().await;
    let hunks = server.get("/v1/sandboxes/demo/changes/hunks?path=a.txt").await.json();
    let kinds: Vec<_> =
        hunks["hunks"][0]["lines"].as_array().unwrap().iter().map(|line| &line["kind"]).collect();
    assert_eq!(kinds, ["removed", "added"], "{hunks}");
    let patch = server.get("/v1/sandboxes/demo/diff?path=a.txt").await;
    assert_eq!(patch.headers["content-type"], "text/x-diff");
    assert!(String::from_utf8_lossy(&patch.body).contains("\n-old\n+new\n"), "{patch:?}");
    let lost = server.get("/v1/sandboxes/demo/changes/hunks?path=lost").await;
    assert_eq!(lost.problem().code, ErrorCode::ChangeNotFound);
    server.stop().await;
}
