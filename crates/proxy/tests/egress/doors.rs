//! Every way to ask is decided about alike.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::{Arc, Mutex, atomic::Ordering},
};

use async_trait::async_trait;
use sandbar_proxy::egress::{
    ConnectionEnd, EgressLimits, Inside, Mode, NAME_SERVER, Policy, Reason, SOCKS, Upstream,
    Upstreams,
};
use sandbar_types::SandboxId;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    time::timeout,
};

use super::fixture::{Fixture, SOON, echo, policy_for, read_all, read_head, server, target};

/// Makes sockets at the addresses that are asked for, at ports that are free and need no privilege.
#[derive(Debug, Default)]
pub(crate) struct Loopback {
    at: Mutex<HashMap<(SocketAddrV4, bool), SocketAddr>>,
}

impl Loopback {
    /// Where something listens that was to listen at `at`.
    fn real(&self, at: SocketAddrV4) -> Option<SocketAddr> {
        self.at.lock().unwrap().get(&(at, true)).copied()
    }

    async fn of_name_server(&self) -> SocketAddr {
        timeout(SOON, async {
            loop {
                if let Some(at) = self.at.lock().unwrap().get(&(NAME_SERVER, false)) {
                    return *at;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap()
    }

    pub(crate) async fn of(&self, at: SocketAddrV4) -> SocketAddr {
        timeout(SOON, async {
            loop {
                if let Some(real) = self.real(at) {
                    return real;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap()
    }
}

#[async_trait]
impl Inside for Loopback {
    async fn listen(&self, at: SocketAddrV4) -> io::Result<TcpListener> {
        let listener = TcpListener::bind((*at.ip(), 0)).await?;
        self.at.lock().unwrap().insert((at, true), listener.local_addr()?);
        Ok(listener)
    }

    async fn bind(&self, at: SocketAddrV4) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind((*at.ip(), 0)).await?;
        self.at.lock().unwrap().insert((at, false), socket.local_addr()?);
        Ok(socket)
    }
}

pub(crate) fn inside(fixture: &mut Fixture) -> Arc<Loopback> {
    let inside = Arc::new(Loopback::default());
    fixture.tasks.spawn(Arc::clone(&fixture.proxy).serve_inside(
        Arc::clone(&inside) as Arc<dyn Inside>,
        SandboxId::generate(),
        fixture.cancel.clone(),
    ));
    inside
}

/// A question of type A, by hand: what a client sends is not made by the library that reads it.
fn question(name: &str) -> Vec<u8> {
    let labels = name
        .split('.')
        .flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat());
    let head = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    head.into_iter().chain(labels).chain([0, 0, 1, 0, 1]).collect()
}

/// Asks for the address of a name: the code of the answer, and the address.
pub(crate) async fn look_up(inside: &Loopback, name: &str) -> (u8, Option<Ipv4Addr>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&question(name), inside.of_name_server().await).await.unwrap();
    let mut answer = [0; 1500];
    let (len, _) = timeout(SOON, socket.recv_from(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer[..2], [0x12, 0x34]);
    let has_answer = answer[7] == 1;
    let address: [u8; 4] = answer[len - 4..len].try_into().unwrap();
    (answer[3] & 15, has_answer.then_some(address.into()))
}

#[tokio::test]
async fn names_are_answered_over_tcp_as_well_one_after_the_other() {
    let mut fixture = Fixture::new(Policy::with_defaults()).await;
    let inside = inside(&mut fixture);
    let mut stream = TcpStream::connect(inside.of(NAME_SERVER).await).await.unwrap();
    for (name, code) in [("registry.npmjs.org", 0), ("evil.example", 5), ("pypi.org", 0)] {
        let asked = question(name);
        stream.write_u16(u16::try_from(asked.len()).unwrap()).await.unwrap();
        stream.write_all(&asked).await.unwrap();
        let len = timeout(SOON, stream.read_u16()).await.unwrap().unwrap();
        let mut answer = vec![0; usize::from(len)];
        timeout(SOON, stream.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!((answer[3] & 15, answer[7]), (code, u8::from(code == 0)), "{name}");
    }
}

/// Asks for `name:port` by SOCKS, and returns the connection with the code of the answer.
pub(crate) async fn socks5(inside: &Loopback, name: &str, port: u16) -> (TcpStream, u8) {
    let mut stream = TcpStream::connect(inside.of(SOCKS).await).await.unwrap();
    let len = u8::try_from(name.len()).unwrap();
    let asked = [&[5, 1, 0, 5, 1, 0, 3, len], name.as_bytes(), &port.to_be_bytes()].concat();
    stream.write_all(&asked).await.unwrap();
    let mut answer = [0; 12];
    timeout(SOON, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    (stream, answer[3])
}

pub(crate) async fn socks4(inside: &Loopback, name: &str, port: u16) -> (TcpStream, u8) {
    let mut stream = TcpStream::connect(inside.of(SOCKS).await).await.unwrap();
    let asked =
        [&[4, 1], &port.to_be_bytes()[..], &[0, 0, 0, 9, 0], name.as_bytes(), &[0]].concat();
    stream.write_all(&asked).await.unwrap();
    let mut answer = [0; 8];
    timeout(SOON, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    (stream, answer[1])
}

pub(crate) async fn is_echoed(mut stream: TcpStream) -> bool {
    stream.write_all(b"hello").await.unwrap();
    let mut back = [0; 5];
    timeout(SOON, stream.read_exact(&mut back)).await.unwrap().is_ok() && &back == b"hello"
}

#[tokio::test]
async fn case_60_every_way_to_ask_is_decided_about_alike() {
    let echo = server(echo).await;
    let port = echo.address.port();
    let mut fixture = Fixture::new(policy_for("ok.example", echo.address)).await;
    fixture.names.answer("ok.example", &[&["127.0.0.1"]]);
    fixture.names.answer("evil.example", &[&["127.0.0.1"]]);
    let inside = inside(&mut fixture);

    let (tunnel, head) = fixture.tunnel(&format!("ok.example:{port}")).await;
    assert!(head.starts_with("HTTP/1.1 200 ") && is_echoed(tunnel).await);
    let (stream, code) = socks5(&inside, "OK.example.", port).await;
    assert!(code == 0 && is_echoed(stream).await);
    let (stream, code) = socks4(&inside, "ok.example", port).await;
    assert!(code == 90 && is_echoed(stream).await);
    let (code, address) = look_up(&inside, "ok.Example").await;
    assert_eq!(code, 0);
    let stand_in = inside.real(SocketAddrV4::new(address.unwrap(), port)).unwrap();
    assert!(is_echoed(TcpStream::connect(stand_in).await.unwrap()).await);
    assert_eq!(echo.accepted(), 4);
    for closed in fixture.closed(4).await {
        assert_eq!(closed.passage.rule, format!("ok.example:{port}"));
        assert_eq!((closed.sent_bytes, closed.received_bytes), (5, 5));
    }

    let before = fixture.names.calls.load(Ordering::SeqCst);
    let (_, head) = fixture.tunnel(&format!("evil.example:{port}")).await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    assert_eq!(socks5(&inside, "evil.example", port).await.1, 2);
    assert_eq!(socks4(&inside, "evil.example", port).await.1, 91);
    assert_eq!(look_up(&inside, "evil.example").await, (5, None));
    assert_eq!(socks5(&inside, "ok.example", 22).await.1, 2);
    // case_65: and none of them was looked up.
    assert_eq!(fixture.names.calls.load(Ordering::SeqCst), before);
    assert_eq!(echo.accepted(), 4);
}

#[tokio::test]
async fn case_57_nothing_of_this_host_is_reached_by_any_of_its_names() {
    let api = server(echo).await;
    let port = api.address.port();
    for mode in [Mode::AllowList, Mode::Open] {
        let mut fixture = Fixture::new(Policy::new(mode)).await;
        for name in ["localhost", "this-host.example"] {
            fixture.names.answer(name, &[&["127.0.0.1"]]);
        }
        let inside = inside(&mut fixture);
        for host in [
            "127.0.0.1",
            "localhost",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
            "this-host.example",
        ] {
            let (_, head) = fixture.tunnel(&format!("{host}:{port}")).await;
            assert!(head.starts_with("HTTP/1.1 403 "), "{host}: {head}");
            let code = socks5(&inside, host, port).await.1;
            assert!(matches!(code, 1 | 2), "{host}: {code}");
        }
    }
    assert_eq!(api.accepted(), 0);
}

#[tokio::test]
async fn case_58_metadata_and_private_addresses_are_refused_however_they_are_written() {
    let mut fixture = Fixture::new(Policy::new(Mode::Open)).await;
    fixture.names.answer("metadata.google.internal", &[&["169.254.169.254"]]);
    let inside = inside(&mut fixture);
    let special = [
        "169.254.169.254",
        "[fd00:ec2::254]",
        "metadata.google.internal",
        "10.0.0.5",
        "172.17.0.1",
        "[::ffff:a00:5]",
        "[64:ff9b::a00:5]",
        "[2002:a00:5::1]",
    ];
    for host in special {
        let (_, head) = fixture.tunnel(&format!("{host}:80")).await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{host}: {head}");
    }
    // What is no address to us is to others: it is not read at all.
    for host in ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"] {
        let (_, head) = fixture.tunnel(&format!("{host}:80")).await;
        assert!(head.starts_with("HTTP/1.1 400 "), "{host}: {head}");
        assert_eq!(socks5(&inside, host, 80).await.1, 1, "{host}");
    }
    assert_eq!(fixture.heard.connected.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn case_63_no_answer_leads_to_this_host_whatever_it_was_before() {
    let private = server(echo).await;
    let port = private.address.port();
    let policy = Policy::new(Mode::AllowList).allow(format!("ok.example:{port}").parse().unwrap());
    let mut fixture = Fixture::new(policy).await;
    // However it comes, and however often it is another one.
    fixture.names.answer("ok.example", &[&["127.0.0.1"], &["::ffff:127.0.0.1"], &["0.0.0.0"]]);
    let inside = inside(&mut fixture);
    let (_, address) = look_up(&inside, "ok.example").await;
    let stand_in = inside.real(SocketAddrV4::new(address.unwrap(), port)).unwrap();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(stand_in).await.unwrap();
        assert_eq!(timeout(SOON, stream.read(&mut [0; 8])).await.unwrap().unwrap_or(0), 0);
        assert_eq!(socks5(&inside, "ok.example", port).await.1, 2);
    }
    assert_eq!(private.accepted(), 0);
    assert!(
        fixture
            .heard
            .denied
            .lock()
            .unwrap()
            .iter()
            .all(|denial| matches!(denial.reason, Reason::SpecialAddress { .. }))
    );
}

#[tokio::test]
async fn case_65_a_denied_name_is_refused_and_never_looked_up() {
    let mut fixture = Fixture::new(Policy::with_defaults()).await;
    let inside = inside(&mut fixture);
    for name in ["secret.evil.example", "a.b.c.example", "com", "localhost"] {
        assert_eq!(look_up(&inside, name).await, (5, None), "{name}");
    }
    // An allowed one is not, either, until somebody connects.
    assert_eq!(look_up(&inside, "registry.npmjs.org").await.0, 0);
    assert_eq!(fixture.names.calls.load(Ordering::SeqCst), 0);
    let denied = fixture.heard.denied.lock().unwrap().clone();
    assert!(denied.iter().any(|denial| denial.target == target("secret.evil.example", 443)));
}

/// A first message of TLS 1.2, with `name` in it.
pub(crate) fn client_hello(name: Option<&str>) -> Vec<u8> {
    let sized =
        |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let extension = |kind: u16, body: &[u8]| [&kind.to_be_bytes()[..], &sized(body)].concat();
    let named =
        name.map(|name| extension(0, &sized(&[&[0], &sized(name.as_bytes())[..]].concat())));
    let extensions = [extension(13, &sized(&[4, 1])), named.unwrap_or_default()].concat();
    let body =
        [&[3, 3][..], &[7; 32], &[0], &sized(&[0xc0, 0x2f]), &[1, 0], &sized(&extensions)].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[22, 3, 1][..], &sized(&[&[1], &length[1..], &body].concat())].concat()
}

/// A proxy of the network that is the other end itself, as port 443 of a host is not to be had in a test.
pub(crate) async fn corporate(mut stream: TcpStream) {
    read_head(&mut stream).await;
    drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await);
    echo(stream).await;
}

#[tokio::test]
async fn case_69_what_is_in_a_tunnel_of_the_web_must_be_tls_to_its_host() {
    let corporate = server(corporate).await;
    let upstream =
        Upstream::parse(&format!("http://corporate.example:{}", corporate.address.port())).unwrap();
    let upstreams = Arc::new(Upstreams { https: Some(upstream), ..Upstreams::default() });
    let policy = Policy::new(Mode::AllowList)
        .allow("ok.example".parse().unwrap())
        .allow("opaque:pinned.example:443".parse().unwrap());
    let mut fixture =
        Fixture::with(policy, EgressLimits::default(), |proxy| proxy.with_upstreams(upstreams))
            .await;
    fixture.names.answer("corporate.example", &[&["127.0.0.1"]]);
    let inside = inside(&mut fixture);
    let whole = client_hello(Some("OK.example"));
    for cut in [whole.len(), 3] {
        let (mut tunnel, head) = fixture.tunnel("ok.example:443").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        // In pieces as well; it arrives as it was sent.
        tunnel.write_all(&whole[..cut]).await.unwrap();
        tunnel.write_all(&whole[cut..]).await.unwrap();
        let mut back = vec![0; whole.len()];
        timeout(SOON, tunnel.read_exact(&mut back)).await.unwrap().unwrap();
        assert!(back == whole);
    }
    // Domain fronting: the alert says that it is refused, and nothing got through.
    let (mut tunnel, _) = socks5(&inside, "ok.example", 443).await;
    tunnel.write_all(&client_hello(Some("evil.example"))).await.unwrap();
    let mut alert = Vec::new();
    timeout(SOON, tunnel.read_to_end(&mut alert)).await.unwrap().unwrap();
    assert_eq!(alert, [21, 3, 3, 0, 2, 2, 49]);
    let (mut tunnel, _) = fixture.tunnel("ok.example:443").await;
    tunnel.write_all(b"SSH-2.0-x\r\n").await.unwrap();
    assert_eq!(read_all(&mut tunnel).await, "");
    let denied: Vec<_> =
        fixture.heard.denied.lock().unwrap().iter().map(|denial| denial.reason).collect();
    assert_eq!(denied, [Reason::OtherName, Reason::NotTls]);
    let refused =
        fixture.closed(4).await.into_iter().filter(|closed| closed.end == ConnectionEnd::Refused);
    assert!(refused.map(|closed| (closed.sent_bytes, closed.received_bytes)).eq([(0, 0), (0, 0)]));
    let (tunnel, _) = fixture.tunnel("pinned.example:443").await;
    assert!(is_echoed(tunnel).await);
}

#[tokio::test]
async fn a_tunnel_that_named_nobody_ends_when_a_name_is_asked_for_and_not_the_other_way() {
    let corporate = server(corporate).await;
    let upstream =
        Upstream::parse(&format!("http://corporate.example:{}", corporate.address.port())).unwrap();
    let upstreams = Arc::new(Upstreams { https: Some(upstream), ..Upstreams::default() });
    let allowing = |rule: &str| Policy::new(Mode::AllowList).allow(rule.parse().unwrap());
    let (opaque, named) = (allowing("opaque:ok.example"), allowing("ok.example"));
    let fixture = Fixture::with(opaque.clone(), EgressLimits::default(), |proxy| {
        proxy.with_upstreams(upstreams)
    })
    .await;
    fixture.names.answer("corporate.example", &[&["127.0.0.1"]]);
    let (mut tunnel, _) = fixture.tunnel("ok.example:443").await;
    tunnel.write_all(b"x").await.unwrap();
    assert_eq!(tunnel.read_u8().await.unwrap(), b'x');
    fixture.proxy.set_policy(named);
    assert_eq!(read_all(&mut tunnel).await, "");
    assert_eq!(fixture.closed(1).await[0].end, ConnectionEnd::Revoked);
    let (mut tunnel, _) = fixture.tunnel("ok.example:443").await;
    let hello = client_hello(Some("ok.example"));
    tunnel.write_all(&hello).await.unwrap();
    timeout(SOON, tunnel.read_exact(&mut vec![0; hello.len()])).await.unwrap().unwrap();
    fixture.proxy.set_policy(opaque);
    assert!(is_echoed(tunnel).await);
}

#[tokio::test]
async fn case_71_connections_of_all_doors_together_are_bounded() {
    let echo = server(echo).await;
    let port = echo.address.port();
    let limits = EgressLimits { connections_max: 3, ..EgressLimits::default() };
    let mut fixture =
        Fixture::with(policy_for("ok.example", echo.address), limits, |proxy| proxy).await;
    fixture.names.answer("ok.example", &[&["127.0.0.1"]]);
    let inside = inside(&mut fixture);
    let (_first, head) = fixture.tunnel(&format!("ok.example:{port}")).await;
    assert!(head.starts_with("HTTP/1.1 200 "));
    let (_second, code) = socks5(&inside, "ok.example", port).await;
    assert_eq!(code, 0);
    let (_, address) = look_up(&inside, "ok.example").await;
    let stand_in = inside.real(SocketAddrV4::new(address.unwrap(), port)).unwrap();
    let third = TcpStream::connect(stand_in).await.unwrap();
    let mut third = third;
    third.write_all(b"x").await.unwrap();
    assert_eq!(third.read_u8().await.unwrap(), b'x');
    let (_, head) = fixture.tunnel(&format!("ok.example:{port}")).await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    let mut fourth = TcpStream::connect(stand_in).await.unwrap();
    assert_eq!(timeout(SOON, fourth.read(&mut [0; 8])).await.unwrap().unwrap_or(0), 0);
    drop(third);
    // A place that is free is had again.
    timeout(SOON, async {
        while !fixture.tunnel(&format!("ok.example:{port}")).await.1.starts_with("HTTP/1.1 200 ") {}
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn case_66_a_thousand_changes_let_nothing_denied_through_and_end_what_is_denied() {
    let echo = server(echo).await;
    let port = echo.address.port();
    let allowed = policy_for("ok.example", echo.address);
    let mut fixture = Fixture::new(allowed.clone()).await;
    fixture.names.answer("ok.example", &[&["127.0.0.1"]]);
    fixture.names.answer("evil.example", &[&["127.0.0.1"]]);
    let inside = inside(&mut fixture);
    let (mut tunnel, _) = fixture.tunnel(&format!("ok.example:{port}")).await;
    let asking = async {
        let mut refused = 0;
        for _ in 0..200 {
            let (_, head) = fixture.tunnel(&format!("evil.example:{port}")).await;
            let code = socks5(&inside, "evil.example", port).await.1;
            refused += usize::from(head.starts_with("HTTP/1.1 403 ") && code == 2);
            // What is allowed now and then is answered as it is just then.
            let (_, head) = fixture.tunnel(&format!("ok.example:{port}")).await;
            let is_either = head.starts_with("HTTP/1.1 200 ") || head.contains("network_none");
            assert!(is_either || head.is_empty(), "{head}");
        }
        refused
    };
    let changing = async {
        for change in 0..1000 {
            let mode = if change % 2 == 0 { Mode::None } else { Mode::AllowList };
            fixture.proxy.set_policy(allowed.clone().with_mode(mode));
            tokio::task::yield_now().await;
        }
    };
    let (refused, ()) = tokio::join!(asking, changing);
    assert_eq!(refused, 200);
    // It was denied at some time, and is not brought back.
    assert_eq!(read_all(&mut tunnel).await, "");
    let (tunnel, head) = fixture.tunnel(&format!("ok.example:{port}")).await;
    assert!(head.starts_with("HTTP/1.1 200 ") && is_echoed(tunnel).await);
}
