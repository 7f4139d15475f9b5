//! Traces, as a collector sees them. Who takes spans is one for the whole process, and each test has its own.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::State, routing::post};
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::Full;
use sandbar_server::Config;
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc},
    task::JoinSet,
};

use crate::server::{TestServer, request};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
/// How long something may take that is to happen at all.
const DEADLINE: Duration = Duration::from_secs(60);

/// Sends traces of this process there.
fn trace_to(listener: &TcpListener) {
    let variables = [
        ("SANDBAR_TELEMETRY_OTLP_ENDPOINT", format!("http://{}", listener.local_addr().unwrap())),
        // What is traced does not depend on what is logged.
        ("SANDBAR_SERVER_LOG_FILTER", "off".to_owned()),
    ];
    let nowhere = tempfile::tempdir().unwrap();
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    Config::load(nowhere.path(), variables).unwrap().start_logging();
}

/// Keeps everything that is posted to it.
async fn collector(tasks: &mut JoinSet<()>) -> mpsc::UnboundedReceiver<Bytes> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let keep = |State(sender): State<Arc<Mutex<mpsc::UnboundedSender<Bytes>>>>, body: Bytes| async move {
        sender.lock().await.send(body).ok();
        StatusCode::OK
    };
    let router =
        Router::new().route("/v1/traces", post(keep)).with_state(Arc::new(Mutex::new(sender)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    trace_to(&listener);
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    receiver
}

/// What was received, one after the other.
fn all_of(received: &mut mpsc::UnboundedReceiver<Bytes>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(body) = received.try_recv() {
        bytes.extend_from_slice(&body);
    }
    bytes
}

fn count(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).filter(|window| *window == what).count()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[tokio::test]
async fn a_request_is_a_span_in_the_trace_of_its_caller_and_says_nothing_of_what_was_asked() {
    let mut tasks = JoinSet::new();
    let mut received = collector(&mut tasks).await;
    let server = TestServer::start().await;
    let body = r#"{"source":{"kind":"empty"},"name":"planted-name"}"#;
    let create = request(Method::POST, "/v1/sandboxes")
        .header("content-type", "application/json")
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .header("x-request-id", "the-id-of-the-create");
    server.ask(create.body(Full::from(body)).unwrap()).await;
    server.post("/v1/sandboxes", r#"{"planted-field":"planted-body"}"#).await;
    let list = request(Method::GET, "/v1/sandboxes?name=planted-query");
    let list = list.header("authorization", "Bearer planted-token");
    server.ask(list.body(Full::default()).unwrap()).await;
    server.get("/v1/sandboxes/planted-path").await;
    server.get("/planted-unmatched").await;
    // A caller who says that theirs is not sent.
    let quiet = request(Method::GET, "/v1/apps")
        .header("traceparent", format!("00-{TRACE}-{CALLER}-00"))
        .header("x-request-id", "the-id-of-the-quiet");
    server.ask(quiet.body(Full::default()).unwrap()).await;
    // What was gathered is sent when the server drains.
    tokio::time::timeout(DEADLINE, server.stop()).await.unwrap();
    let bytes = all_of(&mut received);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let has = [
        "POST /v1/sandboxes",
        "sandbox create",
        "GET /v1/sandboxes/{sandbox}",
        "the-id-of-the-create",
        "http.response.status_code",
        "service.name",
        "service.version",
    ];
    for has in has {
        assert!(text.contains(has), "{has}: {text}");
    }
    // As protobuf has them: `trace_id` is field 1 of a span with 16 bytes, `parent_span_id` field 4 with 8.
    let trace = [&[0x0a, 16], unhex(TRACE).as_slice()].concat();
    let parent = [&[0x22, 8], unhex(CALLER).as_slice()].concat();
    assert_eq!(count(&bytes, &parent), 1, "{text}");
    assert!(count(&bytes, &trace) >= 1, "{text}");
    assert!(!text.contains("planted"), "{text}");
    assert!(!text.contains("the-id-of-the-quiet"), "{text}");
}

#[tokio::test]
async fn what_the_engine_does_is_within_the_request() {
    let mut tasks = JoinSet::new();
    let mut received = collector(&mut tasks).await;
    let server = TestServer::start().await;
    let create = request(Method::POST, "/v1/sandboxes")
        .header("content-type", "application/json")
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
    // Whether this host can run it is no matter.
    let body = r#"{"source":{"kind":"empty"}}"#;
    let answer = server.ask(create.body(Full::from(body)).unwrap()).await;
    tokio::time::timeout(DEADLINE, server.stop()).await.unwrap();
    let bytes = all_of(&mut received);
    let trace = [&[0x0a, 16], unhex(TRACE).as_slice()].concat();
    let parent = [&[0x22, 8], unhex(CALLER).as_slice()].concat();
    assert_eq!(count(&bytes, b"sandbox create"), 1, "{answer:?}");
    // Both are of the trace, and one of them alone is the caller's own child.
    assert_eq!((count(&bytes, &trace), count(&bytes, &parent)), (2, 1), "{answer:?}");
}

#[tokio::test]
async fn a_collector_that_never_answers_delays_neither_a_request_nor_the_end() {
    // It takes connections, because the kernel does, and nothing comes back.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    trace_to(&listener);
    let server = TestServer::start().await;
    let all = async {
        // More than one batch, so that one is on its way while others are gathered.
        for _ in 0..1_000 {
            assert_eq!(server.get("/v1/sandboxes").await.status, StatusCode::OK);
        }
        // The exporter is stuck in it.
        let stuck = listener.accept().await.unwrap();
        server.stop().await;
        drop(stuck);
    };
    tokio::time::timeout(DEADLINE, all).await.unwrap();
}

#[tokio::test]
async fn a_collector_that_is_gone_delays_neither_a_request_nor_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    trace_to(&listener);
    drop(listener);
    let server = TestServer::start().await;
    let all = async {
        for _ in 0..1_000 {
            assert_eq!(server.get("/v1/sandboxes").await.status, StatusCode::OK);
        }
        server.stop().await;
    };
    tokio::time::timeout(DEADLINE, all).await.unwrap();
}
