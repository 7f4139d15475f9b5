//! What is done about an event, each as a task of the actor; and what is made of its end.

use std::{io, sync::Arc, time::Duration};

use sandbar_runtime::{LaunchError, LaunchSpec, SandboxDir, StopOutcome};
use sandbar_types::{AppStart, FailureReason, SandboxId, SandboxState, Source, StopReason};

use super::{Actor, Done, Wanted, record::Operation};
use crate::{
    Error, ErrorKind, credential,
    engine::Inner,
    event::EventPayload,
    lifecycle::{Effect, Event, transition},
    metrics, record, sandbox,
};

/// The error that a client sees for a failed launch.
pub(crate) fn launch_refusal(err: &LaunchError) -> Error {
    match err {
        LaunchError::Unsupported { hint, .. } => {
            let error = Error::new(ErrorKind::Unavailable, "host_unsupported", err.to_string());
            match hint {
                Some(hint) => error.hint(hint.clone()),
                None => error.hint("`sandbar doctor` shows what is missing"),
            }
        }
        LaunchError::Source { .. } => {
            Error::new(ErrorKind::Invalid, "source_unsupported", err.to_string())
                .hint("choose a source on a file system that overlayfs can use as its lower layer")
        }
        LaunchError::Step { source, .. } => {
            Error::new(ErrorKind::Internal, "launch_failed", format!("{err}: {source}"))
                .hint("`sandbar doctor` shows what this host lacks")
        }
        LaunchError::Verify { .. } | LaunchError::Lost(_) => {
            Error::new(ErrorKind::Internal, "launch_failed", err.to_string())
                .hint("`sandbar doctor` shows what this host lacks")
        }
    }
}

impl Actor {
    /// Lets `event` happen: the new state is recorded with `payload`, then its effects begin.
    pub(super) async fn happen(&mut self, event: Event, payload: Option<EventPayload>) {
        let (state, effects) = transition(&self.row.state, event);
        if state != self.row.state {
            let operation = match state {
                SandboxState::Creating => Operation::Begin,
                SandboxState::Running | SandboxState::Stopped | SandboxState::Failed { .. } => {
                    Operation::End
                }
                SandboxState::Paused | SandboxState::Stopping | SandboxState::Deleting => {
                    Operation::None
                }
            };
            self.enter(state, operation, payload).await;
        }
        for effect in effects {
            match effect {
                Effect::Launch => self.launch_begin(),
                Effect::CancelLaunch => self.launch.cancel(),
                Effect::Stop => self.stop_begin(),
                Effect::Watch => self.watch_begin(),
                Effect::EndExecs => self.execs_settle().await,
                Effect::Release => self.release_begin(),
                Effect::Remove => self.remove_begin(),
            }
        }
        self.tell_waiters();
    }

    pub(super) async fn on_done(&mut self, done: Done) {
        match done {
            Done::Launched(Ok(launched)) => {
                self.row.isolation = Some(launched.isolation);
                self.row.uid_base = launched.uid_base;
                self.memory_kills.restart();
                self.record_file();
                if self.row.spec.app == AppStart::Auto {
                    self.app.awake();
                }
                self.happen(Event::Launched, Some(EventPayload::Running)).await;
                self.app_start();
            }
            Done::Launched(Err(err)) => {
                let message = err.to_string();
                tracing::warn!(sandbox.id = %self.id(), error = &err as &dyn std::error::Error, "launch failed");
                self.launch_error = Some(err);
                self.launch_failed(message).await;
            }
            Done::LaunchCanceled | Done::Nothing => {}
            Done::Stopped(outcome) => self.on_stopped(outcome).await,
            Done::Frozen(Ok(())) => self.happen(Event::Frozen, Some(EventPayload::Paused)).await,
            Done::Frozen(Err(err)) => {
                self.fail_waiters(Wanted::Paused, "the sandbox could not be paused", &err);
            }
            Done::Thawed(Ok(())) => {
                let payload =
                    (self.row.state == SandboxState::Paused).then_some(EventPayload::Resumed);
                self.happen(Event::Thawed, payload).await;
            }
            Done::Thawed(Err(err)) => {
                self.fail_waiters(Wanted::Running, "the sandbox could not be resumed", &err);
            }
            Done::Gone(seen) => self.on_gone(seen).await,
            Done::Released(released) => self.on_released(released),
            Done::Removed(Ok(())) => {
                self.is_removing = false;
                self.on_removed().await;
            }
            Done::Removed(Err(err)) => {
                self.is_removing = false;
                // Tried again by the reconciler, which finds a sandbox that is being deleted and nobody at it.
                tracing::error!(sandbox.id = %self.id(), error = %err, "files could not be moved to the trash");
            }
            Done::ExecStarted(id, is_running) => self.exec_started(id, is_running),
            Done::ExecEnded(id, end) => self.exec_ended(id, end),
        }
    }

