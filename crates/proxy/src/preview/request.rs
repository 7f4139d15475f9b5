//! What of a request reaches an app, and how. Pure.
//!
//! The app sees itself at `<scheme>://localhost:<port>`, in `Host`, `Origin`, `Referer` and `X-Forwarded-*` alike: that is
//! what dev servers accept without being told, and checks that compare two of these find them equal.

use std::net::IpAddr;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header, request::Parts,
    uri::Authority,
};

use super::{
    config::{PreviewConfig, Scheme},
    host::{HostMatch, PreviewDomain, PreviewHost},
    refusal::Refusal,
};

/// What cookies of ours begin with, in both spellings. Apps neither see nor set them.
const OWN_COOKIES: [&[u8]; 2] = [b"sandbar_", b"__Host-sandbar_"];
/// What tokens of our API begin with.
const TOKEN_PREFIX: &[u8] = b"sbt_";
/// Where the URL that the browser shows is told to apps that want it.
const PUBLIC_ORIGIN: HeaderName = HeaderName::from_static("x-sandbar-preview-origin");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The names of a preview, on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    /// Which preview.
    pub(crate) preview: PreviewHost,
    /// Its host name, without a port.
    pub(crate) host: String,
    /// How browsers reach it.
    pub(crate) scheme: Scheme,
    /// What browsers call it: `http://3000-a.preview.localhost:7070`.
    pub(crate) origin: String,
    /// What the app calls itself: `http://localhost:3000`.
    pub(crate) app_origin: String,
    /// What is said to the app in every request.
    told: [(HeaderName, HeaderValue); 5],
}

impl Names {
    /// Reads whom a request is for.
    pub(crate) fn read(
        authority: &Authority,
        scheme: Scheme,
        domain: &PreviewDomain,
    ) -> Result<Self, Refusal> {
        let preview = match domain.read(authority.host()) {
            HostMatch::Preview(preview) => preview,
            HostMatch::NoPreview => return Err(Refusal::Unknown),
            HostMatch::Elsewhere => return Err(Refusal::Misdirected),
        };
        let host = domain.host(&preview);
        let port = authority.port_u16().filter(|port| *port != scheme.port());
        let origin = format!("{scheme}://{host}{}", port_suffix(port));
        let app_port = Some(preview.port).filter(|port| *port != scheme.port());
        let app_origin = format!("{scheme}://localhost{}", port_suffix(app_port));
        let app_authority = value(&app_origin[scheme.as_str().len() + "://".len()..])?;
        let told = [
            (header::HOST, app_authority.clone()),
            (X_FORWARDED_HOST, app_authority),
            (X_FORWARDED_PORT, HeaderValue::from(preview.port)),
            (X_FORWARDED_PROTO, HeaderValue::from_static(scheme.as_str())),
            (PUBLIC_ORIGIN, value(&origin)?),
        ];
        Ok(Self { preview, host, scheme, origin, app_origin, told })
    }
}

fn port_suffix(port: Option<u16>) -> String {
    port.map(|port| format!(":{port}")).unwrap_or_default()
}

/// Whom a request is for. One that says two things, or nothing, is refused.
pub(crate) fn authority(uri: &Uri, headers: &HeaderMap) -> Result<Authority, Refusal> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (host, None) = (hosts.next(), hosts.next()) else {
        return Err(Refusal::BadRequest("`Host` is there twice"));
    };
    let host = host
        .map(|host| Authority::try_from(host.as_bytes()))
        .transpose()
        .map_err(|_| Refusal::BadRequest("`Host` cannot be read"))?;
    let authority = match (uri.authority(), host) {
        (Some(asked), Some(host)) if *asked != host => {
            return Err(Refusal::BadRequest("`Host` is not what the request line says"));
        }
        (Some(asked), _) => asked.clone(),
        (None, Some(host)) => host,
        (None, None) => return Err(Refusal::BadRequest("`Host` is missing")),
    };
    // `a@b`, `a:` and `a:99999` are authorities, and no hosts.
    let host = authority.host();
    let rest = authority.as_str().strip_prefix(host);
    let is_host = rest.is_some_and(|rest| rest.is_empty() || authority.port_u16().is_some());
    if is_host { Ok(authority) } else { Err(Refusal::BadRequest("`Host` cannot be read")) }
}

/// Refuses what no app should see.
pub(crate) fn admit_form(parts: &Parts) -> Result<(), Refusal> {
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        return Err(Refusal::Method);
    }
    let headers = &parts.headers;
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    if lengths > 1 || lengths == 1 && headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Refusal::BadRequest("the length of the body is given twice"));
    }
    Ok(())
}

/// How the client reached us, when somebody who is trusted says so.
pub(crate) fn scheme(config: &PreviewConfig, peer: IpAddr, headers: &HeaderMap) -> Scheme {
    if !config.trusted.contains(&peer) {
        return config.scheme;
    }
    match headers.get(X_FORWARDED_PROTO).map(HeaderValue::as_bytes) {
        Some(b"https") => Scheme::Https,
        Some(b"http") => Scheme::Http,
        Some(_) | None => config.scheme,
    }
}

