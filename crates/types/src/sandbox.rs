//! What a user asks of a sandbox, and where a sandbox is in its life.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    AcceptanceRules, EnvName, ExitStatus, GitIdentity, HostPath, Limits, NetworkSpec, PresetName,
    SandboxId, WorkspacePath, word::word,
};

/// What the workspace is a view of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(from = "SourceFields", tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// A directory of the host, seen copy-on-write and never written but by an approve.
    Directory {
        /// The directory.
        path: HostPath,
    },
    /// Nothing: the workspace starts empty, and there is nowhere to approve to.
    Empty,
    /// A starter: the workspace starts with its files, and there is nowhere to approve to.
    Preset {
        /// Which one.
        preset: PresetName,
    },
}

/// [`Source`] as it is read: a variant without a body would accept any field, one with an empty body refuses them.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum SourceFields {
    Directory { path: HostPath },
    Empty {},
    Preset { preset: PresetName },
}

impl From<SourceFields> for Source {
    fn from(fields: SourceFields) -> Self {
        match fields {
            SourceFields::Directory { path } => Self::Directory { path },
            SourceFields::Empty {} => Self::Empty,
            SourceFields::Preset { preset } => Self::Preset { preset },
        }
    }
}

/// A name that a person gives: 1 to 64 of `a-z`, `0-9`, `-`, `_`, `.`, beginning with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SandboxName(String);

/// A text that cannot be the name of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a sandbox name: 1 to 64 of `a-z`, `0-9`, `-`, `_`, `.`, the first a letter or digit, not like an id"
)]
pub struct InvalidSandboxName;

fn is_sandbox_name(name: &str) -> bool {
    let is_alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    // A name that reads as the beginning of an id would make every short id ambiguous.
    let is_like_an_id = name.starts_with(SandboxId::PREFIX);
    !is_like_an_id
        && (1..=64).contains(&name.len())
        && name.bytes().next().is_some_and(is_alphanumeric)
        && name.bytes().all(|b| is_alphanumeric(b) || matches!(b, b'-' | b'_' | b'.'))
}

word!(SandboxName, is_sandbox_name, InvalidSandboxName, InvalidSandboxName);

/// When a sandbox ends by itself. Files with unreviewed changes are never deleted by it: the sandbox is stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Expiry {
    /// The lease: milliseconds after creation.
    pub ttl_ms: Option<u64>,
    /// Milliseconds without a request for a preview, an exec, a terminal or a file request. Default: none, and where an
    /// app runs, the server's.
    pub idle_timeout_ms: Option<u64>,
}

/// Which toolchains, or which package caches, below the caller's home are shown inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ToolchainPolicy {
    /// The known directories that exist (see `docs/toolchains.md`); never a secret.
    Known,
    /// None.
    None,
    /// Only these known ones, by name, for example `cargo`, `rustup`, `npm`.
    Only(Vec<String>),
}

/// Whether the app of a workspace, what its `sandbox.yaml` declares, is started with the sandbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AppStart {
    /// Started where there is a manifest, at each start of the sandbox.
    #[default]
    Auto,
    /// Started only when somebody asks.
    Manual,
}

/// What becomes of a sandbox that nobody uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum IdlePolicy {
    /// It is stopped after its idle timeout, and a request for its preview starts it again.
    #[default]
    Sleep,
    /// It runs on, also when memory is short.
    AlwaysOn,
}

/// Who may see the previews of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Everybody who reaches the server.
    Public,
    /// Who was given a link, or a session.
    Private,
}

/// Why a sandbox was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Somebody asked.
    Requested,
    /// Its lease ended.
    LeaseEnded,
    /// Nobody used it for long enough: it sleeps, and wakes when somebody does.
    Idle,
    /// The host's memory was short, and it was the one that nobody had used for longest: it sleeps.
    MemoryPressure,
    /// Its upper layer is as large as it may be.
    DiskFull,
}

impl StopReason {
    /// Whether a request for its preview starts the sandbox again.
    #[must_use]
    pub const fn is_sleep(self) -> bool {
        match self {
            Self::Idle | Self::MemoryPressure => true,
            Self::Requested | Self::LeaseEnded | Self::DiskFull => false,
        }
    }
}

/// What a user wants a sandbox to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SandboxSpec {
    /// A name of its own, unique among the sandboxes that live; generated when absent.
    #[serde(default)]
    pub name: Option<SandboxName>,
    /// What the workspace is a view of.
    pub source: Source,
    /// Where the workspace is inside. Default: the source's own path, or `/workspace`.
    #[serde(default)]
    pub workspace_path: Option<HostPath>,
    /// The subtree that may change; the rest is read-only inside. Default: everything.
    #[serde(default)]
    pub scope: Option<WorkspacePath>,
    /// Subtrees that no other sandbox over the same source may reserve while this one lives; `[""]` is not a path, so the whole source is `reserve_all`.
    #[serde(default)]
    pub reserve: Vec<WorkspacePath>,
    /// Reserves the whole source.
    #[serde(default)]
    pub reserve_all: bool,
    /// What it may use.
    #[serde(default)]
    pub limits: Limits,
    /// Variables that every exec sees.
    #[serde(default)]
    pub env: BTreeMap<EnvName, String>,
    /// Toolchains of the caller's home.
    #[serde(default = "SandboxSpec::default_toolchains")]
    pub toolchains: ToolchainPolicy,
    /// Package caches of the caller's home: read from there, written to the sandbox. Default: as `toolchains`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caches: Option<ToolchainPolicy>,
    /// When it ends by itself.
    #[serde(default)]
    pub expiry: Expiry,
    /// Whether its app is started with it.
    #[serde(default)]
    pub app: AppStart,
    /// What becomes of it when nobody uses it.
    #[serde(default)]
    pub idle_policy: IdlePolicy,
    /// Who may see its previews. Default: everybody where the server listens on the loopback alone, else who was given a link.
    #[serde(default)]
    pub visibility: Option<Visibility>,
    /// Whom it may reach.
    #[serde(default)]
    pub network: NetworkSpec,
    /// Who makes the commits inside, where the repository does not say; nobody when absent.
    #[serde(default)]
    pub git_identity: Option<GitIdentity>,
    /// What may be approved without a person; nothing when absent.
    #[serde(default)]
    pub acceptance: Option<AcceptanceRules>,
}

