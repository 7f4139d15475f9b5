//! The way out of sandboxes. The engine says for whom and until when; who goes through it is somebody else's part.

mod board;
mod change;
mod journal;

use std::{collections::BTreeMap, fmt, io, net::SocketAddrV4, sync::Arc, time::Duration};

use async_trait::async_trait;
use sandbar_runtime::{LaunchSpec, Runtime, SandboxDir};
use sandbar_store::SandboxRow;
use sandbar_types::{
    EnvName, NetworkMode, NetworkSpec, NetworkWhy, SandboxId, SandboxName, Target,
};
use tokio::{
    net::{TcpListener, UdpSocket},
    sync::{mpsc, watch},
};

pub(crate) use self::board::NetworkBoards;
pub use self::board::NetworkDenials;
use crate::{
    Error, ErrorKind, Result, TokenAnswer, TokenRequest, Trust, Wire, actor::ActorHandle,
    credential, engine::Inner,
};

/// LIMIT: entries that wait to be written; more are dropped, for a sandbox can make as many as it likes.
const ENTRIES_MAX: usize = 256;

/// How long is waited for what is told of connections that end with the sandbox.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A host that was not reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressDenied {
    /// Its name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Why, as a stable code.
    pub reason: String,
}

/// What the way out counted since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressCounts {
    /// Connections that were made.
    pub allowed: u64,
    /// Connections that were refused, by the code of the reason.
    pub denied: BTreeMap<&'static str, u64>,
}

/// A connection that was made, and is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressClosed {
    /// The name or address that was asked for.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The rule that allowed it.
    pub rule: String,
    /// Bytes that the sandbox sent.
    pub sent_bytes: u64,
    /// Bytes that the sandbox received.
    pub received_bytes: u64,
    /// How long it was there.
    pub duration: Duration,
    /// How it ended, as a stable code.
    pub end: &'static str,
}

/// What a way out tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EgressEntry {
    /// A refusal.
    Denied(EgressDenied),
    /// The end of a connection.
    Closed(EgressClosed),
}

/// What a sandbox may reach now.
#[derive(Debug, Clone)]
pub struct NetworkReader(watch::Receiver<Arc<SandboxRow>>);

impl NetworkReader {
    /// What it is.
    #[must_use]
    pub fn now(&self) -> NetworkSpec {
        self.0.borrow().spec.network.clone()
    }
}

/// Makes sockets inside a sandbox.
#[derive(Debug, Clone)]
pub struct EgressSockets {
    runtime: Arc<dyn Runtime>,
    dir: SandboxDir,
}

impl EgressSockets {
    /// Listens at an address of the loopback there.
    ///
    /// # Errors
    /// Somebody else does, or the supervisor is too old or not there.
    pub async fn listen(&self, at: SocketAddrV4) -> io::Result<TcpListener> {
        self.runtime.listen_inside(&self.dir, at).await
    }

    /// Takes datagrams at an address of the loopback there.
    ///
    /// # Errors
    /// As [`EgressSockets::listen`].
    pub async fn bind(&self, at: SocketAddrV4) -> io::Result<UdpSocket> {
        self.runtime.bind_inside(&self.dir, at).await
    }
}

/// What serves the way out of one sandbox needs.
#[derive(Debug)]
pub struct Egress {
    /// Whose.
    pub sandbox: SandboxId,
    /// What people call it.
    pub name: SandboxName,
    /// What it may reach. After a change, [`Network::refresh`] is called.
    pub rules: NetworkReader,
    /// Where programs inside look for the proxy.
    pub listener: TcpListener,
    /// Makes more sockets inside.
    pub sockets: EgressSockets,
    /// Its credentials; `None` where nobody inside would believe who puts them in.
    pub wire: Option<Wire>,
    /// Takes what happens. Full: what does not fit is dropped, for a sandbox can make as much as it likes.
    pub told: mpsc::Sender<EgressEntry>,
}

/// Whether somebody reaches a host.
#[derive(Debug, Clone, Copy)]
pub struct NetworkQuestion<'a> {
    /// Who: what people call it.
    pub sandbox: &'a SandboxName,
    /// What it may reach.
    pub spec: &'a NetworkSpec,
    /// What it has credentials for, which it may reach as well.
    pub bound: &'a [Target],
    /// Whom: its name or address, which may have a port with it.
    pub host: &'a str,
    /// The port; `None`: the usual one.
    pub port: Option<u16>,
}

