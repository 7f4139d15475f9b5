//! How a sandbox is isolated: one [`Runtime`] for each way, and the process roles that belong to it.
//!
//! A runtime carries out; it never decides. It takes a [`LaunchSpec`] of values and descriptors, and says what it saw.
//! The engine decides when, records before and after, and asks [`Runtime::observe`] what is really there.

pub mod client;
pub mod doctor;
pub mod fake;
pub mod native;
pub mod spawn;

use std::{
    collections::BTreeMap, io, net::SocketAddrV4, os::fd::OwnedFd, path::PathBuf, time::Duration,
};

use sandbar_types::{
    AppSpec, EnvName, ExecId, ExecSpec, ExitStatus, GitIdentity, HostPath, IsolationReport, Limits,
    ProcessName, ProcessStatus, SandboxId, ToolchainPolicy, WorkspacePath,
};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

pub use crate::{
    client::{AppWatch, DialError, ExecStream, ProcessAction, SupervisorClient},
    doctor::{Finding, Verdict},
};

/// The directories of one sandbox below the server's data directory; all 0700 and ours alone.
///
/// ```text
/// <data>/sandboxes/<id>/
///   upper/  work/   the writable layer; owned by the sandbox's ids
///   home/           what is written below the home directory inside
///   logs/           one log per exec; never visible inside
///   run/            keeper.sock, supervisor.sock
///   record.json     enough to re-adopt without the store (written by the engine)
///   keeper.json     what the keeper knows (written by the keeper)
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxDir(pub PathBuf);

/// The caller on whose behalf a sandbox runs: who owns its source and whose home offers toolchains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Their home directory, the path that `HOME` has inside as well.
    pub home: HostPath,
    /// Their user name, shown inside.
    pub name: String,
    /// `PATH` as they have it; entries that do not exist inside are dropped.
    pub path: String,
}

/// Everything that a launch needs, decided beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchSpec {
    /// Whose launch this is.
    pub id: SandboxId,
    /// Distinguishes this launch from every other of the same sandbox; part of the names of what it makes.
    pub nonce: String,
    /// Its directories; `upper` and the others exist, empty or with what was kept.
    pub dir: SandboxDir,
    /// The lowest layer; `None` for an empty workspace.
    pub source: Option<HostPath>,
    /// The sandbox of which this one is a throw-away copy, made in constant time: it begins with the files of that one
    /// and changes none of them. Its ids are that one's, which `uid_base` says.
    pub fork_of: Option<SandboxDir>,
    /// Where the workspace is inside.
    pub workspace_path: HostPath,
    /// The only subtree that may change; `None` for all.
    pub scope: Option<WorkspacePath>,
    /// Limits to set and read back.
    pub limits: Limits,
    /// Environment of every exec.
    pub env: BTreeMap<EnvName, String>,
    /// Toolchains of the caller's home to offer.
    pub toolchains: ToolchainPolicy,
    /// Package caches of the caller's home to offer; `None` as `toolchains` says.
    pub caches: Option<ToolchainPolicy>,
    /// Whose home, and whose `PATH`.
    pub caller: Caller,
    /// First host id of the range that the kept files already belong to; `None` for any free range, and in user mode.
    pub uid_base: Option<u32>,
    /// The name inside, as `hostname` prints it.
    pub hostname: String,
    /// Who makes the commits inside, where the repository does not say.
    pub git_identity: Option<GitIdentity>,
    /// Certificates that the programs inside may believe, as PEM, in `/etc/sandbar-ca.crt`; `None`: there is no such file.
    #[serde(default)]
    pub certificates: Option<String>,
}

/// A sandbox that was launched and read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launched {
    /// Process id of the supervisor as the host sees it; for display, never for signals.
    pub supervisor_pid: u32,
    /// What was read back from the kernel before the first user byte ran.
    pub isolation: IsolationReport,
    /// Version of the supervisor's protocol.
    pub protocol: u32,
    /// First host id of its range; give it as [`LaunchSpec::uid_base`] when the same upper layer is launched again.
    pub uid_base: Option<u32>,
}

