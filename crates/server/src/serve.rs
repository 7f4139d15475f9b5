//! From a configuration to a server that answers, and to its end.
//!
//! Order: lock, store, reconcile (all in [`Engine::start`]), then listen. The end: stop listening, let requests end,
//! close the store. Sandboxes run on.

use std::{
    fmt, io, net::SocketAddr, num::NonZeroU16, path::PathBuf, str::FromStr, sync::Arc,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sandbar_engine::{Caller, Engine, EngineConfig, SettingsReader, StartError};
use sandbar_proxy::preview::{AccessKey, PreviewProxy};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    access::Accesses,
    audit::Actions,
    auth::{Token, TokenError},
    config::Config,
    listen::{self, ListenError},
    metrics::Metrics,
    previews::{EngineUpstreams, Previews},
    router,
    settings::Settings,
    state::AppState,
    traces,
};

/// LIMIT: time for the engine to finish what is under way.
const ENGINE_DRAIN: Duration = Duration::from_secs(10);

/// LIMIT: time for blocking calls to return after the engine drained.
const RUNTIME_SHUTDOWN: Duration = Duration::from_secs(2);

/// Where the server listens on TCP: for previews, and for the API with a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TcpListen {
    /// Nowhere; there are no previews then.
    None,
    /// On port 7263 of 127.0.0.1, or on any other where somebody has it.
    #[default]
    Usual,
    /// On this loopback address. Port 0 takes any.
    At(SocketAddr),
}

/// A text that says nothing of where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `usual`, `none`, or an address with a port, such as 127.0.0.1:7070")]
pub struct InvalidListen;

impl FromStr for TcpListen {
    type Err = InvalidListen;

    fn from_str(text: &str) -> Result<Self, InvalidListen> {
        match text {
            "none" => Ok(Self::None),
            "usual" => Ok(Self::Usual),
            address => address.parse().map(Self::At).map_err(|_| InvalidListen),
        }
    }
}

impl fmt::Display for TcpListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Usual => f.write_str("usual"),
            Self::At(address) => address.fmt(f),
        }
    }
}

