//! Bodies of `/v1/sandboxes/{sandbox}/execs`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sandbar_types::{EnvName, ExecEnd, ExecId, ExecSpec, ExecState, SandboxId, TerminalSize};
use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::{IntoParams, ToSchema};

/// LIMIT: bytes of stdout, and of stderr, that a waited-for exec returns when the client names no number.
pub const LIMIT_OUTPUT_BYTES_DEFAULT: u64 = 1 << 20;
/// LIMIT: bytes of stdout, and of stderr, that a waited-for exec returns at the most.
pub const LIMIT_OUTPUT_BYTES_MAX: u64 = 16 << 20;

/// What to start, and whether to wait for it. All but the last two are those of [`ExecSpec`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecCreateRequest {
    /// The command and its arguments; the first is looked up in `PATH`. Never empty.
    #[schema(min_items = 1)]
    pub argv: Vec<String>,
    /// Added to the sandbox's own environment; a value here wins.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<EnvName, String>,
    /// Where to start; an absolute path inside, or relative to the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Gives the command a pseudo terminal of this size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<TerminalSize>,
    /// Whether a client will send standard input; else it is empty.
    #[serde(default)]
    pub stdin: bool,
    /// Kills the command after this many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Answers when the command has ended, with its output. Not with `stdin`.
    #[serde(default)]
    pub wait: bool,
    /// Bytes of stdout, and of stderr, to return when waiting; what is beyond is counted. 1 MiB when absent, 16 MiB at the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 16_777_216)]
    pub output_bytes_max: Option<u64>,
}

impl ExecCreateRequest {
    /// A request to start `spec` without waiting.
    #[must_use]
    pub fn of(spec: ExecSpec) -> Self {
        let ExecSpec { argv, env, cwd, terminal, stdin, timeout_ms } = spec;
        Self { argv, env, cwd, terminal, stdin, timeout_ms, wait: false, output_bytes_max: None }
    }

    /// What to start.
    #[must_use]
    pub fn into_spec(self) -> ExecSpec {
        ExecSpec {
            argv: self.argv,
            env: self.env,
            cwd: self.cwd,
            terminal: self.terminal,
            stdin: self.stdin,
            timeout_ms: self.timeout_ms,
        }
    }
}

/// An exec as the server knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Exec {
    /// Names it.
    pub id: ExecId,
    /// Its sandbox.
    pub sandbox_id: SandboxId,
    /// The command and its arguments.
    pub argv: Vec<String>,
    /// Whether it has a pseudo terminal.
    pub terminal: bool,
    /// Where it is in its life, and how it ended.
    #[serde(flatten)]
    pub state: ExecState,
    /// When it was started.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

/// What became of a waited-for exec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExecResult {
    /// Names the exec.
    pub id: ExecId,
    /// How it ended.
    pub end: ExecEnd,
    /// What a shell would show for it: 124 timeout, 126 and 127 not started, 128+n signal.
    pub exit_code: u8,
    /// Standard output; all output when there is a terminal.
    pub stdout: CapturedOutput,
    /// Standard error.
    pub stderr: CapturedOutput,
}

/// The beginning of a stream, and how much more there was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CapturedOutput {
    /// The bytes, where they are UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The bytes in base64, where they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b64: Option<String>,
    /// Bytes that are not shown because they were beyond `output_bytes_max`.
    pub truncated_bytes: u64,
}

/// The data of a `stdout` or `stderr` event of `GET …/output`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputChunk {
    /// The bytes, where they are UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The bytes in base64, where they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b64: Option<String>,
}

/// Which signal to send to the exec's process group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalRequest {
    /// The signal's number, 1 to 64.
    #[schema(minimum = 1, maximum = 64)]
    pub signal: u8,
}

/// From where to read output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct OutputQuery {
    /// An offset that an earlier event had as its id; 0 is the beginning. `Last-Event-ID` wins.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "offset")]
    pub offset: Option<u64>,
    /// Whether to go on until the exec has ended (default), or stop at what there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow: Option<bool>,
}

/// No log is longer than 64 bits with a sign can say.
fn offset<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let offset = Option::<u64>::deserialize(deserializer)?;
    if offset.is_some_and(|offset| offset > i64::MAX as u64) {
        return Err(de::Error::custom(format_args!("`offset` is at most {}", i64::MAX)));
    }
    Ok(offset)
}

/// From where to attach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct AttachQuery {
    /// The offset that the last frame had; 0 is the beginning.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "offset")]
    pub offset: Option<u64>,
}
