//! New values of credentials: token endpoints are asked by the server itself, and requests wait for the engine.

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use rustls::ClientConfig;
use sandbar_engine::{RenewalAsk, SecretString, TokenAnswer, TokenRequest, expose};
use sandbar_proxy::egress::{CredentialRenewer, EgressProxy, Target};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::https;

/// LIMIT: how long a token endpoint has.
const DEADLINE: Duration = Duration::from_secs(20);
/// LIMIT: bytes of its answer.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// Has the engine renew what a request of one sandbox waits for.
#[derive(Debug)]
pub(super) struct Renewer(pub(super) mpsc::Sender<RenewalAsk>);

#[async_trait]
impl CredentialRenewer for Renewer {
    async fn renew(&self, credential: &str, seen: &str) -> bool {
        let Ok(credential) = credential.parse() else { return false };
        let (reply, answer) = oneshot::channel();
        let ask = RenewalAsk { credential, seen: seen.to_owned().into(), reply };
        self.0.send(ask).await.is_ok() && answer.await.unwrap_or(false)
    }
}

/// Why a token endpoint gave no answer. Nothing of what was sent is in it.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("the token endpoint is no address")]
    Malformed,
    #[error("the token endpoint is not reached: {0}")]
    Unreached(String),
    #[error("no secure connection to the token endpoint could be made")]
    Tls(#[source] io::Error),
    #[error("the token endpoint gave no answer of HTTP")]
    Http(#[source] hyper::Error),
    #[error("the answer of the token endpoint is too long, or broke off")]
    Body,
    #[error("the token endpoint did not answer within {} seconds", DEADLINE.as_secs())]
    Timeout,
}

/// Where a token endpoint is; `None` where it is no host.
pub(super) fn endpoint(host: &str, port: u16) -> Option<Target> {
    Some(Target { host: host.parse().ok()?, port })
}

/// Asks a token endpoint on the way that `proxy` has.
///
/// # Errors
/// There was no answer; why, for people.
pub(super) async fn ask(
    proxy: &EgressProxy,
    tls: Arc<ClientConfig>,
    request: TokenRequest,
) -> Result<TokenAnswer, String> {
    let answered = timeout(DEADLINE, exchange(proxy, tls, request)).await;
    answered.unwrap_or(Err(AskError::Timeout)).map_err(|why| {
        let error = &why as &dyn std::error::Error;
        tracing::debug!(error, "a token endpoint was not asked");
        why.to_string()
    })
}

async fn exchange(
    proxy: &EgressProxy,
    tls: Arc<ClientConfig>,
    request: TokenRequest,
) -> Result<TokenAnswer, AskError> {
    let TokenRequest { host, port, path, content_type, body } = request;
    let target = endpoint(&host, port).ok_or(AskError::Malformed)?;
    let stream = proxy.open(&target).await.map_err(AskError::Unreached)?;
    let stream = https::secured(stream, &target.host, tls).await.map_err(AskError::Tls)?;
    let request = Request::post(path)
        .header(header::HOST, target.authority(443))
        .header(header::CONTENT_TYPE, content_type)
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, "sandbar/1")
        .body(Full::new(Bytes::from(expose(&body).to_owned())))
        .map_err(|_| AskError::Malformed)?;
    let mut answered = https::send(stream, request).await.map_err(AskError::Http)?;
    let status = answered.response.status().as_u16();
    let whole = Limited::new(answered.response.body_mut(), ANSWER_BYTES_MAX).collect().await;
    let bytes = whole.map_err(|_| AskError::Body)?.to_bytes();
    let text = std::str::from_utf8(&bytes).map_err(|_| AskError::Body)?;
    Ok(TokenAnswer { status, body: SecretString::from(text.to_owned()) })
}
