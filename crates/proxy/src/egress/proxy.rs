//! One proxy: accepts, bounds what runs at once, and ends everything when it is told to.

use std::{io, sync::Arc, time::Duration};

use sandbar_types::SandboxId;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    door::Door,
    exchange::Refused,
    host::Upstreams,
    intercept::Interception,
    log::{EgressLog, ToldLately},
    pace::Pace,
    policy::{Policy, Target},
    resolver::{Resolver, SystemResolver},
};

/// LIMIT: connections that are told at once that there are too many; beyond it, they wait to be accepted.
const TURNED_AWAY_MAX: usize = 32;

/// How many failures to accept in a row end a proxy: the socket is gone. Those of [`is_scarcity`] are none of the socket's.
const ACCEPT_FAILURES_MAX: u32 = 100;

/// What one sandbox may use of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EgressLimits {
    /// Connections at once.
    pub connections_max: usize,
    /// Connections that are accepted in a second, in the long run; half as many at once. Others wait.
    pub connections_per_second: u32,
    /// Lookups of names at once.
    pub lookups_max: usize,
    /// How long a request's head may take.
    pub head_timeout: Duration,
    /// How long a lookup may take, and a connection to be made, each.
    pub connect_timeout: Duration,
    /// How long nothing may pass.
    pub idle_timeout: Duration,
    /// How long a refusal that was told is not told again.
    pub denial_window: Duration,
}

impl Default for EgressLimits {
    fn default() -> Self {
        Self {
            connections_max: 256,
            connections_per_second: 1000,
            lookups_max: 8,
            head_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(10),
            denial_window: Duration::from_mins(1),
        }
    }
}

/// The proxy of one sandbox.
#[derive(Debug)]
pub struct EgressProxy {
    pub(super) policy: watch::Sender<Arc<Policy>>,
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) upstreams: Arc<Upstreams>,
    pub(super) log: Arc<dyn EgressLog>,
    /// How credentials are put in; `None` where nobody inside would believe who does.
    pub(super) interception: Option<Interception>,
    pub(super) limits: EgressLimits,
    pub(super) lookups: Semaphore,
    pub(super) told: ToldLately<(Target, &'static str)>,
    /// What people call the sandbox, in refusals.
    pub(super) sandbox_name: String,
    /// For the connections of all doors together.
    places: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
    pace: Pace,
}

impl EgressProxy {
    /// A proxy with the host's resolver, no proxy of the operator's, and the usual limits.
    #[must_use]
    pub fn new(policy: Policy, log: Arc<dyn EgressLog>) -> Self {
        let limits = EgressLimits::default();
        Self {
            policy: watch::Sender::new(Arc::new(policy)),
            resolver: Arc::new(SystemResolver::default()),
            upstreams: Arc::default(),
            log,
            interception: None,
            limits,
            lookups: Semaphore::new(limits.lookups_max),
            told: ToldLately::new(limits.denial_window),
            sandbox_name: "SANDBOX".to_owned(),
            places: Arc::new(Semaphore::new(limits.connections_max)),
            turned_away: Arc::new(Semaphore::new(TURNED_AWAY_MAX)),
            pace: Pace::new(limits.connections_per_second),
        }
    }

    /// Calls the sandbox so where a refusal says what to do.
    #[must_use]
    pub fn with_sandbox_name(self, sandbox_name: String) -> Self {
        Self { sandbox_name, ..self }
    }

    /// Asks `resolver` for names. One for all sandboxes bounds the lookups of all.
    #[must_use]
    pub fn with_resolver(self, resolver: Arc<dyn Resolver>) -> Self {
        Self { resolver, ..self }
    }

    /// Goes through the proxies of the operator's network.
    #[must_use]
    pub fn with_upstreams(self, upstreams: Arc<Upstreams>) -> Self {
        Self { upstreams, ..self }
    }

    /// Puts credentials into what goes through tunnels to hosts that they are bound to.
    #[must_use]
    pub fn with_interception(self, interception: Interception) -> Self {
        Self { interception: Some(interception), ..self }
    }

    /// Sets the limits.
    #[must_use]
    pub fn with_limits(self, limits: EgressLimits) -> Self {
        let lookups = Semaphore::new(limits.lookups_max);
        let places = Arc::new(Semaphore::new(limits.connections_max));
        let told = ToldLately::new(limits.denial_window);
        let pace = Pace::new(limits.connections_per_second);
        Self { limits, lookups, told, places, pace, ..self }
    }

    /// Sets another policy. Connections that it refuses, or would carry in another way, are ended.
    pub fn set_policy(&self, policy: Policy) {
        // Every open connection looks at a change.
        self.policy.send_if_modified(|known| {
            let is_other = **known != policy;
            if is_other {
                *known = Arc::new(policy);
            }
            is_other
        });
    }

    /// Serves what `listener` accepts until `cancel`; connections that are open then are ended.
    ///
    /// It returns earlier only when the listener is broken.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        sandbox: SandboxId,
        cancel: CancellationToken,
    ) {
        self.serve_door(listener, Door::Http, sandbox, cancel).await;
    }

    /// Serves what comes in by `door`.
    pub(super) async fn serve_door(
        self: Arc<Self>,
        listener: TcpListener,
        door: Door,
        sandbox: SandboxId,
        cancel: CancellationToken,
    ) {
        let mut connections = JoinSet::new();
        let mut failures = 0;
        loop {
            let accepted = tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Some(ended) = connections.join_next(), if !connections.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!(sandbox.id = %sandbox, error = &error as &dyn std::error::Error, "a connection's task failed");
                    }
                    continue;
                }
                accepted = self.accept(&listener) => accepted,
            };
            let (stream, spare) = match accepted {
                Ok(accepted) => accepted,
                Err(error) if is_scarcity(&error) || failures < ACCEPT_FAILURES_MAX => {
                    failures += u32::from(!is_scarcity(&error));
                    tracing::debug!(sandbox.id = %sandbox, error = &error as &dyn std::error::Error, "accept failed");
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
                Err(error) => {
                    tracing::error!(sandbox.id = %sandbox, error = &error as &dyn std::error::Error, "the egress listener is broken");
                    break;
                }
            };
            failures = 0;
            let (proxy, door) = (Arc::clone(&self), door.clone());
            match Arc::clone(&self.places).try_acquire_owned() {
                Ok(place) => {
                    drop(spare);
                    connections.spawn(async move {
                        proxy.exchange(sandbox, stream, door).await;
                        drop(place);
                    });
                }
                Err(_) => {
                    let refused = Refused::Busy { connections_max: self.limits.connections_max };
                    connections.spawn(async move {
                        door.exit().refuse(stream, &refused, &proxy.sandbox_name).await;
                        drop(spare);
                    });
                }
            }
        }
        connections.shutdown().await;
    }
}

impl EgressProxy {
    /// Accepts, once it is time and there is room to turn somebody away.
    async fn accept(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
        sleep_until(self.pace.next()).await;
        let spare = Arc::clone(&self.turned_away).acquire_owned().await;
        let spare = spare.map_err(io::Error::other)?;
        let (stream, _) = listener.accept().await?;
        self.pace.count(Instant::now());
        Ok((stream, spare))
    }
}

/// Whether the process or the host is out of something, which is given back by and by. Others may have taken it, and for
/// as long as they like: it ends nothing.
fn is_scarcity(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let scarce = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|errno| scarce.contains(&errno))
}
