//! The handle that everything is asked through: starting, being ready, and leaving.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sandbar_runtime::doctor::{Finding, Verdict};
use sandbar_store::{EventBatches, EventWriter, SettingRow, Store, setting_list};
use sandbar_types::{AppId, ApproveId, Generation, HostPath, SandboxId, Visibility};
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    EgressCounts, EngineConfig, Error, ErrorKind, Result,
    account::Accounts,
    actor::ActorHandle,
    layout::{self, Layout},
    metrics::Metrics,
    reconcile,
    settings::EngineSettings,
    upkeep::{self, Upkeep},
    watchers::Watchers,
};

/// Asks the engine; cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) type AppVisibilities = BTreeMap<AppId, (Generation, Option<Visibility>)>;

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: EngineConfig,
    /// What holds of what may be changed while it runs.
    pub(crate) settings: watch::Sender<EngineSettings>,
    pub(crate) changing_settings: Mutex<()>,
    pub(crate) layout: Layout,
    pub(crate) store: Store,
    pub(crate) boot_id: String,
    pub(crate) metrics: Metrics,
    /// The worst that the host was found to lack last; `None` before anybody looked.
    pub(crate) verdict: std::sync::Mutex<Option<Verdict>>,
    /// Every actor and every task that belongs to no sandbox.
    pub(crate) tasks: TaskTracker,
    /// Canceled when the server leaves.
    pub(crate) leaving: CancellationToken,
    /// Held from the check of a create until its actor is known, so that a repeated create finds it.
    pub(crate) creating: Mutex<()>,
    /// One backup at a time.
    pub(crate) backing_up: Mutex<()>,
    /// The last event that was written.
    pub(crate) events: watch::Sender<i64>,
    /// Who waits for events of what.
    pub(crate) watchers: Watchers,
    pub(crate) upkeep: Upkeep,
    /// Whose turn it is to check a build.
    pub(crate) turns: crate::processes::Turns,
    /// What agents do just now, and who follows it.
    pub(crate) work: crate::task::Work,
    /// Who is at the checkpoints of which sandbox.
    pub(crate) checkpoints: crate::checkpoint::CheckpointTurns,
    pub(crate) networks: crate::network::NetworkBoards,
    pub(crate) accounts: Accounts,
    pub(crate) in_flight: crate::idempotency::InFlight,
    /// Somebody made, changed or removed a webhook.
    pub(crate) webhooks_changed: Notify,
    /// How many lines of the audit log whoever is refused still gets.
    pub(crate) audit: crate::audit::Throttle,
    pub(crate) secrets: crate::secret::Keys,
    /// Somebody made, changed or removed a credential.
    pub(crate) credentials: crate::credential::Changes,
    /// One approve at a time for each source.
    pub(crate) sources: Mutex<BTreeMap<HostPath, Arc<Mutex<()>>>>,
    /// Approves whose stage is kept because somebody wrote to what they replaced; said once in the life of a server.
    pub(crate) kept: Mutex<BTreeSet<ApproveId>>,
    pub(crate) event_writer: EventWriter,
    recording: Recording,
    actors: RwLock<BTreeMap<SandboxId, ActorHandle>>,
    /// Who may see the previews of apps, with the generations of the records that say so.
    app_visibilities: RwLock<AppVisibilities>,
    is_ready: AtomicBool,
    _lock: File,
}

/// The task that writes what is handed to [`EventWriter`]. It ends after whoever may have an event to tell.
#[derive(Debug)]
struct Recording {
    task: TaskTracker,
    ending: CancellationToken,
}

impl Recording {
    fn begin(batches: EventBatches, store: Store) -> Self {
        let recording = Self { task: TaskTracker::new(), ending: CancellationToken::new() };
        recording.task.spawn(batches.write(store, recording.ending.clone()));
        recording.task.close();
        recording
    }

