//! The proxy of one sandbox, in a process of its own, so that its memory and its time are nobody else's.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{IpAddr, SocketAddr},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use async_trait::async_trait;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use sandbar_proxy::egress::{
    Address, Authority, Closed, Connected, Credential, CredentialLog, CredentialSet, Denial,
    EgressLog, EgressProxy, HostName, Interception, Mode, Passage, Policy, ResolveError, Resolver,
    Target, outside,
};
use sandbar_types::{InjectionPlace, InjectionRule, SandboxId};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use super::{INTERCEPTED, OPAQUE, PORT};
use crate::Result;

/// The argument that makes this program a proxy.
pub(crate) const ROLE: &str = "egress-proxy";

/// A proxy that was started; it ends when this is dropped.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    /// Whom a program inside trusts.
    pub(super) authority: String,
    child: Child,
}

impl Proxy {
    /// Starts one that finds both hosts at `upstream` and trusts `root`.
    pub(super) fn start(upstream: IpAddr, root: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ROLE).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let told = json!({ "upstream": upstream, "root": root });
        let stdin = child.stdin.as_mut().ok_or("no standard input")?;
        writeln!(stdin, "{told}")?;
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().ok_or("no standard output")?).read_line(&mut line)?;
        let is: Value = serde_json::from_str(&line)?;
        let text = |name: &str| is[name].as_str().ok_or("the proxy did not start");
        let (address, authority) = (text("address")?.parse()?, text("authority")?.to_owned());
        Ok(Self { address, authority, child })
    }

    /// Kibibytes that are its own.
    pub(super) fn own_kib(&self) -> Result<u64> {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Private_Dirty:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.ok_or("no memory of its own is told")?.parse()?)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}

/// Is the proxy, until the standard input ends.
pub(crate) fn be() -> Result<()> {
    let mut line = String::new();
    let mut stdin = std::io::stdin().lock();
    stdin.read_line(&mut line)?;
    let told: Value = serde_json::from_str(&line)?;
    let upstream: IpAddr = told["upstream"].as_str().ok_or("no upstream")?.parse()?;
    let root = told["root"].as_str().ok_or("no root")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let authority = Arc::new(Authority::new("bench", &Authority::generate_key()?)?);
    let (_credentials, receiver) = watch::channel(Arc::new(CredentialSet::new(vec![credential()])));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes())?)?;
    let interception = Interception {
        authority: Arc::clone(&authority),
        credentials: receiver,
        outside: outside(roots).ok_or("no roots")?,
        log: Arc::new(Silent),
        renewer: None,
    };
    let mut policy = Policy::new(Mode::AllowList);
    for host in [OPAQUE, INTERCEPTED] {
        policy = policy.allow_private(Target::parse(host, Some(PORT))?);
    }
    let proxy = EgressProxy::new(policy, Arc::new(Silent))
        .with_resolver(Arc::new(One(upstream)))
        .with_interception(interception);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let is = json!({ "address": listener.local_addr()?, "authority": authority.certificate() });
    println!("{is}");
    let cancel = CancellationToken::new();
    let serving = Arc::new(proxy).serve(listener, SandboxId::generate(), cancel.clone());
    let serving = runtime.spawn(serving);
    // Nothing more is told: this returns at the end.
    stdin.read_line(&mut line)?;
    cancel.cancel();
    Ok(runtime.block_on(serving)?)
}

/// One for the header of whatever goes to the intercepted host, as a model's API has it.
fn credential() -> Credential {
    let place = InjectionPlace::Header {
        name: "Authorization".to_owned(),
        template: "Bearer {}".to_owned(),
    };
    let rule = InjectionRule {
        host: INTERCEPTED.to_owned(),
        port: PORT,
        methods: Vec::new(),
        path: "/v1".to_owned(),
        place,
    };
    Credential {
        name: "model".to_owned(),
        secret: Some(super::SECRET.to_owned().into()),
        placeholder: "sbx-placeholder-00112233445566".to_owned(),
        rules: vec![rule],
        renewal: None,
    }
}

/// Every name is at one address.
#[derive(Debug)]
struct One(IpAddr);

#[async_trait]
impl Resolver for One {
    async fn resolve(&self, _name: &HostName) -> std::result::Result<Vec<Address>, ResolveError> {
        Ok(vec![Address { ip: self.0, is_this_host: true, is_pinned: false }])
    }
}

/// Nobody hears.
#[derive(Debug)]
struct Silent;

impl EgressLog for Silent {
    fn denied(&self, _sandbox: SandboxId, _denial: &Denial) {}

    fn connected(&self, _connected: &Connected) {}

    fn closed(&self, _closed: &Closed) {}
}

impl CredentialLog for Silent {
    fn injected(&self, _passage: &Passage, _credential: &str) {}

    fn echoed(&self, _passage: &Passage, _credential: &str) {}

    fn refused(&self, _passage: &Passage, _status: u16, _reason: &'static str) {}
}
