//! What the operator sets, and what is taken from outside so that tests can set it.

use std::{fmt, path::PathBuf, sync::Arc};

use jiff::Timestamp;
use sandbar_runtime::Runtime;
use sandbar_store::Driver;

use crate::settings::{EngineSettings, SettingsReader};

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
    /// Carries webhooks.
    pub courier: Arc<dyn crate::Courier>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// What may be changed while it runs, as it is without any change.
    pub settings: EngineSettings,
    /// Reads what was changed; without one nothing can be.
    pub reader: Option<Arc<dyn SettingsReader>>,
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
        Self {
            secrets_key: data_dir.join("secrets.key"),
            data_dir,
            store,
            runtime,
            applier,
            git: Arc::new(crate::NoGitWorker),
            network: Arc::new(crate::NoNetwork),
            courier: Arc::new(crate::NoCourier),
            clock: Arc::new(SystemClock),
            settings: EngineSettings::default(),
            reader: None,
        }
    }
}
