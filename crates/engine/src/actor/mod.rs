//! The task that owns one sandbox, and alone changes it.
//!
//! Everybody else sends a request with a reply channel, or watches what is published. Slow things (launch, stop, release)
//! run as tasks of the actor's own set and come back as [`Done`], so a stop is heard while a launch is under way.
//! What a state permits and what an event makes of it is decided in [`crate::lifecycle`]; here it is carried out.

pub(crate) mod effects;
mod execs;
mod record;
mod requests;

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use jiff::Timestamp;
use sandbar_runtime::{LaunchError, Launched, SandboxDir, StopOutcome};
use sandbar_store::SandboxRow;
use sandbar_types::{
    ExecEnd, ExecId, ExecSpec, ExitStatus, Generation, NetworkChange, SandboxId, SandboxState,
    StopReason,
};
use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use self::execs::RunningExec;
use crate::{
    Error, ErrorKind, Result,
    engine::Inner,
    exec::{ExecSession, MemoryKills, Seated},
    processes::Board,
    reconcile::Action,
};

/// LIMIT: requests that wait for one sandbox; one more is told to come again.
const MAILBOX_LEN: usize = 64;
/// How often expiry, ends of execs and unwritten changes are looked at.
const TICK: Duration = Duration::from_secs(1);

pub(crate) type Reply = oneshot::Sender<Result<()>>;

/// What ends a sandbox; heard before everything else.
#[derive(Debug)]
pub(crate) enum Urgent {
    Stop {
        grace: Duration,
        reason: StopReason,
        reply: Option<Reply>,
    },
    /// With `seen`, only where the record is still as somebody saw it, and nothing runs.
    Delete {
        seen: Option<Generation>,
        reply: Reply,
    },
}

/// Everything else that is asked of it.
#[derive(Debug)]
pub(crate) enum Ordinary {
    Start {
        reply: Reply,
    },
    Pause {
        reply: Reply,
    },
    Resume {
        reply: Reply,
    },
    Exec {
        spec: ExecSpec,
        reply: oneshot::Sender<Result<ExecSession>>,
    },
    /// Nobody reads this exec any more; it was read up to this offset.
    ExecLeft {
        id: ExecId,
        offset: u64,
    },
    /// Somebody who read it saw its end.
    ExecEnded {
        id: ExecId,
        end: ExecEnd,
    },
    /// Somebody used it.
    Touch,
    /// It is not to sleep before this.
    KeepAlive {
        until: Timestamp,
        reply: Reply,
    },
    /// Whom it may reach is to change.
    Network {
        seen: Option<Generation>,
        change: Box<NetworkChange>,
        reply: Reply,
    },
    /// The upper layer was measured.
    Measured {
        upper_bytes: u64,
        upper_files: u64,
        home_bytes: u64,
    },
    /// It may be over.
    LookAtExpiry,
    /// What the reconciler found, and the generation that it looked at.
    Found {
        generation: Generation,
        action: Action,
    },
}

/// What a task of the actor came to.
#[derive(Debug)]
enum Done {
    Launched(Result<Launched, LaunchError>),
    LaunchCanceled,
    Stopped(io::Result<StopOutcome>),
    Frozen(io::Result<()>),
    Thawed(io::Result<()>),
    Gone(io::Result<Option<ExitStatus>>),
    Released(io::Result<()>),
    Removed(io::Result<()>),
    ExecStarted(ExecId, bool),
    ExecEnded(ExecId, Option<ExecEnd>),
    Nothing,
}

/// What somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Running,
    Paused,
    Stopped,
    Deleted,
}

/// Speaks to an actor; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ActorHandle {
    pub(crate) urgent: mpsc::Sender<Urgent>,
    pub(crate) ordinary: mpsc::Sender<Ordinary>,
    pub(crate) published: watch::Receiver<Arc<SandboxRow>>,
    /// Held while somebody freezes or thaws it, so that a review does not wake what was just paused.
    pub(crate) freezing: Arc<Mutex<()>>,
    /// What the kernel killed of it for memory.
    pub(crate) memory_kills: Arc<MemoryKills>,
    /// What was prepared for people at its terminals.
    pub(crate) seated: Arc<Seated>,
    /// How its app is.
    pub(crate) app: Arc<Board>,
}

impl ActorHandle {
    pub(crate) fn row(&self) -> Arc<SandboxRow> {
        self.published.borrow().clone()
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn ask(&self, request: impl FnOnce(Reply) -> Ordinary) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.send(request(reply))?;
        answer.await.unwrap_or_else(|_gone| Err(gone()))
    }

    /// Sends a request.
    pub(crate) fn send(&self, request: Ordinary) -> Result<()> {
        self.ordinary.try_send(request).map_err(|err| match err {
            mpsc::error::TrySendError::Full(_) => Error::new(
                ErrorKind::Unavailable,
                "unavailable",
                "the sandbox has too many requests waiting",
            ),
            mpsc::error::TrySendError::Closed(_) => gone(),
        })
    }

    /// Sends what ends the sandbox, and waits for the answer.
    pub(crate) async fn end(&self, request: impl FnOnce(Reply) -> Urgent) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.urgent.send(request(reply)).await.map_err(|_closed| gone())?;
        answer.await.unwrap_or_else(|_gone| Err(gone()))
    }
}

