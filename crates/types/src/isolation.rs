//! What isolates a sandbox, as read back from the kernel: never what was merely asked for.

use serde::{Deserialize, Serialize};

/// How strong the isolation of a sandbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum IsolationLevel {
    /// Everything that the native runtime specifies.
    Full,
    /// Something is weaker; the weaknesses say what.
    Degraded,
}

/// One thing that is weaker than the native runtime specifies, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Weakness {
    /// A stable code, for example `single_uid` or `memory_not_limited`.
    pub code: String,
    /// What that means, in a sentence.
    pub message: String,
}

/// Who holds a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// A controller of the unified hierarchy.
    CgroupV2,
    /// A controller of a version 1 hierarchy.
    CgroupV1,
    /// A resource limit of the process.
    Rlimit,
    /// The file system.
    Quota,
    /// Looked at regularly and acted upon; not held by the kernel.
    Watched,
    /// Nobody.
    None,
}

/// Who holds which limit of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LimitEnforcement {
    /// `memory_bytes_max`.
    pub memory: Enforcement,
    /// `cpu_millis_max`.
    pub cpu: Enforcement,
    /// `pids_max`.
    pub pids: Enforcement,
    /// `open_files_max`.
    pub open_files: Enforcement,
    /// `disk_bytes_max`.
    pub disk: Enforcement,
}

/// Why a package cache that is there is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CacheDenied {
    /// It, or a directory on the way to it, is a symbolic link.
    Link,
    /// It, or something on the way to it, is no directory.
    NotADirectory,
    /// It, or a directory on the way to it, belongs to somebody other than the home directory does.
    ForeignOwner,
    /// Its group or everybody may write to it or to a directory on the way, and so plant packages.
    WritableByOthers,
    /// Its owner may not read it.
    Unreadable,
    /// Its file system has no extended attributes.
    NoAttributes,
}

/// A package cache of the caller's home, and whether it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CacheOffer {
    /// The name that a policy may use.
    pub name: String,
    /// The directory, the same inside as outside.
    pub path: String,
    /// Why it is left out; absent when it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<CacheDenied>,
}

/// What the keeper read from outside, before the first user byte ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IsolationReport {
    /// The sum of it.
    pub level: IsolationLevel,
    /// What is weaker; empty when `level` is `full`.
    pub weaknesses: Vec<Weakness>,
    /// `Seccomp` of `/proc/<pid>/status`; 2 is a filter.
    pub seccomp_mode: u8,
    /// `NoNewPrivs` of `/proc/<pid>/status`.
    pub no_new_privs: bool,
    /// `CapEff` of the supervisor, as the kernel prints it; valid in its own user namespace only.
    pub supervisor_capabilities: String,
    /// Landlock's ABI version; 0 where there is none.
    pub landlock_abi: u8,
    /// `/proc/<pid>/uid_map`, line by line.
    pub uid_map: Vec<String>,
    /// Namespaces that are the sandbox's own, for example `mnt`, `net`.
    pub namespaces: Vec<String>,
    /// Mount points inside, as the supervisor's `mountinfo` lists them.
    pub mounts: Vec<String>,
    /// Mount points of the host below the source directory: what is mounted there is not shown inside, and where it is
    /// mounted the directory below is.
    #[serde(default)]
    pub mounts_left_out: Vec<String>,
    /// Package caches of the caller's home that the policy asks for and that are there.
    #[serde(default)]
    pub caches: Vec<CacheOffer>,
    /// Who holds which limit.
    pub limits: LimitEnforcement,
}
