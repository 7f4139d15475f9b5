//! One connection from inside: what it asks for, whether it may, and who carries it.

use std::{sync::Arc, time::Instant};

use bytes::BytesMut;
use http::StatusCode;
use sandbar_types::SandboxId;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

use super::{
    carriage::Carriage,
    denial::{DENIED_HEADER, Denial, Reason},
    door::{Door, Entered},
    host::Upstream,
    intercept,
    log::{Closed, Connected, ConnectionEnd, EgressLog, Passage, Way},
    policy::Target,
    proxy::EgressProxy,
    route::{Route, Unrouted},
    wire::{
        self, BadHead, DialError, Forward, Head, Meter, Metered, Received, Reply, socks::BadSocks,
    },
};

/// A request that is answered by the proxy itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("{0}")]
    Bad(BadHead),
    #[error("{0}")]
    BadSocks(BadSocks),
    #[error("the head of the request did not come in time")]
    Slow,
    #[error("{connections_max} connections of this sandbox are open already")]
    Busy { connections_max: usize },
    #[error("refused by policy")]
    Denied(Denial),
    #[error("{name} cannot be resolved on this host", name = .name.as_str())]
    Unresolved { name: super::policy::HostName },
    #[error("{target}: {why}")]
    Unreachable { target: Target, why: DialError },
}

impl Refused {
    /// Returns what the client in `sandbox` is told.
    pub(super) fn reply(&self, sandbox: &str) -> Reply {
        let (status, code) = match self {
            Self::Denied(denial) => {
                return Reply {
                    status: StatusCode::FORBIDDEN,
                    header: (DENIED_HEADER, denial.reason.code()),
                    body: denial.body(sandbox),
                };
            }
            Self::Bad(BadHead::TooLarge) => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large")
            }
            Self::Bad(BadHead::Method) => (StatusCode::METHOD_NOT_ALLOWED, "method"),
            Self::Bad(
                BadHead::Malformed
                | BadHead::AmbiguousLength
                | BadHead::Host
                | BadHead::NotForProxy
                | BadHead::TlsWithoutTunnel
                | BadHead::Target(_),
            )
            | Self::BadSocks(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::Slow => (StatusCode::REQUEST_TIMEOUT, "head_timeout"),
            Self::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "too_many_connections"),
            Self::Unresolved { .. } => (StatusCode::BAD_GATEWAY, "unresolved"),
            Self::Unreachable { why: DialError::Timeout, .. } => {
                (StatusCode::GATEWAY_TIMEOUT, "connect_timeout")
            }
            Self::Unreachable { .. } => (StatusCode::BAD_GATEWAY, "unreachable"),
        };
        Reply { status, header: ("X-Sandbar-Error", code), body: format!("sandbar: {self}.\n") }
    }
}

impl EgressProxy {
    /// Serves one connection to its end.
    pub(super) async fn exchange(&self, sandbox: SandboxId, mut stream: TcpStream, door: Door) {
        let entered = match timeout(self.limits.head_timeout, door.enter(&mut stream)).await {
            Ok(Ok(None)) => return,
            Ok(Ok(Some(entered))) => entered,
            Ok(Err((refused, exit))) => {
                return exit.refuse(stream, &refused, &self.sandbox_name).await;
            }
            Err(_) => return door.exit().refuse(stream, &Refused::Slow, &self.sandbox_name).await,
        };
        let Entered { received, exit } = entered;
        match self.connected(sandbox, &received.head).await {
            Ok((dialed, passage, through)) => {
                let passing = Passing::begin(&self.log, passage);
                self.carry(stream, received, dialed, passing, through).await;
            }
            Err(refused) => {
                if let Refused::Denied(denial) = &refused {
                    self.tell(sandbox, denial);
                }
                exit.refuse(stream, &refused, &self.sandbox_name).await;
            }
        }
    }

    /// Tells of a refusal, unless it was told lately.
    pub(super) fn tell(&self, sandbox: SandboxId, denial: &Denial) {
        let key = (denial.target.clone(), denial.reason.code());
        if self.told.is_first(key, Instant::now()) {
            self.log.denied(sandbox, denial);
        }
    }

    /// Decides, and connects to what was decided about.
    async fn connected(
        &self,
        sandbox: SandboxId,
        head: &Head,
    ) -> Result<(wire::Dialed, Passage, Option<&Upstream>), Refused> {
        let Head { way, target } = head;
        let (dialed, rule, through) = self.dialed(*way, target).await?;
        let passage = Passage { sandbox, target: target.clone(), rule, way: *way };
        self.log.connected(&Connected { passage: passage.clone(), address: dialed.address });
        Ok((dialed, passage, through))
    }

