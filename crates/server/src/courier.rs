//! Carries webhooks, as the engine's [`Courier`].
//!
//! An address is taken apart once. The name is resolved here, every address of the answer is decided about by the decision
//! that the way out of sandboxes has, and the connection goes to one that was decided about: there is no second lookup,
//! so an answer that changes changes nothing. Redirects are answers like any other. A deadline is over all of it.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use rustls::ClientConfig;
use sandbar_engine::{Courier, WebhookAnswer, WebhookMessage};
use sandbar_proxy::egress::{
    Address, AddressKind, Host, Mode, Policy, Resolver, SystemResolver, Target, Verdict, decide,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::OnceCell,
};

use crate::{
    config::{Config, Webhooks},
    https,
};

/// LIMIT: how long an endpoint has.
const DEADLINE: Duration = Duration::from_secs(10);
/// LIMIT: bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 4 << 10;

/// Carries webhooks over the host's own network.
#[derive(Debug)]
pub struct HttpCourier {
    allowed: Webhooks,
    resolver: Arc<dyn Resolver>,
    /// The certificates of the host, read with the first message.
    tls: OnceCell<Arc<ClientConfig>>,
}

/// Why nothing was answered.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("{0}")]
    Url(#[from] UrlError),
    #[error("its name cannot be resolved")]
    Unresolved,
    #[error("it is at {0}, which may not be reached")]
    Address(&'static str),
    #[error("no connection could be made")]
    Connect(#[source] io::Error),
    #[error("the certificates of this host cannot be read")]
    Roots,
    #[error("no secure connection could be made")]
    Tls(#[source] io::Error),
    #[error("it gave no answer of HTTP")]
    Http(#[source] hyper::Error),
    #[error("it did not answer within {} seconds", DEADLINE.as_secs())]
    Timeout,
}

/// Why an address is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum UrlError {
    #[error("the address of a webhook is `https://`, a host, and a path")]
    Malformed,
    #[error("the address of a webhook begins with `https://`")]
    Http,
    #[error("the host of this address may not be reached")]
    Private,
}

/// An address, taken apart.
#[derive(Debug)]
struct Endpoint {
    is_tls: bool,
    target: Target,
    path: String,
}

impl HttpCourier {
    /// As the operator has set it.
    #[must_use]
    pub fn new(settings: &Config) -> Self {
        Self::with_resolver(settings.webhooks.clone(), Arc::new(SystemResolver::default()))
    }

    fn with_resolver(allowed: Webhooks, resolver: Arc<dyn Resolver>) -> Self {
        Self { allowed, resolver, tls: OnceCell::new() }
    }

    fn endpoint(&self, url: &str) -> Result<Endpoint, UrlError> {
        let uri: Uri = url.parse().map_err(|_| UrlError::Malformed)?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if self.allowed.allow_http => false,
            Some("http") => return Err(UrlError::Http),
            Some(_) | None => return Err(UrlError::Malformed),
        };
        let authority = uri.authority().ok_or(UrlError::Malformed)?.as_str();
        let usual_port = if is_tls { 443 } else { 80 };
        let target = Target::parse(authority, Some(usual_port)).map_err(|_| UrlError::Malformed)?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Endpoint { is_tls, target, path: path.to_owned() })
    }

    /// The addresses that may be connected to; none is a refusal.
    fn permitted(&self, target: &Target, found: &[Address]) -> Result<Vec<IpAddr>, &'static str> {
        let policy = Policy::new(Mode::Open);
        let permitted: Vec<_> = found
            .iter()
            .filter(|address| {
                let is_allowed = self.allowed.allow_private.iter().any(|net| net.0.has(address.ip));
                let is_public =
                    matches!(decide(&policy, target, &[**address]), Verdict::Allowed(_));
                is_public || is_allowed
            })
            .map(|address| address.ip.to_canonical())
            .collect();
        if permitted.is_empty() {
            // One that is public and not permitted all the same is this host's own.
            let of = |address: &Address| {
                let kind = AddressKind::of(address.ip);
                let is_own = kind == AddressKind::Public;
                if is_own { AddressKind::ThisHost.describe() } else { kind.describe() }
            };
            return Err(found.first().map_or("no address", of));
        }
        Ok(permitted)
    }

    fn literal(&self, ip: IpAddr) -> Address {
        Address { ip, is_this_host: self.resolver.is_this_host(ip), is_pinned: false }
    }

    async fn exchange(&self, message: WebhookMessage) -> Result<WebhookAnswer, SendError> {
        let endpoint = self.endpoint(&message.url)?;
        let found = match &endpoint.target.host {
            Host::Address(ip) => vec![self.literal(*ip)],
            Host::Name(name) => {
                self.resolver.resolve(name).await.map_err(|_| SendError::Unresolved)?
            }
        };
        let permitted = self.permitted(&endpoint.target, &found).map_err(SendError::Address)?;
        let stream = connect(&permitted, endpoint.target.port).await.map_err(SendError::Connect)?;
        if !endpoint.is_tls {
            return speak(stream, &endpoint, message).await;
        }
        let tls = self.tls.get_or_try_init(client_config).await?;
        let secured = https::secured(stream, &endpoint.target.host, Arc::clone(tls)).await;
        let stream = secured.map_err(SendError::Tls)?;
        speak(stream, &endpoint, message).await
    }
}