/// The refusal of what was asked of a sandbox that is no more.
pub(crate) fn gone() -> Error {
    Error::new(ErrorKind::NotFound, "sandbox_not_found", "the sandbox is gone")
}

/// How an actor begins.
#[derive(Debug)]
pub(crate) enum Beginning {
    /// The record was just inserted: launch, and tell the creator.
    Create { reply: Reply },
    /// The record was there when the server started: do what was found to be needed.
    Found(Vec<Action>),
}

#[derive(Debug)]
struct Actor {
    inner: Arc<Inner>,
    row: SandboxRow,
    dir: SandboxDir,
    handle: WeakHandle,
    published: watch::Sender<Arc<SandboxRow>>,
    freezing: Arc<Mutex<()>>,
    memory_kills: Arc<MemoryKills>,
    app: Arc<Board>,
    work: JoinSet<Done>,
    waiters: Vec<(Wanted, Reply)>,
    launch: CancellationToken,
    launch_error: Option<LaunchError>,
    grace: Duration,
    stop_reason: StopReason,
    execs: BTreeMap<ExecId, RunningExec>,
    /// A release runs; a launch must wait for it, or it would kill what was just launched.
    is_releasing: bool,
    /// A stop runs; there is at most one.
    is_stopping: bool,
    /// The files are being moved away; there is at most one removal.
    is_removing: bool,
    launch_after_release: bool,
    /// The store refused the last write; it is tried again.
    is_unwritten: bool,
    /// The share of the disk limit that was last said, in percent.
    disk_said: u8,
    flushed_at: Instant,
}

/// For tasks of the actor that speak back to it; does not keep it alive.
#[derive(Debug, Clone)]
struct WeakHandle(mpsc::WeakSender<Ordinary>);

impl Inner {
    /// Starts the actor of `row` and makes it known.
    pub(crate) fn actor_spawn(
        self: &Arc<Self>,
        row: SandboxRow,
        beginning: Beginning,
    ) -> ActorHandle {
        let id = row.id;
        let (urgent, urgent_box) = mpsc::channel(MAILBOX_LEN);
        let (ordinary, ordinary_box) = mpsc::channel(MAILBOX_LEN);
        let (published, watch) = watch::channel(Arc::new(row.clone()));
        let freezing = Arc::new(Mutex::new(()));
        let memory_kills = Arc::default();
        let app = Arc::<Board>::default();
        // Before anybody can ask for it.
        if matches!(beginning, Beginning::Found(_)) {
            self.app_recall(&app, id);
        }
        let handle = ActorHandle {
            urgent,
            ordinary,
            published: watch,
            freezing: Arc::clone(&freezing),
            memory_kills: Arc::clone(&memory_kills),
            seated: Arc::default(),
            app: Arc::clone(&app),
        };
        let actor = Actor {
            dir: self.layout.sandbox(id),
            handle: WeakHandle(handle.ordinary.downgrade()),
            inner: Arc::clone(self),
            row,
            published,
            freezing,
            memory_kills,
            app,
            work: JoinSet::new(),
            waiters: Vec::new(),
            launch: CancellationToken::new(),
            launch_error: None,
            grace: self.settings().stop_grace,
            stop_reason: StopReason::Requested,
            execs: BTreeMap::new(),
            is_releasing: false,
            is_stopping: false,
            is_removing: false,
            launch_after_release: false,
            is_unwritten: false,
            disk_said: 0,
            flushed_at: Instant::now(),
        };
        self.actors_mut().insert(id, handle.clone());
        self.tasks.spawn(Box::pin(actor.run(beginning, urgent_box, ordinary_box)));
        handle
    }
}

impl Actor {
    async fn run(
        mut self,
        beginning: Beginning,
        mut urgent: mpsc::Receiver<Urgent>,
        mut ordinary: mpsc::Receiver<Ordinary>,
    ) {
        let leaving = self.inner.leaving.clone();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.begin(beginning).await;
        loop {
            // Ranked: what happened comes before what is wanted, because it changes what may be wanted; what ends the
            // sandbox comes before what uses it; the clock comes before new requests, so that a flood cannot stop it.
            tokio::select! {
                biased;
                () = leaving.cancelled() => break,
                Some(done) = self.work.join_next() => match done {
                    Ok(done) => self.on_done(done).await,
                    Err(err) => self.on_panic(&err),
                },
                Some(request) = urgent.recv() => self.on_urgent(request).await,
                _now = tick.tick() => self.on_tick().await,
                Some(request) = ordinary.recv() => self.on_ordinary(request).await,
            }
            if self.row.deleted_at.is_some() {
                break;
            }
        }
        if self.row.deleted_at.is_some() {
            self.inner.actors_mut().remove(&self.row.id);
        } else {
            // The server leaves. What runs, runs on; the next server finds a launch or a stop half done, and ends it.
            self.flush().await;
        }
        self.work.shutdown().await;
    }

    fn on_panic(&self, err: &tokio::task::JoinError) {
        tracing::error!(sandbox.id = %self.row.id, error = %err, "a task of a sandbox panicked");
    }

    fn id(&self) -> SandboxId {
        self.row.id
    }

    fn is_settled(&self) -> bool {
        match self.row.state {
            SandboxState::Creating | SandboxState::Stopping | SandboxState::Deleting => false,
            SandboxState::Running
            | SandboxState::Paused
            | SandboxState::Stopped
            | SandboxState::Failed { .. } => true,
        }
    }
}
