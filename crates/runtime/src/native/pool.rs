//! Warm launchers: slow and identical things are made before anybody asks.

use std::{
    collections::{BTreeSet, VecDeque},
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags, open},
    process::{Signal, pidfd_send_signal},
};
use sandbar_types::SandboxId;
use tokio::{net::UnixStream, task::JoinSet};

use super::{
    NativeConfig, certificates,
    cgroup::{CgroupSlot, Hierarchies},
    facts::Facts,
    host_ids::{DIR, HostIds},
    launcher::{Answer, Claim, Ground, Prepare},
    plan::{Ids, Plan, ground},
    slots::{Slot, Slots},
    wire,
};
use crate::{LaunchError, Launched, spawn::Process};

/// LIMIT: longer than any step of a launcher may take in sum.
const PATIENCE: Duration = Duration::from_secs(40);
/// LIMIT: how long killed processes may take to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(5);
/// How long a claim is left alone: making launchers takes processor time that a create and its first command want.
const QUIET: Duration = Duration::from_millis(50);

/// What the host offers, found out once.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    /// Root: ranges of ids. Otherwise the caller's own.
    pub(super) user: Option<(u32, u32)>,
    /// Where control groups can be made.
    pub(super) hierarchies: Option<Hierarchies>,
}

/// A launcher that waits for its claim.
#[derive(Debug)]
pub(super) struct Launcher {
    stream: UnixStream,
    process: OwnedFd,
    pub(super) slot: Slot,
    pub(super) ids: Ids,
    /// What it stands on; its plan is made of the same.
    pub(super) facts: Arc<Facts>,
}

/// Makes launchers, and keeps some.
#[derive(Debug)]
pub(super) struct Pool {
    config: NativeConfig,
    offer: Offer,
    pub(super) slots: Slots,
    state: Mutex<State>,
    tasks: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct State {
    warm: VecDeque<Launcher>,
    facts: Arc<Facts>,
    failpoint: Option<String>,
    is_filling: bool,
    /// Who owned the last source: probably the next one's owner, too.
    owner: Option<(u32, u32)>,
}

impl Pool {
    /// An empty pool.
    pub(super) fn new(config: NativeConfig, offer: Offer) -> Self {
        let host = offer.user.is_none().then(|| HostIds::new(Path::new(DIR), &config.data_dir));
        let slots = Slots::new(&config.data_dir, &config.instance, host);
        let failpoint = std::env::var("SANDBAR_FAILPOINT").ok();
        let state = State {
            warm: VecDeque::new(),
            facts: Arc::new(Facts::gather()),
            failpoint,
            is_filling: false,
            owner: None,
        };
        Self { config, offer, slots, state: Mutex::new(state), tasks: Mutex::new(JoinSet::new()) }
    }

    /// Fills the pool in the background.
    pub(super) fn refill(self: &Arc<Self>) {
        let mut tasks = lock(&self.tasks);
        // What ended is taken out, or the set would grow for ever.
        while tasks.try_join_next().is_some() {}
        if std::mem::replace(&mut self.state().is_filling, true) {
            return;
        }
        let pool = Arc::clone(self);
        tasks.spawn(async move { pool.fill().await });
    }

    /// Remembers whose sources are asked for.
    pub(super) fn expect_owner(&self, owner: (u32, u32)) {
        self.state().owner = Some(owner);
    }

    async fn fill(&self) {
        if !self.state().warm.is_empty() {
            tokio::time::sleep(QUIET).await;
        }
        while self.state().warm.len() < self.config.pool_size {
            match self.make(None, None).await {
                Ok(launcher) => self.state().warm.push_back(launcher),
                Err(err) => {
                    // The next launch is cold and says what is wrong to somebody who asked.
                    tracing::warn!(
                        error = &err as &dyn std::error::Error,
                        "failed to warm a launcher"
                    );
                    break;
                }
            }
        }
        self.state().is_filling = false;
    }

