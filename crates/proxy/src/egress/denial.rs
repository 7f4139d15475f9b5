//! A refusal by policy, and what the one who is refused is told.

use std::{fmt, net::IpAddr};

use super::policy::{AddressKind, Host, Target};

/// The header that carries [`Reason::code`].
pub(super) const DENIED_HEADER: &str = "X-Sandbar-Denied";

/// A target that the policy refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// What was asked for.
    pub target: Target,
    /// Why not.
    pub reason: Reason,
}

/// Why a target is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The sandbox has no network at all.
    NetworkNone,
    /// The host is not on the list.
    HostNotAllowed,
    /// The host is on the list, with other ports.
    PortNotAllowed,
    /// An address in place of a name, and not on the list as such.
    AddressLiteral,
    /// Every address that the host has is refused; this is the first.
    SpecialAddress {
        /// The address.
        address: IpAddr,
        /// What it is.
        kind: AddressKind,
    },
    /// A rule denies it.
    DeniedByRule,
    /// A name of local networks only, which a proxy of the operator would look up where we cannot see it.
    LocalName,
    /// What is in the tunnel is TLS to another name.
    OtherName,
    /// What is in the tunnel is TLS without a name.
    NoName,
    /// What is in the tunnel is not TLS.
    NotTls,
}

impl Reason {
    /// The code, as header and events have it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NetworkNone => "network_none",
            Self::HostNotAllowed => "host_not_allowed",
            Self::PortNotAllowed => "port_not_allowed",
            Self::AddressLiteral => "address_literal",
            Self::SpecialAddress { .. } => "special_address",
            Self::DeniedByRule => "denied_by_rule",
            Self::LocalName => "local_name",
            Self::OtherName => "tls_other_name",
            Self::NoName => "tls_no_name",
            Self::NotTls => "not_tls",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NetworkNone => f.write_str("this sandbox has no network"),
            Self::HostNotAllowed => f.write_str("the host is not on the list of allowed hosts"),
            Self::PortNotAllowed => f.write_str("the host is allowed, but not this port"),
            Self::AddressLiteral => f.write_str(
                "an address in place of a host name is allowed only where it is on the list",
            ),
            Self::SpecialAddress { address, kind } => {
                write!(f, "the host is at {address}, {}", kind.describe())
            }
            Self::DeniedByRule => f.write_str("a rule of this sandbox denies the host"),
            Self::LocalName => f.write_str("names of local networks are refused unless named"),
            Self::OtherName => f.write_str("the TLS in the tunnel is to another host"),
            Self::NoName => f.write_str("the TLS in the tunnel does not say to which host"),
            Self::NotTls => f.write_str("what is in the tunnel is not TLS"),
        }
    }
}

impl Denial {
    /// Returns how to have it allowed in `sandbox`, in one sentence; `None` where nothing allows it.
    #[must_use]
    pub fn hint(&self, sandbox: &str) -> Option<String> {
        let Target { host, port } = &self.target;
        let named = if super::policy::WEB_PORTS.contains(port) && matches!(host, Host::Name(_)) {
            host.to_string()
        } else {
            self.target.to_string()
        };
        match self.reason {
            Reason::NetworkNone => Some(format!("`sandbar net mode {sandbox} allow-list`")),
            Reason::DeniedByRule => Some(format!(
                "take away the rule that denies it, which `sandbar net show {sandbox}` shows: `sandbar net forget {sandbox} RULE`"
            )),
            Reason::HostNotAllowed | Reason::PortNotAllowed | Reason::AddressLiteral => {
                Some(format!("`sandbar net allow {sandbox} {named}`"))
            }
            Reason::OtherName | Reason::NoName | Reason::NotTls => {
                Some(format!("`sandbar net allow {sandbox} opaque:{}`", self.target))
            }
            Reason::SpecialAddress {
                kind: AddressKind::Multicast | AddressKind::Reserved, ..
            } => None,
            Reason::SpecialAddress {
                kind: AddressKind::LinkLocal | AddressKind::Metadata,
                address,
            } => {
                let literal = Target { host: Host::Address(address), port: *port };
                Some(format!(
                    "nothing but its address in `network.allow_private` of the server's configuration allows it: `{literal}`"
                ))
            }
            Reason::SpecialAddress { .. } | Reason::LocalName => Some(format!(
                "add `{}` to `network.allow_private` of the server's configuration, if it is a service of your own",
                self.target
            )),
        }
    }

    /// Returns the text that the refused program in `sandbox` gets.
    #[must_use]
    pub fn body(&self, sandbox: &str) -> String {
        let how = self.hint(sandbox).map_or_else(
            || "Nothing allows it.".to_owned(),
            |hint| format!("To allow it, ask the person whose sandbox this is: {hint}."),
        );
        format!(
            "sandbar: the connection to {} was refused.\nWhy: {}.\n{how}\n",
            self.target, self.reason
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(target: &str, reason: Reason) -> String {
        Denial { target: Target::parse(target, None).unwrap(), reason }.body("shop")
    }

    #[test]
    fn a_refusal_says_what_why_and_how() {
        assert_eq!(
            body("evil.example:443", Reason::HostNotAllowed),
            "sandbar: the connection to evil.example:443 was refused.\n\
             Why: the host is not on the list of allowed hosts.\n\
             To allow it, ask the person whose sandbox this is: `sandbar net allow shop evil.example`.\n"
        );
        assert!(
            body("db.example:5432", Reason::PortNotAllowed)
                .contains("net allow shop db.example:5432")
        );
        let address = "10.0.0.5".parse().unwrap();
        let private =
            body("db.example:443", Reason::SpecialAddress { address, kind: AddressKind::Private });
        assert!(private.contains("at 10.0.0.5, a private address"), "{private}");
        assert!(private.contains("`db.example:443` to `network.allow_private`"), "{private}");
        let address = "224.0.0.1".parse().unwrap();
        let never =
            body("tv.example:80", Reason::SpecialAddress { address, kind: AddressKind::Multicast });
        assert!(never.ends_with("Nothing allows it.\n"), "{never}");
    }
}
