//! Every request that changes something is in the log, with who asked and what became of it, and with no value.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::Full;
use sandbar_runtime::fake::Fake;
use sandbar_types::Role;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use crate::{
    server::{TestServer, request},
    tenants::Town,
};

const PLANTED: &str = "planted-c0ffee";

async fn log(server: &TestServer, query: &str) -> Vec<Value> {
    let page = server.get(&format!("/v1/audit?limit=200{query}")).await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    page.json()["items"].as_array().unwrap().clone()
}

fn document() -> Value {
    serde_json::from_str(&sandbar_server::openapi_json()).unwrap()
}

/// Every operation that is not a `GET`, with what it is in the log.
fn operations(document: &Value) -> Vec<(Method, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let each = |(path, item): (&String, &Value)| {
        let item = item.as_object().unwrap().clone();
        let path = path.clone();
        item.into_iter().map(move |(method, operation)| {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            (method, path.clone(), operation)
        })
    };
    paths.iter().flat_map(each).filter(|(method, ..)| *method != Method::GET).collect()
}

#[test]
fn every_route_that_changes_something_says_what_it_is_in_the_log() {
    /// What only looks, however it is asked.
    const ONLY_LOOKS: [&str; 1] = ["/v1/manifest/check"];
    let is_word = |word: &str| {
        let parts: Vec<_> = word.split('.').collect();
        let is_part = |part: &&str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        parts.len() == 2 && parts.iter().all(is_part)
    };
    let mut names = BTreeSet::new();
    for (method, path, operation) in operations(&document()) {
        let declared = operation["x-sandbar"]["audit"].as_str();
        let declared = declared.unwrap_or_else(|| panic!("{method} {path} is not in the log"));
        assert_eq!(declared == "none", ONLY_LOOKS.contains(&path.as_str()), "{method} {path}");
        let words: Vec<_> = declared.split(' ').collect();
        assert!(declared == "none" || words.len() <= 2 && words.iter().all(|w| is_word(w)));
        assert!(names.insert(declared.to_owned()), "{declared} is said twice");
    }
    assert!(names.len() > 40, "{}", names.len());
}

#[tokio::test]
async fn a18_who_removed_a_sandbox_is_told_after_it_is_gone() {
    let town = Town::build().await;
    let id = town.sandbox("red", "gone").await;
    let key = town.key("red", Role::Member);
    let path = format!("/v1/sandboxes/{id}");
    let removed = town.ask(key, Method::DELETE, &path, "").await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    let admin = town.key("red", Role::Admin);
    let path = format!("/v1/audit?target={id}&action=sandbox.deleted");
    let lines = town.ask(admin, Method::GET, &path, "").await.json();
    let line = &lines["items"][0];
    assert_eq!((&line["outcome"], &line["request_id"]), (&json!("ok"), &json!("same")), "{lines}");
    assert_eq!(
        (&line["actor"]["kind"], &line["actor"]["name"]),
        (&json!("api_key"), &json!("member"))
    );
    assert_eq!(line["address"], "127.0.0.1");
    assert_eq!(line["target"], json!({ "kind": "sandbox", "id": id }));
    let about = town.ask(admin, Method::GET, &format!("/v1/audit?target={id}"), "").await.json();
    let actions: Vec<_> = about["items"].as_array().unwrap().iter().map(|l| &l["action"]).collect();
    assert_eq!(actions, ["sandbox.deleted", "sandbox.created"]);
    // The other tenant sees nothing of it, and who runs the server everything.
    let blue = town.key("blue", Role::Admin);
    let foreign = town.ask(blue, Method::GET, &path, "").await.json();
    assert_eq!(foreign["items"], json!([]));
    for tenant in ["", "&tenant=red"] {
        let query = format!("&target={id}{tenant}");
        assert_eq!(log(&town.server, &query).await.len(), 2, "{tenant}");
    }
    assert_eq!(log(&town.server, &format!("&target={id}&tenant=blue")).await, Vec::<Value>::new());
    let by = line["actor"]["id"].as_str().unwrap();
    assert_eq!(log(&town.server, &format!("&actor={by}")).await.len(), 2);
    town.server.stop().await;
}

