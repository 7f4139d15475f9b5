//! The sandbox that an app is about: making it, replacing it, starting and stopping it.

use std::time::Duration;

use sandbar_runtime::Caller;
use sandbar_store::{sandbox_fetch_current, sandbox_set_current_in_txn};
use sandbar_types::{AppName, SandboxId, SandboxSpec};

use super::{AppRef, Place, Replace, fetch};
use crate::{
    Engine, Error, ErrorKind, Result, Sandbox, SandboxCreateParams, event::EventPayload, sandbox,
};

/// The refusal of what needs the sandbox of an app that has none.
pub(crate) fn has_none(name: &AppName) -> Error {
    let message = format!("the app `{name}` has no sandbox");
    Error::new(ErrorKind::NotFound, "sandbox_not_found", message)
        .hint("start the app, which makes one: `sandbar app start`")
}

impl Engine {
    /// Looks at the sandbox that an app is about.
    ///
    /// # Errors
    /// `app_not_found`, `sandbox_not_found` where it has none.
    pub async fn app_sandbox(&self, app: AppRef) -> Result<Sandbox> {
        self.sandbox_fetch(self.app_current_required(app).await?)
    }

    async fn app_current_required(&self, app: AppRef) -> Result<SandboxId> {
        let mut conn = self.inner.store.read().await?;
        let row = fetch(&mut conn, app).await?;
        let current = sandbox_fetch_current(&mut conn, app.id).await?;
        current.map(|current| current.id).ok_or_else(|| has_none(&row.name))
    }

    async fn app_current_id(&self, app: AppRef) -> Result<Option<SandboxId>> {
        let mut conn = self.inner.store.read().await?;
        fetch(&mut conn, app).await?;
        Ok(sandbox_fetch_current(&mut conn, app.id).await?.map(|row| row.id))
    }

    /// Makes the sandbox that an app is about, and returns when it runs. What it replaces stops being that only then.
    ///
    /// Dropping the future does not undo it.
    ///
    /// # Errors
    /// As [`Engine::sandbox_create`]; `app_not_found`, `app_has_sandbox`.
    pub async fn app_sandbox_create(
        &self,
        app: AppRef,
        params: SandboxCreateParams,
        replace: Replace,
    ) -> Result<Sandbox> {
        let engine = self.clone();
        let created = self.inner.tasks.spawn(async move {
            let before = engine.app_current_id(app).await?;
            let made = sandbox::create(engine.inner.clone(), params, Place::In(app, replace)).await;
            match made {
                Ok(created) => {
                    engine.app_settle(app, (before, created.into_sandbox()), replace).await
                }
                Err(err) => {
                    engine.app_put_back(app, before).await?;
                    Err(err)
                }
            }
        });
        created.await.unwrap_or_else(|panicked| Err(Error::internal(panicked)))
    }

    /// The new sandbox runs: it is what the app is about, and what becomes of the one before is decided.
    async fn app_settle(
        &self,
        app: AppRef,
        (before, new): (Option<SandboxId>, Sandbox),
        replace: Replace,
    ) -> Result<Sandbox> {
        // As it was inserted: whether it took the place of what is over, or has to take that of what lives.
        let was_first = self.inner.actor(new.id)?.row().is_current;
        let mut txn = self.inner.store.begin().await?;
        let old = if was_first {
            before
        } else {
            let old = sandbox_fetch_current(&mut txn, app.id).await?.map(|row| row.id);
            if !sandbox_set_current_in_txn(&mut txn, app.id, Some(new.id)).await? {
                return Err(crate::actor::gone());
            }
            old
        };
        let Some(old) = old.filter(|old| *old != new.id) else {
            txn.commit().await?;
            return self.sandbox_fetch(new.id);
        };
        let payload = EventPayload::SandboxReplaced { old, new: new.id };
        let event = self.inner.app_event_in_txn(&mut txn, (app, Some(new.id)), &payload).await?;
        txn.commit().await?;
        self.inner.event_written(event);
        if was_first || replace == Replace::RemoveOld {
            self.discard_if_decided(old).await;
        }
        self.sandbox_fetch(new.id)
    }

    /// No new sandbox came to be: what failed before is what the app is about again.
    async fn app_put_back(&self, app: AppRef, before: Option<SandboxId>) -> Result<()> {
        let mut txn = self.inner.store.begin().await?;
        if before.is_some() && sandbox_fetch_current(&mut txn, app.id).await?.is_none() {
            sandbox_set_current_in_txn(&mut txn, app.id, before).await?;
            txn.commit().await?;
        }
        Ok(())
    }

    /// Starts the sandbox that an app is about, or makes one from its preset.
    ///
    /// # Errors
    /// As [`Engine::sandbox_start`] and [`Engine::app_sandbox_create`].
    pub async fn app_start(&self, app: AppRef, caller: Caller) -> Result<Sandbox> {
        if let Some(id) = self.app_current_id(app).await? {
            return self.sandbox_start(id).await;
        }
        let spec = SandboxSpec::over(self.app_fetch(app).await?.default_source());
        let params = SandboxCreateParams { tenant: app.tenant, spec, caller, idempotency: None };
        match self.app_sandbox_create(app, params, Replace::Never).await {
            // Somebody else's start was first: this one waits for the same.
            Err(err) if err.code() == "app_has_sandbox" => {
                let id = self.app_current_required(app).await?;
                self.sandbox_start(id).await
            }
            made => made,
        }
    }

    /// Stops the sandbox that an app is about.
    ///
    /// # Errors
    /// `app_not_found`, `sandbox_not_found` where it has none.
    pub async fn app_stop(&self, app: AppRef, grace: Option<Duration>) -> Result<Sandbox> {
        let id = self.app_current_required(app).await?;
        self.sandbox_stop(id, grace).await
    }

    /// Stops the sandbox that an app is about, and starts it over the files that were kept.
    ///
    /// # Errors
    /// As [`Engine::app_stop`] and [`Engine::sandbox_start`].
    pub async fn app_restart(&self, app: AppRef, grace: Option<Duration>) -> Result<Sandbox> {
        let stopped = self.app_stop(app, grace).await?;
        self.sandbox_start(stopped.id).await
    }

    /// How much of a sandbox waits for a decision; `None` where nobody can tell.
    pub(super) async fn undecided(&self, id: SandboxId) -> Option<usize> {
        Some(self.changes(id).await.ok()?.set.changes.len())
    }

    /// Removes a sandbox of which nothing waits for a decision; else, or where it fails, it is left.
    async fn discard_if_decided(&self, id: SandboxId) {
        if self.undecided(id).await != Some(0) {
            return;
        }
        let removed = async {
            // Stopped first, so that what is looked at is what is removed.
            self.sandbox_stop(id, None).await?;
            match self.undecided(id).await {
                Some(0) => self.sandbox_delete(id).await,
                Some(_) | None => Ok(()),
            }
        };
        if let Err(err) = removed.await {
            tracing::warn!(sandbox.id = %id, error = &err as &dyn std::error::Error, "a sandbox that was replaced is left");
        }
    }
}
