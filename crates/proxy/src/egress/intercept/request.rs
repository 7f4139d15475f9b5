//! What a program inside asks, as the upstream gets it.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Version,
    header::{self, HOST},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Incoming};
use sandbar_types::escaped;
use zeroize::Zeroizing;

use super::{
    body::AnyBody,
    credential::{Bound, Credential},
    response::Refusal,
};
use crate::egress::{policy::Target, wire::strip};

/// LIMIT: bytes of a body that a placeholder is looked for in.
const BODY_BYTES_MAX: u64 = 1 << 20;

/// A request as it goes out.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) request: Request<AnyBody>,
    /// The names of the credentials that are in it.
    pub(super) injected: Vec<String>,
    pub(super) is_upgrade: bool,
}

/// Refuses what is not for the host that the tunnel was asked for: SNI, `Host` and the tunnel say the same.
pub(super) fn check(request: &Request<Incoming>, target: &Target) -> Result<(), Refusal> {
    if matches!(*request.method(), Method::TRACE | Method::CONNECT) {
        return Err(Refusal::Method);
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(Refusal::Host) };
    let host = host.to_str().map_err(|_| Refusal::Host)?;
    let is_target =
        |authority: &str| Target::parse(authority, Some(443)).is_ok_and(|it| it == *target);
    let is_asked = request.uri().authority().is_none_or(|asked| is_target(asked.as_str()));
    let is_https = request.uri().scheme_str().is_none_or(|scheme| scheme == "https");
    if is_target(host) && is_asked && is_https { Ok(()) } else { Err(Refusal::Misdirected) }
}

/// Returns the request with what is bound to where it goes. `bound` is `None` where the last credential went meanwhile.
pub(super) async fn outgoing(
    request: Request<Incoming>,
    (target, bound): (&Target, Option<&Bound>),
) -> Result<Outgoing, Refusal> {
    let (mut parts, body) = request.into_parts();
    let is_upgrade = is_websocket(&parts.method, &parts.headers);
    let wants_trailers = parts.headers.get(header::TE).is_some_and(|te| te == "trailers");
    strip(&mut parts.headers);
    // hyper has answered it already.
    parts.headers.remove(header::EXPECT);
    if wants_trailers {
        parts.headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if is_upgrade {
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        parts.headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        // What is compressed cannot be looked into.
        parts.headers.remove("sec-websocket-extensions");
    }
    let host = HeaderValue::try_from(target.authority(443)).map_err(|_| Refusal::Host)?;
    parts.headers.insert(HOST, host);
    let path = parts.uri.path().to_owned();
    let with_query = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = with_query.parse().map_err(|_| Refusal::Host)?;
    parts.version = Version::HTTP_11;
    let Some(bound) = bound else {
        let request = Request::from_parts(parts, body.map_err(Into::into).boxed());
        return Ok(Outgoing { request, injected: Vec::new(), is_upgrade });
    };
    // What is compressed cannot be looked into on its way back, and would have to be kept until it can.
    parts.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    bound.strip(target, &mut parts.headers);
    let injection = bound.injection(target, (parts.method.as_str(), &path))?;
    let mut injected: Vec<String> =
        injection.put(&mut parts.headers).into_iter().map(str::to_owned).collect();
    let body = if injection.body.is_empty() || is_upgrade {
        body.map_err(Into::into).boxed()
    } else {
        let (body, names) = replaced(body, &mut parts.headers, &injection.body).await?;
        injected.extend(names);
        body
    };
    Ok(Outgoing { request: Request::from_parts(parts, body), injected, is_upgrade })
}

fn is_websocket(method: &Method, headers: &HeaderMap) -> bool {
    let has = |name, word: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value: &HeaderValue| value.to_str().ok())
            .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word)))
    };
    *method == Method::GET
        && has(header::CONNECTION, "upgrade")
        && has(header::UPGRADE, "websocket")
}

