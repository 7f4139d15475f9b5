//! What is refused, and how it is said.

use std::sync::{Arc, Mutex};

use rustls::RootCertStore;
use sandbar_proxy::egress::{Credential, CredentialSet};
use tokio::io::AsyncWriteExt as _;

use super::world::{
    Certificate, HOST, SECRET, Upstream, World, bearer, credential, head, mirror, read_all,
    remembering, rule,
};

#[tokio::test]
async fn case_69_an_upstream_that_cannot_be_verified_is_a_502_and_gets_nothing() {
    for (certificate, code) in [
        (Certificate::SelfSigned, "upstream_certificate"),
        (Certificate::Expired, "upstream_certificate"),
        (Certificate::OtherName, "upstream_certificate"),
    ] {
        let world = World::new(Upstream::new(certificate, mirror).await).await;
        let said = world.fetch("/v1", "").await;
        assert!(said.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{certificate:?} {said}");
        assert!(said.contains(&format!("x-sandbar-error: {code}\r\n")), "{said}");
        assert!(world.told.injected.lock().unwrap().is_empty());
        assert_eq!(*world.told.refused.lock().unwrap(), [(502, code)]);
    }
}

#[tokio::test]
async fn case_69_an_upstream_without_tls_or_with_another_protocol_is_a_502() {
    let h2 = Upstream::speaking(Certificate::Good, b"h2", mirror).await;
    let said = World::new(h2).await.fetch("/v1", "").await;
    assert!(said.starts_with("HTTP/1.1 502 ") && said.contains("upstream_tls"), "{said}");
    let mut plain = Upstream::new(Certificate::Good, mirror).await;
    plain.server = crate::fixture::server(crate::fixture::mirror).await;
    let said = World::new(plain).await.fetch("/v1", "").await;
    assert!(said.starts_with("HTTP/1.1 502 ") && !said.contains(SECRET), "{said}");
}

#[tokio::test]
async fn case_69_bytes_that_are_no_tls_end_the_tunnel_and_nothing_goes_out_in_the_clear() {
    let (upstream, heads) = remembering().await;
    let world = World::new(upstream).await;
    let (mut stream, _) = world.fixture.tunnel(&world.target()).await;
    stream.write_all(b"GET /v1 HTTP/1.1\r\nHost: api.example\r\n\r\n").await.unwrap();
    let said = crate::fixture::read_all(&mut stream).await;
    assert!(!said.contains("HTTP/1.1 200"), "{said}");
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn case_69_a_program_that_trusts_its_own_certificates_only_is_not_answered() {
    let (upstream, heads) = remembering().await;
    let world = World::new(upstream).await;
    assert!(world.connect_with(HOST, RootCertStore::empty()).await.is_err());
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn case_70_a_request_for_another_host_than_the_tunnel_is_misdirected() {
    let (upstream, heads) = remembering().await;
    let world = World::new(upstream).await;
    let port = world.upstream.address().port();
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        format!("{HOST}:{}", port - 1),
        HOST.to_owned(),
        format!("{HOST}.:{port}x"),
        format!("a@{HOST}:{port}"),
    ] {
        let said = world
            .ask(&format!("GET /v1 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
            .await;
        assert!(said.starts_with("HTTP/1.1 421 "), "{host}: {said}");
    }
    let absolute = format!(
        "GET https://evil.example:{port}/v1 HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n"
    );
    let said = world.ask(&absolute).await;
    assert!(said.starts_with("HTTP/1.1 421 "), "{said}");
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn case_70_a_handshake_for_another_name_is_misdirected() {
    let (upstream, heads) = remembering().await;
    let world = World::new(upstream).await;
    // A client that verifies sees that the certificate is for the tunnel's host, and goes.
    assert!(world.connect_as("evil.example").await.is_err());
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn case_68_trace_and_requests_with_two_hosts_or_none_are_refused() {
    let (upstream, heads) = remembering().await;
    let world = World::new(upstream).await;
    let host = format!("Host: {}\r\n", world.target());
    for (line, hosts, status) in [
        ("TRACE /v1 HTTP/1.1", host.clone(), "405"),
        ("CONNECT evil.example:443 HTTP/1.1", host.clone(), "405"),
        ("GET /v1 HTTP/1.1", format!("{host}{host}"), "400"),
        ("GET /v1 HTTP/1.1", String::new(), "400"),
        ("GET /v1 HTTP/1.0", String::new(), "400"),
        ("GET /v1 HTTP/1.1", format!("{host}X: a\r\n b\r\n"), "400"),
        ("GET /v1 HTTP/1.1", format!("{host}Content-Length: 1\r\nContent-Length: 2\r\n"), "400"),
    ] {
        let said = world.ask(&format!("{line}\r\n{hosts}Connection: close\r\n\r\n")).await;
        let first = said.lines().next().unwrap_or_default();
        assert!(first.contains(status), "{line} {hosts:?}: {said}");
    }
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_value_that_cannot_be_had_is_a_502_and_nothing_goes_out() {
    let (upstream, heads) = remembering().await;
    let world = World::new(upstream).await;
    let rules = vec![rule(world.upstream.address().port(), "/v1", bearer())];
    let closed = Credential { secret: None, ..credential(rules) };
    world.credentials.send_replace(Arc::new(CredentialSet::new(vec![closed])));
    let said = world.fetch("/v1", "").await;
    assert!(said.starts_with("HTTP/1.1 502 ") && said.contains("credential_unavailable"), "{said}");
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn case_68_http_1_0_gets_its_answer_and_the_upstream_the_value() {
    let (upstream, heads) = remembering().await;
    let world = World::new(upstream).await;
    let said = world.ask(&format!("GET /v1 HTTP/1.0\r\nHost: {}\r\n\r\n", world.target())).await;
    assert!(said.contains(" 200 OK") && said.ends_with("fine"), "{said}");
    assert!(heads.lock().unwrap()[0].contains(SECRET));
}

#[tokio::test]
async fn a_client_that_goes_within_a_request_ends_the_connection_to_the_upstream() {
    let (upstream, _) = remembering().await;
    let world = World::new(upstream).await;
    let mut stream = world.connect().await;
    stream.write_all(b"POST /v1 HTTP/1.1\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    read_all(&mut stream).await;
    drop(stream);
    assert_eq!(world.fixture.closed(1).await.len(), 1);
}

#[tokio::test]
async fn case_64_where_an_answer_leads_is_decided_anew_and_the_value_is_not_sent_there() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    let upstream = Upstream::new(Certificate::Good, move |mut stream| {
        let kept = Arc::clone(&kept);
        async move {
            let asked = head(&mut stream).await;
            kept.lock().unwrap().push(asked);
            let redirect = "HTTP/1.1 302 Found\r\nLocation: https://evil.example/v1\r\n\
                Content-Length: 0\r\nConnection: close\r\n\r\n";
            drop(stream.write_all(redirect.as_bytes()).await);
        }
    })
    .await;
    let world = World::new(upstream).await;
    let said = world.fetch("/v1/moved", "").await;
    assert!(said.starts_with("HTTP/1.1 302 Found\r\n"), "{said}");
    assert!(said.contains("location: https://evil.example/v1"), "{said}");
    for elsewhere in ["evil.example:443", "10.0.0.1:443", "169.254.169.254:80"] {
        let (_tunnel, refusal) = world.fixture.tunnel(elsewhere).await;
        assert!(refusal.starts_with("HTTP/1.1 403 "), "{elsewhere}: {refusal}");
    }
    // The same host without TLS: never with the value.
    let plain = format!("http://{}/v1", world.target());
    let ask = format!("GET {plain} HTTP/1.1\r\nHost: {}\r\n\r\n", world.target());
    assert!(!world.fixture.ask(&ask).await.contains(SECRET));
    let heads = heads.lock().unwrap();
    assert_eq!(heads.len(), 1, "{heads:?}");
    assert!(heads[0].contains(SECRET), "{heads:?}");
}
