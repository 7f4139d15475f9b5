//! Settings and secrets over HTTP.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::Full;
use sandbar_api::ErrorCode;
use sandbar_runtime::fake::Fake;
use sandbar_types::Role;
use serde_json::json;

use crate::{
    server::{TestServer, request},
    tenants::Town,
};

const PLANTED: &str = "planted-5f1c9a";

async fn started() -> TestServer {
    let server = TestServer::start_on(Arc::new(Fake::new())).await;
    let body = json!({ "name": "shop", "source": { "kind": "empty" } }).to_string();
    assert_eq!(server.post("/v1/sandboxes", body).await.status, StatusCode::CREATED);
    server
}

#[tokio::test]
async fn s5_a_secret_is_set_changed_and_removed_and_never_shown() {
    let server = started().await;
    let path = "/v1/sandboxes/shop/config";
    let body = json!({ "key": "API_KEY", "value": PLANTED }).to_string();
    let made = server.post(path, body.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert_eq!(made.json()["item"]["access"], "control_plane_only");
    assert_eq!(made.json()["item"]["is_sensitive"], true);
    assert_eq!(server.post(path, body).await.problem().code, ErrorCode::ConfigExists);
    let plain = json!({ "key": "LEVEL", "value": "debug", "is_sensitive": false }).to_string();
    assert_eq!(server.post(path, plain).await.json()["item"]["value"], "debug");
    let first = server.get(&format!("{path}?limit=1")).await.json();
    assert_eq!(
        (first["items"][0]["key"].as_str(), first["next_cursor"].as_str()),
        (Some("API_KEY"), Some("API_KEY"))
    );
    let second = server.get(&format!("{path}?limit=1&cursor=API_KEY")).await.json();
    assert_eq!(
        (second["items"][0]["key"].as_str(), second["next_cursor"].as_str()),
        (Some("LEVEL"), None)
    );
    let patch = async |tag: &str, body: &str| {
        let ask = request(Method::PATCH, "/v1/sandboxes/shop/config/API_KEY")
            .header("content-type", "application/json")
            .header("if-match", tag);
        server.ask(ask.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap()).await
    };
    let changed = patch("\"1\"", r#"{"access":"both"}"#).await;
    assert_eq!(
        (changed.status, &changed.headers["etag"]),
        (StatusCode::OK, &"\"2\"".parse::<http::HeaderValue>().unwrap())
    );
    assert_eq!(patch("\"1\"", "{}").await.problem().code, ErrorCode::StaleGeneration);
    assert_eq!(patch("\"x\"", "{}").await.problem().code, ErrorCode::StaleGeneration);
    let events = server.get("/v1/sandboxes/shop/events").await;
    for answer in
        [&made, &changed, &events, &server.get(path).await, &server.get("/v1/sandboxes/shop").await]
    {
        assert!(!String::from_utf8_lossy(&answer.body).contains(PLANTED), "{answer:?}");
    }
    assert_eq!(server.post("/v1/secrets/rotate", "").await.json()["resealed"], 1);
    server.stop().await;
}

#[tokio::test]
async fn s5_what_another_tenant_keeps_is_not_found_and_a_viewer_changes_nothing() {
    let town = Town::build().await;
    let id = town.sandbox("red", "shop").await;
    let path = format!("/v1/sandboxes/{id}/config");
    let body = json!({ "key": "API_KEY", "value": PLANTED }).to_string();
    let member = town.key("red", Role::Member);
    assert_eq!(town.ask(member, Method::POST, &path, &body).await.status, StatusCode::CREATED);
    let viewer = town.key("red", Role::Viewer);
    assert_eq!(town.ask(viewer, Method::GET, &path, "").await.status, StatusCode::OK);
    let one = format!("{path}/API_KEY");
    let refused = town.ask(viewer, Method::DELETE, &one, "").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let stranger = town.key("blue", Role::Admin);
    for (method, path) in [(Method::GET, &path), (Method::DELETE, &one)] {
        let answer = town.ask(stranger, method, path, "").await;
        assert_eq!(answer.problem().code, ErrorCode::SandboxNotFound);
    }
    town.server.stop().await;
}
