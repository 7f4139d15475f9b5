//! A proxy of its own for each test, and the sandboxes that it knows.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sandbar_proxy::preview::{
    AccessKey, Activity, ConnectError, NotServing, PreviewConfig, PreviewDomain, PreviewHost,
    PreviewProxy, Route, RouteError, SandboxLabel, Upstreams, Visibility,
};
use sandbar_types::SandboxId;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

/// How a sandbox is.
#[derive(Debug, Clone)]
pub(crate) enum Standing {
    Serves(SocketAddr),
    Not(NotServing),
}

/// The sandboxes, by name. An engine in small.
#[derive(Debug, Default)]
pub(crate) struct Sandboxes {
    known: Mutex<HashMap<String, Sandbox>>,
    pub(crate) connects: AtomicUsize,
}

#[derive(Debug, Clone)]
struct Sandbox {
    id: SandboxId,
    visibility: Visibility,
    standing: watch::Receiver<Standing>,
    activity: Arc<()>,
}

#[async_trait]
impl Upstreams for Sandboxes {
    async fn route(&self, host: &PreviewHost) -> Result<Route, RouteError> {
        let SandboxLabel::Name(name) = &host.sandbox else { return Err(RouteError::Unknown) };
        let known = self.known.lock().unwrap();
        let sandbox = known.get(name.as_str()).ok_or(RouteError::Unknown)?;
        Ok(Route {
            sandbox: sandbox.id,
            port: host.port,
            visibility: sandbox.visibility,
            activity: Activity::new(Arc::clone(&sandbox.activity)),
        })
    }

    async fn connect(&self, route: &Route, deadline: Instant) -> Result<TcpStream, ConnectError> {
        self.connects.fetch_add(1, Ordering::Relaxed);
        let mut standing = {
            let known = self.known.lock().unwrap();
            known.values().find(|sandbox| sandbox.id == route.sandbox).unwrap().standing.clone()
        };
        let is_starting =
            |standing: &Standing| matches!(standing, Standing::Not(NotServing::Starting(_)));
        let settled = standing.wait_for(|standing| !is_starting(standing));
        time::timeout_at(deadline, settled).await.map(drop).ok();
        let now = standing.borrow().clone();
        match now {
            Standing::Serves(address) => TcpStream::connect(address)
                .await
                .map_err(|error| ConnectError::Failed(Box::new(error))),
            Standing::Not(why) => Err(ConnectError::NotServing(why)),
        }
    }
}

/// A proxy on a port of its own.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) sandboxes: Arc<Sandboxes>,
    pub(crate) proxy: PreviewProxy,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let sandboxes = Arc::<Sandboxes>::default();
        let mut config = PreviewConfig::new(PreviewDomain::default(), AccessKey::new([7; 32]));
        config.browser_patience = Duration::from_millis(10);
        config.program_patience = Duration::from_secs(20);
        Self::with(config, sandboxes).await
    }

    pub(crate) async fn with(config: PreviewConfig, sandboxes: Arc<Sandboxes>) -> Self {
        let stop = CancellationToken::new();
        let upstreams: Arc<dyn Upstreams> = Arc::<Sandboxes>::clone(&sandboxes);
        let proxy = PreviewProxy::new(config, upstreams, stop.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        let accepting = proxy.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, peer) = listener.accept().await.unwrap();
                let proxy = accepting.clone();
                connections.spawn(async move { proxy.serve_connection(stream, peer.ip()).await });
            }
        });
        Self { address, sandboxes, proxy, stop, tasks }
    }

    /// A public sandbox that serves at `app`.
    pub(crate) async fn with_app(app: SocketAddr) -> Self {
        let world = Self::new().await;
        world.add("shop", Visibility::Public, Standing::Serves(app));
        world
    }

    pub(crate) fn add(
        &self,
        name: &str,
        visibility: Visibility,
        standing: Standing,
    ) -> watch::Sender<Standing> {
        let (sender, standing) = watch::channel(standing);
        let sandbox =
            Sandbox { id: SandboxId::generate(), visibility, standing, activity: Arc::default() };
        self.sandboxes.known.lock().unwrap().insert(name.to_owned(), sandbox);
        sender
    }

    pub(crate) fn id(&self, name: &str) -> SandboxId {
        self.sandboxes.known.lock().unwrap()[name].id
    }

    /// Whether an exchange with this sandbox is under way.
    pub(crate) fn is_active(&self, name: &str) -> bool {
        Arc::strong_count(&self.sandboxes.known.lock().unwrap()[name].activity) > 1
    }

    pub(crate) fn host(&self, name: &str) -> String {
        format!("3000-{name}.preview.localhost:{}", self.address.port())
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.host("shop"))
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(crate) async fn client(&self) -> Client {
        let (sender, connection) =
            http1::handshake(TokioIo::new(self.connect().await)).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            connection.with_upgrades().await.ok();
        });
        Client { sender, _tasks: tasks }
    }

    /// One request on a connection of its own.
    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>) -> Answer {
        self.client().await.ask(request).await
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(path).header("host", self.host("shop"))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(self.request(Method::GET, path).body(Full::default()).unwrap()).await
    }

    /// Sends bytes and returns all that comes back until the connection ends.
    pub(crate) async fn raw(&self, bytes: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A connection that is reset has said what it had to say.
        time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.unwrap().ok();
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        self.proxy.drain().await;
        self.tasks.shutdown().await;
    }
}

/// Nothing here takes this long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    pub(crate) sender: http1::SendRequest<Full<Bytes>>,
    _tasks: JoinSet<()>,
}

impl Client {
    pub(crate) async fn ask(&mut self, request: Request<Full<Bytes>>) -> Answer {
        self.sender.ready().await.unwrap();
        let response =
            time::timeout(DEADLINE, self.sender.send_request(request)).await.unwrap().unwrap();
        let (parts, body) = response.into_parts();
        let body = time::timeout(DEADLINE, body.collect()).await.unwrap().unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of a problem.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], self.status.as_u16());
        json["code"].as_str().unwrap().to_owned()
    }
}

/// Waits until something is so.
pub(crate) async fn eventually(mut is_so: impl FnMut() -> bool) {
    time::timeout(DEADLINE, async {
        while !is_so() {
            time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .expect("it never was so");
}
