//! Registries that the operator's network answers for itself.
//!
//! Some networks have a mirror, and their name servers lead the usual name of a registry to it: no tool is configured,
//! and everything works. The address is one of the network's own, which a sandbox must not reach by any name that
//! somebody made up. So of the names of the default list, which nobody can make up, the first answer is remembered; what
//! they lead to then is pinned to them, and nothing else. An answer that changes later to another private address is
//! refused.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;

use crate::egress::{
    policy::{Address, HostName, default_patterns, is_of_site},
    resolver::{ResolveError, Resolver},
};

/// A resolver that pins the names of the default list to what they first lead to.
#[derive(Debug)]
pub struct SplitHorizon {
    resolver: Arc<dyn Resolver>,
    /// The names, with what they first led to: nothing where that is not of the site alone. `None`: nobody asked yet.
    names: Mutex<HashMap<HostName, Option<BTreeSet<IpAddr>>>>,
}

impl SplitHorizon {
    /// Pins what `resolver` answers.
    #[must_use]
    pub fn over(resolver: Arc<dyn Resolver>) -> Self {
        let patterns = default_patterns();
        let names =
            patterns.iter().filter_map(|pattern| Some((pattern.exact_name()?.clone(), None)));
        Self { resolver, names: Mutex::new(names.collect()) }
    }

    fn pin(&self, name: &HostName, addresses: &mut [Address]) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pinned) = names.get_mut(name) else { return };
        let pinned = pinned.get_or_insert_with(|| first(addresses));
        for address in addresses {
            address.is_pinned = pinned.contains(&address.ip.to_canonical());
        }
    }
}

fn first(addresses: &[Address]) -> BTreeSet<IpAddr> {
    if addresses.iter().copied().all(is_of_site) {
        addresses.iter().map(|address| address.ip.to_canonical()).collect()
    } else {
        BTreeSet::new()
    }
}

#[async_trait]
impl Resolver for SplitHorizon {
    async fn resolve(&self, name: &HostName) -> Result<Vec<Address>, ResolveError> {
        let mut addresses = self.resolver.resolve(name).await?;
        self.pin(name, &mut addresses);
        Ok(addresses)
    }

    fn is_this_host(&self, ip: IpAddr) -> bool {
        self.resolver.is_this_host(ip)
    }
}
