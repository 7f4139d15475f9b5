//! Which hosts and ports a rule is about, and whether it looks at what is in a tunnel.

use std::{fmt, str::FromStr};

use sandbar_types::{Host, HostName, InvalidTarget, Target};

/// The ports of a pattern that names none.
pub(in crate::egress) const WEB_PORTS: [u16; 2] = [443, 80];

/// A host, `*.` and a domain, or an address, with a port or the two of the web.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPattern {
    hosts: Hosts,
    port: Option<u16>,
    /// Whether what is in a tunnel need not be TLS to that very name.
    is_opaque: bool,
}

/// Begins a pattern whose tunnels are not looked at.
const OPAQUE: &str = "opaque:";

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Hosts {
    One(Host),
    /// Every name below it, at any depth, and not itself.
    Below(HostName),
}

/// A text that is not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// What is not the wildcard is not a host with an optional port.
    #[error("not a host, `*.` and a domain, or an address, with or without `:port`")]
    Target(#[source] InvalidTarget),
    /// `*.com` is everybody's.
    #[error("a wildcard needs a domain of two labels or more")]
    TooWide,
    /// A scheme or a path.
    #[error(
        "a pattern is a host, not an address of the web: leave out what is before and after the host"
    )]
    Url,
}

/// How a target stands to a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    Whole,
    /// The host is meant, the port is not.
    HostOnly,
    None,
}

impl HostPattern {
    /// A pattern for exactly this host and port.
    #[must_use]
    pub fn exact(target: Target) -> Self {
        Self { hosts: Hosts::One(target.host), port: Some(target.port), is_opaque: false }
    }

    /// Returns whether tunnels that it allows are passed on whatever is in them.
    pub(super) fn is_opaque(&self) -> bool {
        self.is_opaque
    }

    /// Returns the ports that it is about.
    pub(super) fn ports(&self) -> Vec<u16> {
        self.port.map_or_else(|| WEB_PORTS.to_vec(), |port| vec![port])
    }

    pub(super) fn matches_host(&self, asked: &Host) -> bool {
        match (&self.hosts, asked) {
            (Hosts::One(host), asked) => host == asked,
            // Whole labels: `evil-example.org` does not end in `.example.org`.
            (Hosts::Below(domain), Host::Name(name)) => {
                name.as_str().strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
            (Hosts::Below(_), Host::Address(_)) => false,
        }
    }

    /// Returns the name that this pattern is about, unless it is about several hosts or an address.
    pub(in crate::egress) fn exact_name(&self) -> Option<&HostName> {
        match &self.hosts {
            Hosts::One(Host::Name(name)) => Some(name),
            Hosts::One(Host::Address(_)) | Hosts::Below(_) => None,
        }
    }

    /// Whether it is about `target` as a refusal: one that names no port means them all.
    pub(super) fn covers(&self, target: &Target) -> bool {
        self.matches_host(&target.host) && self.port.is_none_or(|port| port == target.port)
    }

    pub(super) fn matches(&self, target: &Target) -> Match {
        let is_host = self.matches_host(&target.host);
        let is_port =
            self.port.map_or(WEB_PORTS.contains(&target.port), |port| port == target.port);
        match (is_host, is_port) {
            (true, true) => Match::Whole,
            (true, false) => Match::HostOnly,
            (false, _) => Match::None,
        }
    }
}

impl FromStr for HostPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('/') {
            return Err(InvalidPattern::Url);
        }
        let (is_opaque, text) =
            text.strip_prefix(OPAQUE).map_or((false, text), |rest| (true, rest));
        let (host, port) = Target::split(text).map_err(InvalidPattern::Target)?;
        let hosts = match host.strip_prefix("*.") {
            Some(domain) => {
                let domain: HostName = domain.parse().map_err(InvalidPattern::Target)?;
                if !domain.as_str().contains('.') {
                    return Err(InvalidPattern::TooWide);
                }
                Hosts::Below(domain)
            }
            None => Hosts::One(host.parse().map_err(InvalidPattern::Target)?),
        };
        Ok(Self { hosts, port, is_opaque })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_opaque {
            f.write_str(OPAQUE)?;
        }
        match &self.hosts {
            Hosts::One(host) => host.fmt(f)?,
            Hosts::Below(domain) => write!(f, "*.{}", domain.as_str())?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, target: &str) -> Match {
        let pattern: HostPattern = pattern.parse().unwrap();
        pattern.matches(&Target::parse(target, Some(443)).unwrap())
    }

    #[test]
    fn a_pattern_means_whole_labels_and_its_ports() {
        assert_eq!(matches("ok.example", "OK.example."), Match::Whole);
        assert_eq!(matches("ok.example", "ok.example:80"), Match::Whole);
        assert_eq!(matches("ok.example", "ok.example:22"), Match::HostOnly);
        assert_eq!(matches("ok.example:8443", "ok.example:8443"), Match::Whole);
        assert_eq!(matches("ok.example:8443", "ok.example"), Match::HostOnly);
        for other in ["ok.example.evil.example", "evilok.example", "a.ok.example", "example"] {
            assert_eq!(matches("ok.example", other), Match::None, "{other}");
        }
        assert_eq!(matches("*.ok.example", "a.ok.example"), Match::Whole);
        assert_eq!(matches("*.ok.example", "a.b.ok.example"), Match::Whole);
        for other in ["ok.example", "evilok.example", "a.ok.example.evil.example"] {
            assert_eq!(matches("*.ok.example", other), Match::None, "{other}");
        }
        assert_eq!(matches("10.0.0.5:8080", "10.0.0.5:8080"), Match::Whole);
        assert_eq!(matches("10.0.0.5:8080", "[::ffff:10.0.0.5]:8080"), Match::Whole);
    }

    #[test]
    fn what_is_too_wide_or_no_host_is_not_a_pattern() {
        for text in [
            "*",
            "*.",
            "*.com",
            "**.a.example",
            "a.*.example",
            "https://ok.example",
            "ok.example/x",
            "",
            ":80",
            "a*b.example",
            "opaque:",
            "opaque:443",
            "opaque:opaque:a.example",
        ] {
            assert!(text.parse::<HostPattern>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_survives_its_text(
            wildcard: bool,
            opaque: bool,
            name in "[a-z]{1,8}\\.[a-z]{2,4}",
            port in proptest::option::of(1_u16..),
        ) {
            let mut text = if wildcard { format!("*.{name}") } else { name };
            if let Some(port) = port {
                text = format!("{text}:{port}");
            }
            if opaque {
                text = format!("opaque:{text}");
            }
            let pattern: HostPattern = text.parse().unwrap();
            prop_assert_eq!(pattern.is_opaque(), opaque);
            prop_assert_eq!(pattern.to_string(), text);
        }

        #[test]
        fn whatever_is_asked_an_exact_pattern_means_one_host(text in "[a-zA-Z.\\-:0-9@%]{0,30}") {
            let pattern: HostPattern = "ok.example".parse().unwrap();
            if let Ok(target) = Target::parse(&text, Some(443))
                && pattern.matches(&target) == Match::Whole
            {
                prop_assert_eq!(target.host.to_string(), "ok.example");
            }
        }
    }
}