/// One way out of sandboxes.
#[async_trait]
pub trait Network: Send + Sync + fmt::Debug + 'static {
    /// Looks at the rules of a sandbox that is to be made.
    ///
    /// # Errors
    /// What is wrong with them, for people.
    fn check(&self, spec: &NetworkSpec) -> Result<(), String>;

    /// Variables that lead the programs inside to the way out.
    fn environment(&self) -> BTreeMap<EnvName, String>;

    /// What it counted. Apart from the denials that [`Network::serve`] tells, of which some are dropped.
    fn counts(&self) -> EgressCounts {
        EgressCounts::default()
    }

    /// Makes whom the programs of a sandbox believe, with the key that was kept or with a new one; `None` where nothing of
    /// theirs is ended.
    fn trust(&self, _sandbox: SandboxId, _kept: Option<&str>) -> Option<Trust> {
        None
    }

    /// Serves what comes from one sandbox until the future is dropped.
    async fn serve(&self, egress: Egress);

    /// Has what serves `sandbox` decide by the rules that hold now. When this returns, nothing else is let through.
    async fn refresh(&self, _sandbox: SandboxId) {}

    /// Asks a token endpoint, which is anywhere that this server may reach, for new tokens.
    ///
    /// # Errors
    /// There was no answer; why, for people, without anything that was sent.
    async fn ask_token(&self, _request: TokenRequest) -> Result<TokenAnswer, String> {
        Err("this server has no way out".to_owned())
    }

    /// Says what would be decided about a host, and why.
    ///
    /// # Errors
    /// It is no host, for people.
    async fn why(&self, _question: NetworkQuestion<'_>) -> Result<NetworkWhy, String> {
        Err("this server has no way out".to_owned())
    }
}

/// No way out.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoNetwork;

#[async_trait]
impl Network for NoNetwork {
    fn check(&self, _spec: &NetworkSpec) -> Result<(), String> {
        Ok(())
    }

    fn environment(&self) -> BTreeMap<EnvName, String> {
        BTreeMap::new()
    }

    async fn serve(&self, _egress: Egress) {}
}

/// Refuses rules that nobody could keep.
pub(crate) fn check(network: &dyn Network, spec: &NetworkSpec) -> Result<()> {
    let invalid = |message| Err(Error::new(ErrorKind::Invalid, "invalid_value", message));
    for (name, rules) in [("allow", &spec.allow), ("deny", &spec.deny)] {
        if rules.len() > NetworkSpec::ALLOW_MAX {
            let most = NetworkSpec::ALLOW_MAX;
            return invalid(format!("`network.{name}` has more than {most} rules"));
        }
    }
    network.check(spec).or_else(|what| invalid(format!("`network`: {what}")))
}

impl Inner {
    /// Tells the programs of a sandbox where the way out is; what its own specification says wins.
    pub(crate) fn network_prepare(&self, network: &NetworkSpec, launch: &mut LaunchSpec) {
        if network.mode == NetworkMode::None {
            return;
        }
        for (name, value) in self.config.network.environment() {
            launch.env.entry(name).or_insert(value);
        }
    }

    /// Opens the way out of a sandbox that runs, for as long as it does.
    pub(crate) fn network_serve(self: &Arc<Self>, handle: &ActorHandle) {
        let (inner, handle) = (Arc::clone(self), handle.clone());
        let mut ended = handle.published.clone();
        self.tasks.spawn(async move {
            let id = handle.row().id;
            let (leaving, dir) = (inner.leaving.clone(), inner.layout.sandbox(id));
            let over = async {
                tokio::select! {
                    () = leaving.cancelled() => {}
                    // An actor that is gone ends it as well.
                    _ = ended.wait_for(|row| !row.state.may_have_processes()) => {}
                }
            };
            if let Err(err) = serve(&inner, &handle, &dir, over).await {
                tracing::warn!(sandbox.id = %id, error = %err, "a sandbox has no way out");
            }
        });
    }
}

/// Serves the way out of what runs in `dir`, on behalf of the sandbox of `handle`, whose history tells of what was
/// refused, until `over`. Where it has none, once it has.
pub(crate) async fn serve(
    inner: &Arc<Inner>,
    handle: &ActorHandle,
    dir: &SandboxDir,
    over: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut over = std::pin::pin!(over);
    let mut published = handle.published.clone();
    let has_network = |row: &Arc<SandboxRow>| row.spec.network.mode != NetworkMode::None;
    let is_served = tokio::select! {
        () = &mut over => false,
        has = published.wait_for(has_network) => has.is_ok(),
    };
    if !is_served {
        return Ok(());
    }
    let row = handle.row();
    let listener = inner.config.runtime.egress(dir).await?;
    let (told, mut entries) = mpsc::channel::<EgressEntry>(ENTRIES_MAX);
    let (wire, feed) = credential::begin(inner, &row).await.unzip();
    let egress = Egress {
        sandbox: row.id,
        name: row.name.clone(),
        rules: NetworkReader(handle.published.clone()),
        listener,
        sockets: EgressSockets { runtime: Arc::clone(&inner.config.runtime), dir: dir.clone() },
        wire,
        told,
    };
    let serving = async {
        tokio::select! {
            () = over => {}
            () = inner.config.network.serve(egress) => {}
        }
        tokio::time::sleep(LAST_WORDS).await;
    };
    let board = inner.network_board(row.id);
    // It goes on until nobody is left who tells, and not for long: connections that end with the sandbox are in its log.
    let record = async {
        let mut some = Vec::new();
        while entries.recv_many(&mut some, ENTRIES_MAX).await > 0 {
            board.record(inner, row.id, std::mem::take(&mut some)).await;
        }
    };
    let feed = async {
        match feed {
            Some(feed) => feed.run(inner).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = serving => {}
        () = record => {}
        () = feed => {}
    }
    Ok(())
}
