//! Whom the programs inside believe: the certificates of the host, and an authority of their sandbox's own.
//!
//! Its key is beside the files of the sandbox, readable by the server alone, and never inside; it is made with the first
//! launch, and the same after a sleep. Inside is one file with every certificate, and variables that lead there. What a
//! person's own environment says wins.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use sandbar_runtime::LaunchSpec;
use sandbar_secrets::{ExposeSecret as _, SecretString};
use sandbar_store::SandboxRow;
use sandbar_types::{EnvName, SandboxId};

use crate::engine::Inner;

/// Where the certificates are inside.
const BUNDLE: &str = "/etc/sandbar-ca.crt";

/// Variables that lead to [`BUNDLE`]: OpenSSL and what is built on it, Node, Python's requests, pip, curl, Git, Cargo,
/// Deno, the command line of AWS, and what comes from Nix.
const VARIABLES: [&str; 10] = [
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "DENO_CERT",
    "AWS_CA_BUNDLE",
    "NIX_SSL_CERT_FILE",
];

/// Is led there where the host's configuration has it: it would take the place of what a project says.
const OF_NPM: &str = "npm_config_cafile";

/// LIMIT: bytes of a key.
const KEY_BYTES_MAX: u64 = 16 << 10;

/// Whom the programs of a sandbox believe.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The key of its authority, to be kept.
    pub key: SecretString,
    /// Every certificate, as PEM.
    pub certificates: String,
}

fn path(inner: &Inner, id: SandboxId) -> PathBuf {
    inner.layout.sandbox(id).0.join("ca.key")
}

/// The key of a sandbox's authority, where it has one.
pub(super) fn key(inner: &Inner, id: SandboxId) -> io::Result<Option<SecretString>> {
    let file = match File::open(path(inner, id)) {
        Ok(file) => file,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(err),
    };
    let mut text = String::new();
    match file.take(KEY_BYTES_MAX).read_to_string(&mut text) {
        Ok(_) => Ok(Some(text.into())),
        // What a power cut left of it.
        Err(err) if err.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(err) => Err(err),
    }
}

/// Tells a sandbox that is to be launched whom to believe. Without a key nothing is ended, and it believes the host.
///
/// Also one without a network, which may get one while it runs. The directory of the sandbox is there.
pub(crate) fn prepare(inner: &Inner, row: &SandboxRow, launch: &mut LaunchSpec) {
    let id = row.id;
    match trusted(inner, id) {
        Ok(Some(certificates)) => {
            lead_to_bundle(&row.spec.env, &mut launch.env);
            launch.certificates = Some(certificates);
        }
        Ok(None) => lead_nowhere(&row.spec.env, &mut launch.env),
        Err(err) => {
            lead_nowhere(&row.spec.env, &mut launch.env);
            tracing::warn!(sandbox.id = %id, error = &err as &dyn std::error::Error, "a sandbox gets no credentials: its key cannot be kept");
        }
    }
}

type Variables = BTreeMap<EnvName, String>;

/// Whatever the host's configuration says of certificates is in the bundle, wherever its files are.
fn lead_to_bundle(own: &Variables, env: &mut Variables) {
    for name in VARIABLES.into_iter().chain([OF_NPM]) {
        let name: EnvName = name.parse().expect("it is a name of a variable");
        let is_wanted = name.as_str() != OF_NPM || env.contains_key(&name);
        if is_wanted && !own.contains_key(&name) {
            env.insert(name, BUNDLE.to_owned());
        }
    }
}

/// A file of the host need not be there inside, and a tool that is led to none trusts nobody at all.
fn lead_nowhere(own: &Variables, env: &mut Variables) {
    let is_of_files = |name: &str| name == OF_NPM || VARIABLES.contains(&name);
    env.retain(|name, _| own.contains_key(name) || !is_of_files(name.as_str()));
}

fn trusted(inner: &Inner, id: SandboxId) -> io::Result<Option<String>> {
    let kept = key(inner, id)?;
    let trust = inner.config.network.trust(id, kept.as_ref().map(|key| key.expose_secret()));
    let Some(trust) = trust else { return Ok(None) };
    if kept.is_none_or(|kept| kept.expose_secret() != trust.key.expose_secret()) {
        keep(&path(inner, id), &trust.key)?;
    }
    Ok(Some(trust.certificates))
}

/// Whole or not at all: a server that is killed in between leaves no half of a key.
///
/// The disk is not waited for: after a power cut nothing runs that believes a key which is lost, and one that cannot be read
/// is made anew with the next launch.
fn keep(path: &Path, key: &SecretString) -> io::Result<()> {
    let new = path.with_extension("key.new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(key.expose_secret().as_bytes())?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(all: &[(&str, &str)]) -> Variables {
        all.iter().map(|(name, value)| (name.parse().unwrap(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_variable_that_names_certificates_names_the_bundle_but_ones_own() {
        let own = variables(&[("GIT_SSL_CAINFO", "/srv/ca.pem")]);
        let mut env = own.clone();
        lead_to_bundle(&own, &mut env);
        assert_eq!(env[&"GIT_SSL_CAINFO".parse().unwrap()], "/srv/ca.pem");
        assert_eq!(env[&"NIX_SSL_CERT_FILE".parse().unwrap()], BUNDLE);
        assert!(!env.contains_key(&OF_NPM.parse().unwrap()));
        // Also one whose file nobody sees inside.
        env.insert(OF_NPM.parse().unwrap(), "/opt/site/ca.pem".to_owned());
        lead_to_bundle(&own, &mut env);
        assert_eq!(env[&OF_NPM.parse().unwrap()], BUNDLE);
    }

    #[test]
    fn without_the_bundle_nothing_of_the_host_is_named() {
        let own = variables(&[("CURL_CA_BUNDLE", "/srv/ca.pem")]);
        let host = [("SSL_CERT_FILE", "/opt/site/ca.pem"), (OF_NPM, "/opt/site/ca.pem")];
        let mut env = variables(&host);
        env.extend(variables(&[("npm_config_registry", "https://npm.example.org/")]));
        env.extend(own.clone());
        lead_nowhere(&own, &mut env);
        let left: Vec<&str> = env.keys().map(EnvName::as_str).collect();
        assert_eq!(left, ["CURL_CA_BUNDLE", "npm_config_registry"]);
    }
}