/// What the operator sets.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// The engine: its data directory, and how sandboxes are isolated.
    pub engine: EngineConfig,
    /// On whose behalf sandboxes are made: the user that runs the server.
    pub caller: Caller,
    /// The unix socket; its directory exists.
    pub socket: PathBuf,
    /// What is said in `config.toml`, the environment and on the command line. What of it is the engine's, the
    /// engine reads here, with what was changed since.
    pub settings: Config,
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The threads cannot be started.
    #[error("cannot start the server's threads")]
    Threads(#[source] io::Error),
    /// Signals cannot be listened to.
    #[error("cannot listen to signals")]
    Signals(#[source] io::Error),
    /// The engine did not start.
    #[error("cannot start the engine")]
    Engine(#[source] StartError),
    /// The token cannot be used.
    #[error("cannot use the token")]
    Token(#[source] TokenError),
    /// The code for the first administrator cannot be made.
    #[error("cannot make the code for the first administrator")]
    Setup(#[source] sandbar_engine::Error),
    /// A listener cannot be made.
    #[error("cannot listen")]
    Listen(#[source] ListenError),
}

impl ServeError {
    /// Whether another server has what this one needs.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_in_use(),
            Self::Setup(_)
            | Self::Listen(_)
            | Self::Threads(_)
            | Self::Signals(_)
            | Self::Token(_) => false,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Engine(error) => error.hint(),
            Self::Listen(ListenError::Tcp { .. }) => Some(
                "choose another port with `--listen`, or leave it out: the unix socket needs none"
                    .to_owned(),
            ),
            Self::Listen(ListenError::SocketInUse { .. }) => {
                Some("stop the other server, or choose another data directory".to_owned())
            }
            Self::Listen(ListenError::Unix { path, .. }) if path.as_os_str().len() > 107 => Some(
                "the path of a socket has at most 107 bytes: choose a shorter data directory"
                    .to_owned(),
            ),
            Self::Listen(ListenError::NotLoopback { .. }) => {
                Some("use 127.0.0.1 or [::1]: without TLS nothing else is served".to_owned())
            }
            Self::Threads(_)
            | Self::Signals(_)
            | Self::Token(_)
            | Self::Setup(_)
            | Self::Listen(_) => None,
        }
    }
}

/// Serves until SIGTERM or SIGINT, then drains. Blocks; starts the threads it needs.
///
/// `config` is called on one of them: a runtime that keeps launchers warm must be made inside tokio.
///
/// # Errors
/// The server did not start; see [`ServeError`].
pub fn serve(config: impl FnOnce() -> ServeConfig) -> Result<(), ServeError> {
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(ServeError::Threads)?;
    let served = runtime.block_on(async {
        let config = config();
        config.settings.start_logging();
        // Before anything else, so that a signal while starting is not lost.
        let stop = stop_on_signal().map_err(ServeError::Signals)?;
        let server = Server::start(config).await?;
        server.run(stop).await;
        Ok(())
    });
    // The engine had its time to finish; a blocking call that still hangs must not keep the process, and its lock.
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
    served
}

/// One sandbox may have 256 connections out, of three descriptors each; the usual limit of a shell is 1024, which two of
/// them could use up for all the others. Best effort: what the limit may be is for whoever starts us to say.
fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _refused = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

fn stop_on_signal() -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Says how the first administrator is made, where there is none.
async fn offer_setup(engine: &Engine) -> Result<(), sandbar_engine::Error> {
    if let Some(code) = engine.setup_begin().await? {
        // The one secret that is logged: whoever reads this log could read the data directory, and it works once.
        tracing::info!("nobody administers this server yet; the code for it is {code}");
    }
    Ok(())
}

/// A server that listens, but does not answer yet.
#[derive(Debug)]
pub struct Server {
    engine: Engine,
    unix: listen::UnixGuard,
    tcp: Option<tokio::net::TcpListener>,
    proxy: PreviewProxy,
    state: AppState,
}

impl Server {
    /// Starts the engine, then listens.
    ///
    /// # Errors
    /// See [`ServeError`]; nothing is left of what was started.
    pub async fn start(config: ServeConfig) -> Result<Self, ServeError> {
        let data_dir = config.engine.data_dir.clone();
        let settings = Arc::new(Settings::new(config.settings.clone()));
        let reader = Arc::clone(&settings) as Arc<dyn SettingsReader>;
        let engine = EngineConfig { reader: Some(reader), ..config.engine };
        let engine = Engine::start(engine).await.map_err(ServeError::Engine)?;
        let listeners = async {
            let unix = listen::unix(&config.socket).map_err(ServeError::Listen)?;
            let tcp = match config.settings.listen() {
                TcpListen::None => None,
                TcpListen::Usual => Some(listen::tcp_usual().await.map_err(ServeError::Listen)?),
                TcpListen::At(address) => {
                    Some(listen::tcp(address).await.map_err(ServeError::Listen)?)
                }
            };
            let token = match &tcp {
                None => None,
                Some(_) => Some(Arc::new(Token::load(&data_dir).map_err(ServeError::Token)?)),
            };
            // On the socket alone nobody logs in, so nobody needs a code.
            if tcp.is_some() {
                offer_setup(&engine).await.map_err(ServeError::Setup)?;
            }
            Ok::<_, ServeError>((unix, tcp, token))
        };
        let (unix, tcp, token) = match listeners.await {
            Ok(listeners) => listeners,
            Err(error) => {
                engine.drain(ENGINE_DRAIN).await;
                return Err(error);
            }
        };
        let stop = CancellationToken::new();
        let key = token
            .as_ref()
            .map_or_else(AccessKey::generate, |token| AccessKey::new(token.derive("preview")));
        let preview = config.settings.preview.config(key);
        let upstreams = Arc::new(EngineUpstreams(engine.clone()));
        let proxy = PreviewProxy::new(preview, upstreams, stop.clone());
        let port = tcp.as_ref().and_then(|tcp| tcp.local_addr().ok()).map(|local| local.port());
        let port = port.map(|port| config.settings.preview.port.map_or(port, NonZeroU16::get));
        let previews = port.map(|port| Previews::new(proxy.clone(), port));
        let state = AppState {
            engine: engine.clone(),
            caller: Arc::new(config.caller),
            settings,
            data_dir: data_dir.into(),
            token,
            accesses: Arc::new(Accesses::of(&mut router::document())),
            actions: Arc::new(Actions::of(&mut router::document())),
            rates: Arc::default(),
            metrics: Arc::new(Metrics::default()),
            listed: Arc::default(),
            previews,
            stop,
            conversations: TaskTracker::new(),
        };
        tracing::info!(
            socket = %config.socket.display(),
            tcp = tcp.as_ref().and_then(|tcp| tcp.local_addr().ok()).map(tracing::field::display),
            "server listens"
        );
        Ok(Self { engine, unix, tcp, proxy, state })
    }

    /// The TCP address that was taken.
    #[must_use]
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().and_then(|tcp| tcp.local_addr().ok())
    }

    /// Answers until `stop`, then drains: nobody new is let in, requests end, streams are closed, the store is closed.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let Self { engine, unix, tcp, proxy, state } = self;
        let (ending, metrics) = (state.stop.clone(), Arc::clone(&state.metrics));
        let conversations = state.conversations.clone();
        let serve = listen::Serve {
            router: router::router(state),
            proxy: proxy.clone(),
            metrics,
            stop: ending.clone(),
        };
        let accepting = listen::accept(unix, tcp, serve);
        let stopping = async {
            stop.await;
            tracing::info!("server drains");
            ending.cancel();
        };
        tokio::join!(accepting, stopping);
        proxy.drain().await;
        conversations.close();
        // Each has its own deadline for the client's goodbye.
        conversations.wait().await;
        engine.drain(ENGINE_DRAIN).await;
        traces::end().await;
        tracing::info!("server ended; sandboxes run on");
    }
}
