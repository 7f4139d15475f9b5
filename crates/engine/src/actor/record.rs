//! What the actor writes down: every state with the operation that begins or ends with it, in one transaction.

use std::{sync::Arc, time::Duration};

use sandbar_store::{
    Update, config_remove_all_in_txn, event_insert_of_sandbox_in_txn, idempotency_forget_in_txn,
    operation_end_in_txn, operation_insert_in_txn, reservation_release_in_txn, sandbox_fetch,
    sandbox_update_in_txn,
};
use sandbar_types::{Enforcement, SandboxState, StopReason};
use tokio::time::Instant;

use super::Actor;
use crate::{Result, event::EventPayload, idle::Use, lifecycle::Event, record};

/// How often what only changes a little (activity, sizes) is written.
const FLUSH_INTERVAL: Duration = Duration::from_secs(30);

/// What a new state does to the recorded operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    None,
    Begin,
    End,
}

impl Actor {
    /// Enters `state`, writes it, and publishes it.
    ///
    /// A store that cannot be written does not hold up what must happen: the state is published, and written later.
    pub(super) async fn enter(
        &mut self,
        state: SandboxState,
        operation: Operation,
        payload: Option<EventPayload>,
    ) {
        self.row.stop_reason = match state {
            SandboxState::Stopped => Some(self.row.stop_reason.unwrap_or(self.stop_reason)),
            SandboxState::Creating | SandboxState::Running => None,
            SandboxState::Paused
            | SandboxState::Stopping
            | SandboxState::Failed { .. }
            | SandboxState::Deleting => self.row.stop_reason,
        };
        self.row.state = state;
        self.row.updated_at = self.inner.config.clock.now();
        if operation == Operation::Begin {
            self.row.nonce = self.inner.nonce();
            self.row.boot_id.clone_from(&self.inner.boot_id);
        }
        if let Err(err) = self.write(operation, payload.as_ref()).await {
            tracing::error!(sandbox.id = %self.id(), error = &err as &dyn std::error::Error, "a state could not be written");
            self.is_unwritten = true;
        }
        self.publish();
    }

    async fn write(&mut self, operation: Operation, payload: Option<&EventPayload>) -> Result<()> {
        let now = self.row.updated_at;
        let mut txn = self.inner.store.begin().await?;
        let update = sandbox_update_in_txn(&mut txn, &self.row).await?;
        let Update::Applied(generation) = update else {
            drop(txn);
            return self.lose().await;
        };
        match operation {
            Operation::None => {}
            Operation::Begin => {
                let nonce = self.row.nonce.clone();
                operation_insert_in_txn(
                    &mut txn,
                    self.row.id,
                    "launch",
                    &record::LAUNCH_STEPS,
                    &nonce,
                    now,
                )
                .await?;
            }
            Operation::End => operation_end_in_txn(&mut txn, self.row.id, None, now).await?,
        }
        let event = match payload {
            Some(payload) => Some(
                event_insert_of_sandbox_in_txn(&mut txn, self.row.id, now, &payload.to_value())
                    .await?,
            ),
            None => None,
        };
        txn.commit().await?;
        self.row.generation = generation;
        self.is_unwritten = false;
        self.flushed_at = Instant::now();
        if let Some(event) = event {
            self.inner.event_written(event);
        }
        Ok(())
    }

    /// Somebody else wrote our row. Only this actor may, so it is a bug, or a second server that got past the lock: what
    /// is written wins, and ours is written again only when it is still true at the next tick.
    async fn lose(&mut self) -> Result<()> {
        tracing::error!(sandbox.id = %self.id(), generation = %self.row.generation, "a record was written by somebody else");
        let mut conn = self.inner.store.read().await?;
        if let Some(found) = sandbox_fetch(&mut conn, self.row.id).await? {
            self.row.generation = found.generation;
        }
        self.is_unwritten = true;
        Ok(())
    }

    pub(super) fn publish(&self) {
        self.published.send_replace(Arc::new(self.row.clone()));
    }

    pub(super) fn record_file(&self) {
        if let Err(err) =
            self.inner.layout.record_write(self.row.id, &record::Record::of(&self.row))
        {
            tracing::warn!(sandbox.id = %self.id(), error = %err, "record.json could not be written");
        }
    }

