//! A server of its own for each test, on a unix socket and a port that nobody else has.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sandbar_api::Problem;
use sandbar_engine::{Applier, Caller, EngineConfig, WorkerApplier};
use sandbar_runtime::Runtime;
use sandbar_server::{Config, HttpCourier, ServeConfig, Server, TcpListen};
use sandbar_types::HostPath;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::idle_runtime::IdleRuntime;

pub(crate) struct TestServer {
    pub(crate) socket: PathBuf,
    pub(crate) tcp: SocketAddr,
    pub(crate) token: String,
    pub(crate) data_dir: PathBuf,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    dir: Option<TempDir>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The problem that every error must be.
    pub(crate) fn problem(&self) -> Problem {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let problem: Problem = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem.status, self.status.as_u16(), "{self:?}");
        assert_eq!(self.headers["x-request-id"], problem.request_id, "{self:?}");
        assert!(!problem.request_id.is_empty() && !problem.message.is_empty(), "{self:?}");
        problem
    }
}

impl TestServer {
    /// A server on a host that can do nothing.
    pub(crate) async fn start() -> Self {
        Self::start_on(Arc::new(IdleRuntime)).await
    }

    /// A server on this host.
    pub(crate) async fn start_on(runtime: Arc<dyn Runtime>) -> Self {
        Self::start_writing(
            runtime,
            Arc::new(WorkerApplier { exe: PathBuf::from("/proc/self/exe") }),
        )
        .await
    }

    /// A server on this host whose approves are written by `applier`.
    pub(crate) async fn start_writing(
        runtime: Arc<dyn Runtime>,
        applier: Arc<dyn Applier>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        Self::start_in(dir, runtime, applier, Config::default()).await
    }

    /// A server that was started as `settings` say, over what this one left.
    pub(crate) async fn restart(mut self, settings: Config) -> Self {
        let dir = self.dir.take().unwrap();
        self.stop().await;
        let applier = Arc::new(WorkerApplier { exe: PathBuf::from("/proc/self/exe") });
        Self::start_in(dir, Arc::new(IdleRuntime), applier, settings).await
    }

    async fn start_in(
        dir: TempDir,
        runtime: Arc<dyn Runtime>,
        applier: Arc<dyn Applier>,
        settings: Config,
    ) -> Self {
        let data_dir = dir.path().join("data");
        let socket = data_dir.join("sandbar.sock");
        let mut engine = EngineConfig::new(
            data_dir.clone(),
            sandbar_test_store::driver(&data_dir),
            runtime,
            applier,
        );
        // Receivers of tests are on this host.
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let variables = [
            set("SANDBAR_WEBHOOKS_ALLOW_HTTP", "true"),
            set("SANDBAR_WEBHOOKS_ALLOW_PRIVATE", "[\"127.0.0.1/32\"]"),
        ];
        let on_this_host = Config::load(&data_dir, variables).unwrap();
        engine.courier = Arc::new(HttpCourier::new(&on_this_host));
        let config = ServeConfig {
            engine,
            caller: Caller {
                home: HostPath::parse("/home/me").unwrap(),
                name: "me".to_owned(),
                path: "/usr/bin".to_owned(),
            },
            socket: socket.clone(),
            settings: settings.with_listen(TcpListen::At(SocketAddr::from(([127, 0, 0, 1], 0)))),
        };
        let server = Server::start(config).await.unwrap();
        let tcp = server.tcp_address().unwrap();
        let token = std::fs::read_to_string(data_dir.join("token")).unwrap();
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run(stop.clone().cancelled_owned()));
        Self { socket, tcp, token, data_dir, stop, tasks, dir: Some(dir) }
    }

    /// Drains the server, and starts another one over what it left.
    pub(crate) async fn restart_on(mut self, runtime: Arc<dyn Runtime>) -> Self {
        let dir = self.dir.take().unwrap();
        self.stop().await;
        let applier = Arc::new(WorkerApplier { exe: PathBuf::from("/proc/self/exe") });
        Self::start_in(dir, runtime, applier, Config::default()).await
    }

    /// Begins to drain the server.
    pub(crate) fn drain(&self) {
        self.stop.cancel();
    }

    /// Drains the server, and returns when it has ended.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        assert!(!self.socket.exists(), "the socket is left");
    }

    /// Asks on the unix socket.
    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>) -> Answer {
        exchange(UnixStream::connect(&self.socket).await.unwrap(), request).await
    }

    /// Asks on TCP, with the right `Host` and nothing else.
    pub(crate) async fn ask_tcp(&self, mut request: Request<Full<Bytes>>) -> Answer {
        let host = format!("localhost:{}", self.tcp.port()).parse().unwrap();
        request.headers_mut().entry("host").or_insert(host);
        exchange(TcpStream::connect(self.tcp).await.unwrap(), request).await
    }

    /// Sends `bytes` on TCP and returns what comes back until the connection ends.
    pub(crate) async fn raw_tcp(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.tcp).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(request(Method::GET, path).body(Full::default()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        let request = request(Method::POST, path).header("content-type", "application/json");
        self.ask(request.body(Full::new(body.into())).unwrap()).await
    }
}

pub(crate) fn request(method: Method, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path)
}

async fn exchange<S>(stream: S, mut request: Request<Full<Bytes>>) -> Answer
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    request.headers_mut().entry("host").or_insert("localhost".parse().unwrap());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        connection.await.ok();
    });
    let answer = sender.send_request(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}
