//! Credentials between the engine, which keeps them, and the proxies, which put them in.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use sandbar_engine::{Trust, Wire, WireCredential, WireRenewal, WireTold, expose};
use sandbar_proxy::egress::{
    Authority, Credential, CredentialLog, CredentialRenewer, CredentialSet, EgressProxy,
    Interception, Passage, Renewal, ToldLately, outside,
};
use sandbar_types::{InjectionRule, SandboxId, Target};
use tokio::sync::{mpsc, watch};

use super::renewal::{Renewer, endpoint};

/// How long it is not said again that an upstream says a credential back.
const ECHO_WINDOW: Duration = Duration::from_mins(1);

/// What the proxies of all sandboxes need to put in credentials.
#[derive(Debug)]
pub(super) struct Credentials {
    /// Files of the host's configuration with certificates beyond those of the system.
    files: BTreeSet<PathBuf>,
    /// What this host believes, read with the first sandbox.
    host: OnceLock<HostTrust>,
}

/// What this host believes.
#[derive(Debug)]
struct HostTrust {
    /// As PEM.
    certificates: String,
    outside: Option<Arc<ClientConfig>>,
}

impl HostTrust {
    /// Reads files, of which some may not be there.
    fn read(files: &BTreeSet<PathBuf>) -> Self {
        let found = rustls_native_certs::load_native_certs().certs;
        let mut certificates = String::new();
        for certificate in &found {
            pem(&mut certificates, certificate);
        }
        let mut roots = RootCertStore::empty();
        // Certificates that cannot be read are left out: the others are still those of the host.
        roots.add_parsable_certificates(found);
        for path in files {
            // A bundle of certificates is text; what is anything else is nobody's to believe.
            let Ok(text) = std::fs::read_to_string(path) else { continue };
            use rustls::pki_types::pem::PemObject as _;
            for certificate in CertificateDer::pem_slice_iter(text.as_bytes()).flatten() {
                pem(&mut certificates, &certificate);
                roots.add_parsable_certificates([certificate]);
            }
        }
        Self { certificates, outside: outside(roots) }
    }
}

fn pem(into: &mut String, certificate: &CertificateDer<'_>) {
    let encoded = BASE64_STANDARD.encode(certificate);
    into.push_str("-----BEGIN CERTIFICATE-----\n");
    for line in encoded.as_bytes().chunks(64) {
        into.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        into.push('\n');
    }
    into.push_str("-----END CERTIFICATE-----\n");
}

impl Credentials {
    pub(super) fn new(files: BTreeSet<PathBuf>) -> Self {
        Self { files, host: OnceLock::new() }
    }

    /// How this host verifies whom it talks to; `None` where it has no certificates.
    pub(super) fn outside(&self) -> Option<Arc<ClientConfig>> {
        self.host().outside.clone()
    }

    fn host(&self) -> &HostTrust {
        self.host.get_or_init(|| HostTrust::read(&self.files))
    }

    /// The key of a sandbox's authority, and what its programs are to believe.
    pub(super) fn trust(&self, sandbox: SandboxId, kept: Option<&str>) -> Option<Trust> {
        let of = |key: &str| Authority::new(&sandbox.to_string(), key);
        let known = kept.and_then(|key| Some((of(key).ok()?, key.to_owned())));
        let (authority, key) = match known {
            Some(known) => known,
            None => {
                let made =
                    Authority::generate_key().and_then(|key| Ok((of(&key)?, key.to_string())));
                made.inspect_err(|error| {
                    tracing::error!(sandbox.id = %sandbox, error = error as &dyn std::error::Error, "no certificates can be made for a sandbox");
                })
                .ok()?
            }
        };
        let certificates = [self.host().certificates.as_str(), authority.certificate()].concat();
        Some(Trust { key: key.into(), certificates })
    }