    async fn end(&self) {
        self.ending.cancel();
        self.task.wait().await;
    }
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be made or used.
    #[error("cannot use the data directory `{path}`", path = path.display())]
    DataDir {
        /// Which one.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// Another server has it.
    #[error("another server uses the data directory `{path}`", path = path.display())]
    Locked {
        /// Which one.
        path: PathBuf,
    },
    /// The database was refused.
    #[error(transparent)]
    Store(sandbar_store::OpenError),
    /// What is recorded could not be read, or compared with the host.
    #[error("cannot compare the store with the host")]
    Reconcile(#[source] Error),
}

impl StartError {
    /// Whether another server has what this one needs.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        match self {
            Self::Locked { .. } => true,
            Self::Store(err) => err.is_in_use,
            Self::DataDir { .. } | Self::Reconcile(_) => false,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(err) => err.hint.clone(),
            Self::Locked { .. } => {
                Some("stop the other server, or choose another data directory".to_owned())
            }
            Self::DataDir { .. } | Self::Reconcile(_) => None,
        }
    }
}

impl Engine {
    /// Takes the data directory, opens the store, compares it with the host, and adopts what runs.
    ///
    /// When this returns, the engine is ready to serve. Sandboxes that ran still run.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: EngineConfig) -> Result<Self, StartError> {
        let layout = Layout(config.data_dir.clone());
        let path = || config.data_dir.clone();
        let failed = |source| StartError::DataDir { path: path(), source };
        layout.prepare().map_err(failed)?;
        let lock = lock(&layout)
            .await
            .map_err(failed)?
            .ok_or_else(|| StartError::Locked { path: path() })?;
        let boot_id = layout::boot_id().map_err(failed)?;
        let store = config.store.open().await.map_err(StartError::Store)?;
        let stored = stored_settings(&store).await.map_err(StartError::Reconcile)?;
        let settings =
            config.reader.as_ref().map_or(config.settings, |reader| reader.read(&stored));
        let secrets = crate::secret::Keys::new(config.secrets_key.clone());
        let (event_writer, batches) = EventWriter::new();
        let recording = Recording::begin(batches, store.clone());
        let upkeep = Upkeep::new(&settings);
        let inner = Arc::new(Inner {
            config,
            settings: watch::Sender::new(settings),
            changing_settings: Mutex::new(()),
            layout,
            store,
            boot_id,
            metrics: Metrics::default(),
            verdict: std::sync::Mutex::default(),
            tasks: TaskTracker::new(),
            leaving: CancellationToken::new(),
            creating: Mutex::new(()),
            backing_up: Mutex::new(()),
            events: watch::Sender::new(0),
            watchers: Watchers::default(),
            upkeep,
            turns: crate::processes::Turns::default(),
            work: crate::task::Work::default(),
            checkpoints: crate::checkpoint::CheckpointTurns::default(),
            networks: crate::network::NetworkBoards::default(),
            accounts: Accounts::default(),
            in_flight: crate::idempotency::InFlight::default(),
            webhooks_changed: Notify::new(),
            audit: crate::audit::Throttle::default(),
            secrets,
            credentials: crate::credential::Changes::default(),
            sources: Mutex::default(),
            kept: Mutex::default(),
            event_writer,
            recording,
            actors: RwLock::default(),
            app_visibilities: RwLock::default(),
            is_ready: AtomicBool::new(false),
            _lock: lock,
        });
        reconcile::at_start(&inner).await.map_err(StartError::Reconcile)?;
        upkeep::start(&inner);
        inner.tasks.spawn(crate::size::measure_all(Arc::clone(&inner)));
        inner.tasks.spawn(crate::secret::resume(Arc::clone(&inner)));
        inner.tasks.spawn(crate::webhook::run(Arc::clone(&inner)));
        inner.tasks.spawn(crate::idle::watch_memory(Arc::clone(&inner)));
        crate::task::resume(&inner).await.map_err(StartError::Reconcile)?;
        inner.is_ready.store(true, Ordering::Release);
        Ok(Self { inner })
    }

    /// The time by the engine's clock.
    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        self.inner.config.clock.now()
    }

    /// Whether it has compared the store with the host, and is not leaving.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.inner.is_ready.load(Ordering::Acquire) && !self.inner.leaving.is_cancelled()
    }

    /// Refuses what is new, lets what is under way finish for `deadline`, and closes the store. Sandboxes run on.
    pub async fn drain(&self, deadline: Duration) {
        self.inner.leaving.cancel();
        self.inner.tasks.close();
        if tokio::time::timeout(deadline, self.inner.tasks.wait()).await.is_err() {
            tracing::warn!(
                "not everything ended within the deadline; what is half done is ended at the next start"
            );
        }
        self.inner.actors_mut().clear();
        drop(tokio::time::timeout(deadline, self.inner.recording.end()).await);
        drop(tokio::time::timeout(deadline, self.inner.store.close()).await);
    }

    /// Probes the host.
    pub async fn doctor(&self) -> Vec<Finding> {
        let findings = self.inner.config.runtime.doctor().await;
        let worst =
            findings.iter().map(|found| found.verdict).max_by_key(|verdict| match verdict {
                Verdict::Ok => 0,
                Verdict::Degraded => 1,
                Verdict::Missing => 2,
            });
        *self.inner.verdict.lock().unwrap_or_else(PoisonError::into_inner) = worst;
        findings
    }

    /// The worst that the last [`Engine::doctor`] found; `None` before the first.
    #[must_use]
    pub fn doctor_verdict(&self) -> Option<Verdict> {
        *self.inner.verdict.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it counts.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// What the way out of sandboxes counted.
    #[must_use]
    pub fn egress_counts(&self) -> EgressCounts {
        self.inner.config.network.counts()
    }

    /// How often the store could not be used for a moment.
    #[must_use]
    pub fn store_unavailable_count(&self) -> u64 {
        self.inner.store.unavailable_count()
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn store_ping(&self) -> Result<()> {
        Ok(self.inner.store.ping().await?)
    }

    /// What commits of the store took since the start.
    #[must_use]
    pub fn commit_times(&self) -> sandbar_store::CommitTimes {
        self.inner.store.commit_times()
    }

    /// How often idempotency keys that are still known were replayed.
    ///
    /// # Errors
    /// The store failed.
    pub async fn idempotency_replay_count(&self) -> Result<u64> {
        let mut conn = self.inner.store.read().await?;
        Ok(sandbar_store::idempotency_replay_count(&mut conn).await?)
    }
}

impl Inner {
    pub(crate) fn actors(&self) -> RwLockReadGuard<'_, BTreeMap<SandboxId, ActorHandle>> {
        self.actors.read().expect("nobody panics while holding the table of actors")
    }

    pub(crate) fn actors_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<SandboxId, ActorHandle>> {
        self.actors.write().expect("nobody panics while holding the table of actors")
    }

    pub(crate) fn app_visibilities(&self) -> RwLockReadGuard<'_, AppVisibilities> {
        self.app_visibilities.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn app_visibilities_mut(&self) -> RwLockWriteGuard<'_, AppVisibilities> {
        self.app_visibilities.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the actor of a living sandbox.
    pub(crate) fn actor(&self, id: SandboxId) -> Result<ActorHandle> {
        if self.leaving.is_cancelled() {
            return Err(Error::new(ErrorKind::Unavailable, "unavailable", "the server is leaving"));
        }
        self.actors().get(&id).cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                "sandbox_not_found",
                format!("there is no sandbox {id}"),
            )
            .hint("`sandbar ls` lists them")
        })
    }

    /// Distinguishes one launch from every other.
    pub(crate) fn nonce(&self) -> String {
        short_random()
    }
}

async fn stored_settings(store: &Store) -> Result<Vec<SettingRow>> {
    Ok(setting_list(&mut store.read().await?).await?)
}

fn short_random() -> String {
    let mut text = uuid::Uuid::new_v4().simple().to_string();
    text.truncate(12);
    text
}

/// LIMIT: how long the lock of a server that was killed may outlive it.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);

/// Takes the lock of the data directory.
///
/// A process that a killed server was just about to start holds a copy of every descriptor until it has executed its
/// program, this one included; so the lock may be free only a moment after the server is gone.
async fn lock(layout: &Layout) -> io::Result<Option<File>> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        let taken = layout.lock()?;
        if taken.is_some() || Instant::now() >= deadline {
            return Ok(taken);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
