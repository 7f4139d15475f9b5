//! A runtime for tests that isolates nothing and shares nothing with the kernel.
//!
//! It stands for the *host*: clones are one host, so a test can drop an engine and start another over what still runs.
//! A workspace is a plain directory, `merged`, that begins as a copy of the source; what [`Fake::write`] and
//! [`Fake::remove`] do to it is hinted at in `upper`, as an overlay would.

mod app;
mod exec;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use sandbar_types::{
    AppSpec, Enforcement, ExecId, ExecSpec, ExitStatus, IsolationLevel, IsolationReport,
    LimitEnforcement, ProcessName, ProcessState, ProcessStatus, SandboxId,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use self::{app::FakeApp, exec::FakeExec};
use crate::{
    AppWatch, DialError, ExecStream, LaunchError, LaunchSpec, Launched, Observed, ProcessAction,
    Runtime, SandboxDir, StopOutcome, Usage, View, doctor::Finding,
};

/// What goes wrong the next time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A launch fails, and leaves nothing.
    LaunchFails,
    /// A launch succeeds, and its answer is lost.
    LaunchReplyLost,
    /// A launch never returns.
    LaunchHangs,
    /// A stop finds that a process cannot be killed.
    StopSticks,
    /// A freeze fails.
    FreezeFails,
    /// An exec is refused.
    ExecFails,
}

/// A host in memory; clones are the same host.
#[derive(Debug, Clone, Default)]
pub struct Fake(Arc<Mutex<Host>>);

#[derive(Debug, Default)]
struct Host {
    sandboxes: BTreeMap<SandboxId, FakeSandbox>,
    /// Not running, not yet released.
    remains: BTreeMap<SandboxId, Option<ExitStatus>>,
    orphans: BTreeSet<SandboxId>,
    faults: Vec<Fault>,
    /// What was done, in order.
    calls: Vec<(SandboxId, &'static str)>,
}

#[derive(Debug)]
struct FakeSandbox {
    nonce: String,
    is_paused: bool,
    execs: BTreeMap<ExecId, FakeExec>,
    app: FakeApp,
    /// `None` while it runs; then how its supervisor ended, or that its keeper is gone.
    ended: watch::Sender<Option<Result<Option<ExitStatus>, ()>>>,
}

impl Fake {
    /// A host on which nothing runs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `fault` happen once, at the next occasion.
    pub fn fail(&self, fault: Fault) {
        self.host().faults.push(fault);
    }

    /// What was done to `id`, in order: `launch`, `stop`, `release`, `freeze`, `thaw`.
    #[must_use]
    pub fn calls(&self, id: SandboxId) -> Vec<&'static str> {
        let host = self.host();
        host.calls.iter().filter(|(of, _)| *of == id).map(|(_, call)| *call).collect()
    }

    /// Whether `id` runs.
    #[must_use]
    pub fn is_running(&self, id: SandboxId) -> bool {
        self.host().sandboxes.contains_key(&id)
    }

    /// Whether `id` is frozen.
    #[must_use]
    pub fn is_frozen(&self, id: SandboxId) -> bool {
        self.host().sandboxes.get(&id).is_some_and(|sandbox| sandbox.is_paused)
    }

    /// Freezes `id` behind everybody's back, as a server that dies during a review does.
    pub fn leave_frozen(&self, id: SandboxId) {
        if let Some(sandbox) = self.host().sandboxes.get_mut(&id) {
            sandbox.is_paused = true;
        }
    }

    /// Ends the supervisor of `id`; the keeper writes down how.
    pub fn end_supervisor(&self, id: SandboxId, status: ExitStatus) {
        let mut host = self.host();
        if let Some(sandbox) = host.sandboxes.remove(&id) {
            host.remains.insert(id, Some(status));
            sandbox.ended.send_replace(Some(Ok(Some(status))));
        }
    }

