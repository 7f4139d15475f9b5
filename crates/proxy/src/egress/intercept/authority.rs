//! Who vouches for hosts to the programs of one sandbox.
//!
//! Everything but the key follows from the name, so the key alone is kept: a certificate that is made again from both
//! verifies what an earlier one does.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use zeroize::Zeroizing;

use super::ALPN;
use crate::egress::policy::Host;

/// How long a certificate for a host holds; it is made again after half of it.
const LEAF_LIFE: Duration = Duration::from_hours(24);
/// How long the authority's own holds. It ends with its sandbox, whose life no certificate should cut short.
const LIFE: Duration = Duration::from_hours(24 * 365 * 20);
/// What clocks may be apart.
const SKEW: Duration = Duration::from_hours(24);
/// LIMIT: hosts whose certificates are kept ready.
const LEAVES_MAX: usize = 256;

/// No certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The key or what is to be signed.
    #[error("no certificate could be made")]
    Certificate(#[source] rcgen::Error),
    /// TLS with it.
    #[error("a certificate that was made cannot be used")]
    Tls(#[source] rustls::Error),
}

/// Signs certificates for hosts, with a key that one sandbox trusts and no other.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    /// One for all hosts: whoever has it has the other key as well.
    leaf_key: KeyPair,
    leaves: Mutex<HashMap<Host, (Instant, Arc<ServerConfig>)>>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes a key, to be kept where only the server reads: PKCS #8 as PEM.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn generate_key() -> Result<Zeroizing<String>, AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Certificate)?;
        Ok(Zeroizing::new(key.serialize_pem()))
    }

    /// The authority of `name` with a key that was made before.
    ///
    /// # Errors
    /// It is no key.
    pub fn new(name: &str, key: &str) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(key).map_err(AuthorityError::Certificate)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("Sandbar {name}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        holds_for(&mut params, LIFE);
        let certificate = params.self_signed(&key).map_err(AuthorityError::Certificate)?.pem();
        let leaf_key = KeyPair::generate().map_err(AuthorityError::Certificate)?;
        let issuer = Issuer::new(params, key);
        Ok(Self { issuer, certificate, leaf_key, leaves: Mutex::default() })
    }

    /// The certificate that is trusted inside, as PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// How to speak as `host`.
    pub(super) fn speak_as(&self, host: &Host) -> Result<Arc<ServerConfig>, AuthorityError> {
        let now = Instant::now();
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |made: &Instant| now.duration_since(*made) < LEAF_LIFE / 2;
        if let Some((_, config)) = leaves.get(host).filter(|(made, _)| is_fresh(made)) {
            return Ok(Arc::clone(config));
        }
        if leaves.len() >= LEAVES_MAX {
            leaves.clear();
        }
        let config = Arc::new(self.make(host)?);
        leaves.insert(host.clone(), (now, Arc::clone(&config)));
        Ok(config)
    }

    fn make(&self, host: &Host) -> Result<ServerConfig, AuthorityError> {
        let name = match host {
            Host::Name(name) => name.as_str().to_owned(),
            Host::Address(ip) => ip.to_string(),
        };
        let mut params =
            CertificateParams::new(vec![name.clone()]).map_err(AuthorityError::Certificate)?;
        params.distinguished_name = DistinguishedName::new();
        // LIMIT: 64 characters of a common name (RFC 5280); who reads it here are people.
        let short: String = name.chars().take(64).collect();
        params.distinguished_name.push(DnType::CommonName, short);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        holds_for(&mut params, LEAF_LIFE);
        let leaf =
            params.signed_by(&self.leaf_key, &self.issuer).map_err(AuthorityError::Certificate)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.leaf_key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(AuthorityError::Tls)?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .map_err(AuthorityError::Tls)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config)
    }
}

fn holds_for(params: &mut CertificateParams, life: Duration) {
    let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
    let now = date_time_ymd(1970, 1, 1) + Duration::from_secs(now);
    params.not_before = now - SKEW;
    params.not_after = now + life;
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    #[test]
    fn a_host_is_signed_for_once_and_another_name_has_another_certificate() {
        let key = Authority::generate_key().unwrap();
        let authority = Authority::new("sb_1", &key).unwrap();
        let host: Host = "api.example".parse().unwrap();
        let first = authority.speak_as(&host).unwrap();
        assert!(Arc::ptr_eq(&first, &authority.speak_as(&host).unwrap()));
        assert!(authority.speak_as(&"[::1]".parse().unwrap()).is_ok());
        assert!(authority.certificate().starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(!format!("{authority:?}").contains("PRIVATE"));
    }
    #[test]
    fn case_69_early_data_is_neither_taken_nor_sent() {
        let key = Authority::generate_key().unwrap();
        let authority = Authority::new("sb_1", &key).unwrap();
        let inside = authority.speak_as(&"api.example".parse().unwrap()).unwrap();
        // It can be sent again by whoever saw it, and a value would be put into it each time.
        assert_eq!(inside.max_early_data_size, 0);
        let mut roots = rustls::RootCertStore::empty();
        let pem = authority.certificate().as_bytes();
        let certificate = rustls::pki_types::CertificateDer::from_pem_slice(pem).unwrap();
        roots.add(certificate).unwrap();
        assert!(!crate::egress::outside(roots).unwrap().enable_early_data);
    }
}