/// How a body is written.
#[derive(Debug, Clone, Copy)]
enum Form {
    Json,
    Urlencoded,
}

fn form(headers: &HeaderMap) -> Option<Form> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == "application/x-www-form-urlencoded" {
        return Some(Form::Urlencoded);
    }
    (kind == "application/json" || kind.ends_with("+json")).then_some(Form::Json)
}

/// Puts values where their placeholders are. A body that is neither JSON nor a form passes as it is.
async fn replaced(
    body: Incoming,
    headers: &mut HeaderMap,
    credentials: &[&Credential],
) -> Result<(AnyBody, Vec<String>), Refusal> {
    let Some(form) = form(headers) else {
        return Ok((body.map_err(Into::into).boxed(), Vec::new()));
    };
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Refusal::EncodedRequest);
    }
    if body.size_hint().lower() > BODY_BYTES_MAX {
        return Err(Refusal::TooLarge);
    }
    let limit = usize::try_from(BODY_BYTES_MAX).unwrap_or(usize::MAX);
    let whole = Limited::new(body, limit).collect().await.map_err(|_| Refusal::TooLarge)?;
    let mut bytes = Zeroizing::new(whole.to_bytes().to_vec());
    let mut names = Vec::new();
    for credential in credentials {
        if let Some(with) = put(&bytes, form, credential) {
            bytes = with;
            names.push(credential.name.clone());
        }
    }
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let body = Full::new(Bytes::copy_from_slice(&bytes)).map_err(|never| match never {}).boxed();
    Ok((body, names))
}

/// The body with the value where a whole string is the placeholder; `None` where none is. A placeholder has only
/// characters that neither JSON nor a form escapes, so nothing has to be parsed, and nothing else is written anew.
fn put(body: &[u8], form: Form, credential: &Credential) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(body).ok()?;
    let (placeholder, secret) = (&credential.placeholder, credential.secret.as_ref()?);
    match form {
        Form::Json => {
            let found = ["\"", placeholder, "\""].concat();
            let value = Zeroizing::new(serde_json::to_string(secret.as_str()).ok()?);
            text.contains(&found).then(|| Zeroizing::new(text.replace(&found, &value).into_bytes()))
        }
        Form::Urlencoded => {
            let mut is_found = false;
            let value = Zeroizing::new(escaped(secret.as_bytes()));
            let pairs: Vec<Zeroizing<String>> = text
                .split('&')
                .map(|pair| match pair.split_once('=') {
                    Some((name, given)) if given == placeholder => {
                        is_found = true;
                        Zeroizing::new([name, "=", &value].concat())
                    }
                    Some(_) | None => Zeroizing::new(pair.to_owned()),
                })
                .collect();
            let pairs: Vec<&str> = pairs.iter().map(|pair| pair.as_str()).collect();
            is_found.then(|| Zeroizing::new(pairs.join("&").into_bytes()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_replaced_only_where_it_is_a_whole_value() {
        let credential = Credential {
            name: "token".to_owned(),
            secret: Some(Zeroizing::new("a&b\"c".to_owned())),
            placeholder: "sbx-1".to_owned(),
            rules: Vec::new(),
            renewal: None,
        };
        let put = |form, body: &str| {
            put(body.as_bytes(), form, &credential)
                .map(|with| String::from_utf8(with.to_vec()).unwrap())
        };
        let json = put(Form::Json, r#"{"t":"sbx-1","n":12345678901234567890,"o":"xsbx-1"}"#);
        assert_eq!(
            json.as_deref(),
            Some(r#"{"t":"a&b\"c","n":12345678901234567890,"o":"xsbx-1"}"#)
        );
        assert_eq!(
            put(Form::Urlencoded, "a=sbx-1&b=sbx-12&sbx-1=").as_deref(),
            Some("a=a%26b%22c&b=sbx-12&sbx-1=")
        );
        assert_eq!(put(Form::Json, "{}"), None);
    }
}
