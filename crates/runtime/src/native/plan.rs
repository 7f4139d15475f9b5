//! A launch as values: which mounts in which order, which ids, what the supervisor is told. Nothing here touches the host.

mod mounts;

use sandbar_protocol::{AgentIds, ResourceLimit, ResourceLimits, SupervisorConfig};
use sandbar_types::{CacheOffer, HostPath, Limits, SandboxId, Weakness, WorkspacePath};
use serde::{Deserialize, Serialize};

pub(super) use self::mounts::ground;
use super::{
    environment::{EnvironmentParams, environment},
    etc_files::{EtcUser, etc_files, user_name},
    facts::Facts,
    launcher::Failure,
    proc_masks::Mask,
    toolchains::Offer,
};
use crate::{LaunchSpec, SandboxDir};

/// User and group id of the agent inside.
pub(super) const AGENT: u32 = 1000;
/// How many ids a sandbox has inside, 0 included. The one after them is the creator's, see [`Ids::creator`].
pub(super) const RANGE: u32 = 65_535;

/// Which ids of the host a sandbox has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ids {
    /// [`RANGE`] ids from `base` on (root mode).
    Range { base: u32 },
    /// The caller's own (user mode); inside they are [`AGENT`].
    Single { uid: u32, gid: u32 },
}

impl Ids {
    /// Who owns what the agent writes, as the host sees it.
    pub(super) fn agent_outside(self) -> (u32, u32) {
        match self {
            Self::Range { base } => (base + AGENT, base + AGENT),
            Self::Single { uid, gid } => (uid, gid),
        }
    }

    /// The id that creates the user namespace: not mapped inside, and of this sandbox alone, so that the kernel's
    /// counters for each user (inotify, namespaces) are not shared with another sandbox.
    pub(super) fn creator(self) -> Option<u32> {
        match self {
            Self::Range { base } => Some(base + RANGE),
            Self::Single { .. } => None,
        }
    }

    /// First id of the range.
    pub(super) fn base(self) -> Option<u32> {
        match self {
            Self::Range { base } => Some(base),
            Self::Single { .. } => None,
        }
    }

    /// `uid_map` and `gid_map` as user_namespaces(7) wants them written.
    pub(super) fn maps(self) -> (String, String) {
        match self {
            Self::Range { base } => (format!("0 {base} {RANGE}\n"), format!("0 {base} {RANGE}\n")),
            Self::Single { uid, gid } => {
                (format!("{AGENT} {uid} 1\n"), format!("{AGENT} {gid} 1\n"))
            }
        }
    }
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// A tree of the host that can be executed from, read-only.
    System { host: HostPath },
    /// A file or directory of the host without anything to execute, read-only.
    Data { host: HostPath },
    /// The generated `/etc`.
    Etc,
    /// Memory.
    Tmpfs { bytes: u64, inodes: u64, mode: u32, is_executable: bool },
    /// Process information.
    Proc,
    /// A cover over a path of `/proc`.
    Mask(MaskKind),
    /// The directory of devices.
    Dev,
    /// A device node of the host, checked to be this one.
    Device { host: HostPath, major: u32, minor: u32 },
    /// Terminals of the sandbox's own.
    Pts,
    /// The merged tree; read-only when only a scope may change.
    Workspace { is_read_only: bool },
    /// The part of the merged tree that may change.
    Scope,
    /// The certificates of `/etc/sandbar-ca.crt` in place of a bundle of the host's: for programs without an environment.
    Certificates,
    /// The same certificates in place of a store that Java reads.
    Truststore,
    /// The home directory that is kept.
    Home,
    /// A toolchain of the caller's.
    Toolchain { host: HostPath, is_writable: bool, index: usize },
}

impl What {
    /// Whether it depends on the host alone, and so can be there before anybody asks for a sandbox.
    pub(super) fn is_ground(&self) -> bool {
        match self {
            Self::System { .. }
            | Self::Data { .. }
            | Self::Etc
            | Self::Proc
            | Self::Mask(_)
            | Self::Dev
            | Self::Device { .. }
            | Self::Pts => true,
            Self::Tmpfs { .. }
            | Self::Workspace { .. }
            | Self::Scope
            | Self::Certificates
            | Self::Truststore
            | Self::Home
            | Self::Toolchain { .. } => false,
        }
    }
}

