//! What the rest of the server sees: a proxy, its clients, URLs and tickets.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use http::Request;
use hyper::service::service_fn;
use jiff::Timestamp;
use sandbar_types::SandboxId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    access::{Pass, PassKind, Spent, Subject, TICKET_SECONDS, Ticket},
    admission::{Gate, PARAMETER},
    client::PreviewClient,
    config::PreviewConfig,
    host::{HostMatch, PreviewHost, PreviewUrl},
    request,
    serve::{ServeLimits, serve},
    upstreams::Upstreams,
};

/// Brings requests for previews to the apps. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PreviewProxy(Arc<Shared>);

/// What all clients share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: PreviewConfig,
    pub(crate) upstreams: Arc<dyn Upstreams>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    spent: Mutex<Spent>,
    started: u64,
}

impl Shared {
    /// What decides who gets in, at this moment.
    pub(crate) fn gate(&self) -> Gate<'_> {
        Gate { key: &self.config.key, spent: &self.spent, now: now(), started: self.started, nonce }
    }
}

impl PreviewProxy {
    /// A proxy to what `upstreams` knows. When `stop` is cancelled, tunnels are closed.
    #[must_use]
    pub fn new(
        config: PreviewConfig,
        upstreams: Arc<dyn Upstreams>,
        stop: CancellationToken,
    ) -> Self {
        Self(Arc::new(Shared {
            config,
            upstreams,
            spent: Mutex::default(),
            started: now(),
            tasks: TaskTracker::new(),
            stop,
        }))
    }

    /// Whether a request is for a host below the preview domain, be it one that a preview has or not.
    #[must_use]
    pub fn is_for_previews<B>(&self, request: &Request<B>) -> bool {
        request::authority(request.uri(), request.headers()).is_ok_and(|authority| {
            self.0.config.domain.read(authority.host()) != HostMatch::Elsewhere
        })
    }

    /// A client that just connected. All requests of one connection go through one of these, and no others.
    #[must_use]
    pub fn client(&self, peer: IpAddr) -> PreviewClient {
        PreviewClient::new(Arc::clone(&self.0), peer)
    }

    /// Serves a connection on which nothing but previews is.
    pub async fn serve_connection<S>(&self, io: S, peer: IpAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let client = self.client(peer);
        let service = service_fn(move |request| {
            let client = client.clone();
            async move { Ok::<_, Infallible>(client.handle(request).await) }
        });
        serve(io, service, ServeLimits::default(), self.0.stop.clone()).await;
    }

    /// Where a preview is, when clients reach us on `port`.
    #[must_use]
    pub fn url(&self, preview: &PreviewHost, port: u16) -> PreviewUrl {
        let config = &self.0.config;
        PreviewUrl { scheme: config.scheme, host: config.domain.host(preview), port }
    }

    /// A ticket for one visit within 30 seconds.
    #[must_use]
    pub fn ticket(&self, preview: &PreviewHost, sandbox: SandboxId) -> Ticket {
        self.sign(preview, sandbox, PassKind::Ticket, now() + TICKET_SECONDS)
    }

    /// A share link's ticket, for any number of visits before `expires`.
    #[must_use]
    pub fn share(&self, preview: &PreviewHost, sandbox: SandboxId, expires: Timestamp) -> Ticket {
        self.sign(preview, sandbox, PassKind::Share, seconds(expires))
    }

    fn sign(
        &self,
        preview: &PreviewHost,
        sandbox: SandboxId,
        kind: PassKind,
        expires: u64,
    ) -> Ticket {
        let host = self.0.config.domain.host(preview);
        let pass = Pass { kind, expires, nonce: nonce() };
        Ticket::new(self.0.config.key.sign(Subject { host: &host, sandbox }, pass))
    }

    /// Waits for what runs beside the connections; cancel `stop` first.
    pub async fn drain(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl PreviewUrl {
    /// The URL that lets its first reader in.
    #[must_use]
    pub fn with_ticket(&self, ticket: &Ticket) -> String {
        format!("{self}?{PARAMETER}={ticket}")
    }
}

fn now() -> u64 {
    seconds(Timestamp::now())
}

fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_second()).unwrap_or(0)
}

fn nonce() -> [u8; 16] {
    uuid::Uuid::new_v4().into_bytes()
}
