//! `[network]`: whom every sandbox may reach, before what its own specification adds.

use std::{fmt, str::FromStr};

use sandbar_proxy::egress::{HostPattern, InvalidTarget, Policy, Target};
use serde::{Deserialize, Serialize};

use super::value::Text;

/// What the operator says about the network of sandboxes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Network {
    /// Whether the list of public registries and git hosts is allowed.
    pub(crate) defaults: bool,
    /// Allowed hosts.
    allow: Vec<Text<HostPattern>>,
    /// Allowed hosts that may be private: each with its port.
    allow_private: Vec<Text<WithPort>>,
}

/// A host with its port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct WithPort(Target);

impl FromStr for WithPort {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        Target::parse(text, None).map(Self)
    }
}

impl fmt::Display for WithPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Default for Network {
    fn default() -> Self {
        Self { defaults: true, allow: Vec::new(), allow_private: Vec::new() }
    }
}

impl Network {
    /// The policy that every sandbox's begins with.
    pub(crate) fn policy(&self) -> Policy {
        let policy = if self.defaults { Policy::with_defaults() } else { Policy::default() };
        let policy = self.allow.iter().map(|rule| rule.0.clone()).fold(policy, Policy::allow);
        self.allow_private.iter().map(|named| named.0.0.clone()).fold(policy, |policy, target| {
            policy.allow(HostPattern::exact(target.clone())).allow_private(target)
        })
    }
}
