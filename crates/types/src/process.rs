//! The processes of an app: what a manifest asks for, and how each of them is.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{EnvName, ExitStatus};

/// The name of a process of an app: 1 to 64 of `A-Z`, `a-z`, `0-9`, `_`, `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "String", into = "String")]
pub struct ProcessName(String);

/// A text that cannot be the name of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a process name: 1 to 64 of `A-Z`, `a-z`, `0-9`, `_`, `-`")]
pub struct InvalidProcessName;

impl ProcessName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ProcessName {
    type Error = InvalidProcessName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let is_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        let fits = (1..=64).contains(&name.len()) && name.bytes().all(is_word);
        fits.then_some(Self(name)).ok_or(InvalidProcessName)
    }
}

impl FromStr for ProcessName {
    type Err = InvalidProcessName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        name.to_owned().try_into()
    }
}

impl From<ProcessName> for String {
    fn from(name: ProcessName) -> Self {
        name.0
    }
}

impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an app is made of: a manifest with every default filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AppSpec {
    /// Its processes; names are unique, `after` has no cycle.
    pub processes: Vec<ProcessSpec>,
    /// How it is checked that it builds.
    pub build: BuildCheck,
}

impl AppSpec {
    /// LIMIT: processes of one app.
    pub const PROCESSES_MAX: usize = 32;

    /// The process that is the app's face; `None` for an app of workers alone.
    #[must_use]
    pub fn web(&self) -> Option<&ProcessSpec> {
        self.processes.iter().find(|process| process.kind == ProcessKind::Web)
    }
}

/// What a process is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProcessKind {
    /// It serves the app's preview.
    Web,
    /// It works in the background.
    Worker,
}

/// One process that the supervisor keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProcessSpec {
    /// Unique in its app.
    pub name: ProcessName,
    /// What it is for.
    pub kind: ProcessKind,
    /// Run as `bash -lc` does.
    pub command: String,
    /// Where it starts; an absolute path inside, or relative to the workspace. Default: the workspace.
    pub cwd: Option<String>,
    /// Added to the sandbox's environment; a value here wins.
    pub env: BTreeMap<EnvName, String>,
    /// Ports that it serves and that are previewed; the first is the one of its URL.
    pub ports: Vec<u16>,
    /// Starts when all of these are ready; one without a readiness check is ready when it runs.
    pub after: Vec<ProcessName>,
    /// How it is seen that it serves; without one it counts as soon as it runs.
    pub ready: Option<ReadyCheck>,
    /// How it is seen that it goes on serving, once it was ready.
    pub health: Option<HealthCheck>,
    /// How it is ended.
    pub stop: StopPolicy,
    /// What its end means.
    pub restart: RestartPolicy,
    /// Restarted when an agent's task has ended.
    pub restart_after_task: bool,
    /// Bytes kept of its output; the oldest are dropped.
    pub log_bytes_max: u64,
}

/// What is asked to see how a process is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "probe", rename_all = "snake_case", deny_unknown_fields)]
pub enum Probe {
    /// `GET path` on a port of the loopback; a status from 200 to 399 is a yes.
    Http {
        /// The port.
        port: u16,
        /// Begins with `/`.
        path: String,
    },
    /// A connection to a port of the loopback.
    Tcp {
        /// The port.
        port: u16,
    },
    /// A command, run as `bash -lc` does; exit code 0 is a yes.
    Command {
        /// The command.
        command: String,
    },
    /// The process says so itself: it writes a line to this descriptor, or closes it after writing one.
    Notify {
        /// The descriptor's number in the process, from 3 to 9.
        fd: u8,
    },
}

/// When a process is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReadyCheck {
    /// What is asked.
    pub probe: Probe,
    /// Between two questions, in milliseconds.
    pub interval_ms: u64,
    /// How long one answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// A process that is not ready so long after its start has failed, in milliseconds.
    pub deadline_ms: u64,
}

/// Whether a ready process still serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// What is asked; never [`Probe::Notify`].
    pub probe: Probe,
    /// Between two questions, in milliseconds.
    pub interval_ms: u64,
    /// How long one answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// So many noes in a row make it unhealthy; one yes makes it healthy again.
    pub failures: u32,
    /// Whether an unhealthy process is restarted.
    pub restart: bool,
}

