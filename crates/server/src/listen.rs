//! The two listeners, and the connections that they accept.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixStream as StdUnixStream,
    },
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{Router, body::Body};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use sandbar_proxy::preview::{self, PreviewProxy, ServeLimits};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::JoinSet,
    time,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{
    auth::{Channel, Transport},
    dispatch::Dispatch,
    metrics::Metrics,
};

/// LIMIT: bytes of a request's head.
const LIMIT_HEAD_BYTES: u16 = u16::MAX;
/// LIMIT: connections of one listener.
const LIMIT_CONNECTIONS: usize = 4096;
/// LIMIT: time for the requests in flight to end when the server drains.
const DRAIN_GRACE: Duration = Duration::from_secs(10);

/// Why a listener could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another server answers there.
    #[error("another server listens on `{path}`", path = path.display())]
    SocketInUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket is there.
    #[error("`{path}` is there and is no socket", path = path.display())]
    NotASocket {
        /// What is in the way.
        path: PathBuf,
    },
    /// The unix socket cannot be made.
    #[error("cannot listen on `{path}`", path = path.display())]
    Unix {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The port cannot be had.
    #[error("cannot listen on {address}")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The address can be reached from other machines.
    #[error("{address} is not a loopback address")]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
}

/// A unix socket that only its user can connect to. Removed on drop.
#[derive(Debug)]
pub(crate) struct UnixGuard {
    listener: UnixListener,
    path: PathBuf,
    uid: u32,
}

impl Drop for UnixGuard {
    fn drop(&mut self) {
        // Best effort: the next start removes a socket at which nobody answers.
        fs::remove_file(&self.path).ok();
    }
}

/// Makes the unix socket, in the place of one at which nobody answers any more.
pub(crate) fn unix(path: &Path) -> Result<UnixGuard, ListenError> {
    let path = path.to_owned();
    let failed = |source| ListenError::Unix { path: path.clone(), source };
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ListenError::NotASocket { path });
        }
        Ok(_) if StdUnixStream::connect(&path).is_ok() => {
            return Err(ListenError::SocketInUse { path });
        }
        Ok(_) => fs::remove_file(&path).map_err(failed)?,
    }
    let listener = UnixListener::bind(&path).map_err(failed)?;
    // Between the two calls the peer check alone keeps others out.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    let uid = fs::symlink_metadata(&path).map_err(failed)?.uid();
    Ok(UnixGuard { listener, path, uid })
}

/// Takes the port.
pub(crate) async fn tcp(address: SocketAddr) -> Result<TcpListener, ListenError> {
    if !address.ip().is_loopback() {
        return Err(ListenError::NotLoopback { address });
    }
    TcpListener::bind(address).await.map_err(|source| ListenError::Tcp { address, source })
}

/// Accepts until `stop`, then lets what runs end.
/// The port that is looked for first: bookmarks and share links then outlive a restart.
const USUAL_PORT: u16 = 7263;

/// Listens on the usual port, or on any where somebody has it: another server of this host, most of the time.
pub(crate) async fn tcp_usual() -> Result<TcpListener, ListenError> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match tcp(at(USUAL_PORT)).await {
        Ok(listener) => Ok(listener),
        Err(_taken) => tcp(at(0)).await,
    }
}

pub(crate) async fn accept(unix: UnixGuard, tcp: Option<TcpListener>, serve: Serve) {
    let stop = serve.stop.clone();
    let mut connections = JoinSet::new();
    let mut accept_failed = time::interval(Duration::from_millis(100));
    loop {
        let is_full = connections.len() >= LIMIT_CONNECTIONS;
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_ended) = connections.join_next(), if !connections.is_empty() => {}
            accepted = unix.listener.accept(), if !is_full => match accepted {
                Ok((stream, _)) => {
                    let Ok(peer) = stream.peer_cred() else { continue };
                    let transport = Transport::Unix { peer_uid: peer.uid(), our_uid: unix.uid };
                    connections.spawn(serve.clone().unix(stream, transport));
                }
                // Out of descriptors, most likely: wait a little instead of spinning.
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "accept failed");
                    accept_failed.tick().await;
                }
            },
            accepted = accept_tcp(tcp.as_ref()), if !is_full => match accepted {
                Ok((stream, peer, local)) => {
                    stream.set_nodelay(true).ok();
                    connections.spawn(serve.clone().tcp(stream, peer, local));
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "accept failed");
                    accept_failed.tick().await;
                }
            },
        }
    }
    // Nobody new is let in while the others end.
    drop(unix);
    drop(tcp);
    if time::timeout(DRAIN_GRACE, async { while connections.join_next().await.is_some() {} })
        .await
        .is_err()
    {
        tracing::warn!(
            connections = connections.len(),
            "connections did not end in time, and were cut"
        );
    }
    connections.shutdown().await;
}

async fn accept_tcp(
    listener: Option<&TcpListener>,
) -> io::Result<(TcpStream, SocketAddr, SocketAddr)> {
    match listener {
        Some(listener) => {
            let (stream, peer) = listener.accept().await?;
            let local = stream.local_addr()?;
            Ok((stream, peer, local))
        }
        None => std::future::pending().await,
    }
}

/// What connections are served with.
#[derive(Clone, Debug)]
pub(crate) struct Serve {
    pub(crate) router: Router,
    pub(crate) proxy: PreviewProxy,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stop: CancellationToken,
}

impl Serve {
    /// The API and the previews, for whoever can reach the port.
    async fn tcp(self, stream: TcpStream, peer: SocketAddr, local: SocketAddr) {
        let Self { router, proxy, metrics, stop } = self;
        metrics.connections.fetch_add(1, Ordering::Relaxed);
        let limits = ServeLimits { head_bytes: LIMIT_HEAD_BYTES, ..ServeLimits::default() };
        let client = proxy.client(peer.ip());
        let transport = Transport::Tcp { local, peer: peer.ip(), channel: Channel::Plain };
        let service = Dispatch::new(proxy, client, (router, transport), Arc::clone(&metrics));
        preview::serve(stream, service, limits, stop).await;
        metrics.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// The API alone. The socket is the user's own, so a client may keep it open without a word.
    async fn unix(self, stream: UnixStream, transport: Transport) {
        let Self { router, metrics, stop, .. } = self;
        metrics.connections.fetch_add(1, Ordering::Relaxed);
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(transport);
            router.clone().oneshot(request.map(Body::new))
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .max_header_size(LIMIT_HEAD_BYTES.into())
            .header_read_timeout(None);
        let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                // The request that is under way is answered, and no other one is read.
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            // The client went away or sent what is no HTTP: its own affair.
            tracing::trace!(error = &error as &dyn std::error::Error, "connection ended");
        }
        metrics.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
