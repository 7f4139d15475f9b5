//! A data directory, a source, a fake host, a clock that stands still, and an engine over them.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use sandbar_engine::{
    Caller, Clock, Engine, EngineConfig, Event, EventFilter, EventOrder, InProcessApplier, Result,
    Sandbox, SandboxCreateParams, SandboxCreated,
};
use sandbar_runtime::{SandboxDir, fake::Fake};
use sandbar_types::{ExecSpec, HostPath, SandboxId, SandboxSpec, Source, TenantId};

/// A clock that goes when it is told to.
#[derive(Debug)]
pub(crate) struct TestClock(Mutex<Timestamp>);

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap();
        *now += by;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

pub(crate) struct House {
    pub(crate) dir: tempfile::TempDir,
    memory: Option<tempfile::TempDir>,
    pub(crate) host: Fake,
    pub(crate) clock: Arc<TestClock>,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with_memory(None)
    }

    /// With its data in memory, where a commit does not wait for a disk.
    pub(crate) fn in_memory() -> Self {
        let shm = std::path::Path::new("/dev/shm");
        Self::with_memory(shm.is_dir().then(|| tempfile::tempdir_in(shm).unwrap()))
    }

    fn with_memory(memory: Option<tempfile::TempDir>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("source")).unwrap();
        std::fs::write(dir.path().join("source/a"), "old\n").unwrap();
        std::fs::write(dir.path().join("source/b"), "other\n").unwrap();
        let clock = Arc::new(TestClock(Mutex::new(Timestamp::now())));
        Self { dir, memory, host: Fake::new(), clock }
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.memory.as_ref().unwrap_or(&self.dir).path().join("data")
    }

    pub(crate) fn config(&self) -> EngineConfig {
        let runtime = Arc::new(self.host.clone());
        let data_dir = self.data_dir();
        let store = sandbar_test_store::driver(&data_dir);
        let mut config = EngineConfig::new(data_dir, store, runtime, Arc::new(InProcessApplier));
        config.clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        config.settings.stop_grace = Duration::ZERO;
        // Where tests run, a disk in memory may be smaller than what a server wants to be free.
        (
            config.settings.free_bytes_min,
            config.settings.free_bytes_low,
            config.settings.disk_reserve_bytes,
        ) = (0, 0, 0);
        config
    }

    /// Starts an engine; waits while a dying one still has the data directory.
    pub(crate) async fn engine(&self) -> Engine {
        self.start(self.config()).await
    }

    /// As [`House::engine`], with a configuration of this house that was changed.
    pub(crate) async fn start(&self, config: EngineConfig) -> Engine {
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        loop {
            match Engine::start(config.clone()).await {
                Ok(engine) => return engine,
                Err(err) if err.is_in_use() && std::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(err) => panic!("{err:?}"),
            }
        }
    }

    pub(crate) fn spec(&self) -> SandboxSpec {
        SandboxSpec::over(Source::Directory { path: HostPath::parse(self.source()).unwrap() })
    }

    pub(crate) fn sandbox_dir(&self, id: SandboxId) -> SandboxDir {
        SandboxDir(self.data_dir().join("sandboxes").join(id.to_string()))
    }
}

pub(crate) fn params(spec: SandboxSpec) -> SandboxCreateParams {
    let caller = Caller {
        home: HostPath::parse("/home/agent").unwrap(),
        name: "agent".to_owned(),
        path: "/bin".to_owned(),
    };
    SandboxCreateParams { tenant: TenantId::DEFAULT, spec, caller, idempotency: None }
}

pub(crate) async fn create(engine: &Engine, spec: SandboxSpec) -> Result<Sandbox> {
    match engine.sandbox_create(params(spec)).await? {
        SandboxCreated::New(sandbox) | SandboxCreated::Replayed(sandbox) => Ok(*sandbox),
    }
}

pub(crate) fn command(argv: &[&str]) -> ExecSpec {
    ExecSpec {
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        env: [("TOKEN".parse().unwrap(), "hunter2".to_owned())].into(),
        cwd: None,
        terminal: None,
        stdin: false,
        timeout_ms: None,
    }
}

/// Waits until `is_so`, and fails after ten seconds.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !is_so().await {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Runs `work` in a server that is then killed: every task of it is dropped where it is.
pub(crate) fn in_a_server_that_is_killed<T>(work: impl Future<Output = T>) -> T {
    let server =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let result = server.block_on(work);
    server.shutdown_timeout(Duration::from_secs(5));
    result
}

/// Every event of a sandbox, oldest first.
pub(crate) async fn events(engine: &Engine, id: SandboxId) -> Vec<Event> {
    let filter =
        EventFilter { tenant: TenantId::DEFAULT, app: None, sandbox: Some(id), types: Vec::new() };
    engine.event_list(&filter, EventOrder::OldestFirst(0), 200).await.unwrap()
}
