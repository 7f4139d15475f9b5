//! Sandboxes of Linux namespaces, overlayfs, cgroups, Landlock and seccomp, built by our own launcher.
//!
//! The server enters no namespace: it starts `sandbar __launch`, which builds everything, starts the supervisor, and
//! stays as the sandbox's keeper.

mod ask;
mod certificates;
pub mod cgroup;
pub mod disk;
pub mod environment;
pub mod etc_files;
mod facts;
mod host_ids;
mod keeper;
pub mod landlock_policy;
mod launcher;
mod observe;
mod plan;
mod pool;
pub mod proc_masks;
mod read_back;
pub mod seccomp_policy;
mod slots;
pub mod toolchains;
mod truststore;
mod view;
mod wire;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddrV4,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use sandbar_protocol::Control;
use sandbar_types::{AppSpec, ExecId, ExecSpec, ExitStatus, ProcessName, ProcessStatus, SandboxId};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

pub use self::launcher::launcher_main;
pub(crate) use self::slots::ALL_IDS;
use self::{
    ask::{ask, ask_unbounded, is_gone, record, unexpected},
    cgroup::Hierarchies,
    keeper::{Reply, Request, Stopped},
    pool::{Offer, Pool},
};
use crate::{
    AppWatch, DialError, ExecStream, Finding, LaunchError, LaunchSpec, Launched, Observed,
    ProcessAction, Runtime, SandboxDir, StopOutcome, SupervisorClient, Usage, View,
};

/// What the native runtime is told once.
#[derive(Debug, Clone)]
pub struct NativeConfig {
    /// The executable that has the roles `__launch` and `__supervise`: our own.
    pub exe: PathBuf,
    /// The server's data directory, absolute.
    pub data_dir: PathBuf,
    /// Names this server among others of the host; begins the names of its cgroups. `[a-z0-9]`, at most 16.
    pub instance: String,
    /// Launchers that are kept warm.
    pub pool_size: usize,
}

/// The native runtime.
#[derive(Debug)]
pub struct NativeRuntime {
    config: NativeConfig,
    hierarchies: Option<Hierarchies>,
    pool: Arc<Pool>,
}

impl NativeRuntime {
    /// Returns the runtime; must be called inside a tokio runtime, where it keeps its pool filled.
    ///
    /// It removes what warm launchers of a killed server left; sandboxes it leaves to [`Runtime::observe`].
    #[must_use]
    pub fn new(config: NativeConfig) -> Self {
        let hierarchies = usable_hierarchies(&config.instance);
        let uid = rustix::process::geteuid();
        let user = (!uid.is_root()).then(|| (uid.as_raw(), rustix::process::getegid().as_raw()));
        let pool =
            Arc::new(Pool::new(config.clone(), Offer { user, hierarchies: hierarchies.clone() }));
        if let Some(hierarchies) = &hierarchies {
            let is_owned = |slot| pool.slots.last_owner(slot).is_some();
            if let Err(err) = Self::sweep(hierarchies, &config.instance, is_owned) {
                tracing::warn!(
                    error = &err as &dyn std::error::Error,
                    "failed to remove old control groups"
                );
            }
        }
        pool.refill();
        Self { config, hierarchies, pool }
    }

    /// What it was told.
    #[must_use]
    pub fn config(&self) -> &NativeConfig {
        &self.config
    }

    /// Makes the step `launch.<step>` of every launch to come fail (`:error`) or end its process (`:kill`); for tests.
    /// The environment variable `SANDBAR_FAILPOINT` does the same. Release builds ignore both.
    pub fn set_failpoint(&self, failpoint: Option<String>) {
        self.pool.set_failpoint(failpoint);
    }
}

/// The hierarchies, where control groups can be made in them.
fn usable_hierarchies(instance: &str) -> Option<Hierarchies> {
    let prepared =
        Hierarchies::discover().and_then(|found| found.prepare(instance).map(|()| found));
    match prepared {
        Ok(hierarchies) => Some(hierarchies),
        Err(err) => {
            // Every launch says so in its report.
            tracing::warn!(error = &err as &dyn std::error::Error, "control groups cannot be used");
            None
        }
    }
}

