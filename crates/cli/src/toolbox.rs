//! Agents for sandboxes alone: pinned, checked against the checksums in `crates/cli/toolbox`, and installed by npm without
//! running a script of theirs.
//!
//! ```text
//! ~/.local/share/sandbar-toolbox/
//!   claude-code/package.json, package-lock.json, node_modules/   one directory for each agent
//!   bin/claude -> ../claude-code/node_modules/…                  last in PATH inside
//! ```

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use sandbar_types::TOOLBOX;

use crate::failure::{Code, Failure};

/// One agent of the toolbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pinned {
    /// What people call it.
    pub(crate) agent: &'static str,
    /// Its version.
    pub(crate) version: &'static str,
    package: &'static str,
    lock: &'static str,
    program: &'static str,
    /// Where the program is below its directory, on this kind of processor; `None` where it is not made for it.
    path: Option<&'static str>,
}

macro_rules! pinned {
    ($agent:literal, $version:literal, $program:literal, $path:expr) => {
        Pinned {
            agent: $agent,
            version: $version,
            package: include_str!(concat!("../toolbox/", $agent, "/package.json")),
            lock: include_str!(concat!("../toolbox/", $agent, "/package-lock.json")),
            program: $program,
            path: $path,
        }
    };
}

const ON_X64: bool = cfg!(target_arch = "x86_64");
const ON_ARM64: bool = cfg!(target_arch = "aarch64");

/// The path of this kind of processor.
const fn path(x64: Option<&'static str>, arm64: Option<&'static str>) -> Option<&'static str> {
    if ON_X64 {
        x64
    } else if ON_ARM64 {
        arm64
    } else {
        None
    }
}

const GEMINI: Option<&str> = Some("node_modules/.bin/gemini");

/// What can be installed.
pub(crate) const PINNED: &[Pinned] = &[
    pinned!(
        "claude-code",
        "2.1.332",
        "claude",
        path(
            Some("node_modules/@anthropic-ai/claude-code-linux-x64/claude"),
            Some("node_modules/@anthropic-ai/claude-code-linux-arm64/claude"),
        )
    ),
    pinned!(
        "codex",
        "0.171.0",
        "codex",
        path(
            Some("node_modules/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex"),
            Some("node_modules/codex-linux-arm64/vendor/aarch64-unknown-linux-musl/bin/codex"),
        )
    ),
    pinned!("gemini", "0.61.0", "gemini", path(GEMINI, GEMINI)),
    pinned!(
        "opencode",
        "1.18.33",
        "opencode",
        path(Some("node_modules/opencode-linux-x64/bin/opencode"), None)
    ),
];

impl Pinned {
    /// Whether there is one for this kind of processor.
    pub(crate) fn is_for_this_machine(self) -> bool {
        self.path.is_some()
    }
}

/// Finds an agent of the toolbox.
///
/// # Errors
/// There is none of that name.
pub(crate) fn find(agent: &str) -> Result<Pinned, Failure> {
    PINNED.iter().find(|pinned| pinned.agent == agent).copied().ok_or_else(|| {
        let names: Vec<_> = PINNED.iter().map(|pinned| pinned.agent).collect();
        Failure::not_found(format!("`{agent}` is not in the toolbox"))
            .hint(format!("it has {}; any other agent is shown inside where your own programs are, see docs/toolchains.md", names.join(", ")))
    })
}

/// The toolbox of a person.
#[derive(Debug, Clone)]
pub(crate) struct Toolbox(PathBuf);

impl Toolbox {
    /// That of the person whose home this is.
    pub(crate) fn of_home(home: &Path) -> Self {
        Self(home.join(TOOLBOX))
    }

    /// Where its programs are.
    pub(crate) fn programs(&self) -> PathBuf {
        self.0.join("bin")
    }

    /// Installs an agent, or leaves it where that very version is there. What was there before is replaced whole, or, where
    /// it fails, kept.
    ///
    /// # Errors
    /// It is not made for this machine, npm is not there or refuses, a checksum is wrong, the disk is full.
    pub(crate) fn install(&self, pinned: Pinned) -> Result<Installed, Failure> {
        let Some(path) = pinned.path else {
            let message = format!("`{}` is not made for this kind of processor", pinned.agent);
            return Err(Failure::new(Code::Refused, message));
        };
        if self.has(pinned) {
            return Ok(Installed::Already);
        }
        let unusable = |error: io::Error| {
            let message = format!("cannot write to {}", self.0.display());
            Failure::new(Code::Refused, message).caused_by(&error)
        };
        let staged = self.0.join(format!(".{}.new", pinned.agent));
        self.stage(pinned, &staged).map_err(unusable)?;
        let done = npm_ci(&staged).and_then(|()| {
            if staged.join(path).is_file() {
                return self.put(pinned, path, &staged).map_err(unusable);
            }
            Err(Failure::unexpected(format!("npm installed no `{}`", pinned.program)))
        });
        if done.is_err() {
            drop(fs::remove_dir_all(&staged));
        }
        done.map(|()| Installed::Now)
    }