#[tokio::test]
async fn what_was_refused_or_failed_is_told_with_its_code() {
    let town = Town::build().await;
    let viewer = town.key("red", Role::Viewer);
    town.ask(viewer, Method::POST, "/v1/sandboxes", r#"{"source":{"kind":"empty"}}"#).await;
    let member = town.key("red", Role::Member);
    town.ask(member, Method::POST, "/v1/sandboxes", r#"{"source":{"kind":"empty"},"x":1}"#).await;
    let ask = request(Method::POST, "/v1/sandboxes").body(Full::default()).unwrap();
    town.server.ask_tcp(ask).await;
    let login = request(Method::POST, "/v1/auth/login").header("content-type", "application/json");
    let wrong = json!({ "name": "ada", "password": PLANTED }).to_string();
    town.server.ask_tcp(login.body(Full::from(wrong)).unwrap()).await;
    let lines = log(&town.server, "&order=asc").await;
    let said: Vec<_> = lines
        .iter()
        .filter(|line| line["outcome"] != "ok")
        .map(|line| {
            let word = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            (word("action"), word("outcome"), word("error_code"), line["actor"]["kind"].clone())
        })
        .collect();
    let word = |action: &str, outcome: &str, code: &str, who: &str| {
        (action.to_owned(), outcome.to_owned(), code.to_owned(), json!(who))
    };
    assert_eq!(
        said,
        [
            word("sandbox.created", "refused", "forbidden", "api_key"),
            word("sandbox.created", "failed", "invalid_field", "api_key"),
            word("sandbox.created", "refused", "unauthorized", "unknown"),
            word("login.failed", "refused", "invalid_credentials", "unknown"),
        ]
    );
    town.server.stop().await;
}

#[tokio::test]
async fn a_flood_of_refusals_does_not_fill_the_log() {
    let server = TestServer::start().await;
    for _ in 0..100 {
        let ask = request(Method::POST, "/v1/sandboxes").body(Full::default()).unwrap();
        assert_eq!(server.ask_tcp(ask).await.status, StatusCode::UNAUTHORIZED);
    }
    let lines = log(&server, "").await;
    assert!(lines.len() < 70, "{}", lines.len());
    server.stop().await;
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_is_in_the_log() {
    let server = TestServer::start_on(Arc::new(Fake::new())).await;
    let made = server.post("/v1/sandboxes", r#"{"source":{"kind":"empty"},"name":"one"}"#).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let mut stream = UnixStream::connect(&server.socket).await.unwrap();
    let body = r#"{"argv":["sleep"],"wait":true}"#;
    let head = format!(
        "POST /v1/sandboxes/one/execs HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: left\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    let until = async |what: &str, is_so: &mut dyn FnMut(Vec<Value>) -> bool, path: &str| {
        loop {
            let found = server.get(path).await.json()["items"].as_array().unwrap().clone();
            if is_so(found) {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "never: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    until("it runs", &mut |found| !found.is_empty(), "/v1/sandboxes/one/execs").await;
    drop(stream);
    let mut is_told = |found: Vec<Value>| {
        found.iter().any(|line| {
            line["request_id"] == "left"
                && line["error_code"] == "abandoned"
                && line["actor"]["kind"] == "user"
                && line["detail"]["fields"] == json!(["argv", "wait"])
        })
    };
    until("it is told", &mut is_told, "/v1/audit?action=exec.started").await;
    server.stop().await;
}

/// A value that fits no more than its type, with the secret wherever a text may be.
fn planted(document: &Value, schema: &Value, depth: usize) -> Value {
    if depth > 6 {
        return json!(PLANTED);
    }
    if let Some(target) = schema["$ref"].as_str() {
        return planted(document, document.pointer(&target[1..]).unwrap(), depth + 1);
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        if let Some(first) = schema[choice].as_array().and_then(|all| all.last()) {
            return planted(document, first, depth + 1);
        }
    }
    if let Some(known) = schema["enum"].as_array() {
        return known[0].clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("object") => {
            let fields = schema["properties"].as_object().cloned().unwrap_or_default();
            let fields =
                fields.iter().map(|(name, s)| (name.clone(), planted(document, s, depth + 1)));
            Value::Object(fields.collect())
        }
        Some("array") => json!([planted(document, &schema["items"], depth + 1)]),
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        Some(_) | None => json!(PLANTED),
    }
}

#[tokio::test]
async fn d3_a_secret_in_any_field_of_any_body_is_not_in_the_log() {
    let server = TestServer::start_on(Arc::new(Fake::new())).await;
    let made = server.post("/v1/sandboxes", r#"{"source":{"kind":"empty"},"name":"one"}"#).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let document = document();
    let ids = BTreeMap::from([("{sandbox}", "one"), ("{process}", "web"), ("{tenant}", "default")]);
    for (method, path, operation) in operations(&document) {
        // Deleting is last of all.
        let is_last = method == Method::DELETE && path == "/v1/sandboxes/{sandbox}";
        if is_last || path.ends_with("/rotate") || path.ends_with("/backup") {
            continue;
        }
        let address = ids.iter().fold(path.clone(), |path, (name, id)| path.replace(name, id));
        let address = address.replace(['{', '}'], "");
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let body = planted(&document, schema, 0);
        let ask = request(method.clone(), &address).header("content-type", "application/json");
        let body = Full::new(Bytes::from(body.to_string()));
        server.ask(ask.body(body).unwrap()).await;
    }
    // Bodies that are taken: a password, a secret, a variable, an argument.
    for (path, body) in [
        ("/v1/users", json!({ "name": "ada", "role": "admin", "password": PLANTED })),
        ("/v1/auth/login", json!({ "name": "ada", "password": PLANTED })),
        ("/v1/sandboxes/one/config", json!({ "key": "TOKEN", "value": PLANTED })),
        (
            "/v1/sandboxes/one/execs",
            json!({ "argv": ["echo", PLANTED], "env": { "A": PLANTED }, "wait": true }),
        ),
    ] {
        let taken = server.post(path, body.to_string()).await;
        assert!(taken.status.is_success(), "{path}: {taken:?}");
    }
    let exported = server.get("/v1/audit/export").await;
    let text = String::from_utf8(exported.body.to_vec()).unwrap();
    assert!(text.lines().count() > 20, "{text}");
    assert!(!text.contains(PLANTED), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let secret = lines.iter().rfind(|line| line["action"] == "secret.created").unwrap();
    assert_eq!(secret["detail"], json!({ "fields": ["key", "value"], "made": "TOKEN" }));
    let login = lines.iter().find(|line| line["action"] == "login.succeeded").unwrap();
    assert_eq!(
        (&login["actor"]["kind"], &login["actor"]["name"]),
        (&json!("account"), &json!("ada"))
    );
    let csv = server.get("/v1/audit/export?format=csv").await;
    assert!(csv.body.starts_with(b"id,tenant,at,actor,"));
    assert!(!String::from_utf8_lossy(&csv.body).contains(PLANTED));
    server.stop().await;
}

#[tokio::test]
async fn a_line_is_there_when_the_answer_is_and_outlives_the_server() {
    let fake = Arc::new(Fake::new());
    let server = TestServer::start_on(Arc::<Fake>::clone(&fake)).await;
    for name in ["one", "two", "three"] {
        let body = json!({ "source": { "kind": "empty" }, "name": name }).to_string();
        let made = server.post("/v1/sandboxes", body).await.json();
        let lines = log(&server, "").await;
        assert_eq!(lines[0]["target"]["id"], made["id"]);
    }
    let server = server.restart_on(fake).await;
    assert_eq!(log(&server, "").await.len(), 3);
    let mut stream = UnixStream::connect(&server.socket).await.unwrap();
    stream.write_all(b"GET /v1/audit/export HTTP/1.0\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text.matches("\"sandbox.created\"").count(), 3, "{text}");
    server.stop().await;
}
