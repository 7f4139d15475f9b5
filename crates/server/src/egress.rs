//! The way out of sandboxes, as the engine's [`Network`]: one proxy for each, with the policy of its specification.

mod credentials;
mod renewal;
mod why;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddrV4,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use async_trait::async_trait;
use sandbar_engine::{
    Counter, Counters, Egress, EgressClosed, EgressCounts, EgressDenied, EgressEntry,
    EgressSockets, Network, NetworkQuestion, NetworkReader, TokenAnswer, TokenRequest, Trust,
};
use sandbar_proxy::egress::{
    CallerFiles, Closed, Connected, Denial, EgressLog, EgressProxy, HostConfiguration, HostPattern,
    Inside, Mode, Policy, Resolver, SplitHorizon, SystemResolver, Unheard, Upstreams, environment,
};
use sandbar_types::{
    EGRESS_PORT, EnvName, NetworkMode, NetworkSpec, NetworkWhy, SandboxId, Target,
};
use tokio::{
    net::{TcpListener, UdpSocket},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use self::{
    credentials::{Credentials, Feeding},
    renewal::endpoint,
};
use crate::config::Config;

/// The way out through the server's own network, as the host's configuration has it.
#[derive(Debug)]
pub struct ServerNetwork {
    /// What every policy begins with: the operator's rules, and what the host's configuration names.
    rules: Policy,
    /// Variables that lead the programs inside to what the host's configuration names.
    environment: BTreeMap<EnvName, String>,
    upstreams: Arc<Upstreams>,
    resolver: Arc<dyn Resolver>,
    counted: Arc<Counted>,
    credentials: Credentials,
    /// The proxies that serve now; of a sandbox there are several while copies of it are checked.
    live: Mutex<BTreeMap<SandboxId, Vec<Weak<Live>>>>,
}

/// A proxy that serves, and where its rules are.
#[derive(Debug)]
struct Live {
    proxy: Arc<EgressProxy>,
    rules: NetworkReader,
    /// What is put in, as the engine says; `None` where nothing is.
    credentials: Option<Feeding>,
    /// Held while rules are read and set, so that older ones never come last.
    setting: tokio::sync::Mutex<()>,
}

impl ServerNetwork {
    /// Reads the configuration of the person that the server runs as: what a tool's says and is not understood, is left
    /// out and told.
    #[must_use]
    pub fn new(settings: &Config, home: PathBuf) -> Self {
        let environment = std::env::vars().collect();
        let files = CallerFiles { home, etc: PathBuf::from("/etc"), environment };
        let found = HostConfiguration::read(&files);
        for note in &found.notes {
            tracing::warn!("the host's configuration, for sandboxes: {note}");
        }
        let system = Arc::new(SystemResolver::default());
        let resolver: Arc<dyn Resolver> =
            if settings.network.defaults { Arc::new(SplitHorizon::over(system)) } else { system };
        Self {
            rules: found.extend(settings.network.policy()),
            environment: found.environment,
            upstreams: Arc::new(found.upstreams),
            resolver,
            counted: Arc::default(),
            credentials: Credentials::new(found.certificates),
            live: Mutex::default(),
        }
    }

    /// Remembers a proxy for as long as it is there.
    fn enlist(&self, sandbox: SandboxId, live: &Arc<Live>) {
        let mut all = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, of_one| {
            of_one.retain(|live| live.strong_count() > 0);
            !of_one.is_empty()
        });
        all.entry(sandbox).or_default().push(Arc::downgrade(live));
    }

    fn enlisted(&self, sandbox: SandboxId) -> Vec<Arc<Live>> {
        let all = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&sandbox).into_iter().flatten().filter_map(Weak::upgrade).collect()
    }

    /// Whom a sandbox may reach: by rules, and what it has credentials for, exactly. Who bound one meant it to be asked.
    fn policy(&self, spec: &NetworkSpec, bound: &[Target]) -> Policy {
        let mode = match spec.mode {
            NetworkMode::None => return Policy::new(Mode::None),
            NetworkMode::AllowList => Mode::AllowList,
            NetworkMode::Open => Mode::Open,
        };
        let policy = self.rules.clone().with_mode(mode);
        let policy = bound.iter().cloned().map(HostPattern::exact).fold(policy, Policy::allow);
        // Checked when they were made; one that a later version no longer reads allows nothing, and refuses everything.
        let allowed = spec.allow.iter().filter_map(|rule| rule.parse().ok());
        let policy = allowed.fold(policy, Policy::allow);
        let denied: Result<Vec<HostPattern>, _> =
            spec.deny.iter().map(|rule| rule.parse::<HostPattern>()).collect();
        match denied {
            Ok(denied) => denied.into_iter().fold(policy, Policy::deny),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a rule that refuses cannot be read: nothing is reached"
                );
                Policy::new(Mode::None)
            }
        }
    }
}

