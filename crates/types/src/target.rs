//! Where a request wants to go, and whom a rule is about: a host and a port, parsed once and strictly.
//!
//! Who decides and who resolves see the same value. A text that two parsers could read as two hosts (a NUL, `%`, `@`, an
//! address in octal) is not read at all.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A host name: labels of letters, digits and hyphens, in lower case, without the dot of the root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

/// A text that is not a host, or not one that can be told from every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// Not letters, digits and hyphens between dots, or too long. Names in other scripts are written as `xn--…`.
    #[error("not a host name: labels of letters, digits and hyphens, at most 253 bytes")]
    Name,
    /// Ends in a number, which makes it an address, and is not one in the usual notation.
    #[error("not an address: four decimal numbers without leading zeros, or IPv6 in brackets")]
    Address,
    /// Not a number from 1 to 65535, or none where there is no usual one.
    #[error("not a port: a number from 1 to 65535")]
    Port,
    /// A user name or password before the host.
    #[error("a user name before a host is not taken")]
    User,
}

impl HostName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.strip_suffix('.').unwrap_or(text);
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(InvalidTarget::Name);
        }
        if ends_in_number(name) {
            return Err(InvalidTarget::Address);
        }
        Ok(Self(name.to_ascii_lowercase()))
    }
}

/// What resolvers take as an address in one of the notations of `inet_aton`: `2130706433`, `127.1`, `0x7f.1`.
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let is_hex = hex.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    is_hex || last.bytes().all(|b| b.is_ascii_digit())
}

/// A name to be resolved, or an address as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name.
    Name(HostName),
    /// An address; one of version 6 that holds one of version 4 is that one.
    Address(IpAddr),
}

impl FromStr for Host {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let v6: Ipv6Addr = inner.parse().map_err(|_| InvalidTarget::Address)?;
            return Ok(Self::Address(IpAddr::V6(v6).to_canonical()));
        }
        match text.parse::<Ipv4Addr>() {
            Ok(v4) => Ok(Self::Address(IpAddr::V4(v4))),
            Err(_) => text.parse().map(Self::Name),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(&name.0),
            Self::Address(IpAddr::V4(v4)) => v4.fmt(f),
            Self::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
        }
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// The port, from 1.
    pub port: u16,
}

impl Target {
    /// Parses `host:port`, or `host` alone where there is a usual port.
    ///
    /// # Errors
    /// It is neither, or holds a user.
    pub fn parse(authority: &str, usual_port: Option<u16>) -> Result<Self, InvalidTarget> {
        if authority.contains('@') {
            return Err(InvalidTarget::User);
        }
        let (host, port) = Self::split(authority)?;
        let port = port.or(usual_port).ok_or(InvalidTarget::Port)?;
        Ok(Self { host: host.parse()?, port })
    }

    /// Splits what follows the last colon outside of brackets, a port, from what is before it.
    ///
    /// # Errors
    /// It is no port.
    pub fn split(authority: &str) -> Result<(&str, Option<u16>), InvalidTarget> {
        match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => Ok((host, Some(parse_port(port)?))),
            Some(_) | None => Ok((authority, None)),
        }
    }

    /// The text of a `Host` header. The usual port is not named: some servers take `host:80` for another host.
    #[must_use]
    pub fn authority(&self, usual_port: u16) -> String {
        if self.port == usual_port { self.host.to_string() } else { self.to_string() }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

fn parse_port(text: &str) -> Result<u16, InvalidTarget> {
    // `u16::from_str` takes a plus sign, which no client sends.
    let is_decimal = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|port| is_decimal && *port != 0).ok_or(InvalidTarget::Port)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(text: &str) -> Result<String, InvalidTarget> {
        Target::parse(text, Some(443)).map(|target| target.to_string())
    }

    #[test]
    fn case_and_the_dot_of_the_root_do_not_matter() {
        assert_eq!(target("OK.example.:8443").unwrap(), "ok.example:8443");
        assert_eq!(target("ok.example").unwrap(), "ok.example:443");
        assert_eq!(target("[::ffff:10.0.0.1]:80").unwrap(), "10.0.0.1:80");
        assert_eq!(target("[2001:DB8::1]").unwrap(), "[2001:db8::1]:443");
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_not_read() {
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "-a.example",
            "a-.example",
            "evil.example\0.ok.example",
            "ok.example%00",
            "ok.example/..",
            "ok.example\\x",
            "ok example",
            "ok.example\t",
            "a_b.example",
            "bücher.example",
            "ok.example:443@evil.example",
            "user:pw@ok.example",
            "ok.example:",
            "ok.example:0",
            "ok.example:65536",
            "ok.example:+80",
            "ok.example:80:80",
            "2130706433",
            "127.1",
            "0x7f.1",
            "0x7f000001",
            "127.0.0.01",
            "0177.0.0.1",
            "127.0.0.256",
            "1.2.3.4.5",
            "127.0.0.1.",
            "example.1",
            "::1",
            "[::1",
            "::1]",
            "[fe80::1%eth0]",
            "[]",
            "[127.0.0.1]",
            "a.0x",
            "*.example",
        ] {
            assert!(target(text).is_err(), "{text:?} became {:?}", target(text));
        }
        assert!(target(&format!("{}.example", "a".repeat(64))).is_err());
        assert!(target(&"a.".repeat(150)).is_err());
        assert!(Target::parse("ok.example", None).is_err());
    }

    proptest! {
        #[test]
        fn what_parses_is_its_own_text(text in "[ -~]{0,24}") {
            if let Ok(target) = Target::parse(&text, Some(80)) {
                prop_assert_eq!(&Target::parse(&target.to_string(), None).unwrap(), &target);
            }
        }

        #[test]
        fn a_name_is_never_what_a_resolver_takes_as_an_address(text in "[0-9a-fx.]{1,20}") {
            if let Ok(Host::Name(name)) = text.parse() {
                let last = name.as_str().rsplit('.').next().unwrap().to_owned();
                prop_assert!(last.bytes().any(|b| b.is_ascii_alphabetic()));
                prop_assert!(!last.starts_with("0x") || last[2..].contains('x'));
            }
        }
    }
}