    async fn on_stopped(&mut self, outcome: io::Result<StopOutcome>) {
        self.is_stopping = false;
        let outcome = outcome.unwrap_or_else(|err| {
            // Nothing is known, so nothing may be released.
            tracing::error!(sandbox.id = %self.id(), error = %err, "the host could not be asked to stop a sandbox");
            StopOutcome::Stuck
        });
        let payload = match (outcome, &self.row.state) {
            (StopOutcome::Stuck, _) => Some(EventPayload::Failed { reason: FailureReason::Stuck }),
            (_, SandboxState::Stopping) => Some(EventPayload::Stopped { reason: self.stop_reason }),
            (_, _) => None,
        };
        self.happen(Event::StopEnded(outcome), payload).await;
    }

    async fn on_gone(&mut self, seen: io::Result<Option<sandbar_types::ExitStatus>>) {
        let reason = match seen {
            Ok(status) => FailureReason::SupervisorExited { status },
            Err(err) => {
                tracing::warn!(sandbox.id = %self.id(), error = %err, "the keeper is gone");
                FailureReason::KeeperLost
            }
        };
        let is_alive = matches!(self.row.state, SandboxState::Running | SandboxState::Paused);
        let payload = is_alive.then(|| EventPayload::Failed { reason: reason.clone() });
        self.happen(Event::Gone(reason), payload).await;
    }

    /// A launch that failed. A sandbox that never ran is not kept: nobody has an id of it, and its name is wanted again.
    pub(super) async fn launch_failed(&mut self, message: String) {
        if self.row.state == SandboxState::Creating && self.row.isolation.is_none() {
            self.happen(Event::DeleteAsked, None).await;
        } else {
            let payload = EventPayload::Failed {
                reason: FailureReason::LaunchFailed { message: message.clone() },
            };
            self.happen(Event::LaunchFailed { message }, Some(payload)).await;
        }
    }

    pub(super) fn launch_begin(&mut self) {
        if self.is_releasing {
            self.launch_after_release = true;
            return;
        }
        self.launch = tokio_util::sync::CancellationToken::new();
        let (inner, canceled) = (Arc::clone(&self.inner), self.launch.clone());
        let mut spec = record::launch_spec(&self.row, self.dir.clone());
        self.inner.network_prepare(&self.row.spec.network, &mut spec);
        let row = self.row.clone();
        let freezing = Arc::clone(&self.freezing);
        self.work.spawn(async move {
            // Somebody may be reading the files of the stopped sandbox.
            let _freezing = freezing.lock().await;
            tokio::select! {
                biased;
                () = canceled.cancelled() => Done::LaunchCanceled,
                launched = launch_counted(&inner, spec, row) => Done::Launched(launched),
            }
        });
    }

    /// Has the app started, where the manifest is to be carried out by itself.
    fn app_start(&self) {
        if let Ok(handle) = self.inner.actor(self.id()) {
            self.inner.network_serve(&handle);
            self.inner.app_start(handle, self.id());
        }
    }

    /// Knows the app again that an earlier server started.
    pub(super) fn app_adopt(&self) {
        if let Ok(handle) = self.inner.actor(self.id()) {
            self.inner.network_serve(&handle);
            self.inner.app_adopt(handle, self.id());
        }
    }

    pub(super) fn stop_begin(&mut self) {
        if self.is_stopping {
            return;
        }
        self.is_stopping = true;
        let (inner, dir, id, grace) =
            (Arc::clone(&self.inner), self.dir.clone(), self.id(), self.grace);
        let freezing = Arc::clone(&self.freezing);
        let holds_too_much = self.stop_reason == StopReason::DiskFull;
        self.work.spawn(async move {
            // A review that holds it frozen is short; a stop that kills frozen processes would make it read a torn tree.
            let _freezing = tokio::time::timeout(Duration::from_secs(5), freezing.lock()).await;
            // What is frozen writes no more while one after the other is killed. Where it cannot be, it is killed anyway.
            if holds_too_much && inner.config.runtime.freeze(&dir, id).await.is_err() {
                tracing::debug!(sandbox.id = %id, "a sandbox that holds too much could not be frozen");
            }
            Done::Stopped(inner.config.runtime.stop(&dir, id, grace).await)
        });
    }

