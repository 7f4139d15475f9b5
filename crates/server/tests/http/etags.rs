//! Whoever decided about what has changed since is told so, and nothing happens.

use http::{Method, StatusCode};
use http_body_util::Full;
use sandbar_api::ErrorCode;
use sandbar_runtime::fake::Fake;
use serde_json::{Value, json};

use crate::server::{Answer, TestServer, request};

async fn send(server: &TestServer, method: Method, path: &str, tag: &str, body: &str) -> Answer {
    let mut ask = request(method, path).header("if-match", tag);
    if !body.is_empty() {
        ask = ask.header("content-type", "application/json");
    }
    server.ask(ask.body(Full::from(body.to_owned())).unwrap()).await
}

async fn tag(server: &TestServer, path: &str) -> String {
    let found = server.get(path).await;
    assert_eq!(found.status, StatusCode::OK, "{path}: {found:?}");
    found.headers["etag"].to_str().unwrap().to_owned()
}

/// Changes `path` once with the tag it has, then with the one it had.
async fn change_and_come_late(server: &TestServer, path: &str, body: &Value) {
    let old = tag(server, path).await;
    let changed = send(server, Method::PATCH, path, &old, &body.to_string()).await;
    assert_eq!(changed.status, StatusCode::OK, "{path}: {changed:?}");
    assert_ne!(changed.headers["etag"], *old, "{path}");
    assert_eq!(tag(server, path).await, changed.headers["etag"], "{path}");
    for wrong in [&old, "\"x\"", "nothing"] {
        let late = send(server, Method::PATCH, path, wrong, &body.to_string()).await;
        assert_eq!(late.problem().code, ErrorCode::StaleGeneration, "{path}");
        // What is wrong with the body is wrong whatever was seen.
        let wrong = send(server, Method::PATCH, path, wrong, r#"{"no_such":1}"#).await;
        assert_eq!(wrong.problem().code, ErrorCode::InvalidField, "{path}");
    }
    let any = send(server, Method::PATCH, path, "*", &body.to_string()).await;
    assert_eq!(any.status, StatusCode::OK, "{path}: {any:?}");
}

/// Removes `path` with a tag it does not have, then with its own.
async fn remove_late_then_in_time(server: &TestServer, path: &str) {
    let late = send(server, Method::DELETE, path, "\"99\"", "").await;
    assert_eq!(late.problem().code, ErrorCode::StaleGeneration, "{path}");
    let own = tag(server, path).await;
    let removed = send(server, Method::DELETE, path, &own, "").await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{path}: {removed:?}");
}

#[tokio::test]
async fn what_was_changed_since_is_neither_changed_nor_removed() {
    let server = TestServer::start_on(std::sync::Arc::new(Fake::new())).await;
    let user = server.post("/v1/users", r#"{"name":"ada","role":"member"}"#).await.json();
    let user = format!("/v1/users/{}", user["id"].as_str().unwrap());
    change_and_come_late(&server, &user, &json!({ "role": "viewer" })).await;
    remove_late_then_in_time(&server, &user).await;

    let key = server.post("/v1/api-keys", r#"{"name":"deploys"}"#).await.json();
    let key = format!("/v1/api-keys/{}", key["api_key"]["id"].as_str().unwrap());
    remove_late_then_in_time(&server, &key).await;

    let tenant = json!({ "quota": { "sandboxes": 3 } });
    change_and_come_late(&server, "/v1/tenants/default", &tenant).await;

    let settings = json!({ "set": { "sandbox.max": 3 } });
    change_and_come_late(&server, "/v1/settings", &settings).await;

    let sandbox = r#"{"name":"one","source":{"kind":"empty"}}"#;
    assert_eq!(server.post("/v1/sandboxes", sandbox).await.status, StatusCode::CREATED);
    remove_late_then_in_time(&server, "/v1/sandboxes/one").await;
    server.stop().await;
}

/// Files have no generation: what they hold is their state.
#[test]
fn whatever_can_be_changed_or_removed_takes_if_match() {
    let document: Value = serde_json::from_str(&sandbar_server::openapi_json()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["patch", "delete"] {
            let Some(operation) = item.get(method) else { continue };
            let parameters = operation["parameters"].as_array().unwrap();
            let takes = parameters.iter().any(|parameter| parameter["name"] == "If-Match");
            assert_eq!(takes, !path.ends_with("/files"), "{method} {path}");
        }
    }
}