/// What a client asks to switch to.
pub(crate) fn upgrade(parts: &Parts) -> Option<HeaderValue> {
    let wanted = parts.headers.get(header::UPGRADE)?;
    // HTTP/2 without TLS by upgrade is gone from the standard, and was a way around proxies.
    let is_http2 = wanted.as_bytes().to_ascii_lowercase().windows(3).any(|part| part == b"h2c");
    let is_asked = parts.version == Version::HTTP_11
        && !is_http2
        && listed(&parts.headers, &header::CONNECTION).any(|name| name == header::UPGRADE.as_str());
    is_asked.then(|| wanted.clone())
}

/// Makes a client's headers those that the app gets.
pub(crate) fn prepare(
    parts: &mut Parts,
    names: &Names,
    peer: IpAddr,
    config: &PreviewConfig,
) -> Result<(), Refusal> {
    let upgrade = upgrade(parts);
    let headers = &mut parts.headers;
    let wants_trailers = listed(headers, &header::TE).any(|coding| coding == "trailers");
    strip_hop_by_hop(headers);
    headers.remove("http2-settings");
    if wants_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if let Some(upgrade) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, upgrade);
    }
    let is_trusted = config.trusted.contains(&peer);
    forwarded(headers, names, peer, is_trusted.then_some(X_FORWARDED_FOR))?;
    strip_own_secrets(headers);
    for name in [header::ORIGIN, header::REFERER] {
        let moved =
            headers.get(&name).and_then(|value| moved(value, &names.origin, &names.app_origin));
        if let Some(moved) = moved {
            headers.insert(name, moved);
        }
    }
    parts.version = Version::HTTP_11;
    let path = parts.uri.path_and_query().cloned();
    parts.uri = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    Ok(())
}

/// Sets what tells of the client; what the client said of itself is dropped, unless it is trusted.
fn forwarded(
    headers: &mut HeaderMap,
    names: &Names,
    peer: IpAddr,
    kept: Option<HeaderName>,
) -> Result<(), Refusal> {
    let before = kept.and_then(|name| headers.get(name)).cloned();
    let told: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let name = name.as_str();
            name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-real-ip")
        })
        .cloned()
        .collect();
    for name in told {
        headers.remove(name);
    }
    let chain = match before.as_ref().and_then(|before| before.to_str().ok()) {
        Some(before) => format!("{before}, {peer}"),
        None => peer.to_string(),
    };
    headers.insert(X_FORWARDED_FOR, value(&chain)?);
    for (name, value) in &names.told {
        headers.insert(name, value.clone());
    }
    Ok(())
}

fn value(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text).map_err(|_| Refusal::BadRequest("a header cannot be read"))
}

/// Removes what is between two neighbors alone (RFC 9110, 7.6.1).
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<String> = listed(headers, &header::CONNECTION).collect();
        for name in named {
            headers.remove(name.as_str());
        }
    }
    for name in [
        header::CONNECTION,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

/// The entries of a list, in lower case.
fn listed(headers: &HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|entry| entry.trim().to_ascii_lowercase())
        .filter(|entry| !entry.is_empty())
}

/// Removes what would let an app act as the person who looks at it.
fn strip_own_secrets(headers: &mut HeaderMap) {
    let is_token = headers.get(header::AUTHORIZATION).is_some_and(|value| {
        let scheme_and_token = value.as_bytes();
        let (scheme, token) = scheme_and_token.split_at(scheme_and_token.len().min(7));
        scheme.eq_ignore_ascii_case(b"bearer ") && token.trim_ascii().starts_with(TOKEN_PREFIX)
    });
    if is_token {
        headers.remove(header::AUTHORIZATION);
    }
    let mut cookies = headers.get_all(header::COOKIE).iter().peekable();
    if cookies.peek().is_none() {
        return;
    }
    // HTTP/2 may send one header for each cookie; HTTP/1.1 has one for all.
    let kept: Vec<&[u8]> = cookies
        .flat_map(|value| value.as_bytes().split(|b| *b == b';'))
        .map(<[u8]>::trim_ascii)
        .filter(|cookie| !cookie.is_empty() && !is_own_cookie(cookie))
        .collect();
    let kept = HeaderValue::from_bytes(&kept.join(&b"; "[..])).ok().filter(|kept| !kept.is_empty());
    match kept {
        Some(kept) => headers.insert(header::COOKIE, kept),
        None => headers.remove(header::COOKIE),
    };
}

/// Whether a cookie is one of ours.
pub(crate) fn is_own_cookie(cookie: &[u8]) -> bool {
    OWN_COOKIES.iter().any(|own| cookie.starts_with(own))
}

/// A URL below `from`, as one below `to`.
fn moved(url: &HeaderValue, from: &str, to: &str) -> Option<HeaderValue> {
    let url = url.to_str().ok()?;
    let (start, rest) = url.split_at_checked(from.len())?;
    let is_below = start.eq_ignore_ascii_case(from) && (rest.is_empty() || rest.starts_with('/'));
    is_below.then(|| HeaderValue::from_str(&format!("{to}{rest}")).ok()).flatten()
}

#[cfg(test)]
mod tests;