    /// Kills the keeper of `id`, and with it the sandbox.
    pub fn kill_keeper(&self, id: SandboxId) {
        let mut host = self.host();
        if let Some(sandbox) = host.sandboxes.remove(&id) {
            host.remains.insert(id, None);
            sandbox.ended.send_replace(Some(Err(())));
        }
    }

    /// Moves a process of the app of `id` to where a test needs it; who watches sees it.
    pub fn set_process(&self, id: SandboxId, name: &ProcessName, state: ProcessState) {
        if let Some(sandbox) = self.host().sandboxes.get(&id) {
            sandbox.app.set(name, state);
        }
    }

    /// The app that `id` was told to have.
    #[must_use]
    pub fn app(&self, id: SandboxId) -> Option<AppSpec> {
        self.host().sandboxes.get(&id).map(|sandbox| sandbox.app.spec())
    }

    /// Leaves processes behind that belong to nobody.
    pub fn leave_orphan(&self, id: SandboxId) {
        self.host().orphans.insert(id);
    }

    /// Whether nothing is left on the host, running or not.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let host = self.host();
        host.sandboxes.is_empty() && host.remains.is_empty() && host.orphans.is_empty()
    }

    /// Lets a process of the sandbox write a file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, dir: &SandboxDir, path: &str, content: &[u8]) -> io::Result<()> {
        for layer in ["merged", "upper"] {
            let path = dir.0.join(layer).join(path);
            fs::create_dir_all(path.parent().expect("a file is in a directory"))?;
            fs::write(path, content)?;
        }
        Ok(())
    }

    /// Lets a process of the sandbox remove a file.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(&self, dir: &SandboxDir, path: &str) -> io::Result<()> {
        fs::remove_file(dir.0.join("merged").join(path))?;
        let hint = dir.0.join("upper").join(path);
        fs::create_dir_all(hint.parent().expect("a file is in a directory"))?;
        fs::write(hint, [])
    }

    fn app_of<T>(
        &self,
        dir: &SandboxDir,
        ask: impl FnOnce(&mut FakeApp) -> io::Result<T>,
    ) -> io::Result<T> {
        let sandbox = sandbox_of(dir)?;
        let mut host = self.host();
        ask(&mut host.sandboxes.get_mut(&sandbox).ok_or_else(not_running)?.app)
    }

    fn host(&self) -> MutexGuard<'_, Host> {
        self.0.lock().expect("nobody panics while holding the host")
    }

    fn takes(&self, fault: Fault) -> bool {
        let mut host = self.host();
        let at = host.faults.iter().position(|waiting| *waiting == fault);
        at.map(|at| host.faults.remove(at)).is_some()
    }

    fn note(&self, id: SandboxId, call: &'static str) {
        self.host().calls.push((id, call));
    }
}

/// Copies files, directories and links of `from` to `to`; times are not kept.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&source, &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, &target)?;
        } else {
            fs::copy(&source, &target)?;
        }
    }
    Ok(())
}

fn merged(spec: &LaunchSpec) -> io::Result<PathBuf> {
    let merged = spec.dir.0.join("merged");
    if !merged.try_exists()? {
        fs::create_dir_all(&merged)?;
        let forked = spec.fork_of.as_ref().map(|parent| &parent.0);
        let parent = forked.map(|parent| parent.join("merged")).filter(|parent| parent.exists());
        // A checkpoint has the layer alone.
        let layer = forked.filter(|_| parent.is_none()).map(|parent| parent.join("upper"));
        let source = spec.source.as_ref().map(|source| source.as_path().to_owned());
        if let Some(beginning) = parent.or(source) {
            copy_tree(&beginning, &merged)?;
        }
        if let Some(layer) = layer {
            copy_tree(&layer, &merged)?;
        }
    }
    Ok(merged)
}

fn report() -> IsolationReport {
    IsolationReport {
        level: IsolationLevel::Degraded,
        weaknesses: Vec::new(),
        seccomp_mode: 0,
        no_new_privs: false,
        supervisor_capabilities: "0".to_owned(),
        landlock_abi: 0,
        uid_map: Vec::new(),
        namespaces: Vec::new(),
        mounts: Vec::new(),
        mounts_left_out: Vec::new(),
        caches: Vec::new(),
        limits: LimitEnforcement {
            memory: Enforcement::None,
            cpu: Enforcement::None,
            pids: Enforcement::None,
            open_files: Enforcement::None,
            disk: Enforcement::Watched,
        },
    }
}

