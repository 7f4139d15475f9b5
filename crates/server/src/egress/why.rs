//! What would be decided about a host, by the decision that a connection gets.

use sandbar_proxy::egress::{
    Denial, EgressProxy, Hop, Outcome, Prospect, Target, Way, address_kind,
};
use sandbar_types::{NetworkWhy, NetworkWhyAddress};

/// The port that is meant where none is named.
const USUAL_PORT: u16 = 443;

/// Where a program asks in plain HTTP, and so goes by another proxy of the operator's network.
const PLAIN_PORT: u16 = 80;

/// Explains what `proxy` would decide about a host, which may have a port with it.
///
/// # Errors
/// It is no host, for people.
pub(super) async fn why(
    proxy: &EgressProxy,
    (host, port): (&str, Option<u16>),
    sandbox: &str,
) -> Result<NetworkWhy, String> {
    let target = Target::parse(host, Some(port.unwrap_or(USUAL_PORT)))
        .map_err(|error| format!("`{}`: {error}", host.escape_debug()))?;
    if port.is_some_and(|port| port != target.port || port == 0) {
        return Err("the port is said twice, or is none".to_owned());
    }
    let way = if target.port == PLAIN_PORT { Way::Plain } else { Way::Tunnel };
    let Prospect { addresses, outcome } = proxy.prospect(way, &target).await;
    let mut why = NetworkWhy {
        target: target.to_string(),
        allowed: false,
        rule: None,
        reason: None,
        message: String::new(),
        hint: None,
        addresses: addresses
            .into_iter()
            .map(|(address, allowed)| NetworkWhyAddress {
                address: address.ip.to_string(),
                kind: address_kind(address).describe().to_owned(),
                allowed,
            })
            .collect(),
    };
    match outcome {
        Outcome::Allowed { rule, hop } => {
            why.allowed = true;
            why.message = [allowed_by(&rule).as_str(), by(hop)].concat();
            why.rule = Some(rule);
        }
        Outcome::Denied(denial) => tell(&mut why, &denial, sandbox),
        Outcome::Unresolved(name) => {
            let name = name.as_str();
            why.message = format!("a rule allows it, but {name} cannot be resolved on this host");
        }
        Outcome::ProxyUnresolved => {
            "a rule allows it, but the proxy of this host's network cannot be resolved"
                .clone_into(&mut why.message);
        }
    }
    Ok(why)
}

fn allowed_by(rule: &str) -> String {
    match rule {
        "open" => "the network of the sandbox is open".to_owned(),
        rule => format!("the rule `{rule}` allows it"),
    }
}

const fn by(hop: Hop) -> &'static str {
    match hop {
        Hop::Direct => "",
        Hop::Proxy => "; it is reached through the proxy of this host's network",
        Hop::ProxyByName => {
            "; it cannot be resolved on this host, and the proxy of its network looks it up and connects to it"
        }
    }
}

fn tell(why: &mut NetworkWhy, denial: &Denial, sandbox: &str) {
    why.reason = Some(denial.reason.code().to_owned());
    why.message = denial.reason.to_string();
    why.hint = denial.hint(sandbox);
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use async_trait::async_trait;
    use sandbar_proxy::egress::{
        Address, HostName, Mode, Policy, ResolveError, Resolver, Upstream, Upstreams,
    };

    use super::{super::Unheard, *};

    /// Knows the proxy, and one host of the operator's own.
    #[derive(Debug)]
    struct Names;

    #[async_trait]
    impl Resolver for Names {
        async fn resolve(&self, name: &HostName) -> Result<Vec<Address>, ResolveError> {
            let ip = match name.as_str() {
                "corporate.example" => "10.0.0.1",
                "inner.example" => "10.0.0.2",
                "public.example" => "93.184.216.34",
                _ => {
                    let source = io::ErrorKind::NotFound.into();
                    return Err(ResolveError { name: name.clone(), source });
                }
            };
            Ok(vec![Address { ip: ip.parse().unwrap(), is_this_host: false, is_pinned: false }])
        }

        fn is_this_host(&self, _ip: std::net::IpAddr) -> bool {
            false
        }
    }

    async fn asked(https: Option<&str>, host: &str) -> NetworkWhy {
        let upstreams = Upstreams {
            https: https.map(|proxy| Upstream::parse(proxy).unwrap()),
            ..Upstreams::default()
        };
        let proxy = EgressProxy::new(Policy::new(Mode::Open), Arc::new(Unheard))
            .with_resolver(Arc::new(Names))
            .with_upstreams(Arc::new(upstreams));
        why(&proxy, (host, None), "shop").await.unwrap()
    }

    #[tokio::test]
    async fn behind_a_proxy_what_cannot_be_resolved_here_is_left_to_it() {
        let corporate = Some("http://corporate.example:3128");
        let unknown = asked(corporate, "elsewhere.example").await;
        assert!(unknown.allowed && unknown.addresses.is_empty(), "{unknown:?}");
        assert!(unknown.message.contains("looks it up"), "{}", unknown.message);
        let public = asked(corporate, "public.example").await;
        assert!(public.allowed && public.message.contains("through the proxy"), "{public:?}");
        // As a connection is: what is of the site is refused, and a name of local networks is not handed on.
        let inner = asked(corporate, "inner.example").await;
        assert_eq!(inner.reason.as_deref(), Some("special_address"));
        assert!(!inner.addresses[0].allowed);
        assert_eq!(asked(corporate, "db.internal").await.reason.as_deref(), Some("local_name"));
        // There is none for plain HTTP.
        assert!(!asked(corporate, "elsewhere.example:80").await.allowed);
        let lost = asked(Some("http://gone.example:3128"), "public.example").await;
        assert!(!lost.allowed && lost.message.contains("proxy"), "{lost:?}");
    }

    #[tokio::test]
    async fn without_a_proxy_nobody_else_looks_it_up() {
        let unknown = asked(None, "elsewhere.example").await;
        assert!(!unknown.allowed && unknown.reason.is_none(), "{unknown:?}");
        let public = asked(None, "public.example").await;
        assert_eq!(public.message, "the network of the sandbox is open");
        assert!(public.addresses[0].allowed);
    }
}