/// [`Mask`], for the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MaskKind {
    File,
    Dir,
    ReadOnly,
    Value,
}

impl From<Mask> for MaskKind {
    fn from(mask: Mask) -> Self {
        match mask {
            Mask::File => Self::File,
            Mask::Dir => Self::Dir,
            Mask::ReadOnly => Self::ReadOnly,
            Mask::Value => Self::Value,
        }
    }
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mount {
    /// Where, as seen inside.
    pub(super) at: HostPath,
    /// What.
    pub(super) what: What,
}

impl Mount {
    fn demand(&self) -> Demand {
        let (flags, may_nest): (&'static [&'static str], bool) = match &self.what {
            // With what the host has mounted below, which is as much the host's.
            What::System { .. } => (READ_ONLY, true),
            What::Data { .. } => (READ_ONLY_DATA, true),
            What::Toolchain { is_writable: false, .. } => (READ_ONLY, true),
            What::Workspace { is_read_only: true } => (READ_ONLY, false),
            What::Etc | What::Mask(_) | What::Certificates | What::Truststore => {
                (READ_ONLY_DATA, false)
            }
            What::Tmpfs { is_executable: false, .. } | What::Proc => {
                (&["nosuid", "nodev", "noexec"], false)
            }
            What::Dev => (&["ro", "nosuid", "noexec"], false),
            What::Device { .. } | What::Pts => (&["nosuid", "noexec"], false),
            What::Tmpfs { is_executable: true, .. }
            | What::Workspace { is_read_only: false }
            | What::Scope
            | What::Home
            | What::Toolchain { is_writable: true, .. } => (&["nosuid", "nodev"], false),
        };
        Demand { at: self.at.to_string(), flags, may_nest }
    }
}

const READ_ONLY: &[&str] = &["ro", "nosuid", "nodev"];
const READ_ONLY_DATA: &[&str] = &["ro", "nosuid", "nodev", "noexec"];

/// What one mount must be, in the words of proc_pid_mountinfo(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Demand {
    /// Where, as seen inside.
    pub(super) at: String,
    /// Options that it must have.
    pub(super) flags: &'static [&'static str],
    /// Whether mounts below it that nobody planned may have come with it; they must have the same options.
    pub(super) may_nest: bool,
}

/// A symbolic link in the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Link {
    /// Where, as seen inside.
    pub(super) at: HostPath,
    /// What it says.
    pub(super) target: String,
}

/// A file of the generated `/etc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EtcEntry {
    /// Below `/etc`.
    pub(super) path: String,
    /// What it holds.
    pub(super) content: String,
}

/// Everything that launcher, init and keeper of one sandbox do, decided beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) id: SandboxId,
    pub(super) nonce: String,
    /// The directories of the sandbox.
    pub(super) dir: HostPath,
    pub(super) ids: Ids,
    pub(super) source: Option<HostPath>,
    /// Whose writable layers are read-only ones of this sandbox.
    pub(super) fork_of: Option<HostPath>,
    pub(super) scope: Option<WorkspacePath>,
    pub(super) workspace: HostPath,
    pub(super) home: HostPath,
    /// In the order in which they are attached.
    pub(super) mounts: Vec<Mount>,
    pub(super) links: Vec<Link>,
    pub(super) etc: Vec<EtcEntry>,
    /// What goes beside it ([`super::certificates`]), empty where there are none.
    #[serde(skip)]
    pub(super) certificates: String,
    pub(super) limits: Limits,
    pub(super) hostname: String,
    pub(super) supervisor: SupervisorConfig,
    /// What is weaker by decision; the read-back adds what it finds.
    pub(super) weaknesses: Vec<Weakness>,
    /// Which package caches of the home are among the mounts, and which are not.
    pub(super) caches: Vec<CacheOffer>,
}