    /// What plans are made of.
    pub(super) fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.state().facts)
    }

    /// Breaks a step of the launches to come; for tests.
    pub(super) fn set_failpoint(&self, failpoint: Option<String>) {
        let mut state = self.state();
        // Steps of the warm ones are taken already.
        for launcher in state.warm.drain(..) {
            self.slots.give_back(launcher.slot);
        }
        state.failpoint = failpoint;
    }

    /// A launcher with any ids, or with those that begin at `base`.
    pub(super) async fn take(
        self: &Arc<Self>,
        base: Option<u32>,
        id: SandboxId,
    ) -> Result<Launcher, LaunchError> {
        match base {
            None => {
                let launcher = match self.take_warm() {
                    Some(launcher) => Ok(launcher),
                    None => self.make(None, None).await,
                };
                self.refill();
                launcher
            }
            Some(base) => {
                let slot = Slot::of_base(base).ok_or_else(|| LaunchError::Source {
                    what: format!("{base} is no range of ids of ours"),
                })?;
                self.slots.reserve_again(slot, id).map_err(|err| step("user_namespace", err))?;
                self.make(Some(slot), None).await
            }
        }
    }

    /// A launcher for a sandbox that shares the ids which begin at `base` with another: it is named by a slot of its own.
    pub(super) async fn take_sharing(&self, base: u32) -> Result<Launcher, LaunchError> {
        self.make(None, Some(Ids::Range { base })).await
    }

    /// The first launcher that stands on the host as it is now. One that is let go of sees it, and ends.
    fn take_warm(&self) -> Option<Launcher> {
        loop {
            let launcher = self.state().warm.pop_front()?;
            if launcher.facts.are_current() {
                return Some(launcher);
            }
            self.slots.give_back(launcher.slot);
        }
    }

    async fn current_facts(&self) -> Arc<Facts> {
        let facts = self.facts();
        if facts.are_current() {
            return facts;
        }
        // Reads a few hundred names, so not where it would hold up requests.
        match tokio::task::spawn_blocking(Facts::gather).await {
            Ok(gathered) => {
                let gathered = Arc::new(gathered);
                self.state().facts = Arc::clone(&gathered);
                gathered
            }
            Err(err) => {
                tracing::warn!(
                    error = &err as &dyn std::error::Error,
                    "failed to look at the host"
                );
                facts
            }
        }
    }

    /// Starts a launcher and waits until it is ready.
    ///
    /// `ids` are the slot's where nothing else is said.
    async fn make(&self, slot: Option<Slot>, ids: Option<Ids>) -> Result<Launcher, LaunchError> {
        let slot = match slot {
            Some(slot) => slot,
            None => {
                let taken = self.taken();
                self.slots
                    .reserve(|slot| taken.contains(&slot))
                    .map_err(|err| step("user_namespace", err))?
            }
        };
        let made = match tokio::time::timeout(PATIENCE, self.start(slot, ids)).await {
            Ok(made) => made,
            Err(elapsed) => Err(LaunchError::Lost(elapsed.into())),
        };
        if made.is_err() {
            self.clear(slot).await;
            self.slots.give_back(slot);
        }
        made
    }

    /// Kills and removes what a launcher that ended badly left in `slot`. One that ended well left nothing.
    pub(super) async fn clear(&self, slot: Slot) {
        let Some(hierarchies) = self.offer.hierarchies.clone() else {
            return;
        };
        let instance = self.config.instance.clone();
        // Waits for processes to die.
        let cleared = tokio::task::spawn_blocking(move || {
            let Some(group) = CgroupSlot::open(&hierarchies, &instance, &slot.name())? else {
                return Ok(());
            };
            group.kill(Instant::now() + KILL_PATIENCE)?;
            group.remove(KILL_PATIENCE)
        });
        match cleared.await {
            Ok(Ok(())) => {}
            Ok(Err(err)) => tracing::warn!(
                error = &err as &dyn std::error::Error,
                "failed to remove control groups"
            ),
            Err(err) => tracing::warn!(
                error = &err as &dyn std::error::Error,
                "failed to remove control groups"
            ),
        }
    }

    /// Slots that have control groups already: something may still be in them, whoever made them.
    fn taken(&self) -> BTreeSet<Slot> {
        let Some(hierarchies) = &self.offer.hierarchies else {
            return BTreeSet::new();
        };
        match hierarchies.slots(&self.config.instance) {
            Ok(slots) => slots.iter().filter_map(|found| Slot::of_name(&found.slot)).collect(),
            Err(err) => {
                tracing::warn!(
                    error = &err as &dyn std::error::Error,
                    "failed to list control groups"
                );
                BTreeSet::new()
            }
        }
    }

    async fn start(&self, slot: Slot, ids: Option<Ids>) -> Result<Launcher, LaunchError> {
        let stream = self.spawn("keep").await.map_err(LaunchError::Lost)?;
        let ids = ids.unwrap_or_else(|| self.ids(slot));
        let facts = self.current_facts().await;
        let owners = std::iter::once((0, 0)).chain(self.state().owner).collect();
        let ground = match ids {
            Ids::Range { .. } => {
                let (links, mounts) = ground(&facts);
                Some(Ground { links, mounts })
            }
            Ids::Single { .. } => None,
        };
        let prepare = Prepare {
            instance: self.config.instance.clone(),
            slot: slot.name(),
            ids,
            has_cgroups: self.offer.hierarchies.is_some(),
            failpoint: self.failpoint(),
            ground,
            owners,
        };
        wire::send_async(&stream, &prepare).await.map_err(LaunchError::Lost)?;
        match wire::receive_async::<Answer>(&stream).await.map_err(LaunchError::Lost)? {
            (Answer::Ready, fds) => {
                let process = fds
                    .into_iter()
                    .next()
                    .ok_or_else(|| LaunchError::Lost(io::ErrorKind::InvalidData.into()))?;
                Ok(Launcher { stream, process, slot, ids, facts })
            }
            (Answer::Failed(failure), _) => Err(failure.into()),
            (Answer::Launched { .. }, _) => {
                Err(LaunchError::Lost(io::ErrorKind::InvalidData.into()))
            }
        }
    }

    /// Which ids a sandbox in `slot` has.
    pub(super) fn ids(&self, slot: Slot) -> Ids {
        match self.offer.user {
            None => slot.ids(),
            Some((uid, gid)) => Ids::Single { uid, gid },
        }
    }

    /// Starts `__launch <role>`, and returns the socket to it. What it starts as ends at once or with its answer.
    pub(super) async fn spawn(&self, role: &str) -> io::Result<UnixStream> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        let fds = [null.as_fd(), null.as_fd(), null.as_fd(), theirs.as_fd()];
        let process = Process::start(&self.config.exe, &["__launch", role], &[], &fds)?;
        drop(theirs);
        let stream = UnixStream::from_std(ours)?;
        if role == "keep" {
            process.wait().await?;
        } else {
            lock(&self.tasks).spawn(async move {
                if let Err(err) = process.wait().await {
                    tracing::warn!(
                        error = &err as &dyn std::error::Error,
                        "failed to reap a launcher"
                    );
                }
            });
        }
        Ok(stream)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The test's wish, for the claim.
    pub(super) fn failpoint(&self) -> Option<String> {
        self.state().failpoint.clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under these locks is one step, so a panic elsewhere leaves them whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn step(name: &str, source: io::Error) -> LaunchError {
    LaunchError::Step { step: name.to_owned(), source }
}

impl Launcher {
    /// Claims it for `plan`.
    pub(super) async fn claim(
        self,
        plan: Plan,
        failpoint: Option<String>,
    ) -> Result<Launched, LaunchError> {
        let uid_base = plan.ids.base();
        let answered = tokio::time::timeout(PATIENCE, async {
            let certificates = certificates::hand_over(&plan.certificates)?;
            let claim = Claim { plan, failpoint };
            wire::send_async_with(&self.stream, &claim, &[certificates.as_fd()]).await?;
            wire::receive_async::<Answer>(&self.stream).await
        });
        let answer = match answered.await {
            Ok(Ok((answer, _))) => answer,
            Ok(Err(err)) => return Err(self.lost(err)),
            Err(elapsed) => return Err(self.lost(elapsed.into())),
        };
        match answer {
            Answer::Launched { pid, isolation, protocol } => {
                Ok(Launched { supervisor_pid: pid, isolation: *isolation, protocol, uid_base })
            }
            Answer::Failed(failure) => Err(failure.into()),
            Answer::Ready => Err(self.lost(io::ErrorKind::InvalidData.into())),
        }
    }

    /// Nobody knows how far it came: what it made dies with it, and the rest is released by name.
    fn lost(&self, err: io::Error) -> LaunchError {
        // It may be gone already.
        let _sent = pidfd_send_signal(&self.process, Signal::KILL);
        LaunchError::Lost(err)
    }
}
