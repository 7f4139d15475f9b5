//! One tunnel that is ended: TLS on both sides, and one request after the other between them.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{Request, Response, StatusCode};
use hyper::{
    body::Incoming, client::conn::http1 as client, server::conn::http1 as server,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Mutex as AsyncMutex,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{
    Interception,
    body::{AnyBody, BoxError},
    credential::{Bound, CredentialSet},
    request::{self, Outgoing},
    response::{Refusal, Told, incoming},
    upgrade::Upgrade,
};
use crate::egress::{log::Passage, policy::Host, tls::server_name};

/// How long a handshake may take, on either side.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long a head may take, and how long a program may be silent between two requests.
const HEAD_MAX: Duration = Duration::from_mins(2);
/// LIMIT: bytes of a head.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// LIMIT: headers of a request.
const HEADERS_MAX: usize = 100;

/// The upstream: to be asked, or why it cannot be.
enum Upstream {
    Ready(AsyncMutex<client::SendRequest<AnyBody>>),
    Refused(Refusal),
}

/// A tunnel that is ended.
struct Session<'a> {
    passage: &'a Passage,
    how: &'a Interception,
    upstream: Upstream,
    /// Whether the handshake inside named the host that the tunnel is to.
    is_named: bool,
    /// Whether the last request asks to switch protocols. Asked for before it is known whether the upstream does.
    asks_upgrade: AtomicBool,
    upgrade: Mutex<Option<Upgrade>>,
}

/// Ends TLS on both sides and carries requests until one of them is done.
pub(in crate::egress) async fn carry(
    inside: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    outside: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    (passage, how): (&Passage, &Interception),
) -> io::Result<()> {
    let host = &passage.target.host;
    let tls = how.authority.speak_as(host).map_err(io::Error::other)?;
    let accepted = timeout(HANDSHAKE_MAX, TlsAcceptor::from(tls).accept(inside));
    let connected = timeout(HANDSHAKE_MAX, connect(outside, host, how));
    // At once: two handshakes cost no more time than the longer one.
    let (accepted, connected) = tokio::join!(accepted, connected);
    let inside = accepted.map_err(|_| io::ErrorKind::TimedOut)??;
    let is_named = match (host, inside.get_ref().1.server_name()) {
        // An address has no name to be asked for by.
        (Host::Address(_), None) => true,
        (Host::Name(name), Some(asked)) => asked.eq_ignore_ascii_case(name.as_str()),
        (Host::Address(_), Some(_)) | (Host::Name(_), None) => false,
    };
    let (upstream, connection) = match connected.unwrap_or(Err(Refusal::Handshake)) {
        Ok((sender, connection)) => (Upstream::Ready(AsyncMutex::new(sender)), Some(connection)),
        Err(refusal) => (Upstream::Refused(refusal), None),
    };
    let session = Session {
        passage,
        how,
        upstream,
        is_named,
        asks_upgrade: AtomicBool::default(),
        upgrade: Mutex::default(),
    };
    serve(&session, inside, async {
        match connection {
            // How it ended is told by the body of the answer.
            Some(connection) => drop(connection.with_upgrades().await),
            None => std::future::pending().await,
        }
    })
    .await
}

type Sender = client::SendRequest<AnyBody>;
type Connection<S> = client::Connection<TokioIo<tokio_rustls::client::TlsStream<S>>, AnyBody>;

async fn connect<S>(
    stream: S,
    host: &Host,
    how: &Interception,
) -> Result<(Sender, Connection<S>), Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let name = server_name(host).ok_or(Refusal::Handshake)?;
    let connector = TlsConnector::from(Arc::clone(&how.outside));
    let stream = connector.connect(name, stream).await.map_err(|error| {
        tracing::debug!(error = &error as &dyn std::error::Error, "no secure connection upstream");
        let why = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        match why {
            Some(rustls::Error::InvalidCertificate(_)) => Refusal::Certificate,
            Some(_) | None => Refusal::Handshake,
        }
    })?;
    client::Builder::new()
        .max_headers(HEADERS_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Refusal::Handshake)
}

