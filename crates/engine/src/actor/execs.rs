//! Execs of one sandbox: how many run, and how each of them ended.
//!
//! Whoever reads an exec reports its end. When nobody reads it any more, a task of the actor follows it; when a reader
//! stalls, the log on disk is looked at. The last record of the log is the truth; a log without one belongs to an exec
//! whose sandbox ended first.

use std::sync::Arc;

use sandbar_runtime::client::{Body, LogReader};
use sandbar_store::{
    ExecRow, Update, event_insert_of_sandbox_in_txn, exec_insert_in_txn, exec_list_running,
    exec_remove_in_txn, exec_update_in_txn,
};
use sandbar_types::{ExecEnd, ExecId, ExecSpec, ExecState, Generation, SandboxId, TenantId};
use tokio::sync::oneshot;

use super::{Actor, Done};
use crate::{
    Error, ErrorKind, Result,
    engine::Inner,
    event::EventPayload,
    exec::{Exec, ExecSession, Reporter},
    lifecycle::{Admission, Request, admit},
    metrics::GaugeGuard,
};

/// An exec that has not ended as far as we know.
#[derive(Debug)]
pub(super) struct RunningExec {
    row: ExecRow,
    follower: Follower,
    /// Counts it among those that run.
    _running: GaugeGuard,
    /// Bytes of its log at the last look; a log that grew is that of an exec that runs.
    log_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follower {
    /// It is being started.
    Starting,
    /// A client reads it.
    Client,
    /// A task of ours reads it.
    Actor,
}

impl Actor {
    pub(super) fn exec_begin(
        &mut self,
        spec: ExecSpec,
        reply: oneshot::Sender<Result<ExecSession>>,
    ) {
        // A dead receiver is a client that went away: nothing was started for it yet.
        let limit = self.row.spec.limits.execs_max;
        match admit(&self.row.state, Request::Exec) {
            Err(denied) => return drop(reply.send(Err(denied.into()))),
            Ok(Admission::Begin | Admission::Join | Admission::AlreadyDone) => {}
        }
        if self.execs.len() >= limit as usize {
            let error = Error::new(
                ErrorKind::LimitReached,
                "limit_reached",
                "the sandbox runs as many execs as it may",
            )
            .hint("wait for one to end, or signal one")
            .details(&serde_json::json!({ "limit": "execs_max", "value": limit }));
            return drop(reply.send(Err(error)));
        }
        self.touch();
        let row = ExecRow {
            id: ExecId::generate(),
            sandbox_id: self.row.id,
            spec,
            state: ExecState::Running,
            generation: Generation::FIRST,
            started_at: self.row.last_active_at,
            ended_at: None,
        };
        let id = row.id;
        self.execs.insert(
            id,
            RunningExec {
                row: row.clone(),
                follower: Follower::Starting,
                _running: self.inner.metrics.execs_running.hold(),
                log_bytes: 0,
            },
        );
        let (inner, dir) = (Arc::clone(&self.inner), self.dir.clone());
        self.memory_kills.begin(id);
        let (actor, kills) = (self.handle.0.clone(), Arc::clone(&self.memory_kills));
        let tenant = self.row.tenant_id;
        let reporter = Reporter::new(&self.inner, actor, kills, (self.row.id, id));
        self.work.spawn(async move {
            let started = start(&inner, &dir, (tenant, row), reporter).await;
            let is_running = started.is_ok();
            // When the client went away meanwhile, dropping its session says that nobody reads the exec.
            drop(reply.send(started));
            Done::ExecStarted(id, is_running)
        });
    }

    pub(super) fn exec_started(&mut self, id: ExecId, is_running: bool) {
        if !is_running {
            self.execs.remove(&id);
        } else if let Some(exec) =
            self.execs.get_mut(&id).filter(|exec| exec.follower == Follower::Starting)
        {
            exec.follower = Follower::Client;
        }
    }

