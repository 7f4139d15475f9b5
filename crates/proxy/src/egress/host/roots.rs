//! Roots of trust that the host's configuration names: on a network whose proxy looks into tunnels, nothing works
//! without its certificate.

use std::path::{Path, PathBuf};

use super::configuration::{CallerFiles, HostConfiguration, Note};

/// Variables that name a file with certificates. Each is handed on as it is.
const VARIABLES: [&str; 11] = [
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
    "CURL_CA_BUNDLE",
    "DENO_CERT",
    "GIT_SSL_CAINFO",
    "NIX_SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "npm_config_cafile",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
];

/// One that names directories. Their certificates are the host's, and nobody is led to them.
const DIRECTORIES: &str = "SSL_CERT_DIR";

pub(super) fn read(files: &CallerFiles, found: &mut HostConfiguration) {
    for variable in VARIABLES {
        if let Some(value) = files.environment.get(variable).filter(|value| !value.is_empty()) {
            found.certificates(variable, value, &[variable]);
        }
    }
    if let Some(value) = files.environment.get(DIRECTORIES).filter(|value| !value.is_empty()) {
        found.certificates(DIRECTORIES, value, &[]);
    }
}

impl HostConfiguration {
    /// Takes `path` as a file or directory with certificates, and tells the variables of it.
    pub(super) fn certificates(&mut self, setting: &str, path: &str, variables: &[&str]) {
        // `SSL_CERT_DIR` is a list.
        let (there, missing): (Vec<PathBuf>, Vec<PathBuf>) = path
            .split(':')
            .map(PathBuf::from)
            .partition(|path| path.is_absolute() && path.exists() && !is_private(path));
        self.notes.extend(
            missing
                .into_iter()
                .map(|path| Note::CertificatesMissing { setting: setting.to_owned(), path }),
        );
        if there.is_empty() {
            return;
        }
        let value = there.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>().join(":");
        for variable in variables {
            self.set(variable, value.clone());
        }
        self.certificates.extend(there);
    }
}

/// A directory whose certificates lie beside their keys is not for sandboxes, whoever names it.
fn is_private(path: &Path) -> bool {
    path.ends_with("private") || path.extension().is_some_and(|kind| kind == "key")
}