/// What all sandboxes did.
#[derive(Debug, Default)]
struct Counted {
    allowed: Counter,
    denied: Counters,
}

#[async_trait]
impl Network for ServerNetwork {
    fn check(&self, spec: &NetworkSpec) -> Result<(), String> {
        spec.allow.iter().chain(&spec.deny).try_for_each(|rule| {
            rule.parse::<HostPattern>()
                .map(drop)
                .map_err(|error| format!("`{}`: {error}", rule.escape_debug()))
        })
    }

    fn environment(&self) -> BTreeMap<EnvName, String> {
        let mut all = environment(EGRESS_PORT);
        all.extend(self.environment.clone());
        all
    }

    fn counts(&self) -> EgressCounts {
        let Counted { allowed, denied } = &*self.counted;
        EgressCounts { allowed: allowed.count(), denied: denied.counts() }
    }

    fn trust(&self, sandbox: SandboxId, kept: Option<&str>) -> Option<Trust> {
        self.credentials.trust(sandbox, kept)
    }

    async fn serve(&self, egress: Egress) {
        let Egress { sandbox, name, rules, listener, sockets, wire, told } = egress;
        let log = Log { told, counted: Arc::clone(&self.counted) };
        let proxy = EgressProxy::new(Policy::new(Mode::None), Arc::new(log))
            .with_resolver(Arc::clone(&self.resolver))
            .with_upstreams(Arc::clone(&self.upstreams))
            .with_sandbox_name(name.to_string());
        let (proxy, credentials) = self.credentials.put_into(proxy, (sandbox, wire));
        let proxy = Arc::new(proxy);
        let live = Arc::new(Live {
            proxy: Arc::clone(&proxy),
            rules,
            credentials,
            setting: Default::default(),
        });
        // Known before its rules are read: a change meanwhile is one that it hears of.
        self.enlist(sandbox, &live);
        self.set_rules(&live).await;
        let cancel = CancellationToken::new();
        // When nobody waits for us any more, its connections end as well.
        let _ended = cancel.clone().drop_guard();
        let inside = Arc::new(Sockets(sockets));
        tokio::join!(
            Arc::clone(&proxy).serve_inside(inside, sandbox, cancel.clone()),
            proxy.serve(listener, sandbox, cancel.clone()),
            self.follow_credentials(&live),
        );
    }

    async fn refresh(&self, sandbox: SandboxId) {
        for live in self.enlisted(sandbox) {
            self.set_rules(&live).await;
        }
    }

    async fn ask_token(&self, request: TokenRequest) -> Result<TokenAnswer, String> {
        let named = endpoint(&request.host, request.port).ok_or("it is no host")?;
        let tls = self.credentials.outside().ok_or("this host has no certificates")?;
        let proxy = self.unserved(self.rules.clone().allow(HostPattern::exact(named)));
        renewal::ask(&proxy, tls, request).await
    }

    async fn why(&self, question: NetworkQuestion<'_>) -> Result<NetworkWhy, String> {
        let NetworkQuestion { sandbox, spec, bound, host, port } = question;
        let proxy = self.unserved(self.policy(spec, bound));
        why::why(&proxy, (host, port), sandbox.as_str()).await
    }
}

impl ServerNetwork {
    /// A proxy on the way of all others that serves no sandbox: it is asked by the server itself.
    fn unserved(&self, policy: Policy) -> EgressProxy {
        EgressProxy::new(policy, Arc::new(Unheard))
            .with_resolver(Arc::clone(&self.resolver))
            .with_upstreams(Arc::clone(&self.upstreams))
    }

