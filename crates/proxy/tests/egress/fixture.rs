//! A proxy on a loopback port, names that mean what a test says, and servers that remember.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use sandbar_proxy::egress::{
    Address, Closed, Connected, Denial, EgressLimits, EgressLog, EgressProxy, HostName, Mode,
    Policy, ResolveError, Resolver, Target,
};
use sandbar_types::SandboxId;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// How long anything may take that does not depend on a limit of the proxy.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Answers from a table; an answer can change with each call.
#[derive(Debug, Default)]
pub(crate) struct Names {
    answers: Mutex<HashMap<String, Vec<Vec<Address>>>>,
    pub(crate) calls: AtomicUsize,
}

impl Names {
    /// Answers `name` with each of `answers` in turn, and with the last for ever.
    pub(crate) fn answer(&self, name: &str, answers: &[&[&str]]) {
        let address = |ip: &&str| Address {
            ip: ip.parse().unwrap(),
            is_this_host: ip.starts_with("127."),
            is_pinned: false,
        };
        let answers = answers.iter().map(|ips| ips.iter().map(address).collect()).rev().collect();
        self.answers.lock().unwrap().insert(name.to_owned(), answers);
    }
}

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, name: &HostName) -> Result<Vec<Address>, ResolveError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let mut table = self.answers.lock().unwrap();
        let answers = table.get_mut(name.as_str());
        let answer = answers.and_then(|answers| {
            if answers.len() > 1 { answers.pop() } else { answers.last().cloned() }
        });
        answer.ok_or_else(|| ResolveError {
            name: name.clone(),
            source: io::ErrorKind::NotFound.into(),
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) denied: Mutex<Vec<Denial>>,
    pub(crate) connected: Mutex<Vec<Connected>>,
    pub(crate) closed: Mutex<Vec<Closed>>,
}

impl EgressLog for Heard {
    fn denied(&self, _sandbox: SandboxId, denial: &Denial) {
        self.denied.lock().unwrap().push(denial.clone());
    }

    fn connected(&self, connected: &Connected) {
        self.connected.lock().unwrap().push(connected.clone());
    }

    fn closed(&self, closed: &Closed) {
        self.closed.lock().unwrap().push(closed.clone());
    }
}

pub(crate) struct Fixture {
    pub(crate) address: SocketAddr,
    pub(crate) names: Arc<Names>,
    pub(crate) heard: Arc<Heard>,
    pub(crate) proxy: Arc<EgressProxy>,
    pub(crate) cancel: CancellationToken,
    pub(crate) tasks: JoinSet<()>,
}

impl Fixture {
    pub(crate) async fn new(policy: Policy) -> Self {
        Self::with(policy, EgressLimits::default(), |proxy| proxy).await
    }

    pub(crate) async fn with(
        policy: Policy,
        limits: EgressLimits,
        more: impl FnOnce(EgressProxy) -> EgressProxy,
    ) -> Self {
        let names = Arc::new(Names::default());
        let heard = Arc::new(Heard::default());
        let proxy = EgressProxy::new(policy, Arc::clone(&heard) as Arc<dyn EgressLog>)
            .with_resolver(Arc::clone(&names) as Arc<dyn Resolver>)
            .with_limits(limits);
        let proxy = Arc::new(more(proxy));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cancel = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&proxy).serve(listener, SandboxId::generate(), cancel.clone()));
        Self { address, names, heard, proxy, cancel, tasks }
    }

    /// Connects and sends `request` as it is.
    pub(crate) async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Sends `request`, and returns everything that comes back.
    pub(crate) async fn ask(&self, request: &str) -> String {
        let mut stream = self.send(request).await;
        read_all(&mut stream).await
    }

    /// Asks for a tunnel, and returns it with the head of the answer.
    pub(crate) async fn tunnel(&self, target: &str) -> (TcpStream, String) {
        let mut stream =
            self.send(&format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")).await;
        let head = read_head(&mut stream).await;
        (stream, head)
    }

    /// Waits until `count` connections were told as closed.
    pub(crate) async fn closed(&self, count: usize) -> Vec<Closed> {
        timeout(SOON, async {
            loop {
                let closed = self.heard.closed.lock().unwrap().clone();
                if closed.len() >= count {
                    return closed;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap()
    }
}

/// A policy that lets `name` be reached on the loopback, where the servers of tests are.
pub(crate) fn policy_for(name: &str, server: SocketAddr) -> Policy {
    Policy::new(Mode::AllowList).allow_private(target(name, server.port()))
}

pub(crate) fn target(name: &str, port: u16) -> Target {
    Target::parse(name, Some(port)).unwrap()
}

pub(crate) async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    timeout(SOON, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads up to the empty line, and not further.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    timeout(SOON, async {
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
    })
    .await
    .unwrap();
    String::from_utf8(head).unwrap()
}

/// A server of one connection after the other, each of which `serve` gets.
pub(crate) async fn server<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let mut task = JoinSet::new();
    let counted = Arc::clone(&accepted);
    task.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            connections.spawn(serve(stream));
        }
    });
    Server { address, accepted, _task: task }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) accepted: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Server {
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// Sends back what comes, and is done when the other side is.
pub(crate) async fn echo(mut stream: TcpStream) {
    let (mut reading, mut writing) = stream.split();
    // A client that goes away is no failure of an echo.
    drop(tokio::io::copy(&mut reading, &mut writing).await);
    drop(writing.shutdown().await);
}

/// Answers any request with the request itself, head and body, as a text.
pub(crate) async fn mirror(mut stream: TcpStream) {
    let head = read_head(&mut stream).await;
    let lower = head.to_lowercase();
    let mut body = Vec::new();
    if let Some(length) = lower.lines().find_map(|line| line.strip_prefix("content-length: ")) {
        body.resize(length.parse().unwrap(), 0);
        stream.read_exact(&mut body).await.unwrap();
    } else if lower.contains("transfer-encoding: chunked") {
        while !body.ends_with(b"0\r\n\r\n") {
            body.push(stream.read_u8().await.unwrap());
        }
    }
    let text = format!("{head}{}", String::from_utf8_lossy(&body));
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nX-Kept: 1\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    // A keep-alive server stays until the client goes.
    drop(stream.read_u8().await);
}
