//! Credentials over HTTP.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::Full;
use sandbar_api::ErrorCode;
use sandbar_runtime::fake::Fake;
use sandbar_types::Role;
use serde_json::{Value, json};

use crate::{
    server::{TestServer, request},
    tenants::Town,
};

const PLANTED: &str = "planted-5f1c9a-wire";

fn of_host(host: &str) -> Value {
    json!([{
        "host": host,
        "path": "/v1",
        "place": { "kind": "header", "name": "authorization", "template": "Bearer {}" },
    }])
}

async fn started() -> TestServer {
    let server = TestServer::start_on(Arc::new(Fake::new())).await;
    let body = json!({ "name": "shop", "source": { "kind": "empty" } }).to_string();
    assert_eq!(server.post("/v1/sandboxes", body).await.status, StatusCode::CREATED);
    server
}

#[tokio::test]
async fn s5_a_credential_is_kept_changed_and_removed_and_never_shown() {
    let server = started().await;
    let body = json!({ "name": "model", "value": PLANTED, "env": "MODEL_KEY",
        "placeholder_prefix": "sk-", "rules": of_host("api.example") })
    .to_string();
    let made = server.post("/v1/credentials", body.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let credential = made.json();
    assert!(credential["placeholder"].as_str().unwrap().starts_with("sk-sbx-placeholder-"));
    assert_eq!(credential["rules"][0]["port"], 443);
    let again = server.post("/v1/credentials", body).await;
    assert_eq!(again.problem().code, ErrorCode::CredentialExists);
    let path = format!("/v1/credentials/{}", credential["id"].as_str().unwrap());
    let patch = async |tag: &str, body: Value| {
        let ask = request(Method::PATCH, &path)
            .header("content-type", "application/json")
            .header("if-match", tag);
        server.ask(ask.body(Full::new(Bytes::from(body.to_string()))).unwrap()).await
    };
    let changed = patch("\"1\"", json!({ "rules": of_host("b.example"), "env": null })).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    assert_eq!(changed.json()["placeholder"], credential["placeholder"]);
    assert!(changed.json()["env"].is_null());
    assert_eq!(patch("\"1\"", json!({})).await.problem().code, ErrorCode::StaleGeneration);
    let odd = patch("\"2\"", json!({ "rules": of_host("*.example") })).await;
    assert_eq!(odd.problem().code, ErrorCode::InvalidRule);
    let list = server.get("/v1/credentials").await;
    assert_eq!(list.json()["items"].as_array().unwrap().len(), 1);
    let audit = server.get("/v1/audit").await;
    for answer in [&made, &changed, &list, &audit, &server.get(&path).await] {
        assert!(!String::from_utf8_lossy(&answer.body).contains(PLANTED), "{answer:?}");
    }
    // A key that seals is changed under it as under every other secret.
    assert_eq!(server.post("/v1/secrets/rotate", "").await.json()["resealed"], 1);
    let gone = server.ask(request(Method::DELETE, &path).body(Full::default()).unwrap()).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(server.get(&path).await.problem().code, ErrorCode::CredentialNotFound);
    assert_eq!(server.post("/v1/secrets/rotate", "").await.json()["resealed"], 0);
    server.stop().await;
}

#[tokio::test]
async fn a_known_agent_needs_no_rules_and_everything_else_does() {
    let server = started().await;
    let agent = json!({ "name": "agent.claude-code", "value": PLANTED, "agent": "claude-code",
        "host": "llm.corp.example:8443" });
    let made = server.post("/v1/credentials", agent.to_string()).await.json();
    assert_eq!(made["env"], "ANTHROPIC_API_KEY");
    assert_eq!(made["rules"][0]["host"], "llm.corp.example");
    assert_eq!(made["rules"][0]["port"], 8443);
    let agents = server.get("/v1/agents").await.json();
    let connected: Vec<_> = agents["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|agent| agent["is_connected"] == true)
        .map(|agent| agent["name"].as_str().unwrap())
        .collect();
    assert_eq!(connected, ["claude-code"]);
    for body in [
        json!({ "name": "x", "value": PLANTED }),
        json!({ "name": "x", "value": PLANTED, "agent": "unheard-of" }),
        json!({ "name": "x", "value": "short", "rules": of_host("a.example") }),
        json!({ "name": "x", "value": "two words", "rules": of_host("a.example") }),
    ] {
        let refused = server.post("/v1/credentials", body.to_string()).await;
        assert_eq!(refused.problem().code, ErrorCode::InvalidValue, "{body}");
    }
    server.stop().await;
}

#[tokio::test]
async fn why_says_what_a_request_would_get_and_what_is_in_the_way() {
    let server = started().await;
    let body = json!({ "name": "model", "value": PLANTED, "rules": of_host("api.example") });
    assert_eq!(server.post("/v1/credentials", body.to_string()).await.status, StatusCode::CREATED);
    let why = async |query: &str| {
        let path = format!("/v1/sandboxes/shop/credentials/why?{query}");
        server.get(&path).await.json()["credentials"][0].clone()
    };
    assert_eq!(why("host=API.example.&path=/v1/x").await["applies"], true);
    for (host, code) in [("", ErrorCode::InvalidQuery), ("a..b", ErrorCode::InvalidValue)] {
        let path = format!("/v1/sandboxes/shop/credentials/why?host={host}");
        assert_eq!(server.get(&path).await.problem().code, code, "{host}");
    }
    for (query, miss) in [
        ("host=api.example", "path"),
        ("host=api.example&port=8443&path=/v1", "port"),
        ("host=evil.example&path=/v1", "host"),
        ("host=api.example&path=/v1/../x", "ambiguous_path"),
    ] {
        let said = why(query).await;
        assert_eq!((&said["applies"], &said["miss"]), (&json!(false), &json!(miss)), "{query}");
    }
    server.stop().await;
}

#[tokio::test]
async fn where_a_value_goes_is_for_administrators_to_say() {
    let town = Town::build().await;
    let body =
        json!({ "name": "model", "value": PLANTED, "rules": of_host("api.example") }).to_string();
    let path = "/v1/credentials";
    let member = town.key("red", Role::Member);
    let refused = town.ask(member, Method::POST, path, &body).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let admin = town.key("red", Role::Admin);
    assert_eq!(town.ask(admin, Method::POST, path, &body).await.status, StatusCode::CREATED);
    let listed = town.ask(member, Method::GET, path, "").await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let stranger = town.key("blue", Role::Admin);
    let listed = town.ask(stranger, Method::GET, path, "").await.json();
    assert!(listed["items"].as_array().unwrap().is_empty());
    town.server.stop().await;
}
