//! Apps over HTTP: made, found, changed, given sandboxes, cloned and removed.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::Full;
use sandbar_api::ErrorCode;
use sandbar_runtime::{SandboxDir, fake::Fake};
use serde_json::{Value, json};

use crate::server::{Answer, TestServer, request};

async fn started() -> TestServer {
    started_on(Fake::new()).await
}

async fn started_on(host: Fake) -> TestServer {
    let server = TestServer::start_on(Arc::new(host)).await;
    let body = json!({ "name": "shop", "tags": ["web", "demo"], "description": "Sells things" });
    let made = server.post("/v1/apps", body.to_string()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(made.headers["location"], format!("/v1/apps/{id}").as_str());
    server
}

async fn send(server: &TestServer, method: Method, path: &str, parts: (&str, Value)) -> Answer {
    let (tag, body) = parts;
    let ask = request(method, path).header("content-type", "application/json");
    let ask = if tag.is_empty() { ask } else { ask.header("if-match", tag) };
    server.ask(ask.body(Full::new(Bytes::from(body.to_string()))).unwrap()).await
}

fn names(answer: &Answer) -> Vec<String> {
    let items = answer.json()["items"].clone();
    let name = |item: &Value| item["name"].as_str().unwrap().to_owned();
    items.as_array().unwrap().iter().map(name).collect()
}

#[tokio::test]
async fn apps_are_found_by_tag_by_whom_they_are_for_and_by_words_a_page_at_a_time() {
    let server = started().await;
    let other = json!({ "name": "blog", "tags": ["web"], "external_user_id": "auth0|7",
        "external_project_id": "p1", "preset": "nextjs", "visibility": "private" });
    assert_eq!(server.post("/v1/apps", other.to_string()).await.status, StatusCode::CREATED);
    let again = server.post("/v1/apps", other.to_string()).await;
    assert_eq!(again.problem().code, ErrorCode::AppNameTaken);
    for (query, found) in [
        ("", vec!["blog", "shop"]),
        ("?tag=web", vec!["blog", "shop"]),
        ("?tag=web&tag=demo", vec!["shop"]),
        ("?external_user_id=auth0%7C7", vec!["blog"]),
        ("?external_project_id=p2", vec![]),
        ("?q=SELLS", vec!["shop"]),
        ("?q=blo&tag=demo", vec![]),
        ("?q=%00", vec![]),
    ] {
        assert_eq!(names(&server.get(&format!("/v1/apps{query}")).await), found, "{query}");
    }
    let first = server.get("/v1/apps?limit=1").await;
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
    let second = server.get(&format!("/v1/apps?limit=1&cursor={cursor}")).await;
    assert_eq!((names(&first), names(&second)), (vec!["blog".into()], vec!["shop".into()]));
    assert!(second.json().get("next_cursor").is_none());
    for query in ["?tag=", "?tag=A", "?q=a&q=b", "?limit=0", "?limit=", "?unknown=1", "?tag"] {
        let answer = server.get(&format!("/v1/apps{query}")).await;
        assert_eq!(answer.problem().code, ErrorCode::InvalidQuery, "{query}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_change_names_what_was_seen_and_null_takes_away() {
    let server = started().await;
    let seen = server.get("/v1/apps/shop").await;
    assert_eq!(seen.headers["etag"], "\"1\"");
    let change = json!({ "preset": "worker", "visibility": "public", "external_user_id": "u" });
    let patch = async |tag: &str, body: Value| {
        send(&server, Method::PATCH, "/v1/apps/shop", (tag, body)).await
    };
    let changed = patch("\"1\"", change).await;
    assert_eq!(
        (changed.status, changed.json()["preset"].clone()),
        (StatusCode::OK, json!("worker"))
    );
    assert_eq!(changed.headers["etag"], "\"2\"");
    let stale = patch("\"1\"", json!({ "description": "x" })).await;
    assert_eq!(stale.problem().code, ErrorCode::StaleGeneration);
    assert_eq!(patch("\"x\"", json!({})).await.problem().code, ErrorCode::StaleGeneration);
    let less = patch("", json!({ "preset": null, "external_user_id": null })).await.json();
    assert!(less.get("preset").is_none() && less.get("external_user_id").is_none(), "{less}");
    assert_eq!(less["visibility"], "public");
    for body in [
        json!({ "id": "app_0" }),
        json!({ "generation": 9 }),
        json!({ "name": null, "nmae": 1 }),
        json!({ "name": "app_1" }),
        json!({ "tags": ["A"] }),
        json!({ "preset": "rails" }),
        json!({ "external_user_id": "a b" }),
    ] {
        assert_eq!(patch("", body.clone()).await.problem().code, ErrorCode::InvalidField, "{body}");
    }
    let long = json!({ "description": "x".repeat(4097) });
    assert_eq!(patch("", long).await.problem().code, ErrorCode::InvalidValue);
    let renamed = patch("", json!({ "name": "store" })).await;
    assert_eq!(renamed.json()["generation"], 4);
    assert_eq!(server.get("/v1/apps/shop").await.problem().code, ErrorCode::AppNotFound);
    server.stop().await;
}

#[tokio::test]
async fn an_app_is_given_a_sandbox_which_its_name_then_names() {
    let server = started().await;
    let path = "/v1/apps/shop/sandbox";
    assert_eq!(server.get(path).await.problem().code, ErrorCode::SandboxNotFound);
    let stopped = server.post("/v1/apps/shop/stop", "").await;
    assert_eq!(stopped.problem().code, ErrorCode::SandboxNotFound);
    let made = server.post(path, "{}").await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let first = made.json();
    assert_eq!(
        (first["name"].as_str(), first["source"]["kind"].as_str()),
        (Some("shop"), Some("empty"))
    );
    let app = server.get("/v1/apps/shop").await.json();
    assert_eq!((&app["current_sandbox_id"], &app["id"]), (&first["id"], &first["app_id"]));
    assert_eq!(app["current_sandbox_state"], "running");
    let refused = server.post(path, "{}").await.problem();
    assert_eq!(refused.code, ErrorCode::AppHasSandbox);
    assert_eq!(refused.details.unwrap()["sandbox_id"], first["id"]);
    let second = server.post(path, r#"{"replace":true,"remove_replaced":true}"#).await;
    assert_eq!(second.status, StatusCode::CREATED, "{second:?}");
    assert_eq!(server.get(path).await.json()["id"], second.json()["id"]);
    let by_app = server.get(&format!("/v1/sandboxes/{}", app["id"].as_str().unwrap())).await;
    assert_eq!(by_app.json()["id"], second.json()["id"]);
    let stopped = server.post("/v1/apps/shop/stop", r#"{"grace_ms":1}"#).await;
    assert_eq!(stopped.json()["state"], "stopped");
    for what in ["start", "restart"] {
        let answer = server.post(&format!("/v1/apps/shop/{what}"), "").await;
        assert_eq!((answer.status, &answer.json()["state"]), (StatusCode::OK, &json!("running")));
    }
    let bad = server.post("/v1/apps/shop/restart", r#"{"grace_ms":600001}"#).await;
    assert_eq!(bad.problem().code, ErrorCode::InvalidValue);
    server.stop().await;
}

#[tokio::test]
async fn s5_a_secret_of_an_app_is_cloned_and_removed_with_it_and_never_shown() {
    let server = started().await;
    let body = json!({ "key": "API_KEY", "value": "planted-5f1c9a" }).to_string();
    let made = server.post("/v1/apps/shop/config", body.clone()).await;
    assert_eq!((made.status, &made.json()["stale_processes"]), (StatusCode::CREATED, &json!([])));
    let exists = server.post("/v1/apps/shop/config", body).await.problem();
    assert_eq!(
        (exists.code, exists.message.as_str()),
        (ErrorCode::ConfigExists, "the app has `API_KEY` already")
    );
    let one = "/v1/apps/shop/config/API_KEY";
    let changed = send(&server, Method::PATCH, one, ("\"1\"", json!({ "access": "both" }))).await;
    assert_eq!(changed.headers["etag"], "\"2\"");
    let clone = server.post("/v1/apps/shop/clone", r#"{"name":"fork"}"#).await;
    assert_eq!(
        (clone.status, &clone.json()["tags"]),
        (StatusCode::CREATED, &json!(["demo", "web"]))
    );
    let copied = server.get("/v1/apps/fork/config").await;
    assert_eq!(copied.json()["items"][0]["access"], "both");
    for answer in [&made, &changed, &clone, &copied, &server.get("/v1/apps/shop/config").await] {
        assert!(!String::from_utf8_lossy(&answer.body).contains("planted"), "{answer:?}");
    }
    assert_eq!(server.post("/v1/secrets/rotate", "").await.json()["resealed"], 2);
    let removed = send(&server, Method::DELETE, one, ("", json!({}))).await;
    assert_eq!(removed.status, StatusCode::OK);
    let gone =
        send(&server, Method::DELETE, "/v1/apps/fork?keep_snapshots=true", ("", json!({}))).await;
    assert_eq!(gone.json(), json!({ "sandboxes": [], "config_items": 1 }));
    assert_eq!(server.post("/v1/secrets/rotate", "").await.json()["resealed"], 0);
    server.stop().await;
}

#[tokio::test]
async fn a_delete_is_refused_while_changes_wait_and_says_what_went() {
    let host = Fake::new();
    let server = started_on(host.clone()).await;
    let made = server.post("/v1/apps/shop/start", "").await.json();
    let id = made["id"].as_str().unwrap();
    let dir = SandboxDir(server.data_dir.join("sandboxes").join(id));
    host.write(&dir, "a", b"new\n").unwrap();
    let delete = async |query: &str| {
        send(&server, Method::DELETE, &format!("/v1/apps/shop{query}"), ("", json!({}))).await
    };
    let refused = delete("").await.problem();
    assert_eq!(refused.code, ErrorCode::ChangesPending, "{refused:?}");
    assert_eq!(refused.details.unwrap()["sandboxes"][0]["id"], made["id"]);
    let gone = delete("?force=true").await;
    assert_eq!(gone.json(), json!({ "sandboxes": [made["id"]], "config_items": 0 }));
    assert_eq!(delete("").await.problem().code, ErrorCode::AppNotFound);
    // Its history is there, and says that an app was.
    let events = server.get(&format!("/v1/sandboxes/{id}/events")).await.json();
    assert_eq!(events["items"][0]["app_id"], made["app_id"]);
    server.stop().await;
}