    /// The files are in the trash: the record ends, and gives back its name and what it reserved.
    pub(super) async fn on_removed(&mut self) {
        let now = self.inner.config.clock.now();
        self.row.deleted_at = Some(now);
        self.row.updated_at = now;
        let has_run = self.row.isolation.is_some();
        let written = async {
            let mut txn = self.inner.store.begin().await?;
            reservation_release_in_txn(&mut txn, self.row.id).await?;
            let scope = self.row.id.to_string();
            config_remove_all_in_txn(&mut txn, self.row.tenant_id, &scope).await?;
            operation_end_in_txn(&mut txn, self.row.id, None, now).await?;
            if !has_run {
                // A create that failed may be tried again with the same key.
                idempotency_forget_in_txn(&mut txn, self.row.id).await?;
            }
            let event = event_insert_of_sandbox_in_txn(
                &mut txn,
                self.row.id,
                now,
                &EventPayload::Deleted.to_value(),
            )
            .await?;
            let update = sandbox_update_in_txn(&mut txn, &self.row).await?;
            txn.commit().await?;
            Ok::<_, crate::Error>((update, event))
        };
        match written.await {
            Ok((Update::Applied(generation), event)) => {
                self.row.generation = generation;
                self.inner.actors_mut().remove(&self.row.id);
                self.publish();
                self.inner.event_written(event);
                self.inner.trash_nudge.notify_one();
                self.tell_waiters();
            }
            Ok((Update::Stale, _)) => {
                self.row.deleted_at = None;
                if let Err(err) = self.lose().await {
                    tracing::error!(
                        error = &err as &dyn std::error::Error,
                        "a record could not be read again"
                    );
                }
            }
            Err(err) => {
                tracing::error!(sandbox.id = %self.id(), error = &err as &dyn std::error::Error, "a deletion could not be written");
                self.row.deleted_at = None;
                self.is_unwritten = true;
            }
        }
    }

    pub(super) fn touch(&mut self) {
        self.row.last_active_at = self.inner.config.clock.now();
    }

    /// Writes what changed without a change of state.
    pub(super) async fn flush(&mut self) {
        if let Err(err) = self.write(Operation::None, None).await {
            tracing::warn!(sandbox.id = %self.id(), error = &err as &dyn std::error::Error, "a record could not be written");
            self.is_unwritten = true;
        }
        self.publish();
    }

    pub(super) async fn on_tick(&mut self) {
        if self.is_unwritten
            && self.row.state == SandboxState::Deleting
            && !self.is_stopping
            && self.work.is_empty()
        {
            // The files are gone already; only the record is left.
            self.on_removed().await;
            return;
        }
        let is_late = self.flushed_at.elapsed() >= FLUSH_INTERVAL;
        let seen = self.published.borrow().clone();
        let has_changed = seen.last_active_at != self.row.last_active_at
            || seen.upper_bytes != self.row.upper_bytes;
        if self.is_unwritten || (is_late && has_changed) {
            self.flush().await;
        }
        if !self.execs.is_empty() || self.app.is_viewed() || self.app.is_starting() {
            self.touch();
        }
        self.execs_check();
        if let Some(reason) = self.expired() {
            self.stop_because(reason);
            self.happen(Event::StopAsked, None).await;
        }
    }

    /// Why it should end now by itself. It is stopped, never deleted: its files may hold changes nobody decided about.
    fn expired(&self) -> Option<StopReason> {
        if !matches!(self.row.state, SandboxState::Running | SandboxState::Paused) {
            return None;
        }
        let now = self.inner.config.clock.now();
        if self.row.lease_until.is_some_and(|until| until <= now) {
            return Some(StopReason::LeaseEnded);
        }
        let app_timeout = self.app.has_processes().then_some(self.inner.config.app_idle_timeout);
        Use::of(&self.row, app_timeout).is_idle(now).then_some(StopReason::Idle)
    }

    pub(super) async fn on_measured(&mut self, upper_bytes: u64, upper_files: u64) {
        self.row.upper_bytes = upper_bytes;
        self.row.upper_files = upper_files;
        self.publish();
        let limit = self.row.spec.limits.disk_bytes_max;
        let is_watched =
            self.row.isolation.as_ref().is_none_or(|report| match report.limits.disk {
                Enforcement::Watched | Enforcement::None => true,
                Enforcement::CgroupV2
                | Enforcement::CgroupV1
                | Enforcement::Rlimit
                | Enforcement::Quota => false,
            });
        let is_near = upper_bytes >= limit / 5 * 4;
        if is_near && !self.has_warned {
            let payload = EventPayload::DiskWarning { upper_bytes, limit_bytes: limit };
            self.inner.event_append(self.row.id, &payload).await;
        }
        self.has_warned = is_near;
        if upper_bytes >= limit && is_watched && self.row.state == SandboxState::Running {
            self.stop_because(StopReason::DiskFull);
            self.happen(Event::StopAsked, None).await;
        }
    }
}
