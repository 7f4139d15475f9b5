//! Who is let in, and what everybody is told.

use std::os::unix::fs::PermissionsExt as _;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use sandbar_api::ErrorCode;
use tokio::{io::AsyncReadExt as _, net::UnixStream};

use crate::server::{TestServer, request};

fn get(path: &str) -> Request<Full<Bytes>> {
    request(Method::GET, path).body(Full::default()).unwrap()
}

fn with(
    mut request: Request<Full<Bytes>>,
    name: &'static str,
    value: &str,
) -> Request<Full<Bytes>> {
    request.headers_mut().append(name, value.parse().unwrap());
    request
}

#[tokio::test]
async fn the_socket_is_for_its_user_alone_and_needs_no_token() {
    let server = TestServer::start().await;
    let mode = std::fs::symlink_metadata(&server.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(server.get("/v1/sandboxes").await.status, StatusCode::OK);
    server.stop().await;
}

#[tokio::test]
async fn b19_tcp_needs_the_token() {
    let server = TestServer::start().await;
    let refused = server.ask_tcp(get("/v1/sandboxes")).await;
    assert_eq!(refused.problem().code, ErrorCode::Unauthorized);
    let wrong = with(get("/v1/sandboxes"), "authorization", "Bearer sbt_0");
    assert_eq!(server.ask_tcp(wrong).await.problem().code, ErrorCode::Unauthorized);
    let right = with(get("/v1/sandboxes"), "authorization", &format!("Bearer {}", server.token));
    assert_eq!(server.ask_tcp(right).await.status, StatusCode::OK);
    assert_eq!(server.ask_tcp(get("/healthz")).await.status, StatusCode::OK);
    server.stop().await;
}

#[tokio::test]
async fn case_112_a_rebound_name_is_refused_before_the_token_is_looked_at() {
    let server = TestServer::start().await;
    let bearer = format!("Bearer {}", server.token);
    for host in ["evil.com", "127.0.0.1.evil", "localhost:1"] {
        let ask = with(with(get("/v1/sandboxes"), "host", host), "authorization", &bearer);
        let answer = server.ask_tcp(ask).await;
        assert_eq!(answer.problem().code, ErrorCode::MisdirectedRequest, "{host}");
    }
    for head in ["", "Host: localhost\r\nHost: evil.com\r\n"] {
        let raw = format!(
            "GET /v1/sandboxes HTTP/1.1\r\n{head}Authorization: {bearer}\r\nConnection: close\r\n\r\n"
        );
        let answer = server.raw_tcp(raw.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn case_113_a_web_socket_from_another_site_is_refused() {
    let server = TestServer::start().await;
    for (name, value) in
        [("origin", "http://evil.com"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
    {
        let ask = get("/v1/sandboxes/x/execs/y/attach");
        let ask = with(with(ask, "connection", "upgrade"), "upgrade", "websocket");
        let ask = with(
            with(ask, "sec-websocket-version", "13"),
            "sec-websocket-key",
            "dGhlIHNhbXBsZSBub25jZQ==",
        );
        let ask = with(ask, "authorization", &format!("Bearer {}", server.token));
        let answer = server.ask_tcp(with(ask, name, value)).await;
        assert_eq!(answer.problem().code, ErrorCode::ForbiddenOrigin, "{name}: {value}");
    }
    server.stop().await;
}

#[tokio::test]
async fn no_other_origin_is_ever_allowed_in() {
    let server = TestServer::start().await;
    let mut preflight = get("/v1/sandboxes");
    *preflight.method_mut() = Method::OPTIONS;
    let preflight = with(preflight, "access-control-request-method", "POST");
    let answer = server.ask_tcp(with(preflight, "origin", "http://evil.com")).await;
    assert!(answer.status.is_client_error());
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_route_and_an_unknown_method_are_problems() {
    let server = TestServer::start().await;
    let lost = server.get("/v1/nothing").await;
    assert_eq!(lost.problem().code, ErrorCode::RouteNotFound);
    let answer = server.post("/v1/doctor", "{}").await;
    assert_eq!(answer.problem().code, ErrorCode::MethodNotAllowed);
    assert_eq!(answer.headers["allow"], "GET,HEAD");
    server.stop().await;
}

#[tokio::test]
async fn a_sane_request_id_is_kept_and_an_odd_one_replaced() {
    let server = TestServer::start().await;
    let kept = server.ask(with(get("/v1/nothing"), "x-request-id", "ci-42.a")).await;
    assert_eq!(kept.problem().request_id, "ci-42.a");
    for odd in ["a b", "", "é", &"x".repeat(65)] {
        let mut ask = get("/v1/nothing");
        ask.headers_mut()
            .insert("x-request-id", http::HeaderValue::from_bytes(odd.as_bytes()).unwrap());
        let made = server.ask(ask).await.problem().request_id;
        assert!(made != odd && !made.is_empty(), "{made}");
    }
    server.stop().await;
}

#[tokio::test]
async fn queries_are_strict() {
    let server = TestServer::start().await;
    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=1&limit=2",
        "unknown=1",
        "state=odd",
        "name=A",
        "limit=-1",
        "limit=99999999999",
    ] {
        let answer = server.get(&format!("/v1/sandboxes?{query}")).await;
        assert_eq!(answer.problem().code, ErrorCode::InvalidQuery, "{query}");
    }
    let answer = server.get("/v1/sandboxes?source=relative").await;
    assert_eq!(answer.problem().code, ErrorCode::InvalidPath);
    let answer = server.get("/v1/sandboxes?cursor=odd").await;
    assert_eq!(answer.problem().code, ErrorCode::InvalidCursor);
    server.stop().await;
}

#[tokio::test]
async fn health_readiness_metrics_and_doctor_answer() {
    let server = TestServer::start().await;
    assert_eq!(server.get("/healthz").await.json()["status"], "ok");
    assert_eq!(server.get("/v1/readyz").await.json()["is_ready"], true);
    let ready = server.get("/readyz").await.json();
    let names: Vec<_> = ready["checks"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
    assert_eq!(names, ["engine", "server", "store", "disk", "runtime"]);
    let doctor = server.get("/v1/doctor").await.json();
    assert_eq!(doctor["verdict"], "missing");
    assert_eq!(doctor["findings"][0]["hint"], "use another host");
    // What the doctor found last counts: this host can make no sandbox.
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.json()["checks"][4]["is_ok"], false);
    let metrics = server.get("/metrics").await;
    assert_eq!(metrics.headers["content-type"], "text/plain; version=0.0.4");
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    let series =
        r#"sandbar_request_duration_seconds_count{route="/v1/doctor",method="GET",status="2xx"} 1"#;
    assert!(text.lines().any(|line| line == series), "{text}");
    server.stop().await;
}

#[tokio::test]
async fn bak5_a_backup_is_sent_whole_or_the_tool_that_makes_one_is_named() {
    let server = TestServer::start().await;
    let answer = server.post("/v1/backup", "").await;
    if answer.status == StatusCode::OK {
        assert_eq!(answer.headers["content-type"], "application/x-tar");
        assert!(answer.body.starts_with(b"manifest.json\0"));
        // The seal, behind the end of the archive.
        let end = &answer.body[answer.body.len() - 89..];
        assert!(end.starts_with(b"sandbar-backup-1 sha256 "), "{}", end.escape_ascii());
    } else {
        let problem = answer.problem();
        assert_eq!(problem.code, ErrorCode::BackupUnsupported);
        assert!(problem.hint.unwrap().contains("pg_dump"));
    }
    server.stop().await;
}

#[tokio::test]
async fn several_requests_share_a_connection() {
    use http_body_util::BodyExt as _;

    let server = TestServer::start().await;
    let stream = UnixStream::connect(&server.socket).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(connection);
    for _ in 0..3 {
        sender.ready().await.unwrap();
        let ask = with(get("/healthz"), "host", "localhost");
        let answer = sender.send_request(ask).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.into_body().collect().await.unwrap();
    }
    server.stop().await;
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let server = TestServer::start().await;
    let mut idle = UnixStream::connect(&server.socket).await.unwrap();
    // Answered once, so that the server has accepted it.
    assert_eq!(server.get("/healthz").await.status, StatusCode::OK);
    server.stop().await;
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_second_server_on_the_socket_is_refused_and_the_first_goes_on() {
    let server = TestServer::start().await;
    let taken = std::os::unix::net::UnixListener::bind(&server.socket);
    assert_eq!(taken.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    assert_eq!(server.get("/healthz").await.status, StatusCode::OK);
    server.stop().await;
}

#[tokio::test]
async fn a_preview_host_is_for_previews_and_any_other_for_nobody() {
    let server = TestServer::start().await;
    let bearer = format!("Bearer {}", server.token);
    for (host, code) in [
        ("3000-shop.preview.localhost", "preview_not_found"),
        ("nonsense.preview.localhost", "preview_not_found"),
        ("3000-shop.preview.example.com", "misdirected_request"),
    ] {
        // Not even the API's own token makes a preview's host the API's.
        let ask = with(with(get("/v1/sandboxes"), "host", host), "authorization", &bearer);
        let answer = server.ask_tcp(ask).await;
        assert_eq!(answer.json()["code"], code, "{host}");
    }
    // On the unix socket there is the API alone, whatever the host is called.
    let ask = with(get("/v1/sandboxes"), "host", "3000-shop.preview.localhost");
    assert_eq!(server.ask(ask).await.status, StatusCode::OK);
    server.stop().await;
}
