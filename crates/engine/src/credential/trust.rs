//! Whom the programs inside believe: the certificates of the host, and an authority of their sandbox's own.
//!
//! Its key is beside the files of the sandbox, readable by the server alone, and never inside; it is made with the first
//! launch, and the same after a sleep. Inside is one file with every certificate, and variables that lead there. What a
//! person's own environment says wins.

use std::{
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
/// Deno, the command line of AWS.
const VARIABLES: [&str; 9] = [
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "DENO_CERT",
    "AWS_CA_BUNDLE",
];

/// Variables that are led there where the host's configuration has them.
const OF_HOST: [&str; 2] = ["NIX_SSL_CERT_FILE", "npm_config_cafile"];

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
            let of_host = OF_HOST
                .into_iter()
                .filter(|name| launch.env.keys().any(|known| known.as_str() == *name));
            let all: Vec<&str> = VARIABLES.into_iter().chain(of_host).collect();
            for name in all {
                let name: EnvName = name.parse().expect("it is a name of a variable");
                if !row.spec.env.contains_key(&name) {
                    launch.env.insert(name, BUNDLE.to_owned());
                }
            }
            launch.certificates = Some(certificates);
        }
        Ok(None) => {}
        Err(err) => {
            tracing::warn!(sandbox.id = %id, error = &err as &dyn std::error::Error, "a sandbox gets no credentials: its key cannot be kept");
        }
    }
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