async fn serve(
    session: &Session<'_>,
    inside: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    carrying: impl Future<Output = ()>,
) -> io::Result<()> {
    let service = service_fn(|request: Request<Incoming>| session.answer(request));
    let serving = server::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .half_close(true)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(inside), service)
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let mut carrying = std::pin::pin!(carrying);
    let mut is_carried = false;
    let served = loop {
        tokio::select! {
            served = &mut serving => break served,
            () = &mut carrying, if !is_carried => {
                is_carried = true;
                // Nobody is there to be asked any more: the program inside is to know before it asks. Where the upstream
                // switched protocols, it is HTTP alone that is over.
                if !session.asks_upgrade.load(Ordering::Relaxed) {
                    serving.as_mut().graceful_shutdown();
                }
            }
        }
    };
    served.map_err(io::Error::other)?;
    let upgrade = session.upgrade.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(upgrade) = upgrade else { return Ok(()) };
    let carried = upgrade.carry();
    if is_carried {
        return carried.await;
    }
    tokio::join!(carried, carrying).0
}

impl Session<'_> {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<AnyBody>, BoxError> {
        match self.exchange(request).await {
            Ok(response) => Ok(response),
            Err(Failed::Refused(refusal)) => {
                let (status, code) = (refusal.status().as_u16(), refusal.code());
                self.how.log.refused(self.passage, status, code);
                Ok(refusal.response())
            }
            // Closed without an answer, as the upstream did it: the program may ask again.
            Err(Failed::Gone(error)) => Err(error.into()),
        }
    }

    async fn exchange(&self, mut request: Request<Incoming>) -> Result<Response<AnyBody>, Failed> {
        if !self.is_named {
            return Err(Failed::Refused(Refusal::Misdirected));
        }
        let target = &self.passage.target;
        request::check(&request, target).map_err(Failed::Refused)?;
        let sender = match &self.upstream {
            Upstream::Ready(sender) => sender,
            Upstream::Refused(refusal) => return Err(Failed::Refused(*refusal)),
        };
        let path = request.uri().path().to_owned();
        let is_endpoint = |set: &CredentialSet| {
            set.bound(target).is_some_and(|bound| bound.is_token_endpoint(target, &path))
        };
        if is_endpoint(&self.how.credentials.borrow()) {
            return Err(Failed::Refused(Refusal::TokenEndpoint));
        }
        let asked = (request.method().as_str(), path.as_str());
        self.how.freshen(target, asked).await.map_err(Failed::Refused)?;
        let set = Arc::clone(&self.how.credentials.borrow());
        let bound = set.bound(target);
        let inside = hyper::upgrade::on(&mut request);
        let outgoing = request::outgoing(request, (target, bound.as_deref()));
        let Outgoing { request, injected, is_upgrade } = outgoing.await.map_err(Failed::Refused)?;
        let mut sender = sender.lock().await;
        sender.ready().await.map_err(Failed::Gone)?;
        for credential in &injected {
            self.how.log.injected(self.passage, credential);
        }
        self.asks_upgrade.store(is_upgrade, Ordering::Relaxed);
        let response = sender.send_request(request).await;
        drop(sender);
        let mut response = response.map_err(|error| {
            tracing::debug!(error = &error as &dyn std::error::Error, "an upstream gave no answer");
            Failed::Refused(Refusal::NoAnswer)
        })?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(bound) = &bound
            && self.has_renewed(bound, &injected).await
        {
            return Err(Failed::Refused(Refusal::Renewed));
        }
        let told = Told {
            passage: self.passage.clone(),
            log: Arc::clone(&self.how.log),
            patterns: match &bound {
                Some(bound) => Arc::clone(bound.patterns()),
                None => Arc::default(),
            },
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            if !is_upgrade {
                return Err(Failed::Refused(Refusal::Switched));
            }
            let outside = hyper::upgrade::on(&mut response);
            let upgrade = Upgrade { inside, outside, told: told.clone() };
            *self.upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
        }
        incoming(response, told).map_err(Failed::Refused)
    }
}

impl Session<'_> {
    /// Whether there are new values in place of those that an upstream refused.
    async fn has_renewed(&self, bound: &Bound, injected: &[String]) -> bool {
        let mut is_any = false;
        for (credential, seen) in bound.renewable(injected) {
            is_any |= self.how.renewed(credential, seen).await;
        }
        is_any
    }
}

/// Why a request has no answer of the upstream's.
enum Failed {
    Refused(Refusal),
    Gone(hyper::Error),
}
