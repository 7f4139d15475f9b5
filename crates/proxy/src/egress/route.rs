//! Where a request goes, decided without connecting: who serves one and who wonders about one ask the same.

use std::{io, net::IpAddr, sync::Arc};

use tokio::time::timeout;

use super::{
    denial::Denial,
    host::Upstream,
    log::Way,
    policy::{Address, Host, HostName, Target, Verdict, decide},
    proxy::EgressProxy,
    resolver::ResolveError,
};

/// Where an allowed request goes.
#[derive(Debug)]
pub(super) struct Route<'a> {
    pub(super) rule: String,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) through: Option<&'a Upstream>,
}

/// A decision, with what this host knows of where the target is.
#[derive(Debug)]
struct Survey<'a> {
    seen: Vec<Address>,
    route: Result<Route<'a>, Unrouted>,
}

/// Why a request goes nowhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unrouted {
    #[error("refused by policy")]
    Denied(Denial),
    #[error("{name} cannot be resolved on this host", name = .0.as_str())]
    Unresolved(HostName),
    #[error("the network's proxy cannot be resolved")]
    ProxyUnresolved,
}

/// What would become of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prospect {
    /// The target's addresses, as this host resolves it, each with whether it may be connected to. None where it is not
    /// looked up, or not found.
    pub addresses: Vec<(Address, bool)>,
    /// What would be decided.
    pub outcome: Outcome,
}

/// What would be decided about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It goes out.
    Allowed {
        /// The pattern that allows it; `open` where the mode does.
        rule: String,
        /// Who is connected to.
        hop: Hop,
    },
    /// The policy refuses it.
    Denied(Denial),
    /// It is allowed, and leads nowhere: this host cannot resolve the name.
    Unresolved(HostName),
    /// It is allowed, and the proxy of the operator's network cannot be resolved.
    ProxyUnresolved,
}

/// Who is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// The target.
    Direct,
    /// The proxy of the operator's network.
    Proxy,
    /// The same, which looks up a name that this host cannot resolve.
    ProxyByName,
}

impl EgressProxy {
    /// Says what would become of a request, by the decision that one gets. Nobody is connected to, and a name that is
    /// not allowed is not looked up.
    pub async fn prospect(&self, way: Way, target: &Target) -> Prospect {
        let Survey { seen, route } = self.survey(way, target).await;
        let policy = Arc::clone(&self.policy.borrow());
        let may =
            |address: &Address| matches!(decide(&policy, target, &[*address]), Verdict::Allowed(_));
        let hop = |through: Option<&Upstream>| match through {
            None => Hop::Direct,
            Some(_) if seen.is_empty() => Hop::ProxyByName,
            Some(_) => Hop::Proxy,
        };
        let outcome = match route {
            Ok(Route { rule, through, .. }) => Outcome::Allowed { rule, hop: hop(through) },
            Err(Unrouted::Denied(denial)) => Outcome::Denied(denial),
            Err(Unrouted::Unresolved(name)) => Outcome::Unresolved(name),
            Err(Unrouted::ProxyUnresolved) => Outcome::ProxyUnresolved,
        };
        Prospect { addresses: seen.iter().map(|it| (*it, may(it))).collect(), outcome }
    }

    /// Decides where a request goes.
    pub(super) async fn route(&self, way: Way, target: &Target) -> Result<Route<'_>, Unrouted> {
        self.survey(way, target).await.route
    }

    async fn survey(&self, way: Way, target: &Target) -> Survey<'_> {
        let policy = Arc::clone(&self.policy.borrow());
        // INVARIANT: a name that is not allowed is not looked up; the query itself would carry it out.
        if let Err(denial) = policy.admit(target) {
            return Survey { seen: Vec::new(), route: Err(Unrouted::Denied(denial)) };
        }
        let upstream = match way {
            Way::Tunnel => self.upstreams.https.as_ref(),
            Way::Plain => self.upstreams.http.as_ref(),
        };
        let through = upstream.filter(|_| !self.upstreams.no_proxy.is_direct(target));
        let (seen, decided) = match (self.resolve(&target.host).await, through) {
            (Ok(addresses), _) => match decide(&policy, target, &addresses) {
                Verdict::Allowed(allowed) => (addresses, Ok((allowed.rule, allowed.addresses))),
                Verdict::Denied(denial) => (addresses, Err(Unrouted::Denied(denial))),
            },
            // Behind a proxy, names of the internet often lead nowhere: it looks them up itself.
            (Err(_), Some(_)) => {
                let admitted = policy.admit_unseen(target).map_err(Unrouted::Denied);
                (Vec::new(), admitted.map(|rule| (rule, Vec::new())))
            }
            (Err(ResolveError { name, .. }), None) => (Vec::new(), Err(Unrouted::Unresolved(name))),
        };
        let route = match (decided, through) {
            (Err(unrouted), _) => Err(unrouted),
            (Ok((rule, addresses)), None) => Ok(Route { rule, addresses, through: None }),
            (Ok((rule, _)), Some(upstream)) => self.by_proxy(rule, upstream).await,
        };
        Survey { seen, route }
    }

    /// The operator configured it; wherever it is, it is meant. Its name is nothing for the sandbox to know.
    async fn by_proxy<'a>(
        &self,
        rule: String,
        upstream: &'a Upstream,
    ) -> Result<Route<'a>, Unrouted> {
        let found = self.resolve(&upstream.target().host).await;
        let found = found.map_err(|_| Unrouted::ProxyUnresolved)?;
        let addresses = found.iter().map(|address| address.ip).collect();
        Ok(Route { rule, addresses, through: Some(upstream) })
    }

    async fn resolve(&self, host: &Host) -> Result<Vec<Address>, ResolveError> {
        let name = match host {
            Host::Address(ip) => {
                return Ok(vec![Address {
                    ip: *ip,
                    is_this_host: self.resolver.is_this_host(*ip),
                    is_pinned: false,
                }]);
            }
            Host::Name(name) => name,
        };
        let looked_up = timeout(self.limits.connect_timeout, async {
            let _place = self.lookups.acquire().await.expect("it is never closed");
            self.resolver.resolve(name).await
        });
        looked_up.await.unwrap_or_else(|_| {
            Err(ResolveError { name: name.clone(), source: io::ErrorKind::TimedOut.into() })
        })
    }
}
