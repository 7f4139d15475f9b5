use std::sync::Arc;

use sandbar_proxy::egress::{EgressLimits, Mode, NoProxy, Policy, Upstream, Upstreams};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::fixture::{Fixture, Server, echo, mirror, read_head, server};

/// A proxy that lets itself be asked for anything, and is the other end itself. Its first word says what it was asked.
async fn corporate(mut stream: TcpStream) {
    let head = read_head(&mut stream).await;
    let answer = format!("HTTP/1.1 200 OK\r\nVia: corporate\r\n\r\n{head}");
    stream.write_all(answer.as_bytes()).await.unwrap();
    echo(stream).await;
}

async fn behind(proxy: &Server, policy: Policy, no_proxy: &str) -> Fixture {
    let upstream =
        Upstream::parse(&format!("http://me:pw@corporate.example:{}", proxy.address.port()))
            .unwrap();
    let upstreams = Arc::new(Upstreams {
        https: Some(upstream.clone()),
        http: Some(upstream),
        no_proxy: NoProxy::parse(no_proxy),
    });
    let fixture =
        Fixture::with(policy, EgressLimits::default(), |proxy| proxy.with_upstreams(upstreams))
            .await;
    fixture.names.answer("corporate.example", &[&["127.0.0.1"]]);
    fixture
}

fn allowing(name: &str) -> Policy {
    Policy::new(Mode::AllowList).allow(name.parse().unwrap())
}

#[tokio::test]
async fn a_tunnel_goes_through_the_proxy_of_the_network_by_name() {
    let corporate = server(corporate).await;
    let fixture = behind(&corporate, allowing("opaque:registry.example"), "").await;
    let (mut tunnel, head) = fixture.tunnel("registry.example:443").await;
    assert_eq!(head, "HTTP/1.1 200 Connection established\r\n\r\n");
    // What came right behind the answer is the other end's, and arrives.
    let asked = read_head(&mut tunnel).await;
    assert_eq!(
        asked,
        "CONNECT registry.example:443 HTTP/1.1\r\nHost: registry.example:443\r\nProxy-Authorization: Basic bWU6cHc=\r\n\r\n"
    );
    tunnel.write_all(b"x").await.unwrap();
    assert_eq!(tunnel.read_u8().await.unwrap(), b'x');
    assert_eq!(fixture.heard.connected.lock().unwrap()[0].address, corporate.address);
}

#[tokio::test]
async fn a_plain_request_goes_through_it_whole() {
    let corporate = server(mirror).await;
    let fixture = behind(&corporate, allowing("deb.example"), "").await;
    let answer = fixture
        .ask("GET http://deb.example/debian/x HTTP/1.1\r\nHost: deb.example\r\nProxy-Authorization: Basic aW5zaWRl\r\n\r\n")
        .await;
    let (_, seen) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        seen,
        "GET http://deb.example/debian/x HTTP/1.1\r\nhost: deb.example\r\nproxy-authorization: Basic bWU6cHc=\r\n\r\n"
    );
}

#[tokio::test]
async fn the_policy_holds_behind_a_proxy() {
    let corporate = server(corporate).await;
    let fixture = behind(&corporate, Policy::new(Mode::Open), "").await;
    fixture.names.answer("inner.example", &[&["10.0.0.5"]]);
    for (target, code) in [
        ("inner.example:443", "special_address"),
        ("127.0.0.1:80", "special_address"),
        ("169.254.169.254:80", "special_address"),
        ("db.internal:5432", "local_name"),
        ("printer:80", "local_name"),
    ] {
        let (_tunnel, head) = fixture.tunnel(target).await;
        assert!(head.contains(&format!("X-Sandbar-Denied: {code}")), "{target}: {head}");
    }
    let listed = behind(&corporate, allowing("registry.example"), "").await;
    let (_tunnel, head) = listed.tunnel("evil.example:443").await;
    assert!(head.contains("X-Sandbar-Denied: host_not_allowed"), "{head}");
    assert_eq!(corporate.accepted(), 0);
}

#[tokio::test]
async fn what_no_proxy_names_is_reached_directly() {
    let corporate = server(corporate).await;
    let direct = server(echo).await;
    let port = direct.address.port();
    let policy = super::fixture::policy_for("mirror.corp.example", direct.address);
    let fixture = behind(&corporate, policy, ".corp.example").await;
    fixture.names.answer("mirror.corp.example", &[&["127.0.0.1"]]);
    let (_tunnel, head) = fixture.tunnel(&format!("mirror.corp.example:{port}")).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!((corporate.accepted(), direct.accepted()), (0, 1));
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_as_such_and_never_asked_for_its_password_inside() {
    let refusing = server(|mut stream: TcpStream| async move {
        read_head(&mut stream).await;
        let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let fixture = behind(&refusing, allowing("registry.example"), "").await;
    let (_tunnel, head) = fixture.tunnel("registry.example:443").await;
    assert!(head.starts_with("HTTP/1.1 502 ") && !head.contains("Proxy-"), "{head}");
    let answer = fixture
        .ask("GET http://registry.example/ HTTP/1.1\r\nHost: registry.example\r\n\r\n")
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 502 ") && !answer.to_lowercase().contains("proxy-auth"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_proxy_that_is_gone_is_not_named_inside() {
    let corporate = server(corporate).await;
    let fixture = behind(&corporate, allowing("registry.example"), "").await;
    fixture.names.answer("corporate.example", &[&[]]);
    let answer = fixture.ask("CONNECT registry.example:443 HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 50") && !answer.contains("corporate"), "{answer}");
}
