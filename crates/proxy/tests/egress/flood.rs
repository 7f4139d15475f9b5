//! One sandbox that takes what it can get, and another beside it that asks as ever.

use std::{
    collections::HashSet,
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sandbar_proxy::egress::{ConnectionEnd, EgressLimits, Mode, Policy};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
    task::JoinSet,
    time::{interval, timeout},
};

use super::fixture::{
    Fixture, SOON, Server, echo, mirror, policy_for, read_all, read_head, server,
};

/// What is held of one proxy at once: its places, and those who are told that there is none; of these, as many come as
/// go while they are counted.
const HELD_MAX: usize = 256 + 2 * 32;
/// Questions of the sandbox that is left alone.
const ASKED: usize = 200;
const CONNECTIONS: usize = 10_000;
const STORM: usize = 6_000;

/// Two sandboxes that may reach the same upstream.
struct Two {
    taker: Arc<Fixture>,
    other: Fixture,
    upstream: Server,
}

impl Two {
    async fn new(limits: EgressLimits) -> Self {
        let upstream = server(echo).await;
        let policy = policy_for("ok.example", upstream.address);
        let taker = Fixture::with(policy.clone(), limits, |proxy| proxy).await;
        let other = Fixture::new(policy).await;
        for fixture in [&taker, &other] {
            fixture.names.answer("ok.example", &[&["127.0.0.1"]]);
        }
        Self { taker: Arc::new(taker), other, upstream }
    }

    fn target(&self) -> String {
        format!("ok.example:{}", self.upstream.address.port())
    }

    /// Asks as the other sandbox, which is answered every time; how long the slowest but one of a hundred took.
    async fn p99(&self) -> Duration {
        let mut took = Vec::new();
        for _ in 0..ASKED {
            let began = Instant::now();
            let (mut tunnel, head) = self.other.tunnel(&self.target()).await;
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            tunnel.write_all(b"x").await.unwrap();
            assert_eq!(timeout(SOON, tunnel.read_u8()).await.unwrap().unwrap(), b'x');
            took.push(began.elapsed());
        }
        took.sort_unstable();
        took[ASKED * 99 / 100]
    }

    /// Waits until the one who took everything is answered again.
    async fn has_room_again(&self) {
        let answered = timeout(SOON, async {
            while !self.taker.tunnel(&self.target()).await.1.starts_with("HTTP/1.1 200 ") {}
        });
        answered.await.unwrap();
    }
}