/// Why a launch failed. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The host lacks something that a sandbox must have.
    #[error("this host cannot isolate a sandbox: {what}")]
    Unsupported {
        /// What is missing.
        what: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The source cannot be the lower layer.
    #[error("the source cannot be used: {what}")]
    Source {
        /// Why not.
        what: String,
    },
    /// A step failed.
    #[error("launch failed at step `{step}`")]
    Step {
        /// The step's name; also the name of its failpoint.
        step: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// What was read back is not what was asked for.
    #[error("isolation could not be verified: {what}")]
    Verify {
        /// The difference.
        what: String,
    },
    /// The launcher ended without a word, or did not answer in time.
    #[error("the launcher did not answer")]
    Lost(#[source] io::Error),
}

/// What became of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum StopOutcome {
    /// Every process ended within the grace period.
    Exited,
    /// The grace period ran out, and the rest was killed.
    Killed,
    /// A process outlived even SIGKILL; nothing may be released yet.
    Stuck,
    /// Nothing of it was running.
    NotRunning,
}

/// What the host shows of one sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// Keeper and supervisor live, and the keeper answers.
    Running {
        /// The nonce of the launch, as the keeper says it.
        nonce: String,
        /// Frozen.
        paused: bool,
    },
    /// Nothing runs, but something is left to release: cgroups, sockets.
    Remains {
        /// How the supervisor ended, where the keeper wrote it down.
        exit: Option<ExitStatus>,
    },
    /// Processes live without a keeper: they belong to nobody and must be killed.
    Orphaned,
}

/// What a sandbox uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Bytes of memory, as its cgroup counts them.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Processor time since the start, in microseconds.
    pub cpu_us: Option<u64>,
    /// How often the kernel killed for memory.
    pub oom_kills: Option<u64>,
}

/// Descriptors of a workspace, for reading changes and files. Never paths: nothing of it is in the host's mount table.
#[derive(Debug)]
pub struct View {
    /// The merged tree.
    pub merged: OwnedFd,
    /// The upper layer alone, the hint where to look.
    pub upper: OwnedFd,
    /// The lower layer as the sandbox sees it; `None` for an empty source.
    pub lower: Option<OwnedFd>,
    /// Who owns new files, as the host sees it: (uid, gid).
    pub owner: (u32, u32),
}

