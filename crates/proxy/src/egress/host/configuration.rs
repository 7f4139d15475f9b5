//! Everything that was read, in one value.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use sandbar_types::EnvName;

use super::{
    apt, cargo, npm, pip, roots,
    upstream::{NoProxy, Upstream, Upstreams},
    url::WebUrl,
};
use crate::egress::policy::{HostPattern, Policy, Target};

/// LIMIT: bytes of a configuration file; a larger one is not read.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// Where a caller's configuration is.
#[derive(Debug, Clone)]
pub struct CallerFiles {
    /// Their home directory.
    pub home: PathBuf,
    /// Where `/etc` is; another place in tests.
    pub etc: PathBuf,
    /// Their environment; the server's own for the person who runs it.
    pub environment: BTreeMap<String, String>,
}

/// What the host's configuration asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostConfiguration {
    /// Hosts of registries that the configuration names, to be reached wherever they are.
    pub named: BTreeSet<Target>,
    /// The proxies that the server itself is to go through.
    pub upstreams: Upstreams,
    /// Variables that lead the tools inside to those registries, without secrets.
    pub environment: BTreeMap<EnvName, String>,
    /// Files and directories with certificates that tools of the host believe beside, or in place of, those of the system.
    pub certificates: BTreeSet<PathBuf>,
    /// What could not be taken over; for `doctor` and the log of the start.
    pub notes: Vec<Note>,
}

/// Something that was found and is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Note {
    /// A registry wants a name and a password, which do not go inside.
    #[error("{setting}: the name and password in this address are not handed to sandboxes")]
    UserLeftOut {
        /// The setting.
        setting: String,
    },
    /// A proxy that cannot be gone through.
    #[error("{setting}: not used, because only `http://host:port` is taken as a proxy")]
    ProxyUnsupported {
        /// The setting.
        setting: String,
    },
    /// A certificate file that is not there.
    #[error("{setting}: {path} is not there")]
    CertificatesMissing {
        /// The setting.
        setting: String,
        /// The path.
        path: PathBuf,
    },
    /// A file that is not in the format of its tool.
    #[error("{path} is not understood, and was not used")]
    FileMalformed {
        /// The file.
        path: PathBuf,
    },
}

impl HostConfiguration {
    /// Reads the configuration of npm, pip, uv, Cargo, Go and apt, and of proxies and certificates.
    ///
    /// What is missing or cannot be read is left out: a sandbox is made with what there is.
    #[must_use]
    pub fn read(files: &CallerFiles) -> Self {
        let mut found = Self::default();
        npm::read(files, &mut found);
        pip::read(files, &mut found);
        cargo::read(files, &mut found);
        apt::read(files, &mut found);
        found.read_go(files);
        found.read_proxies(files);
        roots::read(files, &mut found);
        found
    }

    /// Adds to `policy` what the configuration names.
    #[must_use]
    pub fn extend(&self, policy: Policy) -> Policy {
        self.named.iter().cloned().fold(policy, |policy, target| {
            policy.allow(HostPattern::exact(target.clone())).allow_private(target)
        })
    }

    /// Takes `text` as the address of a registry, and has the variable lead to it, where there is one.
    pub(super) fn registry(&mut self, setting: &str, text: &str, variable: Option<&str>) -> bool {
        let Some(url) = WebUrl::parse(text) else { return false };
        if url.user.is_some() {
            self.notes.push(Note::UserLeftOut { setting: setting.to_owned() });
        }
        self.named.insert(url.target);
        if let Some(variable) = variable {
            self.set(variable, url.text);
        }
        true
    }

    pub(super) fn set(&mut self, variable: &str, value: String) {
        if let Ok(name) = variable.parse() {
            self.environment.insert(name, value);
        }
    }

    /// `GOPROXY` is a list; what is not an address in it (`direct`, `off`) is handed on as it is.
    fn read_go(&mut self, files: &CallerFiles) {
        let path = files.home.join(".config/go/env");
        let file = read_text(&path).unwrap_or_default();
        let of_file = |wanted: &str| {
            file.lines().filter_map(|line| line.split_once('=')).find(|(name, _)| *name == wanted)
        };
        let value = |name: &str| {
            let of_file = of_file(name).map(|(_, value)| value.to_owned());
            files.environment.get(name).cloned().or(of_file).filter(|value| !value.is_empty())
        };
        for name in ["GONOSUMDB", "GONOPROXY", "GOPRIVATE"] {
            if let Some(value) = value(name) {
                self.set(name, value);
            }
        }
        for name in ["GOPROXY", "GOSUMDB"] {
            let Some(list) = value(name) else { continue };
            let mut handed_on = String::new();
            // A comma goes on after "not found", a bar after anything.
            for part in list.split_inclusive([',', '|', ' ']) {
                let entry = part.trim_end_matches([',', '|', ' ']);
                let shown = match WebUrl::parse(entry) {
                    Some(url) => {
                        self.registry(name, entry, None);
                        url.text
                    }
                    None => entry.to_owned(),
                };
                handed_on.push_str(&shown);
                handed_on.push_str(&part[entry.len()..]);
            }
            self.set(name, handed_on);
        }
    }

    /// The proxies of the server: lower case first, as curl has it.
    fn read_proxies(&mut self, files: &CallerFiles) {
        let value = |names: [&str; 2]| {
            let found = names.into_iter().find_map(|name| {
                files
                    .environment
                    .get(name)
                    .filter(|value| !value.is_empty())
                    .map(|value| (name.to_owned(), value))
            });
            found.map(|(name, value)| (name, value.clone()))
        };
        let all = value(["all_proxy", "ALL_PROXY"]);
        let mut upstream = |names| {
            let (setting, text) = value(names).or_else(|| all.clone())?;
            Upstream::parse(&text)
                .map_err(|_| self.notes.push(Note::ProxyUnsupported { setting }))
                .ok()
        };
        let https = upstream(["https_proxy", "HTTPS_PROXY"]);
        let http = upstream(["http_proxy", "HTTP_PROXY"]);
        let no_proxy = value(["no_proxy", "NO_PROXY"]);
        let no_proxy = no_proxy.map(|(_, list)| NoProxy::parse(&list)).unwrap_or_default();
        self.upstreams = Upstreams { https, http, no_proxy };
    }
}

/// Returns what is in a file, unless it is missing, too large, or no text.
pub(super) fn read_text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = File::open(path).ok()?;
    // A pipe in its place would be waited for.
    let is_whole = file
        .metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() <= FILE_BYTES_MAX);
    (is_whole && file.take(FILE_BYTES_MAX).read_to_string(&mut text).is_ok()).then_some(text)
}

/// Replaces `${NAME}` by what the caller's environment has; npm and apt leave unknown ones as they are.
pub(super) fn expanded(text: &str, environment: &BTreeMap<String, String>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, behind)) = after.split_once('}') else { break };
        expanded.push_str(before);
        match environment.get(name) {
            Some(value) => expanded.push_str(value),
            None => expanded.push_str(&["${", name, "}"].concat()),
        }
        rest = behind;
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests;