fn not_running() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

#[async_trait::async_trait]
impl Runtime for Fake {
    async fn doctor(&self) -> Vec<Finding> {
        Vec::new()
    }

    fn has_id_ranges(&self) -> bool {
        false
    }

    async fn launch(&self, spec: LaunchSpec) -> Result<Launched, LaunchError> {
        self.note(spec.id, "launch");
        let step = |source| LaunchError::Step { step: "fake".to_owned(), source };
        if self.takes(Fault::LaunchFails) {
            return Err(step(io::ErrorKind::Other.into()));
        }
        if self.takes(Fault::LaunchHangs) {
            std::future::pending::<()>().await;
        }
        merged(&spec).map_err(step)?;
        let sandbox = FakeSandbox {
            nonce: spec.nonce.clone(),
            is_paused: false,
            execs: BTreeMap::new(),
            app: FakeApp::default(),
            ended: watch::Sender::new(None),
        };
        self.host().sandboxes.insert(spec.id, sandbox);
        if self.takes(Fault::LaunchReplyLost) {
            std::future::pending::<()>().await;
        }
        Ok(Launched { supervisor_pid: 1, isolation: report(), protocol: 1, uid_base: None })
    }

    async fn exec(
        &self,
        dir: &SandboxDir,
        id: ExecId,
        spec: &ExecSpec,
        log: OwnedFd,
    ) -> io::Result<ExecStream> {
        if self.takes(Fault::ExecFails) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let exec = FakeExec::start(spec, File::from(log))?;
        let stream = exec.stream(0)?;
        let sandbox = sandbox_of(dir)?;
        self.host().sandboxes.get_mut(&sandbox).ok_or_else(not_running)?.execs.insert(id, exec);
        ExecStream::opened(stream).await
    }

    async fn attach(&self, dir: &SandboxDir, id: ExecId, offset: u64) -> io::Result<ExecStream> {
        let sandbox = sandbox_of(dir)?;
        let stream = {
            let host = self.host();
            let sandbox = host.sandboxes.get(&sandbox).ok_or_else(not_running)?;
            let exec = sandbox.execs.get(&id).filter(|exec| !exec.has_ended());
            exec.ok_or(io::ErrorKind::NotFound)?.stream(offset)?
        };
        ExecStream::opened(stream).await
    }

    async fn app_log(&self, dir: &SandboxDir, name: &ProcessName, log: OwnedFd) -> io::Result<()> {
        self.app_of(dir, |app| app.take_log(name, File::from(log)))
    }

    async fn app_apply(&self, dir: &SandboxDir, app: &AppSpec) -> io::Result<()> {
        self.note(sandbox_of(dir)?, "apply");
        self.app_of(dir, |fake| fake.apply(app))
    }

    async fn app_processes(&self, dir: &SandboxDir) -> io::Result<Vec<ProcessStatus>> {
        self.app_of(dir, |app| Ok(app.processes()))
    }

    async fn app_process(
        &self,
        dir: &SandboxDir,
        name: &ProcessName,
        action: ProcessAction,
    ) -> io::Result<()> {
        self.app_of(dir, |app| app.act(name, action))
    }

    async fn app_follow(
        &self,
        dir: &SandboxDir,
        name: &ProcessName,
        offset: u64,
    ) -> io::Result<ExecStream> {
        let stream = self.app_of(dir, |app| app.follow(name, offset))?;
        ExecStream::opened(stream).await
    }

    async fn app_watch(&self, dir: &SandboxDir) -> io::Result<AppWatch> {
        self.app_of(dir, |app| app.watch())
    }

