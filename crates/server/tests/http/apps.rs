//! Apps over HTTP: their status, their processes, their previews, and what is refused.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::Full;
use sandbar_runtime::fake::Fake;
use serde_json::{Value, json};

use crate::server::{TestServer, request};

const SHOP: &str =
    "version: 1\nweb: {command: serve, port: 4000}\nworkers: [{name: mail, command: work}]\n";

async fn started(manifest: &str) -> (TestServer, tempfile::TempDir) {
    let project = tempfile::tempdir().unwrap();
    std::fs::write(project.path().join("sandbox.yaml"), manifest).unwrap();
    let server = TestServer::start_on(Arc::new(Fake::new())).await;
    let answer = server.post("/v1/sandboxes", over(project.path())).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
    (server, project)
}

fn over(path: &Path) -> String {
    json!({ "name": "shop", "source": { "kind": "directory", "path": path } }).to_string()
}

async fn app_when(server: &TestServer, is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let answer = server.get("/v1/sandboxes/shop/app").await;
        let app: Value = serde_json::from_slice(&answer.body).unwrap();
        if is_so(&app) {
            return app;
        }
        assert!(tokio::time::Instant::now() < deadline, "never: {app}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_app_has_its_processes_and_the_url_of_its_preview() {
    let (server, _project) = started(SHOP).await;
    let app = app_when(&server, |app| app["preview"]["status"] == "ready").await;
    assert_eq!(app["manifest"], json!({ "status": "applied", "findings": [] }));
    let port = server.tcp.port();
    assert_eq!(app["preview"]["url"], format!("http://4000-shop.preview.localhost:{port}/"));
    let names: Vec<_> = app["processes"].as_array().unwrap().iter().map(|p| &p["name"]).collect();
    assert_eq!(names, ["web", "mail"]);
    let answer = server.post("/v1/sandboxes/shop/app/processes/mail/stop", "").await;
    let stopped: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &stopped["state"]), (StatusCode::OK, &json!("stopped")));
    server.stop().await;
}

#[tokio::test]
async fn sb7_a_process_name_that_cannot_be_is_400_and_one_that_is_not_there_404() {
    let (server, _project) = started(SHOP).await;
    app_when(&server, |app| app["preview"]["status"] == "ready").await;
    for (name, status) in [
        ("..%2F..%2Fetc", StatusCode::BAD_REQUEST),
        ("a%20b", StatusCode::BAD_REQUEST),
        ("%2e%2e", StatusCode::BAD_REQUEST),
        ("other", StatusCode::NOT_FOUND),
    ] {
        for what in ["logs", "output"] {
            let path = format!("/v1/sandboxes/shop/app/processes/{name}/{what}");
            assert_eq!(server.get(&path).await.status, status, "{path}");
        }
        let path = format!("/v1/sandboxes/shop/app/processes/{name}/restart");
        assert_eq!(server.post(&path, "").await.status, status, "{path}");
    }
    let log = server.get("/v1/sandboxes/shop/app/processes/web/logs?tail=1001").await;
    assert_eq!(log.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        server.get("/v1/sandboxes/shop/app/processes/web/logs").await.status,
        StatusCode::OK
    );
    server.stop().await;
}

#[tokio::test]
async fn a16_a_broken_manifest_is_shown_with_every_finding_and_starts_nothing() {
    let (server, _project) = started("version: 1\nweb: {command: serve}\nservices: {}\n").await;
    let app = app_when(&server, |app| app["manifest"]["status"] == "invalid").await;
    assert_eq!((&app["processes"], &app["preview"]["status"]), (&json!([]), &json!("error")));
    assert!(app["manifest"]["findings"].as_array().unwrap().len() >= 2, "{app}");
    let answer = server.post("/v1/sandboxes/shop/app/apply", "").await;
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["code"], "manifest_invalid");
    assert_eq!(problem["details"]["findings"], app["manifest"]["findings"]);
    let check = json!({ "manifest": "version: 1\nworkers: [{name: w, command: x}]\n" });
    let answer = server.post("/v1/manifest/check", check.to_string()).await;
    let checked: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(checked["is_valid"], true, "{checked}");
    server.stop().await;
}

#[tokio::test]
async fn d15_a_preset_that_does_not_exist_is_refused_and_the_five_are_named() {
    let server = TestServer::start_on(Arc::new(Fake::new())).await;
    let body = json!({ "source": { "kind": "preset", "preset": "rails" } }).to_string();
    let answer = server.post("/v1/sandboxes", body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let text = String::from_utf8_lossy(&answer.body);
    assert!(text.contains("invalid_field") && text.contains("fastapi"), "{text}");
    server.stop().await;
}

#[tokio::test]
async fn s2_a_keepalive_is_in_what_get_shows() {
    let (server, _project) = started(SHOP).await;
    let until = "2999-01-01T00:00:00Z";
    let body = json!({ "until": until }).to_string();
    let answer = server.post("/v1/sandboxes/shop/keepalive", body).await;
    assert_eq!(answer.status, StatusCode::OK);
    let shown: Value =
        serde_json::from_slice(&server.get("/v1/sandboxes/shop").await.body).unwrap();
    let kept = shown["keepalive_until"].as_str().unwrap();
    assert!(kept < until, "cut to what is allowed: {kept}");
    let over = json!({ "until": "2001-01-01T00:00:00Z" }).to_string();
    let answer = server.post("/v1/sandboxes/shop/keepalive", over).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    server.stop().await;
}

#[tokio::test]
async fn a_link_is_for_the_apps_own_port_or_the_one_that_is_said() {
    let (server, _project) = started(SHOP).await;
    app_when(&server, |app| app["preview"]["status"] == "ready").await;
    let link = async |body: Value| {
        let answer = server.post("/v1/sandboxes/shop/app/link", body.to_string()).await;
        (answer.status, serde_json::from_slice::<Value>(&answer.body).unwrap())
    };
    let (_, own) = link(json!({})).await;
    assert!(own["url"].as_str().unwrap().starts_with("http://4000-shop.preview.localhost:"));
    let (_, other) = link(json!({ "port": 9229, "share_until": "2999-01-01T00:00:00Z" })).await;
    assert!(other["url"].as_str().unwrap().starts_with("http://9229-shop.preview.localhost:"));
    for wrong in [json!({ "port": 0 }), json!({ "share_until": "2001-01-01T00:00:00Z" })] {
        assert_eq!(link(wrong).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_port_is_connected_to_only_by_an_upgrade_and_one_that_nobody_has_is_told() {
    let (server, _project) = started(SHOP).await;
    app_when(&server, |app| app["preview"]["status"] == "ready").await;
    let path = "/v1/sandboxes/shop/ports/1/connect";
    assert_eq!(server.get(path).await.status, StatusCode::UPGRADE_REQUIRED);
    let asked = request(Method::GET, path).header("connection", "upgrade").header("upgrade", "tcp");
    let answer = server.ask(asked.body(Full::<Bytes>::default()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    let answer = server.get("/v1/sandboxes/shop/ports/70000/connect").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    server.stop().await;
}

#[tokio::test]
async fn a_rule_for_the_network_that_is_none_makes_no_sandbox() {
    let server = TestServer::start_on(Arc::new(Fake::new())).await;
    let allow: Vec<_> = (0..300).map(|n| format!("h{n}.example.org")).collect();
    let body = json!({ "source": { "kind": "empty" }, "network": { "allow": allow } }).to_string();
    assert_eq!(server.post("/v1/sandboxes", body).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    server.stop().await;
}
