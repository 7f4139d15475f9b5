//! Bodies of `/v1/sandboxes/{sandbox}/app`.

use jiff::Timestamp;
use sandbar_types::{CheckStatus, ExitStatus, ProcessName, ProcessStatus};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The app of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppStatus {
    /// What is known of its `sandbox.yaml`.
    pub manifest: Manifest,
    /// How it looks from outside.
    pub preview: Preview,
    /// Its processes, in the order of the manifest.
    pub processes: Vec<ProcessStatus>,
}

/// What is known of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Manifest {
    /// What became of it.
    pub status: ManifestStatus,
    /// What is wrong with it, or odd about it.
    pub findings: Vec<ManifestFinding>,
}

/// What became of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ManifestStatus {
    /// Nobody has asked for the app to be started.
    Unread,
    /// There was none when it was looked for.
    Absent,
    /// It cannot be used; nothing was started or changed by it.
    Invalid,
    /// The app is what it says.
    Applied,
}

/// Something about a manifest, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManifestFinding {
    /// `error` or `warning`.
    pub severity: String,
    /// Stable, for programs.
    pub code: String,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// For people.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How an app looks from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    /// Whether it can be seen.
    pub status: PreviewStatus,
    /// The port of its URL; absent for an app without a public face.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Where it is; absent for an app without a public face, and where the server has no listener for previews.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Whether a preview can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PreviewStatus {
    /// There is nothing to see: no app, or one of workers alone.
    None,
    /// It is on its way.
    Starting,
    /// It serves.
    Ready,
    /// Its process was stopped, or does not answer.
    Down,
    /// It cannot be started: the manifest is wrong, its process has given up, or the sandbox failed.
    Error,
    /// The sandbox sleeps; a request wakes it.
    Asleep,
    /// The sandbox was stopped or paused.
    Stopped,
}

/// A link to a preview that is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PreviewLinkRequest {
    /// The port inside; the app's own when absent.
    #[schema(minimum = 1, maximum = 65535)]
    pub port: Option<u16>,
    /// Good for everybody until then; absent for one visit within 30 seconds.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub share_until: Option<Timestamp>,
}

/// A link to a preview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewLink {
    /// Where to go. Who has it is let in.
    pub url: String,
}

/// How much of a process's log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessLogQuery {
    /// Lines, 1 to 1000; 200 when absent.
    #[param(minimum = 1, maximum = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail: Option<u32>,
}

/// Lines of a log when nothing else is said.
pub const LIMIT_TAIL_DEFAULT: u32 = 200;
/// LIMIT: lines of a log in one answer.
pub const LIMIT_TAIL_MAX: u32 = 1000;

/// The end of a process's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProcessLog {
    /// Whose.
    pub process: ProcessName,
    /// Oldest first.
    pub lines: Vec<ProcessLogLine>,
    /// Where to go on reading: `offset` of the process's output.
    pub next_offset: u64,
    /// Whether there is more before.
    pub is_truncated: bool,
}

/// One line of a process's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProcessLogLine {
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Without its end; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// Until when a sandbox is not to sleep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepaliveRequest {
    /// In the future; at most as far ahead as the server allows, which the answer shows.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
}

/// A manifest to be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ManifestCheckRequest {
    /// The text of a `sandbox.yaml`.
    pub manifest: String,
}

/// What there is to say about a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManifestCheck {
    /// Whether it can be used.
    pub is_valid: bool,
    /// Everything that is wrong with it, or odd about it.
    pub findings: Vec<ManifestFinding>,
    /// What it means, every default filled in; absent where it cannot be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<sandbar_types::AppSpec>,
}

/// How a build is to be checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AppCheckRequest {
    /// Restarts the processes with `restart_after_task` afterwards, whether or not the app builds, and waits for the
    /// web ones to be ready, 90 seconds at most.
    pub restart: bool,
}

/// Whether an app builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppCheck {
    /// How the check came out.
    pub status: CheckStatus,
    /// How the build ended; absent where nothing was built, and where its sandbox ended first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<ExitStatus>,
    /// Whether it ran longer than it may.
    pub timed_out: bool,
    /// Whether the kernel killed something of it for memory.
    pub out_of_memory: bool,
    /// Whether it wrote more than the sandbox may hold.
    pub out_of_disk: bool,
    /// How long the build took, in milliseconds.
    pub duration_ms: u64,
    /// The last that it wrote.
    pub output: AppCheckOutput,
    /// What was restarted afterwards.
    pub restarted: Vec<RestartedProcess>,
}

/// The end of what a build wrote, to both outputs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppCheckOutput {
    /// Oldest first, 200 lines and 64 KiB at most; bytes that are not UTF-8 are replaced.
    pub lines: Vec<String>,
    /// Whether it wrote more before.
    pub is_truncated: bool,
}

/// A process that was restarted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RestartedProcess {
    /// Whether it serves; of one without a readiness check, whether it runs.
    pub is_ready: bool,
    /// How it is since.
    #[serde(flatten)]
    pub process: ProcessStatus,
}
