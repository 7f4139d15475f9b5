//! Which toolchains and package caches below the caller's home a sandbox sees, by name; what is not in the table is not seen.
//!
//! The table is `table.rs`, and for readers `docs/toolchains.md`. It names directories that hold programs and packages,
//! never a directory that programs keep credentials in, however handy that would be.
//!
//! Caches are part of the table, with a policy and rules of their own: `cache.rs`.
//!
//! `~/.cargo` shows why they are copy-on-write. A read-only registry is enough for Cargo only while every package that a
//! build needs was unpacked before; else it unpacks into `registry/src` and fails. Its lock and its count of last uses are
//! in `~/.cargo` itself, which inside is a directory of the sandbox's own home, so those work as ever.

mod cache;
mod table;

use std::{
    fs, io,
    io::Read,
    path::{Path, PathBuf},
};

use sandbar_types::{CacheOffer, HostPath, ToolchainPolicy};

pub use self::table::NEVER_SHOWN;
use self::table::{RENAMED, ROOTS, Shown, TABLE};

/// LIMIT: a larger configuration file is not searched for secrets, and so not shown.
const CONFIG_BYTES_MAX: u64 = 64 << 10;

/// How a toolchain's directory is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ToolchainMode {
    /// A read-only bind.
    ReadOnly,
    /// An overlay: the tools write beside what they read (locks, caches), and the writes stay in the sandbox.
    CopyOnWrite,
}

/// One directory or file to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolchainMount {
    /// Of which toolchain it is part.
    pub name: &'static str,
    /// Where it is on the host, every link resolved. To be opened without following links: it may have been replaced since.
    pub host_path: PathBuf,
    /// Where it is shown: the path that the caller knows.
    pub inside_path: PathBuf,
    /// How.
    pub mode: ToolchainMode,
}

/// What of a home is offered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// What is shown; parents come before children.
    pub mounts: Vec<ToolchainMount>,
    /// Every cache that is there and asked for, those that are left out with the reason.
    pub caches: Vec<CacheOffer>,
}

/// A policy names something that is not in the table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownToolchain {
    /// As a toolchain.
    #[error("unknown toolchain `{name}`; known are {}", names().collect::<Vec<_>>().join(", "))]
    Toolchain {
        /// The name.
        name: String,
    },
    /// As a package cache.
    #[error("unknown cache `{name}`; known are {}", cache_names().collect::<Vec<_>>().join(", "))]
    Cache {
        /// The name.
        name: String,
    },
}

/// The names that a policy may use.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name)
}

/// Those of them that have a cache.
pub fn cache_names() -> impl Iterator<Item = &'static str> {
    let with_cache = TABLE.iter().filter(|(_, entries)| {
        entries.iter().any(|(_, shown)| shown.mode() == ToolchainMode::CopyOnWrite)
    });
    with_cache.map(|(name, _)| *name)
}

/// Resolves the policies against the home directory `home`; what does not exist is left out. `caches` decides about the
/// caches, or, where it is absent, `toolchains` does about them as well.
///
/// A link is followed only to where the same policy shows something anyway, or to where a distribution keeps programs; a
/// cache is never behind one.
///
/// # Errors
/// A policy names something unknown.
pub fn resolve(
    home: &HostPath,
    toolchains: &ToolchainPolicy,
    caches: Option<&ToolchainPolicy>,
) -> Result<Offer, UnknownToolchain> {
    let candidates = candidates(home.as_path(), toolchains, caches)?;
    let real_home = real_path(home.as_path()).unwrap_or_else(|_| home.as_path().to_owned());
    let mut offer = Offer::default();
    for candidate in &candidates {
        match candidate.shown {
            Shown::ReadOnly | Shown::UnlessSecret => {
                let Ok(real) = real_path(&candidate.path) else { continue };
                if is_allowed(&real, candidate, &candidates, home.as_path(), &real_home)
                    && is_showable(&real, candidate.shown)
                {
                    offer.mounts.push(candidate.mount(real));
                }
            }
            Shown::Cache => {
                let Ok(below) = candidate.path.strip_prefix(home.as_path()) else { continue };
                let looked = cache::look(&real_home, below);
                let Some(facts) = looked.transpose() else { continue };
                let left_out = facts.and_then(|facts| cache::decide(&facts)).err();
                if left_out.is_none() {
                    offer.mounts.push(candidate.mount(real_home.join(below)));
                }
                offer.caches.push(CacheOffer {
                    name: candidate.name.to_owned(),
                    path: candidate.path.display().to_string(),
                    left_out,
                });
            }
        }
    }
    Ok(offer)
}