#[async_trait]
impl Courier for HttpCourier {
    fn check(&self, url: &str) -> Result<(), String> {
        let endpoint = self.endpoint(url).map_err(|why| why.to_string())?;
        match endpoint.target.host {
            // What a name resolves to may change; it is decided about when something is sent.
            Host::Name(_) => Ok(()),
            Host::Address(ip) => self
                .permitted(&endpoint.target, &[self.literal(ip)])
                .map(drop)
                .map_err(|_| UrlError::Private.to_string()),
        }
    }

    async fn send(&self, message: WebhookMessage) -> Result<WebhookAnswer, String> {
        let sent = tokio::time::timeout(DEADLINE, self.exchange(message)).await;
        sent.unwrap_or(Err(SendError::Timeout)).map_err(|why| {
            let error = &why as &dyn std::error::Error;
            tracing::debug!(error, "a webhook was not answered");
            why.to_string()
        })
    }
}

async fn connect(addresses: &[IpAddr], port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for ip in addresses {
        match TcpStream::connect((*ip, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn client_config() -> Result<Arc<ClientConfig>, SendError> {
    let loaded = tokio::task::spawn_blocking(https::tls_of_host).await;
    loaded.map_err(|_panicked| SendError::Roots)?.map(Arc::new).ok_or(SendError::Roots)
}

async fn speak<S>(
    stream: S,
    endpoint: &Endpoint,
    message: WebhookMessage,
) -> Result<WebhookAnswer, SendError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let request = request(endpoint, message).map_err(|_| SendError::Url(UrlError::Malformed))?;
    let mut answered = https::send(stream, request).await.map_err(SendError::Http)?;
    let status = answered.response.status().as_u16();
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX {
        // What was answered counts, also where its body is cut off.
        let Some(Ok(frame)) = answered.response.frame().await else { break };
        if let Ok(bytes) = frame.into_data() {
            body.extend_from_slice(&bytes);
        }
    }
    body.truncate(ANSWER_BYTES_MAX);
    Ok(WebhookAnswer { status, body: inert(&String::from_utf8_lossy(&body)) })
}

fn request(
    endpoint: &Endpoint,
    message: WebhookMessage,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let usual_port = if endpoint.is_tls { 443 } else { 80 };
    Request::post(&endpoint.path)
        .header(header::HOST, endpoint.target.authority(usual_port))
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(header::USER_AGENT, HeaderValue::from_static("sandbar-webhooks/1"))
        .header("webhook-id", message.id)
        .header("webhook-timestamp", message.timestamp)
        .header("webhook-signature", message.signature)
        .body(Full::from(message.body))
}

/// A text without anything that a terminal obeys or that reads differently from what it is.
fn inert(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let is_plain =
                c == ' ' || (c.is_ascii() && !c.is_ascii_control()) || c.is_alphanumeric();
            let escaped = (!is_plain).then(|| c.escape_unicode());
            let plain = is_plain.then_some(c);
            plain.into_iter().chain(escaped.into_iter().flatten())
        })
        .collect()
}

#[cfg(test)]
mod tests;
