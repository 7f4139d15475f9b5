//! Odd handshakes and odd bodies: each has an end that is said here, none hangs, and nothing goes out in the clear.

use std::sync::Arc;

use rustls::{
    ClientConfig, ServerConfig, SupportedProtocolVersion,
    crypto::aws_lc_rs::default_provider,
    pki_types::ServerName,
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::world::{
    Certificate, HOST, SECRET, Upstream, World, answer, certified, head, mirror, read_all,
    remembering,
};
use crate::fixture::{SOON, server};

#[tokio::test]
async fn case_69_an_upstream_of_an_old_tls_is_a_502() {
    let mut upstream = Upstream::new(Certificate::Good, mirror).await;
    upstream.server = server(|mut stream| async move {
        let mut hello = [0; 512];
        assert!(stream.read(&mut hello).await.unwrap() > 0);
        // The head of a ServerHello of TLS 1.0, which has no extension that says otherwise.
        let mut said = vec![0x16, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
        said.extend([7; 32]);
        said.extend([0, 0xc0, 0x13, 0]);
        drop(stream.write_all(&said).await);
        drop(stream.read(&mut hello).await);
    })
    .await;
    let said = World::new(upstream).await.fetch("/v1", "").await;
    assert!(said.starts_with("HTTP/1.1 502 ") && said.contains("upstream_tls"), "{said}");
}

/// What a program is told where its upstream, of this version of TLS, wants a certificate of the client.
async fn asked_for_a_certificate(version: &'static SupportedProtocolVersion) -> String {
    let mut upstream = Upstream::new(Certificate::Good, mirror).await;
    let (config, roots) = certified(Certificate::Good);
    let verifier = WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots.clone()),
        Arc::new(default_provider()),
    );
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_cert_resolver(config.cert_resolver);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    upstream.server = server(move |stream| {
        let acceptor = acceptor.clone();
        async move { assert!(acceptor.accept(stream).await.is_err()) }
    })
    .await;
    upstream.roots = roots;
    World::new(upstream).await.fetch("/v1", "").await
}

#[tokio::test]
async fn case_69_an_upstream_that_wants_a_certificate_of_the_client_answers_nothing() {
    let said = asked_for_a_certificate(&TLS12).await;
    assert!(said.starts_with("HTTP/1.1 502 ") && said.contains("upstream_tls"), "{said}");
    // With TLS 1.3 the client is done before the server refuses it: the connection is closed then, asked or not.
    let said = asked_for_a_certificate(&TLS13).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 502 "), "{said}");
}

#[tokio::test]
async fn case_69_a_first_message_of_more_than_64_kib_ends_the_tunnel() {
    let (upstream, heads) = remembering().await;
    let world = World::new(upstream).await;
    let (mut stream, _) = world.fixture.tunnel(&world.target()).await;
    let mut hello = vec![1, 1, 0, 64];
    hello.resize(80 << 10, 0);
    for piece in hello.chunks(16 << 10) {
        let len = u16::try_from(piece.len()).unwrap().to_be_bytes();
        // It may have been refused before its end.
        drop(stream.write_all(&[&[0x16, 3, 1], &len[..], piece].concat()).await);
    }
    let said = crate::fixture::read_all(&mut stream).await;
    assert!(!said.contains("HTTP/1.1"), "{said}");
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn case_69_who_says_no_more_after_its_request_is_answered() {
    let (upstream, heads) = remembering().await;
    let world = World::new(upstream).await;
    let mut stream = world.connect().await;
    let request = format!("GET /v1 HTTP/1.1\r\nHost: {}\r\n\r\n", world.target());
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(read_all(&mut stream).await.ends_with("fine"));
    assert!(heads.lock().unwrap()[0].contains(SECRET));
}

#[tokio::test]
async fn case_69_a_body_in_chunks_with_trailers_reaches_the_upstream_whole() {
    let upstream = Upstream::new(Certificate::Good, |mut stream| async move {
        let asked = head(&mut stream).await;
        assert!(asked.contains(SECRET), "{asked}");
        let mut body = Vec::new();
        while !body.windows(5).any(|end| end == b"0\r\n\r\n" || end == b"0\r\nx-")
            || !body.ends_with(b"\r\n\r\n")
        {
            body.push(stream.read_u8().await.unwrap());
        }
        answer(&mut stream, "", &body).await;
    })
    .await;
    let world = World::new(upstream).await;
    let said = world
        .ask(&format!(
            "POST /v1 HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
             Trailer: x-sum\r\n\r\n4\r\nwhol\r\n1\r\ne\r\n0\r\nx-sum: 1\r\n\r\n",
            world.target()
        ))
        .await;
    let (_, body) = said.split_once("\r\n\r\n").unwrap();
    assert!(body.contains("whol") && body.contains("0\r\n"), "{said}");
}

#[tokio::test]
async fn case_70_a_program_that_speaks_http_2_alone_gets_no_connection() {
    let (upstream, heads) = remembering().await;
    let world = World::new(upstream).await;
    let (stream, _) = world.fixture.tunnel(&world.target()).await;
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(world.roots_inside())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from(HOST).unwrap();
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream);
    assert!(timeout(SOON, connected).await.unwrap().is_err());
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn case_68_a_request_without_tls_to_the_same_host_gets_nothing() {
    let upstream = Upstream::new(Certificate::Good, mirror).await;
    let world = World::new(upstream).await;
    let target = world.target();
    let said = world
        .fixture
        .ask(&format!(
            "GET http://{target}/v1 HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n"
        ))
        .await;
    assert!(!said.contains(SECRET) && !said.contains("HTTP/1.1 200"), "{said}");
    assert!(world.told.injected.lock().unwrap().is_empty());
}
