//! What the server itself asks of others: verified by the certificates of this host, one request a connection.

use std::{io, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use sandbar_proxy::egress::{Host, server_name, verified_by};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// TLS by the certificates of this host; `None` where there are none. Reads files.
pub(crate) fn tls_of_host() -> Option<ClientConfig> {
    let mut roots = RootCertStore::empty();
    // Certificates that cannot be read are left out: the others are still those of the host.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { None } else { Some(verified_by(roots)) }
}

/// Makes a connection to `host` a secure one.
///
/// # Errors
/// It is not that host, or speaks no TLS.
pub(crate) async fn secured<S>(
    stream: S,
    host: &Host,
    tls: Arc<ClientConfig>,
) -> io::Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = server_name(host).ok_or(io::ErrorKind::InvalidInput)?;
    TlsConnector::from(tls).connect(name, stream).await
}

/// An answer, whose body comes for as long as this is kept.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) response: Response<Incoming>,
    /// Dropped with this, it is closed.
    _connection: JoinSet<()>,
}

/// Sends one request.
///
/// # Errors
/// There was no answer of HTTP.
pub(crate) async fn send<S>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<Answered, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { drop(connection.await) });
    let response = sender.send_request(request).await?;
    Ok(Answered { response, _connection: tasks })
}