    async fn dialed(
        &self,
        way: Way,
        target: &Target,
    ) -> Result<(wire::Dialed, String, Option<&Upstream>), Refused> {
        let routed = self.route(way, target).await;
        let Route { rule, addresses, through } = routed.map_err(|unrouted| match unrouted {
            Unrouted::Denied(denial) => Refused::Denied(denial),
            Unrouted::Unresolved(name) => Refused::Unresolved { name },
            Unrouted::ProxyUnresolved => {
                Refused::Unreachable { target: target.clone(), why: DialError::UpstreamUnresolved }
            }
        })?;
        let limit = self.limits.connect_timeout;
        let dialed = match through {
            None => wire::dial(&addresses, target.port, limit).await,
            Some(upstream) => {
                let tunnel_to = (way == Way::Tunnel).then_some(target);
                wire::dial_through(upstream, &addresses, tunnel_to, limit).await
            }
        };
        let dialed = dialed.map_err(|why| Refused::Unreachable { target: target.clone(), why })?;
        Ok((dialed, rule, through))
    }

    /// Connects to `target` on behalf of the server itself, by the same decision and on the same way.
    ///
    /// # Errors
    /// The policy refuses it, or nobody answers; why, for people.
    pub async fn open(
        &self,
        target: &Target,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, String> {
        let dialed = self.dialed(Way::Tunnel, target).await;
        dialed.map(|(dialed, ..)| dialed.stream).map_err(|refused| match refused {
            Refused::Denied(denial) => denial.reason.to_string(),
            other @ (Refused::Bad(_)
            | Refused::BadSocks(_)
            | Refused::Slow
            | Refused::Busy { .. }
            | Refused::Unresolved { .. }
            | Refused::Unreachable { .. }) => other.to_string(),
        })
    }

    /// Copies until both are done, nothing passes for too long, or the policy changes its mind.
    async fn carry(
        &self,
        mut client: TcpStream,
        received: Received,
        dialed: wire::Dialed,
        mut passing: Passing<'_>,
        through: Option<&Upstream>,
    ) {
        // Small writes of a handshake must not wait for each other; a socket that refuses works as well.
        drop(client.set_nodelay(true));
        let unfinished = wire::Unfinished::begin(&client);
        let meter = Arc::clone(&passing.meter);
        let passage = passing.passage.clone();
        let carriage = self.carriage(&passage);
        let carried = async {
            match carriage {
                Carriage::Plain => {
                    let how = Forward { target: &passage.target, through };
                    let client =
                        Metered::new(wire::rewound(client, received.bytes), Arc::clone(&meter));
                    wire::forward(client, dialed.stream, how).await.map(|()| ConnectionEnd::Done)
                }
                Carriage::Opaque => {
                    let bytes = wire::opened(&mut client, received).await?;
                    let carried = wire::tunnel(client, bytes, dialed.stream, &meter);
                    carried.await.map(|()| ConnectionEnd::Done)
                }
                Carriage::Named => {
                    let bytes = wire::opened(&mut client, received).await?;
                    self.named((client, bytes), dialed.stream, (&passage, &meter)).await
                }
                Carriage::Intercepted => {
                    let how = self.interception.as_ref().expect("it is what something is bound by");
                    let bytes = wire::opened(&mut client, received).await?;
                    let client = Metered::new(wire::rewound(client, bytes), Arc::clone(&meter));
                    let carried = intercept::carry(client, dialed.stream, (&passage, how));
                    // A tunnel that copies has no need of the room that this one takes.
                    Box::pin(carried).await.map(|()| ConnectionEnd::Done)
                }
            }
        };
        passing.end = tokio::select! {
            carried = carried => match carried {
                Ok(end) => end,
                Err(_) => ConnectionEnd::Failed,
            },
            () = passing.meter.idle(self.limits.idle_timeout) => ConnectionEnd::Idle,
            () = self.revoked(&passage, carriage) => ConnectionEnd::Revoked,
        };
        unfinished.end();
    }
}

impl EgressProxy {
    /// Passes on what is in a tunnel once it says that it goes where it goes.
    async fn named(
        &self,
        (mut client, mut bytes): (TcpStream, BytesMut),
        upstream: wire::Stream,
        (passage, meter): (&Passage, &Arc<Meter>),
    ) -> std::io::Result<ConnectionEnd> {
        let target = &passage.target;
        let hello = wire::hello(&mut client, &mut bytes);
        let Ok(hello) = timeout(self.limits.head_timeout, hello).await else {
            return Ok(ConnectionEnd::Idle);
        };
        if let Some(reason) = hello?.refusal(&target.host) {
            self.tell(passage.sandbox, &Denial { target: target.clone(), reason });
            if reason != Reason::NotTls {
                wire::refuse(&mut client).await;
            }
            return Ok(ConnectionEnd::Refused);
        }
        wire::tunnel(client, bytes, upstream, meter).await.map(|()| ConnectionEnd::Done)
    }
}

/// Tells of the end of a connection, also when its task is ended.
#[derive(Debug)]
struct Passing<'a> {
    log: &'a Arc<dyn EgressLog>,
    passage: Passage,
    meter: Arc<Meter>,
    end: ConnectionEnd,
}

impl<'a> Passing<'a> {
    fn begin(log: &'a Arc<dyn EgressLog>, passage: Passage) -> Self {
        Self { log, passage, meter: Meter::new(), end: ConnectionEnd::Cancelled }
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        self.log.closed(&Closed {
            passage: self.passage.clone(),
            sent_bytes: self.meter.sent(),
            received_bytes: self.meter.received(),
            duration: self.meter.age(),
            end: self.end,
        });
    }
}