#[async_trait::async_trait]
impl Runtime for NativeRuntime {
    async fn doctor(&self) -> Vec<Finding> {
        let examination = crate::doctor::Examination {
            data: self.config.data_dir.clone(),
            exe: self.config.exe.clone(),
            instance: self.config.instance.clone(),
        };
        // Probes start processes and wait for them.
        tokio::task::spawn_blocking(move || crate::doctor::examine(&examination))
            .await
            .unwrap_or_default()
    }

    fn has_id_ranges(&self) -> bool {
        rustix::process::geteuid().is_root()
    }

    async fn launch(&self, spec: LaunchSpec) -> Result<Launched, LaunchError> {
        let offer = toolchains::resolve(&spec.caller.home, &spec.toolchains, spec.caches.as_ref())
            .map_err(|err| LaunchError::Source { what: err.to_string() })?;
        let id = spec.id;
        if let Some(Ok(metadata)) = spec.source.as_ref().map(|at| std::fs::metadata(at.as_path())) {
            self.pool.expect_owner((metadata.uid(), metadata.gid()));
        }
        let base = spec.uid_base.filter(|_| self.has_id_ranges());
        // The slot of whom it is a copy stays that one's.
        let launcher = match base.filter(|_| spec.fork_of.is_some()) {
            Some(base) => self.pool.take_sharing(base).await?,
            None => self.pool.take(base, id).await?,
        };
        let is_own = base.is_none() || spec.fork_of.is_some();
        let slot = launcher.slot;
        let launched = async {
            let plan = plan::plan(spec, launcher.ids, &launcher.facts, offer)?;
            // INVARIANT: whose the slot is is on disk before anything of the sandbox is in it.
            self.pool
                .slots
                .record(slot, id)
                .map_err(|source| LaunchError::Step { step: "record".to_owned(), source })?;
            launcher.claim(plan, self.pool.failpoint()).await
        };
        let launched = launched.await;
        if launched.is_err() {
            self.pool.clear(slot).await;
            if is_own {
                self.pool.slots.forget(slot);
            }
        }
        self.pool.slots.give_back(slot);
        launched
    }

    async fn exec(
        &self,
        dir: &SandboxDir,
        id: ExecId,
        spec: &ExecSpec,
        log: OwnedFd,
    ) -> io::Result<ExecStream> {
        SupervisorClient::connect(dir)?.exec(id, spec, log).await
    }

    async fn attach(&self, dir: &SandboxDir, id: ExecId, offset: u64) -> io::Result<ExecStream> {
        SupervisorClient::connect(dir)?.attach(id, offset).await
    }

    async fn app_log(&self, dir: &SandboxDir, name: &ProcessName, log: OwnedFd) -> io::Result<()> {
        SupervisorClient::connect(dir)?.process_log(name, log).await
    }

    async fn app_apply(&self, dir: &SandboxDir, app: &AppSpec) -> io::Result<()> {
        SupervisorClient::connect(dir)?.apply(app).await
    }

    async fn app_processes(&self, dir: &SandboxDir) -> io::Result<Vec<ProcessStatus>> {
        SupervisorClient::connect(dir)?.processes().await
    }

    async fn app_process(
        &self,
        dir: &SandboxDir,
        name: &ProcessName,
        action: ProcessAction,
    ) -> io::Result<()> {
        SupervisorClient::connect(dir)?.process(name, action).await
    }

    async fn app_follow(
        &self,
        dir: &SandboxDir,
        name: &ProcessName,
        offset: u64,
    ) -> io::Result<ExecStream> {
        SupervisorClient::connect(dir)?.follow(name, offset).await
    }

    async fn app_watch(&self, dir: &SandboxDir) -> io::Result<AppWatch> {
        SupervisorClient::connect(dir)?.watch().await
    }

    async fn dial(&self, dir: &SandboxDir, port: u16) -> Result<TcpStream, DialError> {
        SupervisorClient::connect(dir)?.dial(port).await
    }