    async fn dial(&self, dir: &SandboxDir, port: u16) -> Result<TcpStream, DialError> {
        self.app_of(dir, |_app| Ok(()))?;
        let connected = TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).await;
        connected.map_err(|err| match err.raw_os_error() {
            Some(errno) => DialError::Refused { errno, listening: Vec::new() },
            None => err.into(),
        })
    }

    async fn egress(&self, dir: &SandboxDir) -> io::Result<TcpListener> {
        self.app_of(dir, |_app| Ok(()))?;
        TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await
    }

    async fn stop(
        &self,
        _dir: &SandboxDir,
        id: SandboxId,
        _grace: Duration,
    ) -> io::Result<StopOutcome> {
        self.note(id, "stop");
        if self.takes(Fault::StopSticks) {
            return Ok(StopOutcome::Stuck);
        }
        let mut host = self.host();
        let was_orphan = host.orphans.remove(&id);
        let Some(sandbox) = host.sandboxes.remove(&id) else {
            return Ok(if was_orphan { StopOutcome::Killed } else { StopOutcome::NotRunning });
        };
        host.remains.insert(id, None);
        sandbox.ended.send_replace(Some(Ok(None)));
        Ok(StopOutcome::Killed)
    }

    async fn freeze(&self, _dir: &SandboxDir, id: SandboxId) -> io::Result<()> {
        self.note(id, "freeze");
        if self.takes(Fault::FreezeFails) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.host().sandboxes.get_mut(&id).ok_or_else(not_running)?.is_paused = true;
        Ok(())
    }

    async fn reclaim(&self, _dir: &SandboxDir, _id: SandboxId) -> io::Result<()> {
        Ok(())
    }

    async fn thaw(&self, _dir: &SandboxDir, id: SandboxId) -> io::Result<()> {
        self.note(id, "thaw");
        self.host().sandboxes.get_mut(&id).ok_or_else(not_running)?.is_paused = false;
        Ok(())
    }

    async fn observe(
        &self,
        _sandboxes: &[(SandboxId, SandboxDir)],
    ) -> io::Result<BTreeMap<SandboxId, Observed>> {
        let host = self.host();
        let running = host.sandboxes.iter().map(|(&id, sandbox)| {
            (id, Observed::Running { nonce: sandbox.nonce.clone(), paused: sandbox.is_paused })
        });
        let remains = host.remains.iter().map(|(&id, &exit)| (id, Observed::Remains { exit }));
        let orphans = host.orphans.iter().map(|&id| (id, Observed::Orphaned));
        Ok(orphans.chain(remains).chain(running).collect())
    }

    async fn release(&self, _dir: &SandboxDir, id: SandboxId) -> io::Result<()> {
        self.note(id, "release");
        let mut host = self.host();
        if host.sandboxes.contains_key(&id) {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        host.remains.remove(&id);
        Ok(())
    }

    async fn view(&self, spec: &LaunchSpec) -> io::Result<View> {
        let merged = File::open(merged(spec)?)?;
        let owner = merged.metadata()?;
        Ok(View {
            upper: File::open(spec.dir.0.join("upper"))?.into(),
            lower: match &spec.source {
                Some(source) => Some(File::open(source)?.into()),
                None => None,
            },
            owner: (owner.uid(), owner.gid()),
            merged: merged.into(),
        })
    }

    async fn usage(&self, _dir: &SandboxDir, _id: SandboxId) -> io::Result<Usage> {
        Ok(Usage::default())
    }

    async fn wait(&self, _dir: &SandboxDir, id: SandboxId) -> io::Result<Option<ExitStatus>> {
        let mut ended = self.host().sandboxes.get(&id).ok_or_else(not_running)?.ended.subscribe();
        let ended = ended.wait_for(Option::is_some).await.map(|ended| *ended);
        match ended {
            Ok(Some(Ok(status))) => Ok(status),
            Ok(Some(Err(())) | None) | Err(_) => Err(not_running()),
        }
    }
}

fn sandbox_of(dir: &SandboxDir) -> io::Result<SandboxId> {
    let name = dir.0.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.parse().ok()).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}
