//! One request in plain HTTP, taken apart and put together again by hyper: nothing of the client's framing gets through.

use std::{convert::Infallible, io, sync::Mutex};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version,
    header::{
        CONNECTION, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE,
    },
};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{
    body::Incoming, client::conn::http1::SendRequest, server::conn::http1 as server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::egress::{host::Upstream, policy::Target};

/// How a request is sent on.
#[derive(Debug)]
pub(crate) struct Forward<'a> {
    pub(crate) target: &'a Target,
    /// The operator's proxy, where the connection is to it.
    pub(crate) through: Option<&'a Upstream>,
}

type Body = BoxBody<Bytes, hyper::Error>;

/// Reads one request from `client`, whose head was checked, and answers it with what `upstream` says.
pub(crate) async fn forward(
    client: impl AsyncRead + AsyncWrite + Unpin,
    upstream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    how: Forward<'_>,
) -> io::Result<()> {
    let (sender, carrying) =
        hyper::client::conn::http1::handshake::<_, Incoming>(TokioIo::new(upstream))
            .await
            .map_err(io::Error::other)?;
    // There is one request; a second one would find nobody.
    let sender = Mutex::new(Some(sender));
    let service = service_fn(|request: Request<Incoming>| {
        let sender = sender.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let request = outgoing(request, &how);
        async move {
            let answer = match (sender, request) {
                (Some(sender), Some(request)) => exchange(sender, request).await,
                (_, _) => bad_gateway("the request could not be sent on"),
            };
            Ok::<_, Infallible>(answer)
        }
    });
    let serving = server::Builder::new()
        .keep_alive(false)
        .half_close(true)
        .serve_connection(TokioIo::new(client), service);
    let carrying = async {
        // How the connection ended is told by the response's body.
        drop(carrying.await);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        served = serving => served.map_err(io::Error::other),
        () = carrying => unreachable!("it never ends"),
    }
}

async fn exchange(mut sender: SendRequest<Incoming>, request: Request<Incoming>) -> Response<Body> {
    match sender.send_request(request).await {
        // Nobody asked to switch, or to prove anything to a proxy.
        Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            bad_gateway("the upstream switched protocols without being asked")
        }
        Ok(response) if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            bad_gateway("the network's proxy wants a name and a password")
        }
        Ok(mut response) => {
            strip(response.headers_mut());
            *response.version_mut() = Version::HTTP_11;
            response.map(Incoming::boxed)
        }
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "an upstream gave no answer");
            bad_gateway("the upstream gave no answer that could be understood")
        }
    }
}

/// Returns the request as the upstream is to get it.
fn outgoing(mut request: Request<Incoming>, how: &Forward<'_>) -> Option<Request<Incoming>> {
    let target = how.target;
    let headers = request.headers_mut();
    strip(headers);
    // hyper has answered it already.
    headers.remove(EXPECT);
    headers.insert(HOST, HeaderValue::try_from(target.authority(80)).ok()?);
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    *request.uri_mut() = match how.through {
        None => path.parse().ok()?,
        Some(upstream) => {
            if let Some(authorization) = upstream.authorization() {
                let mut value = HeaderValue::try_from(authorization).ok()?;
                value.set_sensitive(true);
                request.headers_mut().insert(PROXY_AUTHORIZATION, value);
            }
            Uri::builder()
                .scheme("http")
                .authority(target.authority(80))
                .path_and_query(path)
                .build()
                .ok()?
        }
    };
    *request.version_mut() = Version::HTTP_11;
    Some(request)
}

/// Takes out what is between two neighbors only (RFC 9110, 7.6.1), and what is for a proxy.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let always = [
        CONNECTION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
    ];
    let by_text = ["keep-alive", "proxy-connection", "proxy-authentication-info"]
        .map(HeaderName::from_static);
    for name in named.iter().chain(&always).chain(&by_text) {
        headers.remove(name);
    }
}

fn bad_gateway(why: &'static str) -> Response<Body> {
    let text = ["sandbar: ", why, ".\n"].concat();
    let mut response =
        Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_neighbors_is_taken_out() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Hop"),
            ("connection", "x-other"),
            ("x-hop", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic c2VjcmV0"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("transfer-encoding", "chunked"),
            ("authorization", "Bearer kept"),
            ("accept", "*/*"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        strip(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "authorization"]);
    }
}
