//! What the actor writes down: every state with the operation that begins or ends with it, in one transaction.

use std::{sync::Arc, time::Duration};

use sandbar_store::{
    Update, checkpoint_remove_all_in_txn, config_remove_all_in_txn, credential_remove_all_in_txn,
    event_insert_of_sandbox_in_txn, idempotency_forget_in_txn, operation_end_in_txn,
    operation_insert_in_txn, reservation_release_in_txn, sandbox_fetch, sandbox_update_in_txn,
};
use sandbar_types::{Enforcement, SandboxState, StopReason};
use tokio::time::Instant;

use super::Actor;
use crate::{
    Result,
    event::EventPayload,
    lifecycle::Event,
    record,
    upkeep::{self, Reconciler, expiry},
};

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
            credential_remove_all_in_txn(&mut txn, self.row.tenant_id, &scope).await?;
            checkpoint_remove_all_in_txn(&mut txn, self.row.id).await?;
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
                self.inner.upkeep.nudge(Reconciler::Trash);
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
        self.end_if_expired().await;
    }

    /// Stops it where it is over.
    pub(super) async fn end_if_expired(&mut self) {
        let app_timeout =
            self.app.has_processes().then_some(self.inner.settings().app_idle_timeout);
        if let Some(reason) = expiry::due(&self.row, app_timeout, self.inner.config.clock.now()) {
            self.stop_because(reason);
            self.happen(Event::StopAsked, None).await;
        }
    }

    /// Says once how near its limit is, and stops it beyond, where the kernel does not hold the limit.
    pub(super) async fn on_disk_used(&mut self, used: u64) {
        let limit_bytes = self.row.spec.limits.disk_bytes_max;
        let held_by =
            self.row.isolation.as_ref().map_or(Enforcement::None, |report| report.limits.disk);
        let reached = disk_level(used, limit_bytes, held_by);
        if reached > self.disk_said {
            let payload = if reached == DISK_FULL {
                EventPayload::DiskExceeded { upper_bytes: used, limit_bytes, held_by }
            } else {
                EventPayload::DiskWarning { upper_bytes: used, limit_bytes, percent: reached }
            };
            self.inner.event_append(self.row.id, &payload).await;
        }
        self.disk_said = reached;
        let is_over = reached == DISK_FULL && held_by != Enforcement::Quota;
        if is_over && self.row.state == SandboxState::Running {
            self.stop_because(StopReason::DiskFull);
            // At once: what it writes while it is asked to end would be beyond its limit, too.
            self.grace = Duration::ZERO;
            self.happen(Event::StopAsked, None).await;
        }
    }
}

/// All of it.
const DISK_FULL: u8 = 100;

/// The share of its disk limit at which something is said. Where the kernel holds the limit it is never quite reached:
/// what does not fit is not written.
fn disk_level(used: u64, limit: u64, held_by: Enforcement) -> u8 {
    let full = if held_by == Enforcement::Quota { limit / 50 * 49 } else { limit };
    if used >= full { DISK_FULL } else { upkeep::level(used, limit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s8_a_limit_that_the_kernel_holds_is_full_a_little_earlier() {
        let levels = |held_by| [79, 80, 90, 98, 100].map(|used| disk_level(used, 100, held_by));
        assert_eq!(levels(Enforcement::Watched), [0, 80, 90, 90, 100]);
        assert_eq!(levels(Enforcement::Quota), [0, 80, 90, 100, 100]);
    }
}