    async fn set_rules(&self, live: &Live) {
        let _setting = live.setting.lock().await;
        // First what is put in: a host that may be reached because a value is bound to it never gets a request without.
        let bound = live.credentials.as_ref().map(Feeding::renew).unwrap_or_default();
        live.proxy.set_policy(self.policy(&live.rules.now(), &bound));
    }

    /// What is bound may be reached, and what is bound no more is not reached by that any more.
    async fn follow_credentials(&self, live: &Live) {
        let Some(feeding) = &live.credentials else { return };
        let mut told = feeding.told.clone();
        while told.changed().await.is_ok() {
            self.set_rules(live).await;
        }
    }
}

/// The sockets of one sandbox, as the proxy asks for them.
#[derive(Debug)]
struct Sockets(EgressSockets);

#[async_trait]
impl Inside for Sockets {
    async fn listen(&self, at: SocketAddrV4) -> io::Result<TcpListener> {
        self.0.listen(at).await
    }

    async fn bind(&self, at: SocketAddrV4) -> io::Result<UdpSocket> {
        self.0.bind(at).await
    }
}

/// Turns decisions into entries of the sandbox's log, and lines of our own.
#[derive(Debug)]
struct Log {
    told: mpsc::Sender<EgressEntry>,
    counted: Arc<Counted>,
}

impl Log {
    fn tell(&self, entry: EgressEntry) {
        // Full: a sandbox that does everything at once is told, and its log is short of some.
        drop(self.told.try_send(entry));
    }
}

impl EgressLog for Log {
    fn denied(&self, sandbox: SandboxId, denial: &Denial) {
        self.counted.denied.add_one(denial.reason.code());
        let reason = denial.reason.code().to_owned();
        let host = denial.target.host.to_string();
        tracing::info!(sandbox.id = %sandbox, %host, %reason, "a sandbox asked for a host that it may not reach");
        self.tell(EgressEntry::Denied(EgressDenied { host, port: denial.target.port, reason }));
    }

    fn connected(&self, connected: &Connected) {
        self.counted.allowed.add_one();
        tracing::debug!(sandbox.id = %connected.passage.sandbox, host = %connected.passage.target.host, "a sandbox reached a host");
    }

    fn closed(&self, closed: &Closed) {
        let Closed { passage, sent_bytes, received_bytes, duration, end } = closed;
        let host = passage.target.host.to_string();
        tracing::debug!(sandbox.id = %passage.sandbox, %host, sent_bytes, received_bytes, "a sandbox's connection is over");
        self.tell(EgressEntry::Closed(EgressClosed {
            host,
            port: passage.target.port,
            rule: passage.rule.clone(),
            sent_bytes: *sent_bytes,
            received_bytes: *received_bytes,
            duration: *duration,
            end: end.code(),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_credential_is_bound_to_is_reached_exactly_and_no_rule_that_refuses_is_undone() {
        let home = tempfile::tempdir().unwrap();
        let network = ServerNetwork::new(&Config::default(), home.path().to_owned());
        let bound = [Target::parse("api.model.example:8443", None).unwrap()];
        let admits = |spec: &NetworkSpec, bound: &[Target], target: &str| {
            let target = Target::parse(target, None).unwrap();
            network.policy(spec, bound).admit(&target).is_ok()
        };
        let list = NetworkSpec { mode: NetworkMode::AllowList, ..NetworkSpec::default() };
        assert!(admits(&list, &bound, "api.model.example:8443"));
        for other in ["api.model.example:443", "x.api.model.example:8443", "model.example:8443"] {
            assert!(!admits(&list, &bound, other), "{other}");
        }
        assert!(!admits(&list, &[], "api.model.example:8443"));
        let denied = NetworkSpec { deny: vec!["api.model.example".to_owned()], ..list.clone() };
        assert!(!admits(&denied, &bound, "api.model.example:8443"));
        let none = NetworkSpec { mode: NetworkMode::None, ..list };
        assert!(!admits(&none, &bound, "api.model.example:8443"));
    }
}