/// A path that the policy allows, whether it exists or not.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    name: &'static str,
    path: PathBuf,
    shown: Shown,
}

impl Candidate {
    fn mount(&self, host_path: PathBuf) -> ToolchainMount {
        ToolchainMount {
            name: self.name,
            host_path,
            inside_path: self.path.clone(),
            mode: self.shown.mode(),
        }
    }
}

/// Decides what the policies allow, without looking at the host.
fn candidates(
    home: &Path,
    toolchains: &ToolchainPolicy,
    caches: Option<&ToolchainPolicy>,
) -> Result<Vec<Candidate>, UnknownToolchain> {
    if let Some(name) = unknown(toolchains, names().collect()) {
        return Err(UnknownToolchain::Toolchain { name });
    }
    if let Some(name) = caches.and_then(|caches| unknown(caches, cache_names().collect())) {
        return Err(UnknownToolchain::Cache { name });
    }
    let caches = caches.unwrap_or(toolchains);
    let mut candidates: Vec<Candidate> = Vec::new();
    for (name, entries) in TABLE {
        for (path, shown) in *entries {
            let policy = match shown {
                Shown::ReadOnly | Shown::UnlessSecret => toolchains,
                Shown::Cache => caches,
            };
            if selects(policy, name) {
                // Joining an absolute path gives that path.
                candidates.push(Candidate { name, path: home.join(path), shown: *shown });
            }
        }
    }
    candidates.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(candidates)
}

fn selects(policy: &ToolchainPolicy, name: &str) -> bool {
    match policy {
        ToolchainPolicy::Known => true,
        ToolchainPolicy::None => false,
        ToolchainPolicy::Only(names) => names.iter().any(|wanted| present_name(wanted) == name),
    }
}

/// The first name of `policy` that is not among `known`.
fn unknown(policy: &ToolchainPolicy, known: Vec<&'static str>) -> Option<String> {
    match policy {
        ToolchainPolicy::Known | ToolchainPolicy::None => None,
        ToolchainPolicy::Only(names) => {
            names.iter().find(|name| !known.contains(&present_name(name))).cloned()
        }
    }
}

fn present_name(name: &str) -> &str {
    RENAMED.iter().find(|(old, _)| *old == name).map_or(name, |(_, present)| present)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the result is compared, and opened later without following a link"
)]
fn real_path(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// Decides whether `real`, to which `candidate` resolved, may be shown in its place.
fn is_allowed(
    real: &Path,
    candidate: &Candidate,
    all: &[Candidate],
    home: &Path,
    real_home: &Path,
) -> bool {
    let of_home = |path: &Path| path.strip_prefix(home).map(|rest| real_home.join(rest));
    let is_secret = NEVER_SHOWN
        .iter()
        .map(|name| real_home.join(name))
        .any(|secret| real.starts_with(&secret) || secret.starts_with(real));
    let is_itself = of_home(&candidate.path).map_or(real == candidate.path, |path| real == path);
    let is_shown_anyway = || {
        all.iter().any(|other| {
            let path = of_home(&other.path).unwrap_or_else(|_| other.path.clone());
            // A cache may be left out for who could write to it.
            other.shown != Shown::Cache && real.starts_with(path)
        })
    };
    let is_of_system =
        || ROOTS.iter().any(|root| real.starts_with(root) && real != Path::new(root));
    !is_secret && (is_itself || is_shown_anyway() || is_of_system())
}

/// Looks whether a configuration file is one without secrets.
fn is_showable(real: &Path, shown: Shown) -> bool {
    shown != Shown::UnlessSecret || (real.is_file() && reads_without_secrets(real).unwrap_or(false))
}

fn reads_without_secrets(path: &Path) -> io::Result<bool> {
    let mut text = Vec::new();
    let read = fs::File::open(path)?.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut text)?;
    let is_whole = u64::try_from(read).is_ok_and(|read| read <= CONFIG_BYTES_MAX);
    Ok(is_whole && !has_secret(&String::from_utf8_lossy(&text)))
}

/// Errs on the side of a secret: a comment that mentions a token hides the file, too.
fn has_secret(text: &str) -> bool {
    const WORDS: [&str; 6] = ["token", "password", "passwd", "secret", "credential", "api_key"];
    let lower = text.to_lowercase();
    let has_user_in_url = lower.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '"', '\'', ' ', '\n']).next();
        authority.is_some_and(|authority| authority.contains('@'))
    });
    has_user_in_url || WORDS.iter().any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests;
