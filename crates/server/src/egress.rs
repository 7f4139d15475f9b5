//! The way out of sandboxes, as the engine's [`Network`]: one proxy for each, with the policy of its specification.

mod credentials;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use sandbar_engine::{Counter, Counters, EgressCounts, EgressDenied, Network, Trust, Wire};
use sandbar_proxy::egress::{
    CallerFiles, Closed, Connected, Denial, EgressLog, EgressProxy, HostConfiguration, HostPattern,
    Mode, Policy, Resolver, SystemResolver, Upstreams, environment, split_horizon,
};
use sandbar_types::{EGRESS_PORT, EnvName, NetworkMode, NetworkSpec, SandboxId};
use tokio::{
    net::TcpListener,
    sync::{OnceCell, mpsc},
};
use tokio_util::sync::CancellationToken;

use self::credentials::Credentials;
use crate::config::{Config, Network as Allowed};

/// The way out through the server's own network, as the host's configuration has it.
#[derive(Debug)]
pub struct ServerNetwork {
    config: Allowed,
    found: HostConfiguration,
    upstreams: Arc<Upstreams>,
    resolver: Arc<dyn Resolver>,
    /// What the network's name servers lead registries to; asked for once, by the first sandbox.
    pinned: OnceCell<Vec<(HostPattern, Vec<IpAddr>)>>,
    counted: Arc<Counted>,
    credentials: Credentials,
}

impl ServerNetwork {
    /// Reads the configuration of the person that the server runs as: what a tool's says and is not understood, is left
    /// out and told.
    #[must_use]
    pub fn new(settings: &Config, home: PathBuf) -> Self {
        let config = settings.network.clone();
        let environment = std::env::vars().collect();
        let files = CallerFiles { home, etc: PathBuf::from("/etc"), environment };
        let mut found = HostConfiguration::read(&files);
        let certificates = found.certificates.clone();
        for path in hide_certificates(&mut found) {
            tracing::warn!(path = %path.display(), "certificates of the host that sandboxes do not see; its variables are not handed on");
        }
        for note in &found.notes {
            tracing::warn!("the host's configuration, for sandboxes: {note}");
        }
        Self {
            config,
            upstreams: Arc::new(found.upstreams.clone()),
            found,
            resolver: Arc::new(SystemResolver::default()),
            pinned: OnceCell::new(),
            counted: Arc::default(),
            credentials: Credentials::new(certificates),
        }
    }

    async fn policy(&self, spec: &NetworkSpec) -> Policy {
        let mode = match spec.mode {
            NetworkMode::None => return Policy::new(Mode::None),
            NetworkMode::AllowList => Mode::AllowList,
            NetworkMode::Open => Mode::Open,
        };
        let mut policy = self.found.extend(self.config.policy().with_mode(mode));
        if self.config.defaults {
            let lookup = || split_horizon(Arc::clone(&self.resolver));
            let pinned = self.pinned.get_or_init(lookup).await.iter().cloned();
            policy = pinned.fold(policy, |policy, (pattern, ips)| policy.pin(pattern, ips));
        }
        // Checked when the sandbox was made; a rule that a later version no longer reads allows nothing.
        spec.allow.iter().filter_map(|rule| rule.parse().ok()).fold(policy, Policy::allow)
    }
}

/// What all sandboxes did.
#[derive(Debug, Default)]
struct Counted {
    allowed: Counter,
    denied: Counters,
}

/// Where certificates are that every sandbox sees.
const SHOWN: [&str; 4] = ["/etc/ssl", "/etc/pki/tls", "/etc/pki/ca-trust", "/usr"];

/// Takes away variables that name certificates which are not there inside: with one, a tool trusts nobody at all.
/// Returns those certificates.
fn hide_certificates(found: &mut HostConfiguration) -> Vec<PathBuf> {
    let is_shown = |path: &Path| SHOWN.iter().any(|shown| path.starts_with(shown));
    let hidden: Vec<PathBuf> =
        found.certificates.iter().filter(|path| !is_shown(path)).cloned().collect();
    found.environment.retain(|_, value| {
        !value.split(':').any(|part| hidden.iter().any(|path| path == Path::new(part)))
    });
    hidden
}

