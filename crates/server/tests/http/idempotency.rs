//! A request that comes twice with one key is one request, whatever the document names.

use std::{collections::BTreeMap, sync::Arc};

use http::{Method, StatusCode};
use http_body_util::Full;
use sandbar_api::ErrorCode;
use sandbar_runtime::fake::Fake;
use sandbar_types::Role;
use serde_json::{Value, json};

use crate::{
    server::{Answer, TestServer, request},
    tenants::Town,
};

async fn send(server: &TestServer, path: &str, key: &str, body: &str) -> Answer {
    let ask = request(Method::POST, path)
        .header("content-type", "application/json")
        .header("idempotency-key", key);
    server.ask(ask.body(Full::from(body.to_owned())).unwrap()).await
}

async fn names(server: &TestServer, list: &str) -> usize {
    server.get(list).await.json()["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn b3_a_repeated_request_is_answered_as_the_first_was() {
    let server = TestServer::start().await;
    let body = r#"{"name":"ada","role":"member"}"#;
    let first = send(&server, "/v1/users", "k", body).await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    assert!(!first.headers.contains_key("idempotency-replayed"));
    let second = send(&server, "/v1/users", "k", body).await;
    assert_eq!((second.status, &second.body), (first.status, &first.body));
    assert_eq!(second.headers["idempotency-replayed"], "true");
    assert_eq!(second.headers["content-type"], first.headers["content-type"]);
    assert_ne!(second.headers["x-request-id"], first.headers["x-request-id"]);
    assert_eq!(names(&server, "/v1/users").await, 1);

    for (path, body) in [
        ("/v1/users", r#"{"name":"bob","role":"member"}"#),
        // The same bytes, but for another tenant.
        ("/v1/users?tenant=default", body),
    ] {
        let other = send(&server, path, "k", body).await;
        assert_eq!(other.problem().code, ErrorCode::IdempotencyKeyReused, "{path}");
    }
    // What was refused did nothing, so it is asked anew.
    let refused = send(&server, "/v1/users", "other", body).await;
    assert_eq!(refused.problem().code, ErrorCode::AccountNameTaken);
    let mended = send(&server, "/v1/users", "other", r#"{"name":"bob","role":"viewer"}"#).await;
    assert_eq!(mended.status, StatusCode::CREATED, "{mended:?}");
    let tenant = send(&server, "/v1/tenants", "k", r#"{"name":"red"}"#).await;
    assert_eq!(tenant.status, StatusCode::CREATED, "a key of another route is another key");
    for key in ["", "a b", "\u{e9}", &"x".repeat(256)] {
        let answer = send(&server, "/v1/users", key, body).await;
        assert_eq!(answer.problem().code, ErrorCode::InvalidHeader, "{key}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a1_a_key_is_who_sent_its_own() {
    let town = Town::build().await;
    let mut found = Vec::new();
    for role in [Role::Admin, Role::Member, Role::Admin] {
        let key = format!("Bearer {}", town.key("red", role));
        let ask = request(Method::POST, "/v1/manifest/check")
            .header("authorization", key)
            .header("content-type", "application/json")
            .header("idempotency-key", "k");
        let body = Full::from(json!({ "manifest": "version: 1\n" }).to_string());
        let answer = town.server.ask_tcp(ask.body(body).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        found.push(answer.headers.contains_key("idempotency-replayed"));
    }
    assert_eq!(found, [false, false, true]);
    town.server.stop().await;
}

#[tokio::test]
async fn s16_what_is_shown_once_is_not_kept_for_a_key() {
    let server = TestServer::start().await;
    let made = send(&server, "/v1/api-keys", "k", r#"{"name":"deploys"}"#).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    let again = send(&server, "/v1/api-keys", "k", r#"{"name":"deploys"}"#).await;
    assert_eq!(again.problem().code, ErrorCode::IdempotencyReplayHidden);
    assert_eq!(names(&server, "/v1/api-keys").await, 1);
    let user = r#"{"name":"ada","role":"member","password":"correct horse battery"}"#;
    assert_eq!(send(&server, "/v1/users", "k", user).await.status, StatusCode::CREATED);
    let mut files = 0;
    for entry in std::fs::read_dir(&server.data_dir).unwrap() {
        let Ok(bytes) = std::fs::read(entry.unwrap().path()) else { continue };
        files += 1;
        for planted in [secret.as_str(), "correct horse battery"] {
            assert!(!bytes.windows(planted.len()).any(|window| window == planted.as_bytes()));
        }
    }
    assert!(files > 0);
    server.stop().await;
}

/// A body that some `POST` takes; the rest take none.
fn body(path: &str) -> &'static str {
    match path {
        "/v1/api-keys" => r#"{"name":"deploys"}"#,
        "/v1/tenants" => r#"{"name":"red"}"#,
        "/v1/users" => r#"{"name":"ada","role":"member"}"#,
        "/v1/sandboxes" => r#"{"source":{"kind":"empty"}}"#,
        "/v1/manifest/check" => r#"{"manifest":"version: 1\n"}"#,
        "/v1/sandboxes/{sandbox}/config" => r#"{"key":"A","value":"1"}"#,
        "/v1/sandboxes/{sandbox}/execs" => r#"{"argv":["echo","hello"],"wait":true}"#,
        "/v1/sandboxes/{sandbox}/files/mkdir" => r#"{"path":"made"}"#,
        "/v1/sandboxes/{sandbox}/keepalive" => r#"{"until":"2200-01-01T00:00:00Z"}"#,
        _ => "",
    }
}

#[tokio::test]
async fn b3_every_post_of_the_document_may_be_repeated() {
    let server = TestServer::start_on(Arc::new(Fake::new())).await;
    let made = server.post("/v1/sandboxes", r#"{"name":"one","source":{"kind":"empty"}}"#).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let document: Value = serde_json::from_str(&sandbar_server::openapi_json()).unwrap();
    let mut done = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(operation) = item.get("post") else { continue };
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let takes = parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key");
        let without = ["/v1/auth/setup", "/v1/auth/login", "/v1/auth/logout", "/v1/backup"];
        assert_eq!(takes, !without.contains(&path.as_str()), "{path}");
        if !takes {
            continue;
        }
        let address = path.replace("{sandbox}", "one").replace(['{', '}'], "");
        let first = send(&server, &address, path, body(path)).await;
        let second = send(&server, &address, path, body(path)).await;
        let is_replayed = second.headers.contains_key("idempotency-replayed");
        let is_hidden = second.status == StatusCode::CONFLICT
            && second.problem().code == ErrorCode::IdempotencyReplayHidden;
        let what = format!("{path}: {first:?} {second:?}");
        assert_eq!(is_replayed || is_hidden, first.status.is_success(), "{what}");
        if is_replayed && path != "/v1/sandboxes" {
            assert_eq!((second.status, &second.body), (first.status, &first.body), "{what}");
            assert_eq!(second.headers.get("etag"), first.headers.get("etag"), "{what}");
        }
        if first.status.is_success() {
            done.insert(path.clone(), first.status);
        }
    }
    assert!(done.len() > 12, "{done:?}");
    assert_eq!(names(&server, "/v1/sandboxes").await, 2);
    server.stop().await;
}