/// Connections that a proxy has accepted and not closed, as the kernel counts them: what waits to be accepted has no
/// inode yet. What changes while it is read is there twice, or not at all: each is counted once.
fn accepted(port: u16) -> usize {
    let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
    let local = format!(":{port:04X}");
    let held = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_listening = fields[3] == "0A";
        let is_held = fields[1].ends_with(&local) && !is_listening && fields[9] != "0";
        is_held.then_some(fields[2])
    });
    held.collect::<HashSet<_>>().len()
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Lets this process have as many descriptors as it may; how many connections that are.
fn room_for(wanted: usize) -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let most = maximum.map_or(wanted, |maximum| usize::try_from(maximum).unwrap_or(wanted));
    wanted.min(most.saturating_sub(3000))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_71_ten_thousand_connections_at_once_are_no_matter_for_another_sandbox() {
    let connections = room_for(CONNECTIONS);
    let two = Two::new(EgressLimits::default()).await;
    let port = two.taker.address.port();
    let before = two.p99().await;
    let files_before = open_files();

    let (tunnels, end) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let mut taking = JoinSet::new();
    let (clients, target) = (Arc::new(AtomicUsize::new(0)), two.target());
    for _ in 0..connections {
        let (tunnels, clients, end) =
            (Arc::clone(&tunnels), Arc::clone(&clients), Arc::clone(&end));
        let (address, target) = (two.taker.address, target.clone());
        taking.spawn(async move {
            let Ok(mut stream) = TcpStream::connect(address).await else { return };
            clients.fetch_add(1, Ordering::SeqCst);
            let asked = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
            stream.write_all(asked.as_bytes()).await.unwrap();
            let mut head = [0; 16];
            // Most wait for an answer as long as this lasts.
            let is_tunnel =
                stream.read_exact(&mut head).await.is_ok() && head.starts_with(b"HTTP/1.1 200 ");
            tunnels.fetch_add(usize::from(is_tunnel), Ordering::SeqCst);
            end.notified().await;
            drop(stream);
        });
    }
    timeout(Duration::from_mins(1), async {
        while tunnels.load(Ordering::SeqCst) < 256 || clients.load(Ordering::SeqCst) < 1000 {
            let held = accepted(port);
            assert!(held <= HELD_MAX, "{held} connections are held");
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let meanwhile = two.p99().await;
    let (held, files) = (accepted(port), open_files());
    eprintln!(
        "p99 of the other sandbox: {before:?} alone, {meanwhile:?} beside {connections} connections"
    );
    assert!((256..=HELD_MAX).contains(&held), "{held} connections are held");
    assert_eq!(tunnels.load(Ordering::SeqCst), 256);
    // Clients and the upstream are in this process as well: a socket of each connection that was begun, and one of each
    // tunnel. The proxy has three of each tunnel, one of each who is turned away, and of nobody else any.
    let most = files_before + connections + 4 * 256 + 2 * 32 + 32;
    assert!(files <= most, "{files} descriptors, {most} at most");
    taking.shutdown().await;
    two.has_room_again().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_71_a_storm_of_connects_is_no_matter_for_another_sandbox() {
    let two = Two::new(EgressLimits::default()).await;
    let port = two.taker.address.port();
    let before = two.p99().await;
    let mut storm = JoinSet::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    // Half of them to where they may not go, each of these to another host.
    for _ in 0..64 {
        let (taker, asked, target) = (Arc::clone(&two.taker), Arc::clone(&asked), two.target());
        storm.spawn(async move {
            loop {
                let number = asked.fetch_add(1, Ordering::SeqCst);
                if number >= STORM {
                    return;
                }
                let evil = format!("h{number}.evil.example:443");
                let to = if number % 2 == 0 { &target } else { &evil };
                let (_, head) = taker.tunnel(to).await;
                let is_answered = if number % 2 == 0 {
                    head.starts_with("HTTP/1.1 200 ") || head.starts_with("HTTP/1.1 503 ")
                } else {
                    head.starts_with("HTTP/1.1 403 ") || head.starts_with("HTTP/1.1 503 ")
                };
                assert!(is_answered, "{to}: {head}");
            }
        });
    }
    let meanwhile = two.p99().await;
    assert!(accepted(port) <= HELD_MAX);
    while let Some(ended) = storm.join_next().await {
        ended.unwrap();
    }
    let rate = STORM as f64 / began.elapsed().as_secs_f64();
    eprintln!(
        "p99 of the other sandbox: {before:?} alone, {meanwhile:?} beside a storm, {rate:.0} CONNECT a second"
    );
    // A storm of refusals is no flood of events, and none of the names was looked up.
    assert!(two.taker.heard.denied.lock().unwrap().len() <= 256);
    two.has_room_again().await;
}

#[tokio::test]
async fn case_71_heads_that_drip_are_not_waited_for_and_bodies_that_do_keep_their_own_places() {
    let limits = EgressLimits {
        connections_max: 8,
        head_timeout: Duration::from_millis(300),
        ..EgressLimits::default()
    };
    let two = Two::new(limits).await;
    // Slowloris: a byte now and then, for ever.
    let mut dripping = JoinSet::new();
    for _ in 0..8 {
        let mut stream = two.taker.send("CONNECT ok.example:443 HTTP/1.1\r\nX: ").await;
        dripping.spawn(async move {
            let mut pace = interval(Duration::from_millis(20));
            let (mut reading, mut writing) = stream.split();
            let mut said = String::new();
            tokio::select! {
                // What the other side does not take any more ends it.
                () = async { loop {
                    pace.tick().await;
                    if writing.write_all(b"a").await.is_err() {
                        std::future::pending::<()>().await;
                    }
                } } => {}
                read = timeout(SOON, reading.read_to_string(&mut said)) => drop(read.unwrap()),
            }
            said
        });
    }
    two.p99().await;
    while let Some(said) = dripping.join_next().await {
        let said = said.unwrap();
        assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("head_timeout"), "{said}");
    }
    two.has_room_again().await;

    // Bodies a byte at a time have no end that is ours to set: they keep the places of their own sandbox, and no other's.
    let mut bodies = Vec::new();
    timeout(SOON, async {
        while bodies.len() < 8 {
            let (mut tunnel, head) = two.taker.tunnel(&two.target()).await;
            if head.starts_with("HTTP/1.1 200 ") {
                tunnel
                    .write_all(b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n")
                    .await
                    .unwrap();
                bodies.push(tunnel);
            }
        }
    })
    .await
    .unwrap();
    for _ in 0..10 {
        for body in &mut bodies {
            body.write_all(b"b").await.unwrap();
        }
        let (_, head) = two.taker.tunnel(&two.target()).await;
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    }
    two.p99().await;
    drop(bodies);
    two.has_room_again().await;
}

#[tokio::test]
async fn case_71_a_body_of_which_nothing_comes_any_more_gives_its_place_back() {
    let upstream = server(mirror).await;
    let limits =
        EgressLimits { idle_timeout: Duration::from_millis(100), ..EgressLimits::default() };
    let fixture =
        Fixture::with(policy_for("ok.example", upstream.address), limits, |proxy| proxy).await;
    fixture.names.answer("ok.example", &[&["127.0.0.1"]]);
    let host = format!("ok.example:{}", upstream.address.port());
    let begun =
        format!("POST http://{host}/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9\r\n\r\nb");
    let mut stream = fixture.send(&begun).await;
    assert_eq!(read_all(&mut stream).await, "");
    assert_eq!(fixture.closed(1).await[0].end, ConnectionEnd::Idle);
}

#[tokio::test]
async fn case_71_a_head_of_a_megabyte_is_refused_and_not_kept() {
    let fixture = Fixture::new(Policy::new(Mode::AllowList)).await;
    let before = fixture.names.calls.load(Ordering::SeqCst);
    let large = "a".repeat(1 << 20);
    for head in [
        format!("CONNECT ok.example:443 HTTP/1.1\r\nX: {large}\r\n\r\n"),
        format!("GET http://ok.example/{large} HTTP/1.1\r\nHost: ok.example\r\n\r\n"),
        format!("CONNECT {large}:443 HTTP/1.1\r\n\r\n"),
    ] {
        let mut stream = TcpStream::connect(fixture.address).await.unwrap();
        let (mut reading, mut writing) = stream.split();
        // It is refused long before its end, and the rest of it is not taken.
        let (written, said) = tokio::join!(writing.write_all(head.as_bytes()), async {
            let mut said = Vec::new();
            drop(timeout(SOON, reading.read_to_end(&mut said)).await.unwrap());
            String::from_utf8_lossy(&said).into_owned()
        });
        drop(written);
        assert!(said.starts_with("HTTP/1.1 431 ") || said.starts_with("HTTP/1.1 400 "), "{said}");
    }
    assert_eq!(fixture.names.calls.load(Ordering::SeqCst), before);
}

#[tokio::test]
async fn case_71_an_answer_whose_head_is_a_megabyte_is_a_502() {
    let upstream = server(|mut stream: TcpStream| async move {
        read_head(&mut stream).await;
        let large = "a".repeat(1 << 20);
        drop(stream.write_all(format!("HTTP/1.1 200 OK\r\nX: {large}\r\n\r\n").as_bytes()).await);
    })
    .await;
    let fixture = Fixture::new(policy_for("ok.example", upstream.address)).await;
    fixture.names.answer("ok.example", &[&["127.0.0.1"]]);
    let host = format!("ok.example:{}", upstream.address.port());
    let said = fixture.ask(&format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
    assert!(said.starts_with("HTTP/1.1 502 "), "{}", &said[..said.len().min(200)]);
}
