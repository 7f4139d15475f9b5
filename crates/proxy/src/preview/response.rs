//! What of an app's answer reaches the client, and how. Pure.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header, response::Parts};

use super::{
    config::Scheme,
    request::{Names, is_own_cookie, strip_hop_by_hop},
};

/// What an app may call itself in an absolute URL.
const APP_HOSTS: [&str; 4] = ["localhost", "127.0.0.1", "[::1]", "0.0.0.0"];
/// What would give an app more than its own host: scopes above its scripts, and other servers in its name.
const REFUSED: [HeaderName; 2] =
    [HeaderName::from_static("service-worker-allowed"), header::ALT_SVC];

/// Makes an app's headers those that the client gets.
pub(crate) fn prepare(parts: &mut Parts, names: &Names) {
    let headers = &mut parts.headers;
    let upgrade = headers.get(header::UPGRADE).cloned();
    strip_hop_by_hop(headers);
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(upgrade)) = (parts.status, upgrade) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, upgrade);
    }
    for name in REFUSED {
        headers.remove(name);
    }
    for name in [header::LOCATION, header::CONTENT_LOCATION, header::ACCESS_CONTROL_ALLOW_ORIGIN] {
        let back = headers.get(&name).and_then(|url| back(url, names));
        if let Some(back) = back {
            headers.insert(name, back);
        }
    }
    cookies(headers, names.scheme);
    // An app of HTTP/1.0 takes nothing from the connection with the client.
    parts.version = Version::HTTP_11;
}

/// A URL of the app as one of its preview.
fn back(url: &HeaderValue, names: &Names) -> Option<HeaderValue> {
    let url = url.to_str().ok()?;
    let (scheme, rest) = ["http://", "https://", "//"].iter().find_map(|start| {
        let (head, rest) = url.split_at_checked(start.len())?;
        head.eq_ignore_ascii_case(start).then_some((*start, rest))
    })?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = APP_HOSTS.iter().find(|host| {
        authority.get(..host.len()).is_some_and(|start| start.eq_ignore_ascii_case(host))
    })?;
    let port = match &authority[host.len()..] {
        "" if scheme == "https://" => Scheme::Https.port(),
        "" => Scheme::Http.port(),
        port => port.strip_prefix(':')?.parse().ok()?,
    };
    let is_own = port == names.preview.port;
    is_own.then(|| HeaderValue::from_str(&format!("{}{path}", names.origin)).ok()).flatten()
}

/// Keeps cookies on the preview's own host, and out of our names.
fn cookies(headers: &mut HeaderMap, scheme: Scheme) {
    if !headers.contains_key(header::SET_COOKIE) {
        return;
    }
    let kept: Vec<HeaderValue> = headers
        .get_all(header::SET_COOKIE)
        .iter()
        .filter_map(|cookie| host_only(cookie.as_bytes(), scheme))
        .collect();
    headers.remove(header::SET_COOKIE);
    for cookie in kept {
        headers.append(header::SET_COOKIE, cookie);
    }
}

fn host_only(cookie: &[u8], scheme: Scheme) -> Option<HeaderValue> {
    let mut fields = cookie.split(|b| *b == b';');
    let pair = fields.next()?.trim_ascii();
    if is_own_cookie(pair) {
        return None;
    }
    // Without TLS a browser drops a cookie that says `Secure`; a name that begins so must say it.
    let is_plain =
        scheme == Scheme::Http && !pair.starts_with(b"__Host-") && !pair.starts_with(b"__Secure-");
    let kept = fields.filter(|field| {
        let field = field.trim_ascii().to_ascii_lowercase();
        let name = field.split(|b| *b == b'=').next().unwrap_or_default().trim_ascii();
        let needs_tls = name == b"secure" || field == b"samesite=none";
        name != b"domain" && !(is_plain && needs_tls)
    });
    let all: Vec<&[u8]> = std::iter::once(pair).chain(kept).collect();
    HeaderValue::from_bytes(&all.join(&b";"[..])).ok()
}

#[cfg(test)]
mod tests;
