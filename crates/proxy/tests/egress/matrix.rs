//! Every way that programs have times every kind of host, and what each of them comes to.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{SinkExt as _, StreamExt as _};
use sandbar_proxy::egress::{
    Address, ConnectionEnd, EgressLimits, HostName, Mode, Policy, Reason, ResolveError, Resolver,
    SOCKS, Upstream, Upstreams,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};

use super::{
    doors::{client_hello, corporate, inside, is_echoed, socks4, socks5},
    fixture::{Fixture, SOON, echo, mirror, policy_for, read_all, read_head, server, target},
};

/// Says that every name is this host, and that it is not: whoever is allowed by name is connected to a server of the
/// test, and nobody else may be.
#[derive(Debug)]
struct Everything;

#[async_trait]
impl Resolver for Everything {
    async fn resolve(&self, _name: &HostName) -> Result<Vec<Address>, ResolveError> {
        let ip = "127.0.0.1".parse().unwrap();
        Ok(vec![Address { ip, is_this_host: true, is_pinned: false }])
    }
}

#[tokio::test]
async fn case_60_plain_requests_websockets_and_a_relay_are_decided_about_alike() {
    let plain = server(mirror).await;
    let live = server(|stream: TcpStream| async move {
        // Whoever was to be refused does not come.
        let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
        while let Some(Ok(message)) = socket.next().await {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    })
    .await;
    let policy = policy_for("ok.example", plain.address)
        .allow_private(target("ok.example", live.address.port()));
    let fixture = Fixture::new(policy).await;
    for name in ["ok.example", "evil.example"] {
        fixture.names.answer(name, &[&["127.0.0.1"]]);
    }
    // A proxy of the program's own, inside: it has no other way out than the program has.
    let to = fixture.address;
    let relay = server(move |mut stream: TcpStream| async move {
        let mut proxy = TcpStream::connect(to).await.unwrap();
        drop(copy_bidirectional(&mut stream, &mut proxy).await);
    })
    .await;
    for (host, is_allowed) in [("ok.example", true), ("evil.example", false)] {
        let status = if is_allowed { "HTTP/1.1 200 " } else { "HTTP/1.1 403 " };
        let at = format!("{host}:{}", plain.address.port());
        let get = format!("GET http://{at}/ HTTP/1.1\r\nHost: {at}\r\n\r\n");
        let said = fixture.ask(&get).await;
        assert!(said.starts_with(status), "{host}: {said}");
        for asked in [get, format!("CONNECT {at} HTTP/1.1\r\nHost: {at}\r\n\r\n")] {
            let mut through = TcpStream::connect(relay.address).await.unwrap();
            through.write_all(asked.as_bytes()).await.unwrap();
            let said = read_head(&mut through).await;
            assert!(said.starts_with(status), "{host}: {said}");
        }
        let at = format!("{host}:{}", live.address.port());
        let (tunnel, head) = fixture.tunnel(&at).await;
        assert!(head.starts_with(status), "{host}: {head}");
        if is_allowed {
            let request = format!("ws://{at}/").into_client_request().unwrap();
            let (mut socket, _) = tokio_tungstenite::client_async(request, tunnel).await.unwrap();
            socket.send(Message::text("hello")).await.unwrap();
            let said = timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap();
            assert_eq!(said.to_text().unwrap(), "hello");
        }
        // Without a tunnel nothing is switched: it is a request like any other.
        let upgrade = format!(
            "GET http://{at}/ HTTP/1.1\r\nHost: {at}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let said = fixture.ask(&upgrade).await;
        assert!(!said.contains(" 101 ") && said.contains(" 403 ") != is_allowed, "{said}");
    }
    // TLS without a tunnel is none of the ways.
    let at = format!("ok.example:{}", plain.address.port());
    let said = fixture.ask(&format!("GET https://{at}/ HTTP/1.1\r\nHost: {at}\r\n\r\n")).await;
    assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
}

/// Hosts that somebody could take for `ok.example`, and others for another one.
const ODD: &[&str] = &[
    "evil.example\0.ok.example",
    "ok.example\0",
    "ok.example\0.evil.example",
    "ok.example.evil.example",
    "evilok.example",
    "a.ok.example",
    "ok.example..",
    "ok..example",
    ".ok.example",
    "ok.example:443@evil.example",
    "evil.example@ok.example",
    "user:pw@ok.example",
    "ok.example%00",
    "%6fk.example",
    "ok%2eexample",
    "оk.example",
    "ok。example",
    "ｏk.example",
    "xn--k-8tb.example",
    "ok.example/..",
    "ok.example/",
    "ok.example\\",
    "ok.example#",
    "ok.example?",
    "ok.example\t",
    "ok.example ",
    " ok.example",
    "ok_.example",
    "*.example",
    "127.0.0.1",
    "127.1",
    "2130706433",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "198.41.0.4",
    "",
];

#[tokio::test]
async fn case_61_of_every_odd_host_only_the_one_that_is_named_is_reached() {
    let upstream = server(echo).await;
    let port = upstream.address.port();
    let mut fixture = Fixture::with(
        policy_for("ok.example", upstream.address),
        EgressLimits::default(),
        |proxy| proxy.with_resolver(Arc::new(Everything)),
    )
    .await;
    let inside = inside(&mut fixture);
    let long = format!("{}.ok.example", "l.".repeat(145));
    let label = format!("{}.ok.example", "l".repeat(64));
    let odd = ODD.iter().copied().chain([long.as_str(), label.as_str()]);
    for host in odd {
        let (_, head) = fixture.tunnel(&format!("{host}:{port}")).await;
        let is_refused =
            |said: &str| said.starts_with("HTTP/1.1 400 ") || said.starts_with("HTTP/1.1 403 ");
        assert!(is_refused(&head), "{host:?}: {head}");
        let plain = format!("GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
        let said = fixture.ask(&plain).await;
        assert!(is_refused(&said), "{host:?}: {said}");
        // What has no length of a name is no request of SOCKS, and closed.
        if (1..256).contains(&host.len()) {
            let code = socks5(&inside, host, port).await.1;
            assert!(matches!(code, 1 | 2), "{host:?}: {code}");
        }
        if (1..256).contains(&host.len()) && !host.contains('\0') {
            let code = socks4(&inside, host, port).await.1;
            assert_eq!(code, 91, "{host:?}");
        }
    }
    assert_eq!(upstream.accepted(), 0);
    for host in ["ok.example", "OK.Example", "ok.example."] {
        let (tunnel, head) = fixture.tunnel(&format!("{host}:{port}")).await;
        assert!(head.starts_with("HTTP/1.1 200 ") && is_echoed(tunnel).await, "{host}: {head}");
    }
    // Behind NUL nothing is read, as every server of SOCKS 4 does: what is allowed is what is before it.
    let mut stream = TcpStream::connect(inside.of(SOCKS).await).await.unwrap();
    let asked = [&[4, 1], &port.to_be_bytes()[..], b"\0\0\0\x09\0evil.example\0.ok.example\0"];
    stream.write_all(&asked.concat()).await.unwrap();
    let mut answer = [0; 2];
    timeout(SOON, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, [0, 91]);
    assert_eq!(upstream.accepted(), 3);
}

#[tokio::test]
async fn case_62_a_port_that_no_rule_names_or_that_is_none_is_refused_by_every_door() {
    let policy = Policy::new(Mode::AllowList).allow("ok.example".parse().unwrap());
    let mut fixture = Fixture::new(policy).await;
    let inside = inside(&mut fixture);
    for port in [22, 8443, 65535] {
        let (_, head) = fixture.tunnel(&format!("ok.example:{port}")).await;
        assert!(head.contains("X-Sandbar-Denied: port_not_allowed"), "{port}: {head}");
        let at = format!("ok.example:{port}");
        let said = fixture.ask(&format!("GET http://{at}/ HTTP/1.1\r\nHost: {at}\r\n\r\n")).await;
        assert!(said.contains("X-Sandbar-Denied: port_not_allowed"), "{port}: {said}");
        assert_eq!(socks5(&inside, "ok.example", port).await.1, 2);
        assert_eq!(socks4(&inside, "ok.example", port).await.1, 91);
    }
    for none in ["ok.example:0", "ok.example:65536", "ok.example:", "ok.example", "ok.example:-1"] {
        let (_, head) = fixture.tunnel(none).await;
        assert!(head.starts_with("HTTP/1.1 400 "), "{none}: {head}");
    }
    assert_eq!(socks5(&inside, "ok.example", 0).await.1, 1);
    assert_eq!(fixture.names.calls.load(Ordering::SeqCst), 0);
}

/// Never answers.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl Resolver for Silent {
    async fn resolve(&self, _name: &HostName) -> Result<Vec<Address>, ResolveError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn case_63_a_lookup_without_an_answer_ends_and_nothing_is_connected_to() {
    let policy = Policy::new(Mode::AllowList).allow("ok.example".parse().unwrap());
    let limits =
        EgressLimits { connect_timeout: Duration::from_millis(50), ..EgressLimits::default() };
    let silent =
        Fixture::with(policy.clone(), limits, |proxy| proxy.with_resolver(Arc::new(Silent))).await;
    // NXDOMAIN, and nothing in the answer.
    let unknown = Fixture::new(policy.clone()).await;
    let empty = Fixture::new(policy).await;
    empty.names.answer("ok.example", &[&[]]);
    for (fixture, code) in
        [(&silent, "unresolved"), (&unknown, "unresolved"), (&empty, "X-Sandbar-")]
    {
        let (_, head) = fixture.tunnel("ok.example:443").await;
        assert!(!head.starts_with("HTTP/1.1 200 ") && head.contains(code), "{head}");
        assert!(fixture.heard.connected.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn case_63_of_a_mixed_answer_what_is_private_is_not_connected_to() {
    let private = server(echo).await;
    let port = private.address.port();
    let policy = Policy::new(Mode::AllowList).allow(format!("ok.example:{port}").parse().unwrap());
    let limits =
        EgressLimits { connect_timeout: Duration::from_millis(200), ..EgressLimits::default() };
    let fixture = Fixture::with(policy, limits, |proxy| proxy).await;
    // The public one is where nobody is. In any order, and beside it in version 6.
    for answer in [
        ["93.184.216.34", "127.0.0.1"],
        ["127.0.0.1", "93.184.216.34"],
        ["::ffff:127.0.0.1", "93.184.216.34"],
        ["93.184.216.34", "::1"],
    ] {
        fixture.names.answer("ok.example", &[&answer]);
        let (_, head) = fixture.tunnel(&format!("ok.example:{port}")).await;
        assert!(head.starts_with("HTTP/1.1 50"), "{answer:?}: {head}");
    }
    assert_eq!(private.accepted(), 0);
}

#[tokio::test]
async fn case_69_in_a_tunnel_of_the_web_a_handshake_without_a_name_is_refused() {
    let corporate = server(corporate).await;
    let upstream =
        Upstream::parse(&format!("http://corporate.example:{}", corporate.address.port())).unwrap();
    let upstreams = Arc::new(Upstreams { https: Some(upstream), ..Upstreams::default() });
    let policy = Policy::new(Mode::AllowList).allow("ok.example".parse().unwrap());
    let fixture =
        Fixture::with(policy, EgressLimits::default(), |proxy| proxy.with_upstreams(upstreams))
            .await;
    fixture.names.answer("corporate.example", &[&["127.0.0.1"]]);
    let (mut tunnel, _) = fixture.tunnel("ok.example:443").await;
    tunnel.write_all(&client_hello(None)).await.unwrap();
    let mut alert = Vec::new();
    timeout(SOON, tunnel.read_to_end(&mut alert)).await.unwrap().unwrap();
    assert_eq!(alert, [21, 3, 3, 0, 2, 2, 49]);
    assert_eq!(fixture.heard.denied.lock().unwrap()[0].reason, Reason::NoName);
    let closed = fixture.closed(1).await.remove(0);
    assert_eq!((closed.end, closed.sent_bytes), (ConnectionEnd::Refused, 0));
    // One that begins and says no more is not waited for, either.
    let (mut tunnel, _) = fixture.tunnel("ok.example:443").await;
    tunnel.write_all(&client_hello(Some("ok.example"))[..20]).await.unwrap();
    tunnel.shutdown().await.unwrap();
    assert_eq!(read_all(&mut tunnel).await, "");
}

#[tokio::test]
async fn case_66_a_tunnel_that_is_not_allowed_any_more_ends_whatever_is_in_it() {
    let upstream = server(echo).await;
    let fixture = Fixture::new(policy_for("ok.example", upstream.address)).await;
    fixture.names.answer("ok.example", &[&["127.0.0.1"]]);
    let to = format!("ok.example:{}", upstream.address.port());
    let (mut silent, _) = fixture.tunnel(&to).await;
    let (busy, _) = fixture.tunnel(&to).await;
    let (mut reading, mut writing) = busy.into_split();
    let pouring = async { while writing.write_all(&[b'x'; 4096]).await.is_ok() {} };
    let reading = async {
        let mut bytes = [0; 4096];
        let mut is_changed = false;
        while let Ok(1..) = reading.read(&mut bytes).await {
            if !is_changed {
                fixture.proxy.set_policy(Policy::new(Mode::AllowList));
                is_changed = true;
            }
        }
    };
    timeout(SOON, async { tokio::join!(pouring, reading) }).await.unwrap();
    drop(timeout(SOON, silent.read_u8()).await.unwrap());
    let closed = fixture.closed(2).await;
    assert!(closed.iter().all(|closed| closed.end == ConnectionEnd::Revoked), "{closed:?}");
}
