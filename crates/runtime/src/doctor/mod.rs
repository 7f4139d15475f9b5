//! What this host can do for sandboxes, found by doing it, and what to do about what is missing.
//!
//! The server enters no namespace and puts no filter on itself, so whatever would change the process that tries it is
//! tried in a process of its own: `sandbar __launch probe <name>`, which prints its findings and ends.
//! No command of the host is needed for any of it.

mod blocked;
mod host;
mod limits;
mod probe;
mod throwaway;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::probe::probe_main;

/// How a probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is there.
    Ok,
    /// It is there in part; sandboxes are weaker or slower, and say so.
    Degraded,
    /// It is not there; no sandbox can be made.
    Missing,
}

/// What one probe found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A stable code, for example `user_namespaces`.
    pub code: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found, in a sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What is examined, and with what.
#[derive(Debug, Clone)]
pub struct Examination {
    /// The server's data directory; must exist. Probes make and remove a directory in it.
    pub data: PathBuf,
    /// Our own executable.
    pub exe: PathBuf,
    /// The server's name among others, below which its control groups are.
    pub instance: String,
}

/// Runs every probe.
///
/// Blocks for some ten milliseconds, and for seconds where a probe hangs: to be called off the async threads.
#[must_use]
pub fn examine(examination: &Examination) -> Vec<Finding> {
    let mut findings = vec![host::kernel(), host::mode()];
    for name in probe::NAMES {
        findings.extend(throwaway::run(&examination.exe, name, &examination.data));
    }
    findings.extend(limits::examine(&examination.instance));
    findings.extend(host::file_system(&examination.data));
    findings.push(host::disk_limit(&examination.data));
    findings.push(host::ids());
    findings.push(host::inotify());
    findings.push(host::fuse());
    findings.push(host::commands());
    findings
}

impl Finding {
    fn ok(code: &str, message: impl Into<String>) -> Self {
        Self::new(code, Verdict::Ok, message)
    }

    fn degraded(code: &str, message: impl Into<String>) -> Self {
        Self::new(code, Verdict::Degraded, message)
    }

    fn missing(code: &str, message: impl Into<String>) -> Self {
        Self::new(code, Verdict::Missing, message)
    }

    fn new(code: &str, verdict: Verdict, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), verdict, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The first line of a small file of the kernel; `None` where there is none.
fn line(path: impl AsRef<Path>) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests;
