//! Requests that two parsers could read in two ways, as raw bytes.

use std::{convert::Infallible, time::Duration};

use hyper::service::service_fn;
use sandbar_proxy::preview::{ServeLimits, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::{
    apps::{accepting, mirror, read_head},
    world::{DEADLINE, World},
};

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused() {
    let app = mirror().await;
    let world = World::with_app(app.address).await;
    let host = format!("Host: {}", world.host("shop"));
    for (what, head) in [
        ("two hosts", format!("GET / HTTP/1.1\r\n{host}\r\n{host}\r\n\r\n")),
        ("no host", "GET / HTTP/1.1\r\n\r\n".to_owned()),
        ("another host in the line", format!("GET http://evil.com/ HTTP/1.1\r\n{host}\r\n\r\n")),
        ("a folded header", format!("GET / HTTP/1.1\r\n{host}\r\nA: b\r\n c\r\n\r\n")),
        (
            "a space before the colon",
            format!("GET / HTTP/1.1\r\n{host}\r\nContent-Length : 1\r\n\r\nx"),
        ),
        ("no colon", format!("GET / HTTP/1.1\r\n{host}\r\nnonsense\r\n\r\n")),
        ("a NUL", format!("GET / HTTP/1.1\r\n{host}\r\nA: \0\r\n\r\n")),
        ("a bare CR", format!("GET / HTTP/1.1\r\n{host}\r\nA: b\rc\r\n\r\n")),
        (
            "two lengths",
            format!(
                "POST / HTTP/1.1\r\n{host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"
            ),
        ),
        (
            "a list of lengths",
            format!("POST / HTTP/1.1\r\n{host}\r\nContent-Length: 1, 2\r\n\r\nxx"),
        ),
        ("a signed length", format!("POST / HTTP/1.1\r\n{host}\r\nContent-Length: +1\r\n\r\nx")),
        ("a negative length", format!("POST / HTTP/1.1\r\n{host}\r\nContent-Length: -1\r\n\r\nx")),
        (
            "an unknown coding",
            format!("POST / HTTP/1.1\r\n{host}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "chunked is not last",
            format!(
                "POST / HTTP/1.1\r\n{host}\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"
            ),
        ),
        (
            "a coding in 1.0",
            format!("POST / HTTP/1.0\r\n{host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ),
        ("another version", format!("GET / HTTP/3.7\r\n{host}\r\n\r\n")),
        (
            "a user in the host",
            "GET / HTTP/1.1\r\nHost: a@3000-shop.preview.localhost\r\n\r\n".to_owned(),
        ),
    ] {
        let answer = world.raw(&head).await;
        assert!(answer.starts_with("HTTP/1.1 400") || answer.is_empty(), "{what}: {answer}");
    }
    let connect = format!(
        "CONNECT {0} HTTP/1.1\r\nHost: {0}\r\nConnection: close\r\n\r\n",
        world.host("shop")
    );
    assert!(world.raw(&connect).await.starts_with("HTTP/1.1 405"));
    world.stop().await;
}

/// hyper reads a body with both as chunked, and so it is written anew: an app sees one length, and one request.
#[tokio::test]
async fn of_a_length_and_a_coding_one_reaches_the_app_and_nothing_is_smuggled() {
    let app = accepting(|mut stream| async move {
        let mut all = String::new();
        while !all.contains("0\r\n\r\n") {
            all.push_str(&read_head(&mut stream).await);
        }
        assert!(!all.to_lowercase().contains("content-length"), "{all}");
        assert!(!all.contains("/smuggled"), "{all}");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        let next = read_head(&mut stream).await;
        assert!(next.is_empty(), "{next}");
    })
    .await;
    let world = World::with_app(app.address).await;
    let host = world.host("shop");
    for lengths in [
        "Content-Length: 44\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 44",
    ] {
        let answer = world
            .raw(&format!(
                "POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{lengths}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n"
            ))
            .await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_host_that_is_not_ours_is_misdirected() {
    let app = mirror().await;
    let world = World::with_app(app.address).await;
    for host in ["evil.com", "localhost", "3000-shop.preview.localhost.evil.com", "127.0.0.1"] {
        let answer = world
            .raw(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
            .await;
        assert!(answer.starts_with("HTTP/1.1 421"), "{host}: {answer}");
        assert!(answer.contains("\"misdirected_request\""), "{answer}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let app = mirror().await;
    let world = World::with_app(app.address).await;
    let head = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nA: {}\r\n\r\n",
        world.host("shop"),
        "x".repeat(80 << 10)
    );
    let answer = world.raw(&head).await;
    assert!(answer.starts_with("HTTP/1.1 431") || answer.is_empty(), "{answer}");
    world.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_is_let_go() {
    let world = World::new().await;
    let limits = ServeLimits { header_read: Duration::from_millis(50), ..ServeLimits::default() };
    for begun in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM", "GET / HTTP/1.1\r\nHost: a"] {
        let (mut client, server) = tokio::io::duplex(1024);
        let proxied = world.proxy.client([127, 0, 0, 1].into());
        let service = service_fn(move |request| {
            let client = proxied.clone();
            async move { Ok::<_, Infallible>(client.handle(request).await) }
        });
        let serving = serve(server, service, limits, CancellationToken::new());
        let waiting = async {
            client.write_all(begun.as_bytes()).await.unwrap();
            client.read_to_end(&mut Vec::new()).await.unwrap();
        };
        let both = async { tokio::join!(serving, waiting) };
        tokio::time::timeout(DEADLINE, both).await.expect(begun);
    }
    world.stop().await;
}
