//! The gate before anybody is asked who they are: the peer's user on the unix socket, `Host` and `Origin` on TCP.
//!
//! A loopback port is open to every user of the machine and, by DNS rebinding, to every web page a user looks at.
//! So a browser that another site sent is refused before any token is looked at; who asks is for `identify`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    net::{IpAddr, SocketAddr},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use http::{HeaderMap, Uri, header, uri::Authority};
use sandbar_api::ErrorCode;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{error::ApiError, extract::header_text};

/// What every token begins with, so that scanners for leaked secrets know it.
const PREFIX: &str = "sbt_";
/// Hexadecimal digits of 256 random bits.
const DIGITS: usize = 64;

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// The unix socket; the peer has this user id.
    Unix { peer_uid: u32, our_uid: u32 },
    /// The TCP listener at this address; the peer has that one.
    Tcp { local: SocketAddr, peer: IpAddr, channel: Channel },
}

impl Transport {
    /// Where the peer is, where it is anywhere else.
    pub(crate) const fn address(self) -> Option<IpAddr> {
        match self {
            Self::Unix { .. } => None,
            Self::Tcp { peer, .. } => Some(peer),
        }
    }

    /// How a browser would speak to us.
    pub(crate) const fn channel(self) -> Channel {
        match self {
            Self::Unix { .. } => Channel::Plain,
            Self::Tcp { channel, .. } => channel,
        }
    }
}

/// How a browser speaks to a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// `http`: only ever on the loopback address.
    Plain,
    /// `https`.
    #[cfg_attr(not(test), expect(dead_code, reason = "there is no listener with TLS yet"))]
    Tls,
}

impl Channel {
    const fn scheme(self) -> &'static str {
        match self {
            Self::Plain => "http://",
            Self::Tls => "https://",
        }
    }

    /// The name of a session's cookie. A browser takes one that begins with `__Host-` from TLS only.
    pub(crate) const fn cookie(self) -> &'static str {
        match self {
            Self::Plain => "sandbar_session",
            Self::Tls => "__Host-sandbar_session",
        }
    }

    /// What such a cookie needs beside what all of them have.
    pub(crate) const fn attributes(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Tls => "; Secure",
        }
    }
}

/// The hash of the one token of this server. The token itself is only in its file.
#[derive(Clone)]
pub(crate) struct Token([u8; 32]);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or made.
    #[error("the token file `{path}` cannot be used", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Other users can read the file.
    #[error("the token file `{path}` can be read by others; remove it, and a new one is made", path = path.display())]
    Readable {
        /// The file.
        path: PathBuf,
    },
    /// The file does not hold a token.
    #[error("the token file `{path}` does not hold a token; remove it, and a new one is made", path = path.display())]
    Garbled {
        /// The file.
        path: PathBuf,
    },
}

impl Token {
    /// Reads the token of `data_dir`, or makes one.
    pub(crate) fn load(data_dir: &Path) -> Result<Self, TokenError> {
        let path = data_dir.join("token");
        let failed = |source| TokenError::File { path: path.clone(), source };
        let text = match File::open(&path) {
            Ok(mut file) => {
                if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
                    return Err(TokenError::Readable { path });
                }
                let mut text = String::new();
                file.read_to_string(&mut text).map_err(failed)?;
                text
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(&path).map_err(failed)?,
            Err(error) => return Err(failed(error)),
        };
        let token = text.trim_end();
        let is_token = token
            .strip_prefix(PREFIX)
            .is_some_and(|hex| hex.len() == DIGITS && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        if is_token {
            Ok(Self(Sha256::digest(token).into()))
        } else {
            Err(TokenError::Garbled { path })
        }
    }

    /// A key for another purpose: who has the one learns nothing of the other, and a new token makes a new key.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        Sha256::new().chain_update(self.0).chain_update(purpose).finalize().into()
    }

    /// Whether it is this one.
    pub(crate) fn is(&self, presented: &str) -> bool {
        let presented: [u8; 32] = Sha256::digest(presented).into();
        self.0.ct_eq(&presented).into()
    }
}

