//! Who may be reached: a pure decision over a name and what it resolved to.
//!
//! A rule is about hosts and ports, and says how far it reaches: to public addresses, to those alone that the operator's
//! network answered with at the start, or to private ones. A mode says what happens to what no rule is about.

mod address;
mod defaults;
mod pattern;

use std::{collections::BTreeSet, net::IpAddr};

pub use sandbar_types::{Host, HostName, InvalidTarget, Target};

use self::pattern::Match;
pub use self::{
    address::AddressKind,
    pattern::{HostPattern, InvalidPattern},
};
pub(super) use self::{defaults::default_patterns, pattern::WEB_PORTS};
use super::denial::{Denial, Reason};

/// Where TLS is what is spoken.
const TLS_PORT: u16 = 443;

/// What happens to what no rule is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is reached, whatever the rules say.
    None,
    /// It is refused.
    #[default]
    AllowList,
    /// It is allowed, as far as its address is public.
    Open,
}

/// Whom one sandbox may reach. A value: who changes it makes another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    mode: Mode,
    rules: Vec<Rule>,
    denied: Vec<HostPattern>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    pattern: HostPattern,
    reach: Reach,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reach {
    Public,
    Private,
}

/// An address that a name resolved to, with what the host knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Whether it is one of the host's own. A public address can be: that of the host's interface.
    pub is_this_host: bool,
    /// Whether it is where the operator's network has the service of that name: see [`super::SplitHorizon`].
    pub is_pinned: bool,
}

/// What was decided about a target and its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may be connected to.
    Allowed(Allowed),
    /// It may not.
    Denied(Denial),
}

/// Where to connect to, and by what rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The pattern that allows it; `open` where the mode does.
    pub rule: String,
    /// The addresses, in the order of the answer. Nothing else may be connected to.
    pub addresses: Vec<IpAddr>,
}

impl Policy {
    /// A policy without rules.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self { mode, ..Self::default() }
    }

    /// The allow-list of public package registries and git hosts.
    #[must_use]
    pub fn with_defaults() -> Self {
        default_patterns().into_iter().fold(Self::new(Mode::AllowList), Self::allow)
    }

    /// The same rules, with another answer for what none is about.
    #[must_use]
    pub fn with_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// Lets `pattern` be reached at public addresses.
    #[must_use]
    pub fn allow(self, pattern: HostPattern) -> Self {
        self.with(pattern, Reach::Public)
    }

    /// Refuses `pattern` whatever other rules say: at every port where it names none.
    #[must_use]
    pub fn deny(mut self, pattern: HostPattern) -> Self {
        self.denied.push(pattern);
        self
    }

    /// Lets exactly this host and port be reached at a private address, too: a service of the operator's own.
    ///
    /// A name never reaches an address that is a link's, a cloud's metadata, or nobody's; an address that is named
    /// itself reaches all but the last.
    #[must_use]
    pub fn allow_private(self, named: Target) -> Self {
        self.with(HostPattern::exact(named), Reach::Private)
    }

    fn with(mut self, pattern: HostPattern, reach: Reach) -> Self {
        self.rules.push(Rule { pattern, reach });
        self
    }

    /// Decides about the name alone; what it refuses must not be resolved.
    ///
    /// # Errors
    /// The policy refuses it, whatever its addresses are.
    pub fn admit(&self, target: &Target) -> Result<(), Denial> {
        self.admitting(target).map(|_| ())
    }

    fn admitting(&self, target: &Target) -> Result<Vec<&Rule>, Denial> {
        let denied = |reason| Err(Denial { target: target.clone(), reason });
        let rules_of =
            |wanted| self.rules.iter().filter(move |rule| rule.pattern.matches(target) == wanted);
        let rules: Vec<&Rule> = rules_of(Match::Whole).collect();
        match self.mode {
            Mode::None => denied(Reason::NetworkNone),
            Mode::AllowList | Mode::Open if self.denied.iter().any(|rule| rule.covers(target)) => {
                denied(Reason::DeniedByRule)
            }
            Mode::AllowList if rules.is_empty() => denied(match &target.host {
                _ if rules_of(Match::HostOnly).next().is_some() => Reason::PortNotAllowed,
                Host::Name(_) => Reason::HostNotAllowed,
                Host::Address(address) => {
                    let kind = AddressKind::of(*address);
                    // Where a rule for public addresses would not help, nobody should be sent to make one.
                    if kind == AddressKind::Public {
                        Reason::AddressLiteral
                    } else {
                        Reason::SpecialAddress { address: *address, kind }
                    }
                }
            }),
            Mode::AllowList | Mode::Open => Ok(rules),
        }
    }

    /// Whether a tunnel to `target` must be TLS that names it.
    ///
    /// Only where that is what the web does, and where a list says whom one may talk to at all.
    pub(super) fn requires_name(&self, target: &Target) -> bool {
        let is_opaque =
            |rule: &Rule| rule.pattern.is_opaque() && rule.pattern.matches(target) == Match::Whole;
        match self.mode {
            Mode::None | Mode::AllowList => {
                target.port == TLS_PORT && !self.rules.iter().any(is_opaque)
            }
            Mode::Open => false,
        }
    }

    /// Returns the ports at which `name` may be reached, so far as rules name them: none where it is refused.
    pub(super) fn ports_of(&self, name: &HostName) -> BTreeSet<u16> {
        let host = Host::Name(name.clone());
        let of_rules = self
            .rules
            .iter()
            .filter(|rule| rule.pattern.matches_host(&host))
            .flat_map(|rule| rule.pattern.ports());
        let mut ports: BTreeSet<u16> = match self.mode {
            Mode::None => BTreeSet::new(),
            Mode::AllowList => of_rules.collect(),
            Mode::Open => of_rules.chain(WEB_PORTS).collect(),
        };
        ports.retain(|port| {
            let target = Target { host: host.clone(), port: *port };
            !self.denied.iter().any(|rule| rule.covers(&target))
        });
        ports
    }

    /// Decides about a target that the operator's proxy will look up, because nobody here can.
    ///
    /// # Errors
    /// The policy refuses the name, or it is one of local networks and nobody named it.
    pub(super) fn admit_unseen(&self, target: &Target) -> Result<String, Denial> {
        let rules = self.admitting(target)?;
        let is_named = rules.iter().any(|rule| rule.reach == Reach::Private);
        match &target.host {
            Host::Name(name) if is_local(name) && !is_named => {
                Err(Denial { target: target.clone(), reason: Reason::LocalName })
            }
            Host::Name(_) | Host::Address(_) => Ok(name_of(&rules)),
        }
    }
}

