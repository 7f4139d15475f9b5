//! What is large passes, and nothing of it stays.

use std::{fs, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::world::{Certificate, SECRET, Upstream, World, head, remembering};
use crate::fixture::SOON;

/// Most that a process may grow by while any amount passes through it: buffers of both ends and of the proxy are a few
/// MiB, and what an allocator keeps is some more.
const GROWTH_MAX: usize = 64 << 20;
const BLOCK: usize = 256 << 10;

/// Bytes of memory that this process has.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: usize = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    kib << 10
}

/// Sends `bytes` to an upstream that sends as many back, and returns by how much the process grew at most.
async fn grown_by_streams_of(bytes: usize) -> usize {
    let upstream = Upstream::new(Certificate::Good, move |mut stream| async move {
        assert!(head(&mut stream).await.contains(SECRET));
        let mut buffer = vec![b'x'; BLOCK];
        let mut rest = bytes;
        while rest > 0 {
            rest -= stream.read(&mut buffer).await.unwrap();
        }
        let start = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n");
        stream.write_all(start.as_bytes()).await.unwrap();
        for _ in 0..bytes / BLOCK {
            stream.write_all(&buffer).await.unwrap();
        }
        stream.flush().await.unwrap();
        drop(stream.read_u8().await);
    })
    .await;
    let world = World::new(upstream).await;
    let mut stream = world.connect().await;
    let before = resident();
    let mut most = before;
    let begun =
        format!("POST /v1 HTTP/1.1\r\nHost: {}\r\nContent-Length: {bytes}\r\n\r\n", world.target());
    stream.write_all(begun.as_bytes()).await.unwrap();
    let mut buffer = vec![b'y'; BLOCK];
    for _ in 0..bytes / BLOCK {
        stream.write_all(&buffer).await.unwrap();
        most = most.max(resident());
    }
    stream.flush().await.unwrap();
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 200 "));
    let mut rest = bytes;
    while rest > 0 {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "{rest} bytes are missing");
        rest -= read;
        most = most.max(resident());
    }
    most - before
}

#[tokio::test]
async fn case_69_the_memory_of_a_long_stream_is_flat() {
    let grown = timeout(Duration::from_mins(2), grown_by_streams_of(192 << 20)).await.unwrap();
    assert!(grown < GROWTH_MAX, "{} KiB", grown >> 10);
}

#[tokio::test]
#[ignore = "2 GiB each way take a minute in a debug build: cargo nextest run -p sandbar-proxy --run-ignored only two_gigabytes"]
async fn case_69_the_memory_of_two_gigabytes_is_flat() {
    let grown = grown_by_streams_of(2 << 30).await;
    assert!(grown < GROWTH_MAX, "{} KiB", grown >> 10);
}

#[tokio::test]
async fn case_71_a_head_of_a_megabyte_in_a_tunnel_is_refused_and_goes_nowhere() {
    let (upstream, heads) = remembering().await;
    let world = World::new(upstream).await;
    let mut stream = world.connect().await;
    let large = "a".repeat(1 << 20);
    let request = format!("GET /v1 HTTP/1.1\r\nHost: {}\r\nX: {large}\r\n\r\n", world.target());
    // The rest of it is not taken.
    drop(timeout(SOON, stream.write_all(request.as_bytes())).await.unwrap());
    let said = super::world::read_all(&mut stream).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431 "), "{said}");
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn case_71_an_answer_in_a_tunnel_whose_head_is_a_megabyte_is_a_502() {
    let upstream = Upstream::new(Certificate::Good, |mut stream| async move {
        head(&mut stream).await;
        let large = "a".repeat(1 << 20);
        drop(stream.write_all(format!("HTTP/1.1 200 OK\r\nX: {large}\r\n\r\n").as_bytes()).await);
        drop(stream.flush().await);
    })
    .await;
    let said = World::new(upstream).await.fetch("/v1", "").await;
    assert!(said.starts_with("HTTP/1.1 502 "), "{}", &said[..said.len().min(200)]);
}