fn make(path: &Path) -> io::Result<String> {
    let mut random = [0; DIGITS / 2];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let token = random.iter().fold(PREFIX.to_owned(), |mut text, byte| {
        text.extend(
            [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')),
        );
        text
    });
    // Beside, then renamed: a crash never leaves half a token.
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(token.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    Ok(token)
}

/// Lets a request pass to where it is asked who asks, or says why not. Pure.
pub(crate) fn admit(transport: Transport, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    match transport {
        Transport::Unix { peer_uid, our_uid } if peer_uid == our_uid || peer_uid == 0 => Ok(()),
        Transport::Unix { peer_uid, our_uid } => Err(ApiError::new(
            ErrorCode::ForbiddenPeer,
            format!("user {peer_uid} may not use the server of user {our_uid}"),
        )
        .hint("start a server of your own with `sandbar serve`")),
        Transport::Tcp { local, channel, .. } => {
            let host = admit_host(local, uri, headers)?;
            admit_origin(channel, &host, headers)
        }
    }
}

fn admit_host(local: SocketAddr, uri: &Uri, headers: &HeaderMap) -> Result<Authority, ApiError> {
    let host = header_text(headers, &header::HOST)?
        .ok_or_else(|| ApiError::new(ErrorCode::InvalidHeader, "`Host` is missing"))?;
    let host: Authority = host
        .parse()
        .map_err(|_| ApiError::new(ErrorCode::InvalidHeader, "`Host` cannot be read"))?;
    if uri.authority().is_some_and(|authority| *authority != host) {
        return Err(ApiError::new(
            ErrorCode::InvalidHeader,
            "`Host` is not what the request line says",
        ));
    }
    let is_name = ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|name| host.host().eq_ignore_ascii_case(name))
        || host.host() == local.ip().to_string();
    let is_port = host.port_u16().unwrap_or(80) == local.port();
    if is_name && is_port && !host.as_str().contains('@') {
        Ok(host)
    } else {
        Err(ApiError::new(
            ErrorCode::MisdirectedRequest,
            format!("this server is not `{}`", host.as_str().escape_debug()),
        )
        .hint(format!("ask for `localhost:{}`", local.port())))
    }
}

fn admit_origin(channel: Channel, host: &Authority, headers: &HeaderMap) -> Result<(), ApiError> {
    let origin = header_text(headers, &header::ORIGIN)?;
    let is_own = origin.is_none_or(|origin| {
        origin
            .strip_prefix(channel.scheme())
            .is_some_and(|own| own.eq_ignore_ascii_case(host.as_str()))
    });
    let fetch_site = headers.get("sec-fetch-site").map(|value| value.as_bytes().to_vec());
    let is_same_site = fetch_site.is_none_or(|site| matches!(&*site, b"same-origin" | b"none"));
    if is_own && is_same_site {
        Ok(())
    } else {
        Err(ApiError::new(
            ErrorCode::ForbiddenOrigin,
            "browsers may not call this API from another site",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: &str = "127.0.0.1:7070";

    fn verdict(uri: &str, pairs: &[(&str, &str)]) -> Result<(), ErrorCode> {
        let headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| {
                (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())
            })
            .fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            });
        let local: SocketAddr = LOCAL.parse().unwrap();
        let transport = Transport::Tcp { local, peer: local.ip(), channel: Channel::Plain };
        admit(transport, &uri.parse().unwrap(), &headers).map_err(|error| error.0.code)
    }

    const RIGHT: (&str, &str) = ("authorization", "Bearer sbt_right");

    #[test]
    fn case_112_another_host_is_refused_before_the_token_is_looked_at() {
        use ErrorCode::{InvalidHeader, MisdirectedRequest};
        for host in [
            "evil.com",
            "127.0.0.1.evil:7070",
            "localhost:7071",
            "localhost",
            "a@localhost:7070",
            "0.0.0.0:7070",
        ] {
            assert_eq!(
                verdict("/v1/sandboxes", &[("host", host), RIGHT]),
                Err(MisdirectedRequest),
                "{host}"
            );
        }
        assert_eq!(verdict("/v1/sandboxes", &[RIGHT]), Err(InvalidHeader));
        let two = [("host", "localhost:7070"), ("host", "localhost:7070"), RIGHT];
        assert_eq!(verdict("/v1/sandboxes", &two), Err(InvalidHeader));
        let absolute =
            verdict("http://evil.com/v1/sandboxes", &[("host", "localhost:7070"), RIGHT]);
        assert_eq!(absolute, Err(InvalidHeader));
        for host in ["localhost:7070", "LOCALHOST:7070", "127.0.0.1:7070", "[::1]:7070"] {
            assert_eq!(verdict("/v1/sandboxes", &[("host", host), RIGHT]), Ok(()), "{host}");
        }
    }

    #[test]
    fn case_113_another_origin_is_refused() {
        let host = ("host", "localhost:7070");
        for origin in ["http://evil.com", "null", "https://localhost:7070", "http://localhost:3000"]
        {
            assert_eq!(
                verdict("/v1/sandboxes", &[host, RIGHT, ("origin", origin)]),
                Err(ErrorCode::ForbiddenOrigin),
                "{origin}"
            );
        }
        for site in ["cross-site", "same-site", "?"] {
            assert_eq!(
                verdict("/v1/sandboxes", &[host, RIGHT, ("sec-fetch-site", site)]),
                Err(ErrorCode::ForbiddenOrigin),
                "{site}"
            );
        }
        assert_eq!(
            verdict(
                "/v1/sandboxes",
                &[
                    host,
                    RIGHT,
                    ("origin", "http://localhost:7070"),
                    ("sec-fetch-site", "same-origin")
                ]
            ),
            Ok(())
        );
    }

    #[test]
    fn another_user_is_refused_on_the_socket_and_root_is_not() {
        let ask = |peer_uid| {
            let transport = Transport::Unix { peer_uid, our_uid: 1000 };
            admit(transport, &Uri::from_static("/v1/sandboxes"), &HeaderMap::new())
                .map_err(|error| error.0.code)
        };
        assert_eq!((ask(1000), ask(0), ask(1001)), (Ok(()), Ok(()), Err(ErrorCode::ForbiddenPeer)));
    }

    #[test]
    fn the_token_is_made_once_and_kept_from_others() {
        let dir = tempfile::tempdir().unwrap();
        let made = Token::load(dir.path()).unwrap();
        let path = dir.path().join("token");
        let text = fs::read_to_string(&path).unwrap();
        assert!(made.is(&text) && Token::load(dir.path()).unwrap().is(&text));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Token::load(dir.path()), Err(TokenError::Readable { .. })));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "sbt_").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(Token::load(dir.path()), Err(TokenError::Garbled { .. })));
    }
}
