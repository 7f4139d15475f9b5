//! Whom a sandbox may reach.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where the way out listens on the loopback inside: what `HTTP_PROXY` and its like name.
pub const EGRESS_PORT: u16 = 3128;

/// Where SOCKS is spoken on the loopback inside.
pub const SOCKS_PORT: u16 = 1080;

/// Where names are answered on the loopback inside: what `/etc/resolv.conf` there means.
pub const NAME_PORT: u16 = 53;

/// What happens to a host that no rule names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum NetworkMode {
    /// Nothing is reached at all.
    None,
    /// It is refused; package registries and git hosts are named by default.
    #[default]
    AllowList,
    /// It is reached, unless its address is private.
    Open,
}

/// Whom a sandbox may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct NetworkSpec {
    /// What happens to a host that no rule names.
    pub mode: NetworkMode,
    /// Hosts that may be reached beside those of the server's list: `example.org`, `*.example.org`, `example.org:8443`.
    pub allow: Vec<String>,
    /// Hosts that are refused whatever else is said, at every port where none is named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
}

impl NetworkSpec {
    /// LIMIT: rules of one sandbox, of each kind.
    pub const ALLOW_MAX: usize = 256;
}

/// How the network of a sandbox is to be changed: what is replaced first, then what is taken out and added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct NetworkChange {
    /// What happens to a host that no rule names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<NetworkMode>,
    /// In place of all rules that allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
    /// In place of all rules that deny.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<String>>,
    /// Rules that are to be there no more, of either kind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// Rules that are to be denied, and allowed no more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_deny: Vec<String>,
    /// Rules that are to be allowed, and denied no more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_allow: Vec<String>,
}

impl NetworkChange {
    /// The change that allows `rule`.
    #[must_use]
    pub fn allowing(rule: impl Into<String>) -> Self {
        Self { add_allow: vec![rule.into()], ..Self::default() }
    }

    /// Returns `spec` as it is to be. The same change a second time changes nothing.
    #[must_use]
    pub fn applied_to(self, spec: &NetworkSpec) -> NetworkSpec {
        let Self { mode, allow, deny, remove, add_deny, add_allow } = self;
        let mut new = NetworkSpec {
            mode: mode.unwrap_or(spec.mode),
            allow: allow.unwrap_or_else(|| spec.allow.clone()),
            deny: deny.unwrap_or_else(|| spec.deny.clone()),
        };
        for rule in &remove {
            take_out(&mut new.allow, rule);
            take_out(&mut new.deny, rule);
        }
        for rule in add_deny {
            take_out(&mut new.allow, &rule);
            put_in(&mut new.deny, rule);
        }
        for rule in add_allow {
            take_out(&mut new.deny, &rule);
            put_in(&mut new.allow, rule);
        }
        new
    }
}

fn take_out(rules: &mut Vec<String>, rule: &str) {
    rules.retain(|other| !other.eq_ignore_ascii_case(rule));
}

fn put_in(rules: &mut Vec<String>, rule: String) {
    if !rules.iter().any(|other| other.eq_ignore_ascii_case(&rule)) {
        rules.push(rule);
    }
}

/// What became of one request of a sandbox for a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum NetworkEntryKind {
    /// It was refused. The same refusal is told once a minute.
    Denied,
    /// A connection was made, and is over.
    Closed,
}

/// A line of the log of a sandbox's network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NetworkEntry {
    /// Counts the lines of this sandbox.
    pub id: u64,
    /// When it was refused, or over.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// What became of it.
    pub what: NetworkEntryKind,
    /// The name or address that was asked for.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Why it was refused, as a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The rule that allowed it; `open` where the mode did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Bytes that the sandbox sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_bytes: Option<u64>,
    /// Bytes that the sandbox received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_bytes: Option<u64>,
    /// How long the connection lasted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How it ended, as a code: `done`, `failed`, `idle`, `revoked`, `refused`, `cancelled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
}

/// Why a sandbox may or may not reach a host now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NetworkWhy {
    /// The host as it is decided about, and the port.
    pub target: String,
    /// Whether it is reached.
    pub allowed: bool,
    /// The rule that allows it; `open` where the mode does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Why it is refused, as a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why, for people.
    pub message: String,
    /// How to allow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What it resolves to on the server. A host that is refused by its name is not looked up.
    pub addresses: Vec<NetworkWhyAddress>,
}

/// An address that a host has, and what is decided about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NetworkWhyAddress {
    /// The address.
    pub address: String,
    /// What kind of one it is, for people.
    pub kind: String,
    /// Whether it may be connected to.
    pub allowed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_a_second_time_changes_nothing_and_a_rule_is_on_one_side() {
        let spec = NetworkSpec { deny: vec!["A.example".to_owned()], ..NetworkSpec::default() };
        let allowed = NetworkChange::allowing("a.example").applied_to(&spec);
        assert_eq!(
            (&allowed.allow[..], &allowed.deny[..]),
            (&["a.example".to_owned()][..], &[][..])
        );
        assert_eq!(NetworkChange::allowing("a.EXAMPLE").applied_to(&allowed), allowed);
        let remove =
            NetworkChange { remove: vec!["a.example".to_owned()], ..NetworkChange::default() };
        assert_eq!(remove.applied_to(&allowed), NetworkSpec::default());
        assert_eq!(NetworkChange::default().applied_to(&spec), spec);
    }
}
