//! One command started on request in a sandbox.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Rows and columns of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TerminalSize {
    /// Rows, in characters.
    #[cfg_attr(feature = "openapi", schema(maximum = 65535))]
    pub rows: u16,
    /// Columns, in characters.
    #[cfg_attr(feature = "openapi", schema(maximum = 65535))]
    pub cols: u16,
}

/// The name of an environment variable: `[A-Za-z_][A-Za-z0-9_]*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnvName(String);

/// A text that is not the name of an environment variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a name of an environment variable: letters, digits and `_`, no digit first, at most 256 bytes"
)]
pub struct InvalidEnvName;

impl EnvName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EnvName {
    type Error = InvalidEnvName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let is_word = |b: u8| b == b'_' || b.is_ascii_alphanumeric();
        let first_is_letter =
            name.bytes().next().is_some_and(|b| is_word(b) && !b.is_ascii_digit());
        (first_is_letter && name.len() <= 256 && name.bytes().all(is_word))
            .then_some(Self(name))
            .ok_or(InvalidEnvName)
    }
}

impl FromStr for EnvName {
    type Err = InvalidEnvName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        name.to_owned().try_into()
    }
}

impl From<EnvName> for String {
    fn from(name: EnvName) -> Self {
        name.0
    }
}

impl fmt::Display for EnvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a user wants started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ExecSpec {
    /// The command and its arguments; the first is looked up in `PATH`. Never empty.
    pub argv: Vec<String>,
    /// Added to the sandbox's own environment; a value here wins.
    #[serde(default)]
    pub env: BTreeMap<EnvName, String>,
    /// Where to start; an absolute path inside, or relative to the workspace. Default: the workspace.
    #[serde(default)]
    pub cwd: Option<String>,
    /// Gives the command a pseudo terminal of this size; then stdout and stderr are one stream.
    #[serde(default)]
    pub terminal: Option<TerminalSize>,
    /// Whether a client will send standard input; else it is empty.
    #[serde(default)]
    pub stdin: bool,
    /// Kills the command's process group after this many milliseconds.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
}

/// How a process ended, as the kernel said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum ExitStatus {
    /// It exited by itself.
    Exited {
        /// The exit code.
        code: u8,
    },
    /// A signal ended it.
    Signaled {
        /// The signal's number.
        signal: u8,
    },
    /// It ran longer than its timeout, and we killed it.
    TimedOut,
    /// It could not be started: the command is not there (127) or cannot be executed (126).
    NotStarted {
        /// The `errno` that the kernel gave.
        errno: i32,
    },
}

/// How it ended, in words: `exited with code 7`.
impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { code } => write!(f, "exited with code {code}"),
            Self::Signaled { signal } => write!(f, "killed by signal {signal}"),
            Self::TimedOut => f.write_str("killed because its time was over"),
            Self::NotStarted { errno } => write!(f, "could not be started (errno {errno})"),
        }
    }
}

impl ExitStatus {
    /// The code a shell would show: 124 for a timeout, 126 and 127 for a command that did not start, 128+n for a signal.
    #[must_use]
    pub fn shell_code(self) -> u8 {
        const ENOENT: i32 = 2;
        match self {
            Self::Exited { code } => code,
            Self::Signaled { signal } => signal.saturating_add(128),
            Self::TimedOut => 124,
            Self::NotStarted { errno: ENOENT } => 127,
            Self::NotStarted { .. } => 126,
        }
    }
}

/// The last word on an exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExecEnd {
    /// How the command ended.
    pub status: ExitStatus,
    /// Whether the kernel killed a process of the sandbox for memory while the command ran.
    #[serde(default)]
    pub oom_killed: bool,
    /// Output bytes that were dropped because the log was full.
    #[serde(default)]
    pub dropped_bytes: u64,
}

/// Where an exec is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ExecState {
    /// It runs.
    Running,
    /// It ended, and this is how.
    Ended {
        /// How it ended.
        end: ExecEnd,
    },
    /// The sandbox ended before the exec did, so nobody saw its status.
    Lost,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_codes_are_those_of_a_shell() {
        assert_eq!(ExitStatus::Exited { code: 7 }.shell_code(), 7);
        assert_eq!(ExitStatus::Signaled { signal: 9 }.shell_code(), 137);
        assert_eq!(ExitStatus::TimedOut.shell_code(), 124);
        assert_eq!(ExitStatus::NotStarted { errno: 2 }.shell_code(), 127);
        assert_eq!(ExitStatus::NotStarted { errno: 13 }.shell_code(), 126);
    }

    #[test]
    fn odd_environment_names_are_refused() {
        for name in ["", "1A", "A-B", "A=B", "A B", "É"] {
            assert!(name.parse::<EnvName>().is_err(), "{name}");
        }
        assert!("_PATH_2".parse::<EnvName>().is_ok());
    }
}