#[async_trait]
impl Network for ServerNetwork {
    fn check(&self, spec: &NetworkSpec) -> Result<(), String> {
        spec.allow.iter().try_for_each(|rule| {
            rule.parse::<HostPattern>()
                .map(drop)
                .map_err(|error| format!("`{}`: {error}", rule.escape_debug()))
        })
    }

    fn environment(&self) -> BTreeMap<EnvName, String> {
        let mut all = environment(EGRESS_PORT);
        all.extend(self.found.environment.clone());
        all
    }

    fn counts(&self) -> EgressCounts {
        let Counted { allowed, denied } = &*self.counted;
        EgressCounts { allowed: allowed.count(), denied: denied.counts() }
    }

    fn trust(&self, sandbox: SandboxId, kept: Option<&str>) -> Option<Trust> {
        self.credentials.trust(sandbox, kept)
    }

    fn equip(&self, sandbox: SandboxId, wire: Wire) {
        self.credentials.equip(sandbox, wire);
    }

    async fn serve(
        &self,
        sandbox: SandboxId,
        spec: &NetworkSpec,
        listener: TcpListener,
        denied: mpsc::Sender<EgressDenied>,
    ) {
        let wire = self.credentials.take(sandbox);
        let log = Log { denied, counted: Arc::clone(&self.counted) };
        let proxy = EgressProxy::new(self.policy(spec).await, Arc::new(log))
            .with_resolver(Arc::clone(&self.resolver))
            .with_upstreams(Arc::clone(&self.upstreams));
        let (proxy, _feeding) = self.credentials.put_into(proxy, (sandbox, wire));
        let cancel = CancellationToken::new();
        // When nobody waits for us any more, its connections end as well.
        let _ended = cancel.clone().drop_guard();
        Arc::new(proxy).serve(listener, sandbox, cancel).await;
    }
}

/// Turns decisions into events of the sandbox, and lines of our own log.
#[derive(Debug)]
struct Log {
    denied: mpsc::Sender<EgressDenied>,
    counted: Arc<Counted>,
}

impl EgressLog for Log {
    fn denied(&self, sandbox: SandboxId, denial: &Denial) {
        self.counted.denied.add_one(denial.reason.code());
        let reason = denial.reason.code().to_owned();
        let host = denial.target.host.to_string();
        tracing::info!(sandbox.id = %sandbox, %host, %reason, "a sandbox asked for a host that it may not reach");
        // Full: a sandbox that asks for everything at once is told, and its history is short of some.
        drop(self.denied.try_send(EgressDenied { host, port: denial.target.port, reason }));
    }

    fn connected(&self, connected: &Connected) {
        self.counted.allowed.add_one();
        tracing::debug!(sandbox.id = %connected.passage.sandbox, host = %connected.passage.target.host, "a sandbox reached a host");
    }

    fn closed(&self, closed: &Closed) {
        tracing::debug!(
            sandbox.id = %closed.passage.sandbox,
            host = %closed.passage.target.host,
            sent_bytes = closed.sent_bytes,
            received_bytes = closed.received_bytes,
            "a sandbox's connection is over"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_for_certificates_that_are_not_there_inside_is_not_handed_on() {
        let set = |name: &str, value: &str| (name.parse().unwrap(), value.to_owned());
        let mut found = HostConfiguration {
            certificates: ["/etc/ssl/certs/all.crt", "/opt/site/ca.pem"].map(PathBuf::from).into(),
            environment: [
                set("SSL_CERT_FILE", "/etc/ssl/certs/all.crt"),
                set("CURL_CA_BUNDLE", "/opt/site/ca.pem"),
                set("SSL_CERT_DIR", "/etc/ssl/certs:/opt/site/ca.pem"),
                set("npm_config_registry", "https://npm.example.org/"),
            ]
            .into(),
            ..HostConfiguration::default()
        };
        assert_eq!(hide_certificates(&mut found), [PathBuf::from("/opt/site/ca.pem")]);
        let left: Vec<&str> = found.environment.keys().map(EnvName::as_str).collect();
        assert_eq!(left, ["SSL_CERT_FILE", "npm_config_registry"]);
    }
}
