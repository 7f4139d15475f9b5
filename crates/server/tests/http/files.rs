//! Files over HTTP: ranges, types, paths.

use std::sync::Arc;

use http::{Method, StatusCode};
use http_body_util::Full;
use sandbar_api::ErrorCode;
use sandbar_runtime::fake::Fake;

use crate::server::{Answer, TestServer, request};

const CONTENT: &str = "/v1/sandboxes/demo/files/content?path=a/b.txt";

async fn started() -> TestServer {
    let server = TestServer::start_on(Arc::new(Fake::new())).await;
    let made = server.post("/v1/sandboxes", r#"{"source":{"kind":"empty"},"name":"demo"}"#).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    server
}

async fn put(server: &TestServer, address: &str, kind: &str) -> Answer {
    let ask = request(Method::PUT, address).header("content-type", kind);
    server.ask(ask.body(Full::from("0123456789")).unwrap()).await
}

#[tokio::test]
async fn a_file_is_written_and_read_whole_and_in_part() {
    let server = started().await;
    let written = put(&server, CONTENT, "application/octet-stream").await;
    assert_eq!((written.status, written.json()["size_bytes"].as_u64()), (StatusCode::OK, Some(10)));
    let whole = server.get(CONTENT).await;
    assert_eq!(&whole.body[..], b"0123456789");
    assert_eq!(whole.headers["content-type"], "application/octet-stream");
    let part = |range: &'static str| {
        server.ask(
            request(Method::GET, CONTENT).header("range", range).body(Full::default()).unwrap(),
        )
    };
    let middle = part("bytes=2-4").await;
    assert_eq!((middle.status, &middle.body[..]), (StatusCode::PARTIAL_CONTENT, &b"234"[..]));
    assert_eq!(middle.headers["content-range"], "bytes 2-4/10");
    assert_eq!(&part("bytes=-1").await.body[..], b"9");
    assert_eq!(part("bytes=10-").await.problem().code, ErrorCode::RangeNotSatisfiable);
    assert_eq!(part("bytes=0-1,3-4").await.status, StatusCode::OK);
    server.stop().await;
}

#[tokio::test]
async fn odd_paths_and_types_are_refused() {
    let server = started().await;
    for path in ["", "..", "a/../../b", "/etc/passwd", "a%00b"] {
        let answer = server.get(&format!("/v1/sandboxes/demo/files/content?path={path}")).await;
        assert_eq!(answer.problem().code, ErrorCode::InvalidPath, "{path}");
    }
    for kind in
        ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
    {
        assert_eq!(
            put(&server, CONTENT, kind).await.problem().code,
            ErrorCode::UnsupportedMediaType
        );
    }
    for mode in ["8", "1777", "%2B644", "rw"] {
        let answer =
            put(&server, &format!("{CONTENT}&mode={mode}"), "application/octet-stream").await;
        assert_eq!(answer.problem().code, ErrorCode::InvalidQuery, "{mode}");
    }
    let lost = server.get("/v1/sandboxes/demo/files/stat?path=lost").await;
    assert_eq!(lost.problem().code, ErrorCode::FileNotFound);
    let empty = server.get("/v1/sandboxes/demo/files/search").await;
    assert_eq!(empty.problem().code, ErrorCode::InvalidRequest);
    server.stop().await;
}

const ARCHIVE: &str = "/v1/sandboxes/demo/files/archive";

#[tokio::test]
async fn what_one_archive_holds_another_directory_gets() {
    let server = started().await;
    put(&server, CONTENT, "application/octet-stream").await;
    let archive = server.get(&format!("{ARCHIVE}?path=a")).await;
    assert_eq!(
        (archive.status, &archive.headers["content-type"]),
        (StatusCode::OK, &"application/x-tar".parse().unwrap())
    );
    let send = |bytes: bytes::Bytes, path: &str| {
        let ask = request(Method::PUT, &format!("{ARCHIVE}?path={path}"));
        server.ask(ask.header("content-type", "application/x-tar").body(Full::from(bytes)).unwrap())
    };
    let made = send(archive.body.clone(), "deep/copy").await;
    assert_eq!(
        (made.status, made.json()["entries"].as_u64()),
        (StatusCode::OK, Some(1)),
        "{made:?}"
    );
    let copy = server.get("/v1/sandboxes/demo/files/content?path=deep/copy/b.txt").await;
    assert_eq!(&copy.body[..], b"0123456789");
    let short = send(archive.body.slice(..700), "short").await;
    assert_eq!(short.problem().code, ErrorCode::InvalidRequest);
    // The name of the first entry, with one that climbs in its place: the checksum fails, or the path does.
    let mut climbing = archive.body.to_vec();
    climbing[..5].copy_from_slice(b"../b.");
    assert!(send(climbing.into(), "climbing").await.status.is_client_error());
    assert_eq!(
        server.get(&format!("{ARCHIVE}?path=lost")).await.problem().code,
        ErrorCode::FileNotFound
    );
    server.stop().await;
}
