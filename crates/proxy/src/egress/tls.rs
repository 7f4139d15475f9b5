//! TLS to hosts outside, as whoever speaks for this server speaks it: versions 1.2 and 1.3, certificates always verified.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore, crypto::aws_lc_rs::default_provider, pki_types::ServerName,
};

use super::{intercept::ALPN, policy::Host};

/// How hosts are spoken to whose certificates `roots` vouch for.
///
/// # Panics
/// The library knows neither version, which a test would find.
#[must_use]
pub fn verified_by(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider speaks both versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// The same for upstreams, with HTTP/1.1. `None` where there are no roots.
#[must_use]
pub fn outside(roots: RootCertStore) -> Option<Arc<ClientConfig>> {
    if roots.is_empty() {
        return None;
    }
    let mut config = verified_by(roots);
    config.alpn_protocols = vec![ALPN.to_vec()];
    Some(Arc::new(config))
}

/// Whom a certificate must be for; `None` where no certificate can be for that name.
#[must_use]
pub fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Address(ip) => Some(ServerName::IpAddress((*ip).into())),
        Host::Name(name) => ServerName::try_from(name.as_str().to_owned()).ok(),
    }
}
