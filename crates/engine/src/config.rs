//! What the operator sets, and what is taken from outside so that tests can set it.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use sandbar_runtime::Runtime;
use sandbar_store::Driver;

/// Tells the time.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The clock of the host.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Everything the engine is started with.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Holds everything; made with mode 0700 when it is not there.
    pub data_dir: PathBuf,
    /// The keys of secrets; made with the first secret.
    pub secrets_key: PathBuf,
    /// Where everything is recorded.
    pub store: Arc<dyn Driver>,
    /// How sandboxes are isolated.
    pub runtime: Arc<dyn Runtime>,
    /// Writes an approve to its source.
    pub applier: Arc<dyn crate::Applier>,
    /// Runs git over a source.
    pub git: Arc<dyn crate::GitWorker>,
    /// The way out of sandboxes.
    pub network: Arc<dyn crate::Network>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// LIMIT: sandboxes that live at once, the stopped ones included.
    pub sandboxes_max: u64,
    /// How long a stop waits before it kills, where the request does not say.
    pub stop_grace: Duration,
    /// How long an app may go unused before its sandbox sleeps, where the sandbox does not say.
    pub app_idle_timeout: Duration,
    /// LIMIT: how far ahead a keep-alive may reach.
    pub keepalive_max: Duration,
    /// How often the host is compared with the store.
    pub reconcile_interval: Duration,
    /// How long an idempotency key is remembered.
    pub idempotency_ttl: Duration,
    /// How long what is left of a deleted sandbox, its history, is kept.
    pub history_ttl: Duration,
    /// How long events are kept, also of sandboxes that live on.
    pub event_ttl: Duration,
    /// How long an exec that ended is kept, with its log.
    pub log_ttl: Duration,
    /// How long a stopped sandbox without changes is kept; `None`: until somebody deletes it.
    pub stopped_ttl: Option<Duration>,
    /// How often upper layers are measured.
    pub size_interval: Duration,
    /// LIMIT: bytes that all sandboxes may hold together; `None`: as much as the disk.
    pub total_disk_bytes_max: Option<u64>,
    /// LIMIT: free bytes of the data directory below which no sandbox is made.
    pub free_bytes_min: u64,
    /// Free bytes of the data directory below which those that run are told.
    pub free_bytes_low: u64,
    /// Bytes that the server holds in reserve for itself.
    pub disk_reserve_bytes: u64,
}

impl EngineConfig {
    /// The defaults, over `data_dir` and `store`.
    #[must_use]
    pub fn new(
        data_dir: PathBuf,
        store: Arc<dyn Driver>,
        runtime: Arc<dyn Runtime>,
        applier: Arc<dyn crate::Applier>,
    ) -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self {
            secrets_key: data_dir.join("secrets.key"),
            data_dir,
            store,
            runtime,
            applier,
            git: Arc::new(crate::NoGitWorker),
            network: Arc::new(crate::NoNetwork),
            clock: Arc::new(SystemClock),
            sandboxes_max: 1000,
            stop_grace: Duration::from_secs(10),
            app_idle_timeout: Duration::from_mins(35),
            keepalive_max: DAY,
            reconcile_interval: Duration::from_mins(1),
            idempotency_ttl: 7 * DAY,
            history_ttl: 30 * DAY,
            event_ttl: 90 * DAY,
            log_ttl: 30 * DAY,
            stopped_ttl: None,
            size_interval: Duration::from_secs(3),
            total_disk_bytes_max: None,
            free_bytes_min: 256 << 20,
            free_bytes_low: 1 << 30,
            disk_reserve_bytes: 64 << 20,
        }
    }
}