/// Decides about `target`, which has `addresses`: only those that are allowed are used, and none at all is a refusal.
#[must_use]
pub fn decide(policy: &Policy, target: &Target, addresses: &[Address]) -> Verdict {
    let rules = match policy.admitting(target) {
        Ok(rules) => rules,
        Err(denial) => return Verdict::Denied(denial),
    };
    let allowed: Vec<IpAddr> = addresses
        .iter()
        .filter(|address| is_permitted(**address, &target.host, &rules))
        .map(|address| address.ip.to_canonical())
        .collect();
    if allowed.is_empty() {
        // A name without an address is refused like one at an address that nobody has.
        let (address, kind) =
            addresses.first().map_or((IpAddr::from([0; 4]), AddressKind::Reserved), |first| {
                (first.ip, kind_of(*first))
            });
        let reason = Reason::SpecialAddress { address, kind };
        return Verdict::Denied(Denial { target: target.clone(), reason });
    }
    Verdict::Allowed(Allowed { rule: name_of(&rules), addresses: allowed })
}

fn name_of(rules: &[&Rule]) -> String {
    rules.first().map_or_else(|| "open".to_owned(), |rule| rule.pattern.to_string())
}

/// Returns the kind of an address, with what the host knows of it.
#[must_use]
pub fn address_kind(address: Address) -> AddressKind {
    kind_of(address)
}

fn kind_of(address: Address) -> AddressKind {
    let kind = AddressKind::of(address.ip);
    let is_own = kind == AddressKind::Public && address.is_this_host;
    if is_own { AddressKind::ThisHost } else { kind }
}

fn is_permitted(address: Address, host: &Host, rules: &[&Rule]) -> bool {
    let kind = kind_of(address);
    let by_rule = |rule: &&Rule| match &rule.reach {
        Reach::Public => false,
        Reach::Private => match kind {
            AddressKind::Public
            | AddressKind::ThisHost
            | AddressKind::Loopback
            | AddressKind::Private
            | AddressKind::Shared
            | AddressKind::Documentation
            | AddressKind::Benchmark => true,
            // Whoever controls a name can point it there; an address means what it says.
            AddressKind::LinkLocal | AddressKind::Metadata => matches!(host, Host::Address(_)),
            AddressKind::Multicast | AddressKind::Reserved => false,
        },
    };
    let by_pin = address.is_pinned && is_of_site(address);
    kind == AddressKind::Public || by_pin || rules.iter().any(by_rule)
}

/// Whether an answer of the operator's resolver may be taken as where its network has a public service.
pub(super) fn is_of_site(address: Address) -> bool {
    !address.is_this_host && AddressKind::of(address.ip).is_of_a_site()
}

/// Names that are looked up in no public directory (RFC 6761, 6762, 8375, 9476), or hold no dot.
fn is_local(name: &HostName) -> bool {
    const DOMAINS: [&str; 12] = [
        "alt",
        "corp",
        "home",
        "home.arpa",
        "internal",
        "intranet",
        "invalid",
        "lan",
        "local",
        "localdomain",
        "localhost",
        "private",
    ];
    let name = name.as_str();
    let is_below = |domain: &str| {
        name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    !name.contains('.') || DOMAINS.into_iter().any(is_below)
}

#[cfg(test)]
mod oracle_tests;
#[cfg(test)]
mod tests;