    /// Follows an exec that nobody reads any more, from `offset` on, until it ends.
    pub(super) fn exec_follow(&mut self, id: ExecId, offset: u64) {
        let Some(exec) = self.execs.get_mut(&id).filter(|exec| exec.follower != Follower::Actor)
        else {
            return;
        };
        exec.follower = Follower::Actor;
        let (inner, dir, sandbox) = (Arc::clone(&self.inner), self.dir.clone(), self.row.id);
        self.work.spawn(async move {
            let end = match follow(&inner, &dir, id, offset).await {
                Ok(end) => Some(end),
                // The supervisor does not know it any more, or is gone: what it wrote last tells.
                Err(_err) => log_end(&inner, sandbox, id).await,
            };
            Done::ExecEnded(id, end)
        });
    }

    /// Follows everything that is recorded as running: after a restart, nobody reads it.
    pub(super) fn execs_follow(&mut self) {
        let ids: Vec<ExecId> = self.execs.keys().copied().collect();
        for id in ids {
            self.exec_follow(id, 0);
        }
    }

    pub(super) async fn execs_load(&mut self) {
        let loaded = async {
            let mut conn = self.inner.store.read().await?;
            exec_list_running(&mut conn, self.row.id).await
        };
        match loaded.await {
            Ok(rows) => {
                for row in rows {
                    self.memory_kills.begin(row.id);
                    let exec = RunningExec {
                        row,
                        follower: Follower::Starting,
                        _running: self.inner.metrics.execs_running.hold(),
                        log_bytes: 0,
                    };
                    self.execs.insert(exec.row.id, exec);
                }
            }
            Err(err) => {
                tracing::error!(sandbox.id = %self.id(), error = &err as &dyn std::error::Error, "execs could not be read");
            }
        }
    }

    /// An exec ended, or was lost sight of while its sandbox still runs.
    pub(super) fn exec_ended(&mut self, id: ExecId, end: Option<ExecEnd>) {
        let is_alive = matches!(
            self.row.state,
            sandbar_types::SandboxState::Running | sandbar_types::SandboxState::Paused
        );
        if end.is_none() && is_alive {
            // No end in the log, and nobody to ask just now: looked at again at the next tick.
            if let Some(exec) = self.execs.get_mut(&id) {
                exec.follower = Follower::Client;
                exec.log_bytes = u64::MAX;
            }
            return;
        }
        let Some(exec) = self.execs.remove(&id) else {
            return;
        };
        self.touch();
        let (inner, kills) = (Arc::clone(&self.inner), Arc::clone(&self.memory_kills));
        self.work.spawn(async move {
            let end = match end {
                Some(end) => Some(kills.judge(&inner, exec.row.sandbox_id, id, end).await),
                None => None,
            };
            record_end(&inner, exec.row, end).await;
            Done::Nothing
        });
    }

    /// Looks at the logs of execs whose readers are silent: the reader may have stalled, the exec may have ended.
    pub(super) fn execs_check(&mut self) {
        let sandbox = self.row.id;
        for (&id, exec) in &mut self.execs {
            if exec.follower != Follower::Client {
                continue;
            }
            let bytes = self
                .inner
                .layout
                .log_open(sandbox, id)
                .and_then(|file| file.metadata())
                .map_or(0, |m| m.len());
            let is_new = std::mem::replace(&mut exec.log_bytes, bytes) != bytes;
            if is_new && bytes > 0 {
                let inner = Arc::clone(&self.inner);
                self.work.spawn(async move {
                    match log_end(&inner, sandbox, id).await {
                        Some(end) => Done::ExecEnded(id, Some(end)),
                        None => Done::Nothing,
                    }
                });
            }
        }
    }