/// One way to isolate sandboxes.
///
/// Every call is idempotent, has a deadline of its own, and may be repeated after a crash.
#[async_trait::async_trait]
pub trait Runtime: Send + Sync + std::fmt::Debug + 'static {
    /// Probes the host by doing; what `doctor` prints.
    async fn doctor(&self) -> Vec<Finding>;

    /// Whether sandboxes get an id range of their own (root) or run as one id (user).
    fn has_id_ranges(&self) -> bool;

    /// Builds the sandbox and returns when its supervisor said hello and the kernel was read back.
    ///
    /// # Errors
    /// Fails closed; nothing is left of a failed launch.
    async fn launch(&self, spec: LaunchSpec) -> Result<Launched, LaunchError>;

    /// Starts `spec` and returns the connection that is its stream.
    ///
    /// `log` is the exec's log file, open for reading and writing, empty.
    ///
    /// # Errors
    /// The supervisor is not there, or refuses.
    async fn exec(
        &self,
        dir: &SandboxDir,
        id: ExecId,
        spec: &ExecSpec,
        log: OwnedFd,
    ) -> io::Result<ExecStream>;

    /// Connects to a running exec's output from `offset` on.
    ///
    /// # Errors
    /// The supervisor is not there (`NotConnected`), or does not know the exec (`NotFound`).
    async fn attach(&self, dir: &SandboxDir, id: ExecId, offset: u64) -> io::Result<ExecStream>;

    /// Gives a process of the app its log: a regular file open for reading and writing, empty or a log of earlier runs.
    ///
    /// # Errors
    /// The supervisor is not there (`NotConnected`), or the file is no log (`InvalidInput`).
    async fn app_log(&self, dir: &SandboxDir, name: &ProcessName, log: OwnedFd) -> io::Result<()>;

    /// Makes the app what `app` says: starts what is new, restarts what changed, ends what is not named any more.
    ///
    /// # Errors
    /// The supervisor is not there, or a process has no log (`InvalidInput`).
    async fn app_apply(&self, dir: &SandboxDir, app: &AppSpec) -> io::Result<()>;

    /// Returns how the processes of the app are, in the order in which it names them.
    ///
    /// # Errors
    /// The supervisor is not there.
    async fn app_processes(&self, dir: &SandboxDir) -> io::Result<Vec<ProcessStatus>>;

    /// Starts, ends or restarts one process of the app; it may still be ending when this returns.
    ///
    /// # Errors
    /// The supervisor is not there, or the app has no such process (`NotFound`).
    async fn app_process(
        &self,
        dir: &SandboxDir,
        name: &ProcessName,
        action: ProcessAction,
    ) -> io::Result<()>;

    /// Follows the log of a process from `offset` on, across its restarts.
    ///
    /// # Errors
    /// The supervisor is not there, or the app has no such process (`NotFound`).
    async fn app_follow(
        &self,
        dir: &SandboxDir,
        name: &ProcessName,
        offset: u64,
    ) -> io::Result<ExecStream>;

    /// Watches how the processes of the app are.
    ///
    /// # Errors
    /// The supervisor is not there.
    async fn app_watch(&self, dir: &SandboxDir) -> io::Result<AppWatch>;

    /// Connects to a port of the loopback inside.
    ///
    /// # Errors
    /// Nobody listens there, or the supervisor is not there.
    async fn dial(&self, dir: &SandboxDir, port: u16) -> Result<TcpStream, DialError>;

    /// Returns the listening socket inside on which programs ask for what is outside.
    ///
    /// # Errors
    /// The supervisor is not there, or something else listens on that port.
    async fn egress(&self, dir: &SandboxDir) -> io::Result<TcpListener>;

    /// Returns a new socket inside that listens at an address of the loopback there.
    ///
    /// # Errors
    /// The supervisor is not there or too old, or something else listens there.
    async fn listen_inside(&self, dir: &SandboxDir, at: SocketAddrV4) -> io::Result<TcpListener> {
        let _ = (dir, at);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns a new socket inside for datagrams to an address of the loopback there.
    ///
    /// # Errors
    /// As [`Runtime::listen_inside`].
    async fn bind_inside(&self, dir: &SandboxDir, at: SocketAddrV4) -> io::Result<UdpSocket> {
        let _ = (dir, at);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Asks, waits `grace`, kills the cgroup, reaps, and says what happened.
    ///
    /// # Errors
    /// The host could not be asked; nothing is known.
    async fn stop(
        &self,
        dir: &SandboxDir,
        id: SandboxId,
        grace: Duration,
    ) -> io::Result<StopOutcome>;

    /// Freezes every process, and returns when they are frozen.
    ///
    /// # Errors
    /// It is not running, or did not freeze in time.
    async fn freeze(&self, dir: &SandboxDir, id: SandboxId) -> io::Result<()>;

    /// Gives back memory that a frozen sandbox can do without until it runs again; as much as goes.
    ///
    /// # Errors
    /// It is not there.
    async fn reclaim(&self, dir: &SandboxDir, id: SandboxId) -> io::Result<()>;

    /// Lets it run again.
    ///
    /// # Errors
    /// It is not running.
    async fn thaw(&self, dir: &SandboxDir, id: SandboxId) -> io::Result<()>;

    /// Looks at the host: what is there of which sandbox, those without a record included.
    ///
    /// # Errors
    /// The host could not be read.
    async fn observe(
        &self,
        sandboxes: &[(SandboxId, SandboxDir)],
    ) -> io::Result<BTreeMap<SandboxId, Observed>>;

    /// Releases what a sandbox that does not run left behind: cgroups, sockets, keeper. Files stay.
    ///
    /// # Errors
    /// Something of it still runs (`ResourceBusy`), or the kernel refused.
    async fn release(&self, dir: &SandboxDir, id: SandboxId) -> io::Result<()>;

    /// Opens the workspace for reading; of a sandbox that does not run, too.
    ///
    /// # Errors
    /// The layers cannot be opened.
    async fn view(&self, spec: &LaunchSpec) -> io::Result<View>;

    /// Reads what it uses.
    ///
    /// # Errors
    /// It is not running.
    async fn usage(&self, dir: &SandboxDir, id: SandboxId) -> io::Result<Usage>;

    /// Waits until the supervisor of a running sandbox has ended, and returns how, where known.
    ///
    /// # Errors
    /// The keeper is not there.
    async fn wait(&self, dir: &SandboxDir, id: SandboxId) -> io::Result<Option<ExitStatus>>;
}
