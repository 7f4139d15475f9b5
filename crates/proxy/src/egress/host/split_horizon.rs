//! Registries that the operator's network answers for itself.
//!
//! Some networks have a mirror, and their name servers lead the usual name of a registry to it: no tool is configured,
//! and everything works. The address is one of the network's own, which a sandbox must not reach by any name that
//! somebody made up. So the names of the default list, which nobody can make up, are looked up once; what they lead to
//! then is pinned to them, and nothing else. An answer that changes later to another private address is refused.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

use crate::egress::{
    policy::{Address, HostName, HostPattern, default_patterns, is_pinnable},
    resolver::Resolver,
};

/// How long the answers are waited for, all of them together. One that is lost costs the C library 5 s.
const LOOKUPS_WITHIN: Duration = Duration::from_secs(30);

/// LIMIT: lookups at once. Name servers of small networks drop what comes in a flood.
const LOOKUPS_MAX: usize = 4;

/// Looks up the names of the default list, and returns those that lead to nothing but addresses of the site.
///
/// To be asked once when the server starts, beside what else it does, and given to [`crate::egress::Policy::pin`].
pub async fn split_horizon(resolver: Arc<dyn Resolver>) -> Vec<(HostPattern, Vec<IpAddr>)> {
    let mut lookups = JoinSet::new();
    let places = Arc::new(Semaphore::new(LOOKUPS_MAX));
    for pattern in default_patterns() {
        if let Some(name) = pattern.exact_name().cloned() {
            let (resolver, places) = (Arc::clone(&resolver), Arc::clone(&places));
            lookups.spawn(async move {
                let _place = places.acquire().await.ok()?;
                Some((pattern, pinned(&*resolver, &name).await?))
            });
        }
    }
    let mut found = Vec::new();
    let all = async {
        while let Some(answer) = lookups.join_next().await {
            found.extend(answer.ok().flatten());
        }
    };
    if timeout(LOOKUPS_WITHIN, all).await.is_err() {
        tracing::warn!(
            "names of the default list were not answered for in time; mirrors of this network may be missed"
        );
    }
    found.sort();
    found
}

async fn pinned(resolver: &dyn Resolver, name: &HostName) -> Option<Vec<IpAddr>> {
    let addresses = match resolver.resolve(name).await {
        Ok(addresses) => addresses,
        // An answer that was lost looks like one that says no.
        Err(_) => resolver.resolve(name).await.ok()?,
    };
    let is_of_site = |address: &Address| is_pinnable(*address);
    addresses.iter().all(is_of_site).then(|| addresses.iter().map(|address| address.ip).collect())
}