    /// Has `proxy` put in what `sandbox` has, as far as what is returned says it.
    pub(super) fn put_into(
        &self,
        proxy: EgressProxy,
        (sandbox, wire): (SandboxId, Option<Wire>),
    ) -> (EgressProxy, Option<Feeding>) {
        let Some(Wire { key, credentials, told, renewals }) = wire else {
            return (proxy, None);
        };
        let Some(outside) = self.host().outside.clone() else {
            tracing::warn!(sandbox.id = %sandbox, "this host has no certificates: no credential is put into anything");
            return (proxy, None);
        };
        let authority = match Authority::new(&sandbox.to_string(), expose(&key)) {
            Ok(authority) => Arc::new(authority),
            Err(error) => {
                tracing::error!(sandbox.id = %sandbox, error = &error as &dyn std::error::Error, "the key of a sandbox's certificates cannot be used");
                return (proxy, None);
            }
        };
        let put_in = watch::Sender::new(Arc::default());
        let receiver = put_in.subscribe();
        let log = Arc::new(Told { told, lately: ToldLately::new(ECHO_WINDOW) });
        let renewer: Option<Arc<dyn CredentialRenewer>> = Some(Arc::new(Renewer(renewals)));
        let interception = Interception { authority, credentials: receiver, outside, log, renewer };
        let proxy = proxy.with_interception(interception);
        (proxy, Some(Feeding { told: credentials, put_in }))
    }
}

/// What a proxy puts in, between who says it and who does it.
#[derive(Debug)]
pub(super) struct Feeding {
    /// What the engine says that there is. Once it says no more, what it said last is not taken back.
    pub(super) told: watch::Receiver<Arc<Vec<WireCredential>>>,
    put_in: watch::Sender<Arc<CredentialSet>>,
}

impl Feeding {
    /// Has put in what there is now, and returns the hosts and ports that it is bound to.
    pub(super) fn renew(&self) -> Vec<Target> {
        let credentials = Arc::clone(&self.told.borrow());
        self.put_in.send_replace(set(&credentials));
        let rules = credentials.iter().flat_map(|credential| &credential.rules);
        rules.filter_map(InjectionRule::target).collect()
    }
}

fn set(credentials: &[WireCredential]) -> Arc<CredentialSet> {
    let of = |credential: &WireCredential| Credential {
        name: credential.name.to_string(),
        secret: credential.secret.as_ref().map(|secret| expose(secret).to_owned().into()),
        placeholder: credential.placeholder.clone(),
        rules: credential.rules.clone(),
        renewal: credential.renewal.as_ref().and_then(|renewal| {
            let WireRenewal { host, port, path, expires_at } = renewal.clone();
            Some(Renewal { endpoint: endpoint(&host, port)?, path, expires_at })
        }),
    };
    Arc::new(CredentialSet::new(credentials.iter().map(of).collect()))
}

/// Turns what became of credentials into events of the sandbox, and lines of our own log.
#[derive(Debug)]
struct Told {
    told: mpsc::Sender<WireTold>,
    lately: ToldLately<(String, String)>,
}

impl CredentialLog for Told {
    fn injected(&self, passage: &Passage, credential: &str) {
        tracing::debug!(sandbox.id = %passage.sandbox, host = %passage.target.host, credential, "a request got a credential");
    }

    fn echoed(&self, passage: &Passage, credential: &str) {
        let host = passage.target.host.to_string();
        let key = (credential.to_owned(), host.clone());
        let now = std::time::Instant::now();
        if !self.lately.is_first(key, now) {
            return;
        }
        tracing::warn!(sandbox.id = %passage.sandbox, %host, credential, "an upstream said a credential back; it was taken out of the answer");
        // Full: the log has it, and the history is short of some.
        drop(self.told.try_send(WireTold::Echoed { credential: credential.to_owned(), host }));
    }

    fn refused(&self, passage: &Passage, status: u16, reason: &'static str) {
        tracing::info!(sandbox.id = %passage.sandbox, host = %passage.target.host, status, reason, "a request to a host with a credential was refused");
    }
}
