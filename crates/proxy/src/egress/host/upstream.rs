//! The proxy that the operator's network wants the server to go through: `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`.

use std::{fmt, net::IpAddr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;

use super::url::WebUrl;
use crate::egress::policy::{Host, Target};

/// A proxy for HTTP. Its name and password stay in the server.
#[derive(Clone, PartialEq, Eq)]
pub struct Upstream {
    target: Target,
    authorization: Option<String>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("target", &self.target).finish_non_exhaustive()
    }
}

/// A proxy that cannot be gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("only `http://host:port` is taken as a proxy: not `https://`, not `socks5://`")]
pub struct UnsupportedProxy;

impl Upstream {
    /// Parses the value of a variable like `HTTPS_PROXY`; a scheme may be missing.
    ///
    /// # Errors
    /// It is no `http://` address.
    pub fn parse(text: &str) -> Result<Self, UnsupportedProxy> {
        let text = text.trim();
        let url = if text.contains("://") { text.to_owned() } else { ["http://", text].concat() };
        let url = WebUrl::parse(&url)
            .filter(|url| url.text.starts_with("http://"))
            .ok_or(UnsupportedProxy)?;
        // A password in a URL has its `@` and `:` written as `%40` and `%3A`.
        let decoded = |user: String| percent_decode_str(&user).collect::<Vec<u8>>();
        let authorization =
            url.user.map(|user| ["Basic ", &STANDARD.encode(decoded(user))].concat());
        Ok(Self { target: url.target, authorization })
    }

    /// Where it is.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }
}

/// The proxies of the operator's network, and what is reached without them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upstreams {
    /// For tunnels.
    pub https: Option<Upstream>,
    /// For plain requests.
    pub http: Option<Upstream>,
    /// What is reached directly.
    pub no_proxy: NoProxy,
}

/// The value of `NO_PROXY`: names with what is below them, addresses, networks, `*`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Direct>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Direct {
    Everything,
    Below { domain: String, port: Option<u16> },
    Network { first: IpAddr, prefix: u32 },
}

impl NoProxy {
    /// Parses a list with commas; what is not understood is left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(text.split([',', ' ']).filter_map(|entry| direct(entry.trim())).collect())
    }

    /// Returns whether `target` is to be reached directly.
    #[must_use]
    pub fn is_direct(&self, target: &Target) -> bool {
        self.0.iter().any(|entry| match (entry, &target.host) {
            (Direct::Everything, _) => true,
            (Direct::Below { domain, port }, Host::Name(name)) => {
                let is_name = name
                    .as_str()
                    .strip_suffix(domain.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                is_name && port.is_none_or(|port| port == target.port)
            }
            (Direct::Network { first, prefix }, Host::Address(ip)) => {
                in_network(*ip, *first, *prefix)
            }
            (Direct::Below { .. }, Host::Address(_)) | (Direct::Network { .. }, Host::Name(_)) => {
                false
            }
        })
    }
}

fn direct(entry: &str) -> Option<Direct> {
    if entry == "*" {
        return Some(Direct::Everything);
    }
    let (address, prefix) = match entry.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse().ok()?)),
        None => (entry, None),
    };
    if let Ok(first) = address.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(Direct::Network { first, prefix: prefix.unwrap_or(128) });
    }
    let name = entry.trim_start_matches('*').trim_start_matches('.').to_ascii_lowercase();
    let target = Target::parse(&name, Some(443)).ok()?;
    let Host::Name(domain) = target.host else { return None };
    let port = name.contains(':').then_some(target.port);
    Some(Direct::Below { domain: domain.as_str().to_owned(), port })
}

fn in_network(ip: IpAddr, first: IpAddr, prefix: u32) -> bool {
    let shifted = |bits: u128, width: u32| bits.checked_shr(width - prefix.min(width)).unwrap_or(0);
    match (ip, first) {
        (IpAddr::V4(ip), IpAddr::V4(first)) => {
            shifted(u128::from(ip.to_bits()), 32) == shifted(u128::from(first.to_bits()), 32)
        }
        (IpAddr::V6(ip), IpAddr::V6(first)) => {
            shifted(ip.to_bits(), 128) == shifted(first.to_bits(), 128)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_understood_and_its_password_is_not_shown() {
        let upstream = Upstream::parse("http://me:p%40ss@proxy.example:3128").unwrap();
        assert_eq!(upstream.target().to_string(), "proxy.example:3128");
        assert_eq!(upstream.authorization(), Some("Basic bWU6cEBzcw=="));
        let shown = format!("{upstream:?}");
        assert!(!shown.contains("Basic") && !shown.contains("ss"), "{shown}");
        assert_eq!(Upstream::parse("proxy.example:3128/").unwrap().target().port, 3128);
        assert_eq!(Upstream::parse("http://proxy.example").unwrap().target().port, 80);
        for text in ["socks5://proxy.example:1080", "https://proxy.example", "", "http://"] {
            assert_eq!(Upstream::parse(text), Err(UnsupportedProxy), "{text}");
        }
    }

    #[test]
    fn no_proxy_means_names_with_what_is_below_and_networks() {
        let direct = NoProxy::parse(
            "localhost,.corp.example, *.inner.example,db.example:5432,10.0.0.0/8,::1,192.0.2.7",
        );
        let is = |text: &str| direct.is_direct(&Target::parse(text, Some(443)).unwrap());
        for text in [
            "localhost",
            "corp.example",
            "a.corp.example",
            "x.inner.example",
            "db.example:5432",
            "10.9.8.7",
            "[::1]:80",
            "192.0.2.7",
        ] {
            assert!(is(text), "{text}");
        }
        for text in ["evilcorp.example", "db.example", "11.0.0.1", "192.0.2.8", "[::2]", "pypi.org"]
        {
            assert!(!is(text), "{text}");
        }
        assert!(NoProxy::parse("*").is_direct(&Target::parse("any.example", Some(1)).unwrap()));
        assert!(NoProxy::parse("0.0.0.0/0").is_direct(&Target::parse("8.8.8.8", Some(1)).unwrap()));
    }
}
