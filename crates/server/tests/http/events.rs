//! The feed of a tenant: filtered, in pages that end, and as a stream that goes on behind what was seen.

use std::{sync::Arc, time::Duration};

use http::{Method, StatusCode};
use sandbar_api::ErrorCode;
use sandbar_runtime::fake::Fake;
use sandbar_types::{AppId, EventType, Role};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time,
};

use crate::{server::TestServer, tenants::Town};

const DEADLINE: Duration = Duration::from_secs(10);

async fn busy() -> (TestServer, Vec<String>) {
    let server = TestServer::start_on(Arc::new(Fake::new())).await;
    let mut made_ids = Vec::new();
    for name in ["one", "two"] {
        let body = format!(r#"{{"source":{{"kind":"empty"}},"name":"{name}"}}"#);
        let made = server.post("/v1/sandboxes", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        made_ids.push(made.json()["id"].as_str().unwrap().to_owned());
        let ran = format!("/v1/sandboxes/{name}/execs");
        server.post(&ran, r#"{"argv":["echo","x"],"wait":true}"#).await;
    }
    // That a command ended is written a moment after it is answered.
    let deadline = time::Instant::now() + DEADLINE;
    while ids(&server.get("/v1/events?type=exec_ended").await.json()).len() < 2 {
        assert!(time::Instant::now() < deadline, "the ends of two commands are not there");
        time::sleep(Duration::from_millis(10)).await;
    }
    (server, made_ids)
}

fn ids(page: &Value) -> Vec<u64> {
    page["items"].as_array().unwrap().iter().map(|event| event["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a9_pages_of_the_feed_end_in_both_orders() {
    let (server, _) = busy().await;
    let all = ids(&server.get("/v1/events?limit=200").await.json());
    assert!(all.len() > 6 && all.is_sorted(), "{all:?}");
    for order in ["asc", "desc"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/events?order={order}&limit=2{cursor}");
            let page = server.get(&path).await.json();
            let items = ids(&page);
            // A page is never empty, so nobody asks once more for nothing.
            assert!(!items.is_empty(), "{page}");
            seen.extend(items);
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        if order == "desc" {
            seen.reverse();
        }
        assert_eq!(seen, all, "{order}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_feed_is_filtered_by_what_it_is_about_and_by_type() {
    let (server, sandboxes) = busy().await;
    let own = server.get("/v1/sandboxes/one/events?limit=200").await.json();
    let filtered = server.get("/v1/events?sandbox=one&limit=200").await.json();
    assert_eq!(own, filtered);
    assert!(
        own["items"].as_array().unwrap().iter().all(|event| event["sandbox_id"] == *sandboxes[0])
    );
    let query = "type=exec_ended&type=created&limit=200";
    let some = server.get(&format!("/v1/events?{query}")).await.json();
    let items = some["items"].as_array().unwrap();
    let mut types: Vec<_> = items.iter().map(|event| event["type"].as_str().unwrap()).collect();
    types.sort_unstable();
    assert_eq!(types, ["created", "created", "exec_ended", "exec_ended"], "{some}");
    let ended = items.iter().find(|event| event["type"] == "exec_ended").unwrap();
    // What a type says alone has no data beside it.
    assert_eq!(some["items"][0].get("data"), None);
    assert!(ended["data"]["exec_id"].is_string());
    let none = server.get(&format!("/v1/events?app={}", AppId::generate())).await.json();
    assert_eq!(ids(&none), Vec::<u64>::new());
    for (query, code) in [
        ("type=nothing", ErrorCode::InvalidQuery),
        ("limit=0", ErrorCode::InvalidQuery),
        ("limit=1&limit=2", ErrorCode::InvalidQuery),
        ("what=1", ErrorCode::InvalidQuery),
        ("order=up", ErrorCode::InvalidQuery),
        ("cursor=x", ErrorCode::InvalidCursor),
        ("sandbox=nobody", ErrorCode::SandboxNotFound),
    ] {
        let refused = server.get(&format!("/v1/events?{query}")).await;
        assert_eq!(refused.problem().code, code, "{query}");
    }
    server.stop().await;
}

/// Reads a stream until it has `count` events, and returns their ids; nothing is read behind them.
async fn read(server: &TestServer, path: &str, after: u64, count: usize) -> Vec<u64> {
    let mut stream = UnixStream::connect(&server.socket).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nLast-Event-ID: {after}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    let reading = async {
        loop {
            let text = String::from_utf8_lossy(&seen).into_owned();
            let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let ids: Vec<u64> = lines
                .filter_map(|line| line.strip_prefix("id: "))
                .map(|id| id.trim().parse().unwrap())
                .collect();
            if ids.len() >= count {
                return ids[..count].to_vec();
            }
            assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "it ended: {text}");
        }
    };
    time::timeout(DEADLINE, reading).await.unwrap()
}

#[tokio::test]
async fn d4_a_stream_goes_on_behind_what_was_seen_in_a_server_that_was_restarted() {
    let fake = Arc::new(Fake::new());
    let server = TestServer::start_on(Arc::<Fake>::clone(&fake)).await;
    server.post("/v1/sandboxes", r#"{"source":{"kind":"empty"},"name":"one"}"#).await;
    let first = read(&server, "/v1/events", 0, 1).await;
    let server = server.restart_on(fake).await;
    server.post("/v1/sandboxes", r#"{"source":{"kind":"empty"},"name":"two"}"#).await;
    let all = ids(&server.get("/v1/events?limit=200").await.json());
    assert_eq!(all[0], first[0]);
    let rest = read(&server, "/v1/events", first[0], all.len() - 1).await;
    assert_eq!(rest, all[1..]);
    let made = read(&server, "/v1/events?type=created", first[0], 1).await;
    assert!(made[0] > first[0] && all.contains(&made[0]));
    server.stop().await;
}

#[tokio::test]
async fn case_110_a_tenant_is_fed_its_own_events_alone() {
    let town = Town::build().await;
    let id = town.sandbox("red", "theirs").await;
    let (red, blue) = (town.key("red", Role::Viewer), town.key("blue", Role::Viewer));
    let own = town.ask(red, Method::GET, "/v1/events", "").await.json();
    assert_eq!(own["items"][0]["sandbox_id"], *id);
    let foreign = town.ask(blue, Method::GET, "/v1/events", "").await.json();
    assert_eq!(ids(&foreign), Vec::<u64>::new());
    let refused = town.ask(blue, Method::GET, &format!("/v1/events?sandbox={id}"), "").await;
    assert_eq!(refused.problem().code, ErrorCode::SandboxNotFound);
    town.server.stop().await;
}

/// The table of `docs/events.md`, the enumeration of types and the shapes of the document say the same.
#[test]
fn every_type_of_event_is_documented_with_its_data() {
    let handbook = include_str!("../../../../docs/events.md");
    let table = handbook.split_once("<!-- begin types -->").unwrap().1;
    let table = table.split_once("<!-- end types -->").unwrap().0;
    let documented: Vec<(String, Vec<String>)> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(String::from).collect();
            let kind: Vec<String> = words(cells[1]);
            let mut data: Vec<String> = words(cells[3]);
            data.sort();
            (kind[0].clone(), data)
        })
        .collect();
    let known: Vec<_> = EventType::ALL.iter().map(|kind| kind.as_str().to_owned()).collect();
    let named: Vec<_> = documented.iter().map(|(kind, _)| kind.clone()).collect();
    assert_eq!(named, known);
    let document: Value = serde_json::from_str(&sandbar_server::openapi_json()).unwrap();
    let shapes = document["components"]["schemas"]["EventPayload"]["oneOf"].as_array().unwrap();
    let shapes: Vec<(String, Vec<String>)> = shapes
        .iter()
        .map(|shape| {
            let kind = shape["properties"]["type"]["enum"][0].as_str().unwrap().to_owned();
            let data = shape["properties"]["data"]["properties"].as_object();
            (kind, data.into_iter().flat_map(|data| data.keys().cloned()).collect())
        })
        .collect();
    assert_eq!(documented, shapes);
}
