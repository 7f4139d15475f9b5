//! Streams that are come back to, and conversations.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use http::{Method, StatusCode};
use http_body_util::Full;
use sandbar_api::{
    ErrorCode,
    attach::{ClientFrame, ServerBody, ServerFrame},
};
use sandbar_runtime::fake::Fake;
use sandbar_types::ExitStatus;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};

use crate::server::{TestServer, request};

const DEADLINE: Duration = Duration::from_secs(10);

async fn started(argv: &str) -> (TestServer, String) {
    let server = TestServer::start_on(Arc::new(Fake::new())).await;
    let made = server.post("/v1/sandboxes", r#"{"source":{"kind":"empty"},"name":"demo"}"#).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let exec = server.post("/v1/sandboxes/demo/execs", format!(r#"{{"argv":{argv}}}"#)).await;
    assert_eq!(exec.status, StatusCode::CREATED, "{exec:?}");
    let address = exec.headers["location"].to_str().unwrap().to_owned();
    (server, address)
}

/// The (event, id, data) of each server-sent event.
fn events(text: &[u8]) -> Vec<(String, String, String)> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    let field = |event: &str, name: &str| {
        let line = event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_default().to_owned()
    };
    let events = text.split("\n\n").filter(|event| event.contains("event: "));
    events.map(|event| (field(event, "event"), field(event, "id"), field(event, "data"))).collect()
}

async fn output_after(
    server: &TestServer,
    address: &str,
    id: Option<&str>,
) -> Vec<(String, String, String)> {
    let mut ask = request(Method::GET, &format!("{address}/output"));
    if let Some(id) = id {
        ask = ask.header("last-event-id", id);
    }
    let answer =
        time::timeout(DEADLINE, server.ask(ask.body(Full::default()).unwrap())).await.unwrap();
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    events(&answer.body)
}

#[tokio::test]
async fn output_resumes_exactly_after_the_last_event() {
    let (server, address) = started(r#"["echo","hello"]"#).await;
    let all = output_after(&server, &address, None).await;
    let names: Vec<_> = all.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["stdout", "end"], "{all:?}");
    assert_eq!(all[0].2, r#"{"text":"hello"}"#);
    let rest = output_after(&server, &address, Some(&all[0].1)).await;
    assert_eq!(rest, all[1..]);
    let odd = request(Method::GET, &format!("{address}/output")).header("last-event-id", "x");
    let odd = server.ask(odd.body(Full::default()).unwrap()).await;
    assert_eq!(odd.problem().code, ErrorCode::InvalidHeader);
    server.stop().await;
}

#[tokio::test]
async fn output_of_what_runs_can_be_read_without_following() {
    let (server, address) = started(r#"["sleep"]"#).await;
    let now = time::timeout(DEADLINE, server.get(&format!("{address}/output?follow=false")))
        .await
        .unwrap();
    assert!(events(&now.body).is_empty());
    server.stop().await;
}

#[tokio::test]
async fn history_is_paged_and_its_pages_end() {
    let (server, _) = started(r#"["echo","x"]"#).await;
    let all = server.get("/v1/sandboxes/demo/events?limit=200").await.json();
    let all = all["items"].as_array().unwrap();
    assert_eq!(all[0]["type"], "created", "{all:?}");
    let first = server.get("/v1/sandboxes/demo/events?limit=1").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let next =
        server.get(&format!("/v1/sandboxes/demo/events?limit=1&cursor={cursor}")).await.json();
    assert_eq!(next["items"][0]["id"], all[1]["id"]);
    server.stop().await;
}

#[tokio::test]
async fn history_streams_until_the_server_drains() {
    let (server, _) = started(r#"["echo","x"]"#).await;
    let all = server.get("/v1/sandboxes/demo/events?limit=200").await.json();
    let first = all["items"][0]["id"].as_u64().unwrap();
    let mut stream = UnixStream::connect(&server.socket).await.unwrap();
    let head = format!(
        "GET /v1/sandboxes/demo/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nLast-Event-ID: {first}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    let follow = async {
        while !String::from_utf8_lossy(&seen).contains("event: ") {
            assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "it ended by itself");
        }
        server.drain();
        stream.read_to_end(&mut seen).await.unwrap();
    };
    time::timeout(DEADLINE, follow).await.unwrap();
    let text = String::from_utf8(seen).unwrap();
    let mut ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
    assert!(ids.clone().count() > 0 && ids.all(|id| id.parse::<u64>().unwrap() > first), "{text}");
    server.stop().await;
}

async fn attach(server: &TestServer, address: &str) -> WebSocketStream<UnixStream> {
    let stream = UnixStream::connect(&server.socket).await.unwrap();
    let (socket, _) =
        client_async(format!("ws://localhost{address}/attach"), stream).await.unwrap();
    socket
}

async fn next(socket: &mut WebSocketStream<UnixStream>) -> Message {
    time::timeout(DEADLINE, socket.next()).await.unwrap().unwrap().unwrap()
}

fn close_code(message: &Message) -> CloseCode {
    let Message::Close(Some(frame)) = message else { panic!("no close frame: {message:?}") };
    frame.code
}

#[tokio::test]
async fn an_attached_client_sends_a_signal_and_sees_the_end() {
    let (server, address) = started(r#"["sleep"]"#).await;
    let mut socket = attach(&server, &address).await;
    let signal = ClientFrame::Signal(15).encode();
    socket.send(Message::Binary(signal.into())).await.unwrap();
    let message = next(&mut socket).await.into_data();
    let frame = ServerFrame::decode(&message).unwrap();
    let ServerBody::End(end) = frame.body else { panic!("{frame:?}") };
    assert_eq!(end.status, ExitStatus::Signaled { signal: 15 });
    assert_eq!(close_code(&next(&mut socket).await), CloseCode::Normal);
    drop(socket);
    server.stop().await;
}

#[tokio::test]
async fn an_exec_that_has_ended_can_still_be_attached_to() {
    let (server, address) = started(r#"["echo","hello"]"#).await;
    let mut socket = attach(&server, &address).await;
    let message = next(&mut socket).await.into_data();
    assert_eq!(ServerFrame::decode(&message).unwrap().body, ServerBody::Stdout(b"hello"));
    let message = next(&mut socket).await.into_data();
    assert!(matches!(ServerFrame::decode(&message).unwrap().body, ServerBody::End(_)));
    drop(socket);
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_frame_ends_the_conversation() {
    let (server, address) = started(r#"["sleep"]"#).await;
    for odd in [Message::Text("hello".into()), Message::Binary(vec![0].into())] {
        let mut socket = attach(&server, &address).await;
        socket.send(odd).await.unwrap();
        assert_eq!(close_code(&next(&mut socket).await), CloseCode::Policy);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_draining_server_says_goodbye() {
    let (server, address) = started(r#"["sleep"]"#).await;
    let mut socket = attach(&server, &address).await;
    let (_, goodbye) = tokio::join!(server.stop(), next(&mut socket));
    assert_eq!(close_code(&goodbye), CloseCode::Away);
}

#[tokio::test]
async fn attaching_needs_a_web_socket_and_an_exec() {
    let (server, address) = started(r#"["sleep"]"#).await;
    let plain = server.get(&format!("{address}/attach")).await;
    assert_eq!(plain.problem().code, ErrorCode::UpgradeRequired);
    let stream = UnixStream::connect(&server.socket).await.unwrap();
    let unknown = "ws://localhost/v1/sandboxes/demo/execs/ex_0/attach";
    assert!(client_async(unknown, stream).await.is_err());
    server.stop().await;
}
