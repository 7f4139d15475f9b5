//! Which toolchains below the caller's home a sandbox sees, by name; what is not in the table is not seen.
//!
//! The table is `table.rs`, and for readers `docs/toolchains.md`. It names directories that hold programs and packages,
//! never a directory that programs keep credentials in, however handy that would be.
//!
//! `~/.cargo` shows why some are copy-on-write. A read-only registry is enough for Cargo only while every package that a
//! build needs was unpacked before; else it unpacks into `registry/src` and fails. Its lock and its count of last uses are
//! in `~/.cargo` itself, which inside is a directory of the sandbox's own home, so those work as ever.

mod table;

use std::{
    fs, io,
    io::Read,
    path::{Path, PathBuf},
};

use sandbar_types::{HostPath, ToolchainPolicy};

pub use self::table::NEVER_SHOWN;
use self::table::{Entry, ROOTS, Shown, TABLE};

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

/// A policy names a toolchain that is not in the table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown toolchain `{name}`; known are {known}", known = names().collect::<Vec<_>>().join(", "))]
pub struct UnknownToolchain {
    /// The name.
    pub name: String,
}

/// The names that a policy may use.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name)
}

/// Resolves `policy` against the home directory `home`; what does not exist is left out, parents come before children.
///
/// A link is followed only to where the same policy shows something anyway, or to where a distribution keeps programs.
///
/// # Errors
/// The policy names an unknown toolchain.
pub fn resolve(
    home: &HostPath,
    policy: &ToolchainPolicy,
) -> Result<Vec<ToolchainMount>, UnknownToolchain> {
    let candidates = candidates(home.as_path(), policy)?;
    let real_home = real_path(home.as_path()).unwrap_or_else(|_| home.as_path().to_owned());
    let mut mounts: Vec<ToolchainMount> = candidates
        .iter()
        .filter_map(|candidate| {
            let real = real_path(&candidate.path).ok()?;
            (is_allowed(&real, candidate, &candidates, home.as_path(), &real_home)
                && is_showable(&real, candidate.shown))
            .then(|| ToolchainMount {
                name: candidate.name,
                host_path: real,
                inside_path: candidate.path.clone(),
                mode: candidate.shown.mode(),
            })
        })
        .collect();
    mounts.sort_by(|a, b| a.inside_path.cmp(&b.inside_path));
    Ok(mounts)
}

/// A path that the policy allows, whether it exists or not.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    name: &'static str,
    path: PathBuf,
    shown: Shown,
}

/// Decides what `policy` allows, without looking at the host.
fn candidates(home: &Path, policy: &ToolchainPolicy) -> Result<Vec<Candidate>, UnknownToolchain> {
    let entries: Vec<&(&str, &[Entry])> = match policy {
        ToolchainPolicy::Known => TABLE.iter().collect(),
        ToolchainPolicy::None => Vec::new(),
        ToolchainPolicy::Only(names) => names
            .iter()
            .map(|wanted| {
                TABLE
                    .iter()
                    .find(|(name, _)| name == wanted)
                    .ok_or_else(|| UnknownToolchain { name: wanted.clone() })
            })
            .collect::<Result<_, _>>()?,
    };
    let mut candidates: Vec<Candidate> = entries
        .into_iter()
        .flat_map(|(name, entries)| {
            entries.iter().map(|(path, shown)| Candidate {
                name,
                // Joining an absolute path gives that path.
                path: home.join(path),
                shown: *shown,
            })
        })
        .collect();
    candidates.sort_by(|a, b| a.path.cmp(&b.path));
    candidates.dedup_by(|a, b| a.path == b.path);
    Ok(candidates)
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
            real.starts_with(path)
        })
    };
    let is_of_system =
        || ROOTS.iter().any(|root| real.starts_with(root) && real != Path::new(root));
    !is_secret && (is_itself || is_shown_anyway() || is_of_system())
}

/// Looks whether what is there is of the kind that the table says.
fn is_showable(real: &Path, shown: Shown) -> bool {
    match shown {
        Shown::ReadOnly => true,
        Shown::CopyOnWrite => real.is_dir(),
        Shown::UnlessSecret => real.is_file() && reads_without_secrets(real).unwrap_or(false),
    }
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
