//! What would be decided about a host, by the function that decides.

use sandbar_proxy::egress::{
    Address, Host, Policy, ResolveError, Resolver, Target, Verdict, address_kind, decide,
};
use sandbar_types::{NetworkWhy, NetworkWhyAddress};
use tokio::time::{Duration, timeout};

/// The port that is meant where none is named.
const USUAL_PORT: u16 = 443;

/// How long a lookup may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Explains the decision about a host, which may have a port with it.
///
/// # Errors
/// It is no host, for people.
pub(super) async fn why(
    policy: &Policy,
    resolver: &dyn Resolver,
    (host, port): (&str, Option<u16>),
    sandbox: &str,
) -> Result<NetworkWhy, String> {
    let target = Target::parse(host, Some(port.unwrap_or(USUAL_PORT)))
        .map_err(|error| format!("`{}`: {error}", host.escape_debug()))?;
    if port.is_some_and(|port| port != target.port || port == 0) {
        return Err("the port is said twice, or is none".to_owned());
    }
    let mut why = NetworkWhy {
        target: target.to_string(),
        allowed: false,
        rule: None,
        reason: None,
        message: String::new(),
        hint: None,
        addresses: Vec::new(),
    };
    if let Err(denial) = policy.admit(&target) {
        tell(&mut why, Verdict::Denied(denial), sandbox);
        return Ok(why);
    }
    let addresses = match resolve(resolver, &target.host).await {
        Ok(addresses) => addresses,
        Err(error) => {
            why.message = format!("a rule allows it, but {error} on this host");
            return Ok(why);
        }
    };
    why.addresses = addresses
        .iter()
        .map(|address| NetworkWhyAddress {
            address: address.ip.to_string(),
            kind: address_kind(*address).describe().to_owned(),
            allowed: matches!(decide(policy, &target, &[*address]), Verdict::Allowed(_)),
        })
        .collect();
    tell(&mut why, decide(policy, &target, &addresses), sandbox);
    Ok(why)
}

async fn resolve(resolver: &dyn Resolver, host: &Host) -> Result<Vec<Address>, ResolveError> {
    match host {
        Host::Name(name) => timeout(PATIENCE, resolver.resolve(name)).await.unwrap_or_else(|_| {
            let source = std::io::ErrorKind::TimedOut.into();
            Err(ResolveError { name: name.clone(), source })
        }),
        Host::Address(ip) => Ok(vec![Address {
            ip: *ip,
            is_this_host: resolver.is_this_host(*ip),
            is_pinned: false,
        }]),
    }
}

fn tell(why: &mut NetworkWhy, verdict: Verdict, sandbox: &str) {
    match verdict {
        Verdict::Allowed(allowed) => {
            why.allowed = true;
            why.message = match allowed.rule.as_str() {
                "open" => {
                    "the network of the sandbox is open, and the address is public".to_owned()
                }
                rule => format!("the rule `{rule}` allows it"),
            };
            why.rule = Some(allowed.rule);
        }
        Verdict::Denied(denial) => {
            why.reason = Some(denial.reason.code().to_owned());
            why.message = denial.reason.to_string();
            why.hint = denial.hint(sandbox);
        }
    }
}
