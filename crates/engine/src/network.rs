//! The way out of sandboxes. The engine says for whom and until when; who goes through it is somebody else's part.

use std::{collections::BTreeMap, fmt, io, sync::Arc};

use async_trait::async_trait;
use sandbar_runtime::{LaunchSpec, SandboxDir};
use sandbar_types::{EnvName, NetworkMode, NetworkSpec, SandboxId};
use tokio::{net::TcpListener, sync::mpsc};

use crate::{
    Error, ErrorKind, Result, Trust, Wire, actor::ActorHandle, credential, engine::Inner,
    event::EventPayload,
};

/// LIMIT: denials that wait to be written; more are dropped, for a sandbox can make as many as it likes.
const DENIALS_MAX: usize = 64;

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

    /// Takes the credentials of a sandbox, before it is served.
    fn equip(&self, _sandbox: SandboxId, _wire: Wire) {}

    /// Serves what comes to `listener`, which is on the loopback inside, until the future is dropped.
    async fn serve(
        &self,
        sandbox: SandboxId,
        spec: &NetworkSpec,
        listener: TcpListener,
        denied: mpsc::Sender<EgressDenied>,
    );
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

    async fn serve(
        &self,
        _sandbox: SandboxId,
        _spec: &NetworkSpec,
        _listener: TcpListener,
        _denied: mpsc::Sender<EgressDenied>,
    ) {
    }
}

/// Refuses rules that nobody could keep.
pub(crate) fn check(network: &dyn Network, spec: &NetworkSpec) -> Result<()> {
    let invalid = |message| Err(Error::new(ErrorKind::Invalid, "invalid_value", message));
    if spec.allow.len() > NetworkSpec::ALLOW_MAX {
        return invalid(format!("`network.allow` has more than {} rules", NetworkSpec::ALLOW_MAX));
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
        let row = handle.row();
        if row.spec.network.mode == NetworkMode::None {
            return;
        }
        let (inner, id) = (Arc::clone(self), row.id);
        let mut ended = handle.published.clone();
        self.tasks.spawn(async move {
            let (leaving, dir) = (inner.leaving.clone(), inner.layout.sandbox(id));
            tokio::select! {
                () = leaving.cancelled() => {}
                // An actor that is gone ends it as well.
                _ = ended.wait_for(|row| !row.state.may_have_processes()) => {}
                served = serve(&inner, id, &dir, &row.spec.network) => {
                    if let Err(err) = served {
                        tracing::warn!(sandbox.id = %id, error = %err, "a sandbox has no way out");
                    }
                }
            }
        });
    }
}

/// Serves the way out of what runs in `dir`, on behalf of `id`, whose history tells of what was refused.
pub(crate) async fn serve(
    inner: &Inner,
    id: SandboxId,
    dir: &SandboxDir,
    spec: &NetworkSpec,
) -> io::Result<()> {
    let listener = inner.config.runtime.egress(dir).await?;
    let (denied, mut denials) = mpsc::channel::<EgressDenied>(DENIALS_MAX);
    let record = async {
        while let Some(EgressDenied { host, port, reason }) = denials.recv().await {
            inner.event_append(id, &EventPayload::EgressDenied { host, port, reason }).await;
        }
    };
    let feed = credential::begin(inner, id).await.map(|(wire, feed)| {
        inner.config.network.equip(id, wire);
        feed
    });
    let feed = async {
        if let Some(feed) = feed {
            feed.run(inner).await;
        }
        std::future::pending::<()>().await;
    };
    let served =
        async { tokio::join!(inner.config.network.serve(id, spec, listener, denied), record) };
    tokio::select! {
        _ = served => {}
        () = feed => {}
    }
    Ok(())
}
