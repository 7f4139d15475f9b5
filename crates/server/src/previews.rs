//! Previews as the proxy asks for them, answered by the engine.

use async_trait::async_trait;
use sandbar_engine::{Engine, Error, ErrorKind, PreviewError, Sandbox};
use sandbar_proxy::preview::{
    Activity, ConnectError, NotServing, PreviewHost, PreviewProxy, Progress, Route, RouteError,
    SandboxLabel, Upstreams, Visibility,
};
use sandbar_types::TenantId;
use tokio::{net::TcpStream, time::Instant};

/// The sandboxes of an engine.
#[derive(Debug)]
pub(crate) struct EngineUpstreams(pub(crate) Engine);

#[async_trait]
impl Upstreams for EngineUpstreams {
    async fn route(&self, host: &PreviewHost) -> Result<Route, RouteError> {
        let found = match &host.sandbox {
            SandboxLabel::Id(id) => self.0.sandbox_fetch(*id),
            // Names are a tenant's own, so only those of the default one are names of hosts; the others have their ids.
            SandboxLabel::Name(name) => self.0.sandbox_named(TenantId::DEFAULT, name),
        };
        let found = found.map_err(|_not_found| RouteError::Unknown)?;
        let viewer = self.0.preview_viewer(found.id).map_err(|_gone| RouteError::Unknown)?;
        let visibility = match self.0.visibility_of(&found) {
            // The listener is on the loopback alone: whoever reaches it is on this host.
            None | Some(sandbar_types::Visibility::Public) => Visibility::Public,
            Some(sandbar_types::Visibility::Private) => Visibility::Private,
        };
        Ok(Route {
            sandbox: found.id,
            port: host.port,
            visibility,
            activity: Activity::new(viewer),
        })
    }

    async fn connect(&self, route: &Route, deadline: Instant) -> Result<TcpStream, ConnectError> {
        let connected = self.0.preview_connect(route.sandbox, route.port, deadline).await;
        connected.map_err(|error| match error {
            PreviewError::Stopped => ConnectError::NotServing(NotServing::Stopped),
            PreviewError::NoPreview => ConnectError::NotServing(NotServing::NoPreview),
            PreviewError::Starting { step, last_lines } => {
                ConnectError::NotServing(NotServing::Starting(Progress { step, last_lines }))
            }
            PreviewError::Failed { reason, last_lines } => {
                ConnectError::NotServing(NotServing::Failed { reason, last_lines })
            }
            PreviewError::NotListening { port, listening } => {
                ConnectError::NotServing(NotServing::NotListening { wanted: port, listening })
            }
            PreviewError::Sandbox(error) => refused(error),
        })
    }
}

/// What keeps a sandbox from waking is told; what is our own failure is for the log.
fn refused(error: Error) -> ConnectError {
    match error.kind() {
        ErrorKind::Denied => ConnectError::NotServing(NotServing::Stopped),
        ErrorKind::Conflict
        | ErrorKind::NotFound
        | ErrorKind::Invalid
        | ErrorKind::LimitReached => {
            let reason = error.message().to_owned();
            ConnectError::NotServing(NotServing::Failed { reason, last_lines: Vec::new() })
        }
        ErrorKind::Stale | ErrorKind::Unavailable | ErrorKind::Internal => {
            ConnectError::Failed(Box::new(Shown(error)))
        }
    }
}

/// An error of the engine with its cause, for the log.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.message())]
struct Shown(Error);

/// Where previews are to be reached.
#[derive(Debug, Clone)]
pub(crate) struct Previews {
    /// Makes URLs and tickets.
    proxy: PreviewProxy,
    /// The port that browsers reach us on.
    port: u16,
}

impl Previews {
    pub(crate) const fn new(proxy: PreviewProxy, port: u16) -> Self {
        Self { proxy, port }
    }

    /// The URL of a port of a sandbox, without a ticket.
    pub(crate) fn url(&self, sandbox: &Sandbox, port: u16) -> String {
        self.proxy.url(&host(sandbox, port), self.port).to_string()
    }

    /// The URL that lets its first reader in, within 30 seconds.
    pub(crate) fn url_for_once(&self, sandbox: &Sandbox, port: u16) -> String {
        let host = host(sandbox, port);
        self.proxy.url(&host, self.port).with_ticket(&self.proxy.ticket(&host, sandbox.id))
    }

    /// The URL that lets everybody in who has it, until then.
    pub(crate) fn url_to_share(
        &self,
        sandbox: &Sandbox,
        port: u16,
        expires: jiff::Timestamp,
    ) -> String {
        let host = host(sandbox, port);
        self.proxy.url(&host, self.port).with_ticket(&self.proxy.share(&host, sandbox.id, expires))
    }
}

fn host(sandbox: &Sandbox, port: u16) -> PreviewHost {
    let name = (sandbox.tenant == TenantId::DEFAULT).then_some(&sandbox.name);
    PreviewHost { port, sandbox: SandboxLabel::of(sandbox.id, name) }
}
