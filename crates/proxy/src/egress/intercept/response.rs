//! What an upstream answers, as the program inside gets it; and answers of the proxy's own.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;

use super::{
    CredentialLog,
    body::{AnyBody, Scanned},
    pattern::{Patterns, Scanner},
};
use crate::egress::{log::Passage, wire::strip};

/// Tells of values that came back.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) passage: Passage,
    pub(super) log: Arc<dyn CredentialLog>,
    pub(super) patterns: Arc<Patterns>,
}

impl Told {
    pub(super) fn echoed(&self, found: &[String]) {
        for credential in found {
            self.log.echoed(&self.passage, credential);
        }
    }

    /// Takes values out of headers.
    pub(super) fn clean(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            if let Some((cleaned, whose)) = self.patterns.clean(value.as_bytes()) {
                whose.iter().for_each(|credential| self.log.echoed(&self.passage, credential));
                // It was a value of a header, and a placeholder is one.
                *value = HeaderValue::from_maybe_shared(cleaned.freeze())
                    .unwrap_or_else(|_| HeaderValue::from_static("sandbar-removed"));
            }
        }
    }
}

/// Why the proxy answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The request is for another host than the tunnel.
    Misdirected,
    /// `TRACE`, `CONNECT`: they say back or lead on.
    Method,
    /// More than one `Host`, or none that can be read.
    Host,
    /// A body that a placeholder is looked for in is too large.
    TooLarge,
    /// The upstream's certificate is not one that this host trusts for that name.
    Certificate,
    /// No secure connection to the upstream could be made.
    Handshake,
    /// The upstream's answer cannot be understood, or did not come.
    NoAnswer,
    /// The upstream answered in an encoding that nobody asked for, and that cannot be looked into.
    Encoded,
    /// The value of the credential cannot be had.
    Unavailable,
    /// The value of the credential has ended, and could not be renewed.
    Ended,
    /// The upstream did not take the value any more; there is a new one now.
    Renewed,
    /// It asks where the server renews a credential.
    TokenEndpoint,
    /// The upstream switched protocols without being asked.
    Switched,
    /// A placeholder was to be replaced in a body that cannot be looked into.
    EncodedRequest,
}

impl Refusal {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Host => StatusCode::BAD_REQUEST,
            Self::Ended => StatusCode::UNAUTHORIZED,
            Self::Renewed => StatusCode::SERVICE_UNAVAILABLE,
            Self::TokenEndpoint => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::EncodedRequest => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Certificate
            | Self::Handshake
            | Self::NoAnswer
            | Self::Encoded
            | Self::Switched
            | Self::Unavailable => StatusCode::BAD_GATEWAY,
        }
    }

    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Misdirected => "misdirected",
            Self::Method => "method",
            Self::Host => "bad_request",
            Self::Ended => "credential_expired",
            Self::Renewed => "credential_renewed",
            Self::TokenEndpoint => "renewed_by_server",
            Self::TooLarge => "body_too_large",
            Self::Certificate => "upstream_certificate",
            Self::Handshake => "upstream_tls",
            Self::NoAnswer => "upstream_no_answer",
            Self::Encoded => "upstream_encoding",
            Self::Switched => "upstream_switched",
            Self::Unavailable => "credential_unavailable",
            Self::EncodedRequest => "request_encoding",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Misdirected => "the request is for another host than the connection",
            Self::Method => "the method is not taken where credentials are put in",
            Self::Host => "the request needs exactly one host",
            Self::Ended => {
                "the login for this request has ended and could not be renewed; on the host, `sandbar agents connect` gives a new one"
            }
            Self::Renewed => "the login for this request had ended and was renewed; ask again",
            Self::TokenEndpoint => {
                "the server renews this login itself, and puts the new token into requests; there is nothing to renew inside"
            }
            Self::TooLarge => "the body is too large for a credential to be put into it",
            Self::Certificate => {
                "the upstream's certificate is not valid for its name and for this host"
            }
            Self::Handshake => "no secure connection to the upstream could be made",
            Self::NoAnswer => "the upstream gave no answer that could be understood",
            Self::Encoded => "the upstream's answer is compressed, although that was not asked for",
            Self::Switched => "the upstream switched protocols without being asked",
            Self::Unavailable => "the credential for this request cannot be opened on the host",
            Self::EncodedRequest => "a credential cannot be put into a compressed body",
        }
    }

    pub(super) fn response(self) -> Response<AnyBody> {
        let text = ["sandbar: ", self.text(), ".\n"].concat();
        let mut response =
            Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert("x-sandbar-error", HeaderValue::from_static(self.code()));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if self == Self::Renewed {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            // What the libraries of model APIs go by.
            headers.insert("x-should-retry", HeaderValue::from_static("true"));
            // What the upstream said is not read to its end.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Returns an answer as it may go in.
pub(super) fn incoming(
    mut response: Response<Incoming>,
    told: Told,
) -> Result<Response<AnyBody>, Refusal> {
    // Words of the upstream's own beside the status, which nothing searches.
    response.extensions_mut().remove::<hyper::ext::ReasonPhrase>();
    let is_switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    // A program that wants them gets them only where they are announced.
    let trailers = headers.get(header::TRAILER).cloned();
    let is_chunked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    if !headers.get_all(header::TRANSFER_ENCODING).iter().all(is_chunked) {
        return Err(Refusal::Encoded);
    }
    strip(headers);
    if let Some(trailers) = trailers {
        headers.insert(header::TRAILER, trailers);
    }
    if is_switched {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain) {
        return Err(Refusal::Encoded);
    }
    told.clean(headers);
    *response.version_mut() = Version::HTTP_11;
    let scanner = Scanner::new(Arc::clone(&told.patterns));
    Ok(response.map(|body| Scanned::new(body, scanner, told).boxed()))
}