/// How a process is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StopPolicy {
    /// The signal that asks, by number; it goes to the whole process group.
    pub signal: u8,
    /// How long it may take before SIGKILL, in milliseconds.
    pub grace_ms: u64,
}

impl Default for StopPolicy {
    /// SIGTERM, five seconds.
    fn default() -> Self {
        Self { signal: 15, grace_ms: 5_000 }
    }
}

/// What the end of a process means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// It is started again, whatever its status.
    #[default]
    Always,
    /// It is started again unless it exited with 0.
    OnFailure,
    /// It has done its work, or has failed.
    Never,
}

/// How it is checked that an app builds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "build", rename_all = "snake_case", deny_unknown_fields)]
pub enum BuildCheck {
    /// Nothing was said: whatever the project's own package manager calls a build, if anything.
    #[default]
    Default,
    /// Said to be none.
    Skipped,
    /// This command.
    Command {
        /// Run as `bash -lc` does.
        command: String,
        /// How long it may take, in milliseconds.
        timeout_ms: u64,
    },
}

/// Where a process is in its life.
///
/// ```text
///          all of `after` ready         ready           N noes
/// waiting ───────► starting ─────────────────► ready ◄─────────► unhealthy
///    ▲                │  └ no check ► running    │                   │
///    │ time           ▼ ends, or late            ▼ ends              ▼ ends, or restarted
///    └──────────── backing_off ◄─────────────────┴───────────────────┘
///                     │ too often too fast              stop, from each: stopping ─► stopped
///                     ▼                                 policy says no more:  exited
///                  given_up ── start ──► waiting
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ProcessState {
    /// Not started yet: these are not ready.
    Waiting {
        /// Who.
        after: Vec<ProcessName>,
    },
    /// It runs, and was not seen ready.
    Starting,
    /// It runs, and has no readiness check.
    Running,
    /// It runs, and was seen ready.
    Ready,
    /// It runs, was ready, and does not answer its health check.
    Unhealthy {
        /// What the last check found.
        reason: String,
    },
    /// It ended, and is started again later.
    BackingOff {
        /// When, in microseconds since 1970.
        until_us: u64,
        /// Why it ended.
        reason: String,
    },
    /// It ended too often too fast, and is not started until somebody says so.
    GivenUp {
        /// Why.
        reason: String,
        /// The last lines that it wrote, oldest first.
        last_lines: Vec<String>,
    },
    /// It was asked to end.
    Stopping,
    /// It ended because somebody asked.
    Stopped,
    /// It ended, and its restart policy leaves it at that.
    Exited,
}

impl ProcessState {
    /// Whether those that wait for it may start.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Running | Self::Ready)
    }
}

/// How a process is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProcessStatus {
    /// Which one.
    pub name: ProcessName,
    /// What it is for.
    pub kind: ProcessKind,
    /// Where it is in its life.
    #[serde(flatten)]
    pub state: ProcessState,
    /// Its number inside, while it runs.
    pub pid: Option<u32>,
    /// How often it was started again since it was last asked to start.
    pub restarts: u32,
    /// When it was started last, in microseconds since 1970.
    pub started_us: Option<u64>,
    /// How it ended last.
    pub last_exit: Option<ExitStatus>,
    /// What else is to be said, for example that it serves another port than the one it should.
    pub hint: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_path_in_them() {
        for good in ["web", "worker-1", "A_b", &"x".repeat(64)] {
            assert!(good.parse::<ProcessName>().is_ok(), "{good}");
        }
        for bad in ["", "..", "a/b", "a b", "ü", "a.b", &"x".repeat(65)] {
            assert!(bad.parse::<ProcessName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_status_says_its_state_beside_its_name() {
        let status = ProcessStatus {
            name: "web".parse().unwrap(),
            kind: ProcessKind::Web,
            state: ProcessState::Unhealthy { reason: "500".to_owned() },
            pid: Some(7),
            restarts: 1,
            started_us: None,
            last_exit: None,
            hint: None,
        };
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(json["state"], "unhealthy");
        assert_eq!(json["reason"], "500");
        assert_eq!(serde_json::from_value::<ProcessStatus>(json).unwrap(), status);
    }
}
