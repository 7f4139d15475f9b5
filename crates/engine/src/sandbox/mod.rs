//! Sandboxes: create, list, start, stop, pause, resume, delete.

mod admission;
mod create;
mod model;
mod quota;
mod resolve;
mod seed;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use sandbar_runtime::Usage;
use sandbar_store::sandbox_fetch;
use sandbar_types::{Generation, SandboxId, SandboxState, StopReason, TenantId};

pub use self::model::{
    IdempotencyKey, Sandbox, SandboxCreateParams, SandboxCreated, SandboxSize, SandboxWatch,
};
pub(crate) use self::{create::create, model::workspace_path, seed::seed};
use crate::{
    Engine, Error, ErrorKind, Result,
    actor::{ActorHandle, Ordinary, Urgent},
    app::Place,
    error::require_seen,
    source,
    trace::TRACES,
};

impl Engine {
    /// Creates a sandbox, and returns when it runs.
    ///
    /// Dropping the future does not undo it: a create that was begun is finished.
    ///
    /// # Errors
    /// `source_*`, `invalid_value`, `name_taken`, `reservation_conflict` (with the overlap), `limit_reached`,
    /// `idempotency_key_reused`, `host_unsupported`, `launch_failed`.
    #[tracing::instrument(target = TRACES, name = "sandbox create", skip_all, fields(sandbox.id = tracing::field::Empty))]
    pub async fn sandbox_create(&self, params: SandboxCreateParams) -> Result<SandboxCreated> {
        let created = self.inner.tasks.spawn(create(Arc::clone(&self.inner), params, Place::Alone));
        let created = created.await.unwrap_or_else(|panicked| Err(Error::internal(panicked)))?;
        let (SandboxCreated::New(sandbox) | SandboxCreated::Replayed(sandbox)) = &created;
        tracing::Span::current().record("sandbox.id", tracing::field::display(sandbox.id));
        Ok(created)
    }

    /// Lists the living of a tenant, oldest first.
    #[must_use]
    pub fn sandbox_list(&self, tenant: TenantId) -> Vec<Sandbox> {
        let rows = self.inner.actors().values().map(ActorHandle::row).collect::<Vec<_>>();
        rows.iter().filter(|row| row.tenant_id == tenant).map(|row| Sandbox::of(row)).collect()
    }

    /// Lists the living of every tenant, oldest first: for the server itself.
    #[must_use]
    pub fn sandbox_list_all(&self) -> Vec<Sandbox> {
        self.inner.actors().values().map(|handle| Sandbox::of(&handle.row())).collect()
    }

    /// Fetches one.
    ///
    /// # Errors
    /// `sandbox_not_found`.
    pub fn sandbox_fetch(&self, id: SandboxId) -> Result<Sandbox> {
        Ok(Sandbox::of(&self.inner.actor(id)?.row()))
    }

    /// Follows one.
    ///
    /// # Errors
    /// `sandbox_not_found`.
    pub fn sandbox_watch(&self, id: SandboxId) -> Result<SandboxWatch> {
        Ok(SandboxWatch(self.inner.actor(id)?.published))
    }

    /// Starts a stopped or failed sandbox over the files that were kept, or resumes a paused one.
    ///
    /// # Errors
    /// `sandbox_not_found`, `source_gone`, `source_replaced`, `state_conflict`, `launch_failed`.
    pub async fn sandbox_start(&self, id: SandboxId) -> Result<Sandbox> {
        let handle = self.inner.actor(id)?;
        let row = handle.row();
        if matches!(row.state, SandboxState::Stopped | SandboxState::Failed { .. }) {
            source::check(&row).await?;
        }
        handle.ask(|reply| Ordinary::Start { reply }).await?;
        self.sandbox_fetch(id)
    }