    /// Removes an agent. Sandboxes that run see it until they are started again.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove(&self, pinned: Pinned) -> Result<(), Failure> {
        let gone = |done: io::Result<()>| match done {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        };
        gone(fs::remove_file(self.link(pinned)))
            .and_then(|()| gone(fs::remove_dir_all(self.0.join(pinned.agent))))
            .map_err(|error| {
                Failure::new(Code::Refused, format!("cannot remove from {}", self.0.display()))
                    .caused_by(&error)
            })
    }

    /// Whether it is there, in the version of this `sandbar`.
    pub(crate) fn has(&self, pinned: Pinned) -> bool {
        let lock = fs::read_to_string(self.0.join(pinned.agent).join("package-lock.json"));
        lock.is_ok_and(|lock| lock == pinned.lock) && self.link(pinned).exists()
    }

    fn link(&self, pinned: Pinned) -> PathBuf {
        self.programs().join(pinned.program)
    }

    fn stage(&self, pinned: Pinned, staged: &Path) -> io::Result<()> {
        fs::create_dir_all(self.programs())?;
        // Of an install that was killed.
        if staged.exists() {
            fs::remove_dir_all(staged)?;
        }
        fs::create_dir(staged)?;
        fs::write(staged.join("package.json"), pinned.package)?;
        fs::write(staged.join("package-lock.json"), pinned.lock)
    }

    fn put(&self, pinned: Pinned, path: &str, staged: &Path) -> io::Result<()> {
        let place = self.0.join(pinned.agent);
        if place.exists() {
            fs::remove_dir_all(&place)?;
        }
        fs::rename(staged, place)?;
        let staged_link = self.programs().join(format!(".{}.new", pinned.program));
        drop(fs::remove_file(&staged_link));
        symlink(Path::new("..").join(pinned.agent).join(path), &staged_link)?;
        fs::rename(staged_link, self.link(pinned))
    }
}

/// What an install did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Installed {
    Now,
    Already,
}

/// Has npm fetch what the lock names; it refuses what has another checksum.
fn npm_ci(dir: &Path) -> Result<(), Failure> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the user's own npm, at the user's word, from a command line that has no server in it"
    )]
    let asked = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .output();
    let asked = asked.map_err(|error| {
        Failure::new(Code::Refused, "`npm` cannot be started")
            .caused_by(&error)
            .hint("install Node.js 20 or newer with npm, or install the agent yourself")
    })?;
    if asked.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&asked.stderr).trim().to_owned();
    Err(Failure::new(Code::Refused, "`npm ci` failed").hint(said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_pinned_with_a_checksum_and_names_no_host() {
        for pinned in PINNED {
            let lock: serde_json::Value = serde_json::from_str(pinned.lock).unwrap();
            let packages = lock["packages"].as_object().unwrap();
            assert!(pinned.package.contains(pinned.version), "{}", pinned.agent);
            for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
                let integrity = package["integrity"].as_str().unwrap_or_default();
                assert!(integrity.starts_with("sha512-"), "{name} of {}", pinned.agent);
            }
            assert!(!pinned.lock.contains("://"), "{}", pinned.agent);
        }
    }

    #[test]
    fn what_fails_leaves_what_was_there() {
        let home = tempfile::tempdir().unwrap();
        let toolbox = Toolbox::of_home(home.path());
        let place = toolbox.0.join("codex");
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("old"), "").unwrap();
        // Nothing like it was ever published.
        let broken = Pinned { lock: "{}", package: "{}", ..find("codex").unwrap() };
        assert!(toolbox.install(broken).is_err());
        assert!(place.join("old").exists());
        assert!(!toolbox.0.join(".codex.new").exists());
        toolbox.remove(broken).unwrap();
        assert!(!place.exists());
        toolbox.remove(broken).unwrap();
    }

    #[test]
    fn an_unknown_agent_is_refused_with_those_that_are_there() {
        let failure = find("clippy").unwrap_err().render();
        assert!(failure.contains("claude-code, codex, gemini, opencode"), "{failure}");
    }
}