impl Plan {
    /// What the kernel must say of each mount, the root's included.
    pub(super) fn demands(&self) -> Vec<Demand> {
        let root = Demand { at: "/".to_owned(), flags: READ_ONLY, may_nest: false };
        std::iter::once(root).chain(self.mounts.iter().map(Mount::demand)).collect()
    }

    /// Where toolchains are inside.
    pub(super) fn toolchain_paths(&self) -> impl Iterator<Item = &HostPath> {
        self.mounts
            .iter()
            .filter(|mount| matches!(mount.what, What::Toolchain { .. }))
            .map(|mount| &mount.at)
    }
}

/// Plans the launch of `spec` on a host of which `facts` are known.
pub(super) fn plan(
    spec: LaunchSpec,
    ids: Ids,
    facts: &Facts,
    offer: Offer,
) -> Result<Plan, Failure> {
    let (links, mounts) = mounts::mounts(&spec, facts, &offer.mounts)?;
    let own = |dir: &SandboxDir| {
        HostPath::parse(&dir.0)
            .map_err(|err| Failure::Source { what: format!("data directory: {err}") })
    };
    let dir = own(&spec.dir)?;
    let fork_of = spec.fork_of.as_ref().map(own).transpose()?;
    let home = spec.caller.home.to_string();
    let user = EtcUser {
        name: user_name(&spec.caller.name),
        home: &home,
        shell: facts.shell,
        git: spec.git_identity.as_ref(),
    };
    let etc = etc_files(user, &spec.hostname).into_iter();
    let etc =
        etc.map(|file| EtcEntry { path: file.path.to_owned(), content: file.content }).collect();
    let supervisor = supervisor(&spec, ids, facts, |dir| mounts::is_visible(dir, &mounts, &links));
    Ok(Plan {
        id: spec.id,
        nonce: spec.nonce,
        dir,
        ids,
        source: spec.source,
        fork_of,
        scope: spec.scope,
        workspace: spec.workspace_path,
        home: spec.caller.home,
        mounts,
        links,
        etc,
        certificates: spec.certificates.unwrap_or_default(),
        limits: spec.limits,
        hostname: spec.hostname,
        supervisor,
        weaknesses: weaknesses(ids),
        caches: offer.caches,
    })
}

/// What the supervisor is told; `is_visible` says whether a directory of `PATH` can hold anything inside.
fn supervisor(
    spec: &LaunchSpec,
    ids: Ids,
    facts: &Facts,
    is_visible: impl Fn(&str) -> bool,
) -> SupervisorConfig {
    let env = environment(
        EnvironmentParams {
            caller_path: &spec.caller.path,
            home: &spec.caller.home.to_string(),
            user: user_name(&spec.caller.name),
            shell: facts.shell,
            time_zone: facts.time_zone.as_deref(),
            spec: &spec.env,
        },
        is_visible,
    );
    SupervisorConfig {
        env,
        home: spec.caller.home.clone(),
        workspace: spec.workspace_path.clone(),
        agent: ids.base().map(|_| AgentIds { uid: AGENT, gid: AGENT }),
        rlimits: rlimits(&spec.limits),
        log_bytes_max: spec.limits.log_bytes_max,
        execs_max: spec.limits.execs_max,
        hostname: spec.hostname.clone(),
    }
}

fn rlimits(limits: &Limits) -> ResourceLimits {
    let both = |value| Some(ResourceLimit::both(value));
    ResourceLimits {
        open_files: both(u64::from(limits.open_files_max)),
        processes: both(u64::from(limits.pids_max)),
        core: both(0),
        locked_memory: both(8 << 20),
        stack: Some(ResourceLimit { soft: Some(8 << 20), hard: None }),
        file_size: both(limits.disk_bytes_max),
        message_queues: both(819_200),
        pending_signals: both(4096),
        nice: both(0),
        realtime_priority: both(0),
    }
}

fn weaknesses(ids: Ids) -> Vec<Weakness> {
    match ids {
        Ids::Range { .. } => Vec::new(),
        Ids::Single { .. } => vec![Weakness {
            code: "single_uid".to_owned(),
            message: "the sandbox runs as the user who started it: beyond the sandbox its processes would be that user's".to_owned(),
        }],
    }
}
