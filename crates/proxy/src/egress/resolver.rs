//! From a name to addresses, with what the host knows of each.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs, UdpSocket},
    sync::Arc,
};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::policy::{Address, HostName};

/// LIMIT: lookups at once, of all sandboxes. The C library waits in a thread for each, and those are shared.
const LOOKUPS_MAX: usize = 64;

/// LIMIT: more answers than that are not looked at.
const ADDRESSES_MAX: usize = 32;

/// A name did not resolve.
#[derive(Debug, thiserror::Error)]
#[error("{name} cannot be resolved", name = .name.as_str())]
pub struct ResolveError {
    /// The name.
    pub name: HostName,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

/// Who answers for names.
#[async_trait]
pub trait Resolver: Send + Sync + fmt::Debug {
    /// Returns every address of `name`, in the order in which to try them; never none.
    ///
    /// # Errors
    /// It has none, or nobody answers.
    async fn resolve(&self, name: &HostName) -> Result<Vec<Address>, ResolveError>;

    /// Returns whether `ip` is one of the host's own addresses.
    fn is_this_host(&self, ip: IpAddr) -> bool {
        is_own(ip)
    }
}

/// The host's own resolver, with its `/etc/hosts` and its name servers.
#[derive(Debug, Clone)]
pub struct SystemResolver {
    lookups: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }
}

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &HostName) -> Result<Vec<Address>, ResolveError> {
        let failed = |source| ResolveError { name: name.clone(), source };
        let permit = Arc::clone(&self.lookups).acquire_owned().await.expect("it is never closed");
        let asked = name.as_str().to_owned();
        let looked_up = tokio::task::spawn_blocking(move || {
            // It is held for as long as the thread is, also when nobody waits for the answer any more.
            let _permit = permit;
            let answers = (asked.as_str(), 0).to_socket_addrs()?;
            Ok(answers.take(ADDRESSES_MAX).map(|answer| answer.ip()).collect::<Vec<_>>())
        });
        let ips =
            looked_up.await.map_err(|panic| failed(io::Error::other(panic)))?.map_err(failed)?;
        if ips.is_empty() {
            return Err(failed(io::ErrorKind::NotFound.into()));
        }
        Ok(ips
            .into_iter()
            .map(|ip| Address { ip, is_this_host: self.is_this_host(ip), is_pinned: false })
            .collect())
    }
}

/// Asks the kernel from which address it would send to `ip`: to an own address, from that very address. Nothing is sent.
fn is_own(ip: IpAddr) -> bool {
    let any = match ip {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        // The discard port; a datagram socket that connects sends nothing.
        socket.connect((ip, 9))?;
        socket.local_addr()
    });
    // What cannot be reached at all is nobody's concern.
    source.is_ok_and(|source| source.ip().to_canonical() == ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_knows_its_own_addresses() {
        assert!(is_own("127.0.0.1".parse().unwrap()));
        assert!(!is_own("192.0.2.1".parse().unwrap()));
    }

    #[tokio::test]
    async fn localhost_is_this_host() {
        let addresses =
            SystemResolver::default().resolve(&"localhost".parse().unwrap()).await.unwrap();
        assert!(addresses.iter().all(|address| address.ip.is_loopback() && address.is_this_host));
    }
}