    pub(super) fn watch_begin(&mut self) {
        let (inner, dir, id) = (Arc::clone(&self.inner), self.dir.clone(), self.id());
        self.work.spawn(async move { Done::Gone(inner.config.runtime.wait(&dir, id).await) });
    }

    pub(super) fn freeze_begin(&mut self) {
        let (inner, dir, id) = (Arc::clone(&self.inner), self.dir.clone(), self.id());
        let freezing = Arc::clone(&self.freezing);
        self.work.spawn(async move {
            let _freezing = freezing.lock().await;
            let frozen = inner.config.runtime.freeze(&dir, id).await;
            if frozen.is_ok() && inner.config.runtime.reclaim(&dir, id).await.is_err() {
                tracing::debug!(sandbox.id = %id, "memory of a paused sandbox was not given back");
            }
            Done::Frozen(frozen)
        });
    }

    pub(super) fn thaw_begin(&mut self) {
        let (inner, dir, id) = (Arc::clone(&self.inner), self.dir.clone(), self.id());
        let freezing = Arc::clone(&self.freezing);
        self.work.spawn(async move {
            let _freezing = freezing.lock().await;
            Done::Thawed(inner.config.runtime.thaw(&dir, id).await)
        });
    }

    pub(super) fn release_begin(&mut self) {
        if self.is_releasing {
            return;
        }
        self.is_releasing = true;
        let (inner, dir, id) = (Arc::clone(&self.inner), self.dir.clone(), self.id());
        self.work.spawn(async move { Done::Released(release(&inner, &dir, id).await) });
    }

    fn on_released(&mut self, released: io::Result<()>) {
        self.is_releasing = false;
        if let Err(err) = released {
            // The reconciler finds what is left, and comes back for it.
            tracing::warn!(sandbox.id = %self.id(), error = %err, "not everything could be released");
        }
        if std::mem::take(&mut self.launch_after_release)
            && self.row.state == SandboxState::Creating
        {
            self.launch_begin();
        }
    }

    fn remove_begin(&mut self) {
        if std::mem::replace(&mut self.is_removing, true) {
            return;
        }
        let (inner, dir, id) = (Arc::clone(&self.inner), self.dir.clone(), self.id());
        self.work.spawn(async move {
            let removed = async {
                release(&inner, &dir, id).await?;
                inner.layout.sandbox_discard(id).map(drop)
            };
            Done::Removed(removed.await)
        });
    }
}

async fn launch_counted(
    inner: &Inner,
    spec: LaunchSpec,
    row: sandbar_store::SandboxRow,
) -> Result<sandbar_runtime::Launched, LaunchError> {
    let started = tokio::time::Instant::now();
    let launched = launch(inner, spec, row).await;
    match &launched {
        Ok(_) => inner.metrics.launches.add(started.elapsed()),
        Err(err) => inner.metrics.launch_failures.add_one(metrics::failed_step(err)),
    }
    launched
}

async fn launch(
    inner: &Inner,
    mut spec: LaunchSpec,
    row: sandbar_store::SandboxRow,
) -> Result<sandbar_runtime::Launched, LaunchError> {
    let step = |step: &str| {
        let step = step.to_owned();
        move |source| LaunchError::Step { step, source }
    };
    // Recorded as steps before any of them began; each may be repeated, and all are undone by release and discard.
    inner.layout.sandbox_prepare(row.id).map_err(step(record::STEP_PREPARE))?;
    inner
        .layout
        .record_write(row.id, &record::Record::of(&row))
        .map_err(step(record::STEP_RECORD))?;
    credential::prepare(inner, &row, &mut spec);
    let (launch, is_first) = (spec.clone(), row.isolation.is_none());
    let launched = inner.config.runtime.launch(spec).await?;
    // The first time only: what an agent removed later stays removed.
    if let (Source::Preset { preset }, true) = (&row.spec.source, is_first) {
        sandbox::seed(inner, &launch, *preset).await.map_err(step(record::STEP_SEED))?;
    }
    Ok(launched)
}

/// Kills what may be left and gives back what it held of the host. Files stay.
pub(crate) async fn release(inner: &Inner, dir: &SandboxDir, id: SandboxId) -> io::Result<()> {
    match inner.config.runtime.stop(dir, id, Duration::ZERO).await? {
        StopOutcome::Stuck => Err(io::ErrorKind::ResourceBusy.into()),
        StopOutcome::Exited | StopOutcome::Killed | StopOutcome::NotRunning => {
            inner.config.runtime.release(dir, id).await
        }
    }
}