    async fn egress(&self, dir: &SandboxDir) -> io::Result<TcpListener> {
        SupervisorClient::connect(dir)?.egress().await
    }

    async fn listen_inside(&self, dir: &SandboxDir, at: SocketAddrV4) -> io::Result<TcpListener> {
        SupervisorClient::connect(dir)?.listen(at).await
    }

    async fn bind_inside(&self, dir: &SandboxDir, at: SocketAddrV4) -> io::Result<UdpSocket> {
        SupervisorClient::connect(dir)?.bind(at).await
    }

    async fn stop(
        &self,
        dir: &SandboxDir,
        id: SandboxId,
        grace: Duration,
    ) -> io::Result<StopOutcome> {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        match ask(dir, Request::Stop { grace_ms }, grace).await {
            Ok((Reply::Stopped(stopped), _)) => Ok(match stopped {
                Stopped::Exited => StopOutcome::Exited,
                Stopped::Killed => StopOutcome::Killed,
                Stopped::Stuck => StopOutcome::Stuck,
            }),
            Ok(_) => Err(unexpected()),
            Err(err) if is_gone(&err) => self.kill_orphans(id).await,
            Err(err) => Err(err),
        }
    }

    async fn freeze(&self, dir: &SandboxDir, _id: SandboxId) -> io::Result<()> {
        let frozen = done(ask(dir, Request::Freeze, Duration::ZERO).await);
        by_supervisor_where_unsupported(frozen, dir, Control::Freeze).await
    }

    async fn reclaim(&self, dir: &SandboxDir, _id: SandboxId) -> io::Result<()> {
        done(ask(dir, Request::Reclaim, Duration::ZERO).await)
    }

    async fn thaw(&self, dir: &SandboxDir, _id: SandboxId) -> io::Result<()> {
        let thawed = done(ask(dir, Request::Thaw, Duration::ZERO).await);
        by_supervisor_where_unsupported(thawed, dir, Control::Thaw).await
    }

    async fn observe(
        &self,
        sandboxes: &[(SandboxId, SandboxDir)],
    ) -> io::Result<BTreeMap<SandboxId, Observed>> {
        self.observe_all(sandboxes).await
    }

    async fn release(&self, dir: &SandboxDir, id: SandboxId) -> io::Result<()> {
        self.release_one(dir, id).await
    }

    async fn view(&self, spec: &LaunchSpec) -> io::Result<View> {
        self.view_of(spec).await
    }

    async fn usage(&self, dir: &SandboxDir, _id: SandboxId) -> io::Result<Usage> {
        match ask(dir, Request::Usage, Duration::ZERO).await? {
            (Reply::Usage(usage), _) => Ok(usage),
            _ => Err(unexpected()),
        }
    }

    async fn wait(&self, dir: &SandboxDir, _id: SandboxId) -> io::Result<Option<ExitStatus>> {
        match ask_unbounded(dir, Request::Wait).await {
            Ok((Reply::Ended { status }, _)) => Ok(status),
            Ok(_) => Err(unexpected()),
            // It ended while we asked, or before; then it is written down.
            Err(err) if is_gone(&err) => match record(dir)?.and_then(|record| record.end) {
                Some(end) => Ok(end.status),
                None => Err(io::ErrorKind::NotConnected.into()),
            },
            Err(err) => Err(err),
        }
    }
}

/// Without a control group the keeper cannot hold still what runs; the supervisor can, by signals. It is an untrusted
/// peer, and in user mode the agent has its id: there the one instant of a review is worth what they are.
async fn by_supervisor_where_unsupported(
    answer: io::Result<()>,
    dir: &SandboxDir,
    request: Control,
) -> io::Result<()> {
    match answer {
        Err(err) if err.kind() == io::ErrorKind::Unsupported => {
            SupervisorClient::connect(dir)?.control(request).await.map(|_done| ())
        }
        answer => answer,
    }
}

fn done(answer: io::Result<(Reply, Vec<OwnedFd>)>) -> io::Result<()> {
    match answer? {
        (Reply::Done, _) => Ok(()),
        _ => Err(unexpected()),
    }
}