    /// Stops it: asks, waits `grace` (default: the server's), kills, reaps, releases. Its files are kept.
    ///
    /// # Errors
    /// `sandbox_not_found`.
    pub async fn sandbox_stop(&self, id: SandboxId, grace: Option<Duration>) -> Result<Sandbox> {
        let grace = grace.unwrap_or(self.inner.settings().stop_grace);
        let reason = StopReason::Requested;
        self.inner
            .actor(id)?
            .end(|reply| Urgent::Stop { grace, reason, reply: Some(reply) })
            .await?;
        self.sandbox_fetch(id)
    }

    /// Freezes it with its memory.
    ///
    /// # Errors
    /// `sandbox_not_found`, `state_conflict`.
    pub async fn sandbox_pause(&self, id: SandboxId) -> Result<Sandbox> {
        self.inner.actor(id)?.ask(|reply| Ordinary::Pause { reply }).await?;
        self.sandbox_fetch(id)
    }

    /// Lets a paused sandbox run on.
    ///
    /// # Errors
    /// `sandbox_not_found`, `state_conflict`.
    pub async fn sandbox_resume(&self, id: SandboxId) -> Result<Sandbox> {
        self.inner.actor(id)?.ask(|reply| Ordinary::Resume { reply }).await?;
        self.sandbox_fetch(id)
    }

    /// Keeps it from sleeping until then, at most as long as the operator allows. A later one replaces an earlier one.
    ///
    /// # Errors
    /// `sandbox_not_found`, `invalid_value` for a time that is over.
    pub async fn sandbox_keepalive(&self, id: SandboxId, until: Timestamp) -> Result<Sandbox> {
        let now = self.inner.config.clock.now();
        if until <= now {
            let message = "`until` must be in the future";
            return Err(Error::new(ErrorKind::Invalid, "invalid_value", message));
        }
        let until = until.min(now + self.inner.settings().keepalive_max);
        self.inner.actor(id)?.ask(|reply| Ordinary::KeepAlive { until, reply }).await?;
        self.sandbox_fetch(id)
    }

    /// Stops it if need be, and removes it with its files. From every state, and twice.
    ///
    /// # Errors
    /// `sandbox_not_found` for what never was.
    pub async fn sandbox_delete(&self, id: SandboxId) -> Result<()> {
        let handle = match self.inner.actor(id) {
            Ok(handle) => handle,
            Err(not_found) => {
                let found = sandbox_fetch(&mut self.inner.store.read().await?, id).await?;
                return found.filter(|row| row.deleted_at.is_some()).map(drop).ok_or(not_found);
            }
        };
        match handle.end(|reply| Urgent::Delete { seen: None, reply }).await {
            // Somebody else's delete was done first.
            Err(err) if err.code() == "sandbox_not_found" => Ok(()),
            done => done,
        }
    }

    /// As [`Engine::sandbox_delete`], if its record is still the one that was seen.
    ///
    /// # Errors
    /// `sandbox_not_found`, `stale_generation`.
    pub async fn sandbox_delete_seen(&self, id: SandboxId, seen: Generation) -> Result<()> {
        // What is deleted already is what was asked for, whatever it was.
        if let Ok(handle) = self.inner.actor(id) {
            require_seen(Some(seen), handle.row().generation)?;
        }
        self.sandbox_delete(id).await
    }

    /// What it uses now; nothing when it does not run.
    ///
    /// # Errors
    /// `sandbox_not_found`.
    pub async fn sandbox_usage(&self, id: SandboxId) -> Result<Usage> {
        let row = self.inner.actor(id)?.row();
        match row.state {
            SandboxState::Running | SandboxState::Paused => {
                let dir = self.inner.layout.sandbox(id);
                // It may have ended just now.
                Ok(self.inner.config.runtime.usage(&dir, id).await.unwrap_or_default())
            }
            SandboxState::Creating
            | SandboxState::Stopping
            | SandboxState::Stopped
            | SandboxState::Failed { .. }
            | SandboxState::Deleting => Ok(Usage::default()),
        }
    }
}