impl SandboxSpec {
    fn default_toolchains() -> ToolchainPolicy {
        ToolchainPolicy::Known
    }

    /// A sandbox over `source` with everything else at its default.
    #[must_use]
    pub fn over(source: Source) -> Self {
        Self {
            name: None,
            source,
            workspace_path: None,
            scope: None,
            reserve: Vec::new(),
            reserve_all: false,
            limits: Limits::default(),
            env: BTreeMap::new(),
            toolchains: ToolchainPolicy::Known,
            caches: None,
            expiry: Expiry::default(),
            app: AppStart::Auto,
            idle_policy: IdlePolicy::Sleep,
            visibility: None,
            network: NetworkSpec::default(),
            git_identity: None,
            acceptance: None,
        }
    }
}

/// Why a sandbox failed, and so what was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum FailureReason {
    /// A step of the creation failed; nothing ran.
    LaunchFailed {
        /// What could not be done, and why.
        message: String,
    },
    /// The supervisor ended though nobody asked for it. The files are kept.
    SupervisorExited {
        /// How it ended, where anybody saw it.
        status: Option<ExitStatus>,
    },
    /// The keeper is gone, and with it the sandbox. The files are kept.
    KeeperLost,
    /// The host was restarted. The files are kept.
    HostRestarted,
    /// Processes outlived even SIGKILL; nothing of it may be released yet.
    Stuck,
}

/// Where a sandbox is in its life.
///
/// ```text
///      create                        pause
/// ∅ ─► creating ─► running ◄────────────► paused
///          │        │   ▲ start
///          │   stop ▼   │                     any ─► deleting ─► (gone)
///          │     stopping ─► stopped
///          └────────┴─► failed ─► start, delete
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SandboxState {
    /// Its steps are being carried out; nothing of it may be used yet.
    Creating,
    /// Its supervisor answers.
    Running,
    /// Frozen, with its memory kept.
    Paused,
    /// Its processes are being ended.
    Stopping,
    /// Nothing of it runs; its files are kept.
    Stopped,
    /// Something ended it; its files are kept.
    Failed {
        /// Why.
        reason: FailureReason,
    },
    /// It is being removed.
    Deleting,
}

impl SandboxState {
    /// Whether something of it runs that is not being ended.
    #[must_use]
    pub const fn may_have_processes(&self) -> bool {
        match self {
            Self::Creating | Self::Running | Self::Paused => true,
            Self::Stopping | Self::Stopped | Self::Failed { .. } | Self::Deleting => false,
        }
    }
}

/// How two reservations meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OverlapKind {
    /// Both reserve the same subtree.
    Exact,
    /// The asked-for subtree holds the reserved one.
    Contains,
    /// The asked-for subtree lies inside the reserved one.
    Inside,
}

/// A reservation that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Overlap {
    /// Who holds it.
    pub holder: SandboxId,
    /// How the two meet.
    pub kind: OverlapKind,
    /// The subtree that is held, as a path of the host.
    pub held: HostPath,
    /// The subtree that was asked for, as a path of the host.
    pub asked: HostPath,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s13_a_record_from_before_caches_had_a_policy_still_reads() {
        let old = r#"{"source":{"kind":"empty"},"toolchains":"none"}"#;
        let spec = serde_json::from_str::<SandboxSpec>(old).unwrap();
        assert_eq!((spec.toolchains, spec.caches), (ToolchainPolicy::None, None));
        let new = r#"{"source":{"kind":"empty"},"caches":{"only":["npm","pip"]}}"#;
        let spec = serde_json::from_str::<SandboxSpec>(new).unwrap();
        let names = vec!["npm".to_owned(), "pip".to_owned()];
        assert_eq!(spec.caches, Some(ToolchainPolicy::Only(names)));
    }

    #[test]
    fn a_source_has_the_fields_of_its_kind_and_no_other() {
        for (text, source) in [
            (r#"{"kind":"empty"}"#, Source::Empty),
            (
                r#"{"kind":"preset","preset":"nextjs"}"#,
                Source::Preset { preset: PresetName::NextJs },
            ),
            (
                r#"{"kind":"directory","path":"/a"}"#,
                Source::Directory { path: HostPath::parse("/a").unwrap() },
            ),
        ] {
            assert_eq!(serde_json::from_str::<Source>(text).unwrap(), source);
            assert_eq!(serde_json::to_string(&source).unwrap(), text);
        }
        for text in [
            r#"{"kind":"empty","path":"/a"}"#,
            r#"{"kind":"directory","path":"/a","paths":[]}"#,
            r#"{"kind":"directory"}"#,
            r#"{"kind":"image"}"#,
            r#"{"kind":"preset","preset":"rails"}"#,
            "{}",
        ] {
            assert!(serde_json::from_str::<Source>(text).is_err(), "{text}");
        }
    }
}