    /// The sandbox has ended: every exec ended with it, with the status that its log has, or lost.
    pub(super) async fn execs_settle(&mut self) {
        for (id, exec) in std::mem::take(&mut self.execs) {
            let end = log_end(&self.inner, self.row.id, id).await;
            record_end(&self.inner, exec.row, end).await;
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "kinds of I/O errors are not ours, and grow")]
async fn start(
    inner: &Inner,
    dir: &sandbar_runtime::SandboxDir,
    (tenant, row): (TenantId, ExecRow),
    reporter: Reporter,
) -> Result<ExecSession> {
    let (sandbox, id) = (row.sandbox_id, row.id);
    // The record keeps what was asked for, without what is added here.
    let told = crate::secret::of_agent(inner, (tenant, sandbox), &row.spec).await?;
    let log = inner.layout.log_create(sandbox, id).map_err(|err| match err.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::new(
            ErrorKind::Unavailable,
            "storage_full",
            "there is no room for the log of an exec",
        )
        .because(err),
        _other => Error::internal(err),
    })?;
    // Before it runs: an exec that nobody recorded could never be found again.
    let mut txn = inner.store.begin().await?;
    exec_insert_in_txn(&mut txn, &row).await?;
    let event = EventPayload::ExecStarted { exec_id: id };
    let event =
        event_insert_of_sandbox_in_txn(&mut txn, sandbox, row.started_at, &event.to_value())
            .await?;
    txn.commit().await?;
    inner.event_written(event);
    match inner.config.runtime.exec(dir, id, &told, log.into()).await {
        Ok(stream) => {
            inner.metrics.execs_started.add_one();
            Ok(ExecSession::live(Exec::of(row), stream, reporter))
        }
        Err(err) => {
            if let Err(undo) = forget(inner, sandbox, id).await {
                tracing::warn!(exec.id = %id, error = &undo as &dyn std::error::Error, "a refused exec could not be forgotten");
            }
            Err(crate::exec::refusal(err))
        }
    }
}

async fn forget(inner: &Inner, sandbox: SandboxId, id: ExecId) -> Result<()> {
    let mut txn = inner.store.begin().await?;
    exec_remove_in_txn(&mut txn, id).await?;
    txn.commit().await?;
    inner.layout.log_remove(sandbox, id).map_err(Error::internal)
}

async fn follow(
    inner: &Inner,
    dir: &sandbar_runtime::SandboxDir,
    id: ExecId,
    offset: u64,
) -> std::io::Result<ExecEnd> {
    let mut stream = inner.config.runtime.attach(dir, id, offset).await?;
    while let Some(record) = stream.next().await? {
        if let Body::End(end) = record.body {
            return Ok(end);
        }
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}

/// The end that a log has; `None` when it has none, or is no log.
async fn log_end(inner: &Inner, sandbox: SandboxId, id: ExecId) -> Option<ExecEnd> {
    let file = inner.layout.log_open(sandbox, id).ok()?;
    // A log may be long, and is read from disk.
    let found = tokio::task::spawn_blocking(move || LogReader::find_end(file)).await.ok()?;
    found.ok().flatten()
}

async fn record_end(inner: &Inner, mut row: ExecRow, end: Option<ExecEnd>) {
    let now = inner.config.clock.now();
    row.state = end.map_or(ExecState::Lost, |end| ExecState::Ended { end });
    row.ended_at = Some(now);
    let written = async {
        let mut txn = inner.store.begin().await?;
        let Update::Applied(_generation) = exec_update_in_txn(&mut txn, &row).await? else {
            // Its end is recorded already.
            return Ok::<_, Error>(None);
        };
        let event = EventPayload::ExecEnded { exec_id: row.id, end };
        let event =
            event_insert_of_sandbox_in_txn(&mut txn, row.sandbox_id, now, &event.to_value())
                .await?;
        txn.commit().await?;
        Ok(Some(event))
    };
    match written.await {
        Ok(Some(event)) => inner.event_written(event),
        Ok(None) => {}
        // The log on disk keeps the truth; the next start reads it from there.
        Err(err) => {
            tracing::error!(exec.id = %row.id, error = &err as &dyn std::error::Error, "the end of an exec could not be written");
        }
    }
}
