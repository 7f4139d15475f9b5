//! An app goes: its sandboxes first, then its record with everything that it owns, in one transaction.

use sandbar_store::{
    app_remove_in_txn, config_list, config_remove_all_in_txn, credential_remove_all_in_txn,
    sandbox_list_of_app,
};
use sandbar_types::{Generation, SandboxId};

use super::{AppRef, AppRemoved, Undecided, fetch, require_seen};
use crate::{Engine, Error, ErrorKind, Result, event::EventPayload};

/// LIMIT: how often new sandboxes of an app are removed that is being removed.
const ROUNDS_MAX: usize = 8;

impl Engine {
    /// Removes an app with its sandboxes, settings and secrets. Its events stay.
    ///
    /// # Errors
    /// `app_not_found`, `stale_generation`, `changes_pending` (with the sandboxes).
    pub async fn app_remove(
        &self,
        app: AppRef,
        seen: Option<Generation>,
        undecided: Undecided,
    ) -> Result<AppRemoved> {
        let engine = self.clone();
        let removed =
            self.inner.tasks.spawn(async move { engine.remove(app, seen, undecided).await });
        removed.await.unwrap_or_else(|panicked| Err(Error::internal(panicked)))
    }

    async fn remove(
        &self,
        app: AppRef,
        seen: Option<Generation>,
        undecided: Undecided,
    ) -> Result<AppRemoved> {
        let mut gone = Vec::new();
        for _round in 0..ROUNDS_MAX {
            let mut conn = self.inner.store.read().await?;
            require_seen(&fetch(&mut conn, app).await?, seen)?;
            let sandboxes = sandbox_list_of_app(&mut conn, app.id).await?;
            drop(conn);
            if undecided == Undecided::Keep {
                self.refuse_undecided(&sandboxes).await?;
            }
            for id in sandboxes {
                if undecided == Undecided::Keep {
                    // Stopped first, so that what is looked at is what is removed.
                    self.sandbox_stop(id, None).await?;
                    self.refuse_undecided(&[id]).await?;
                }
                self.sandbox_delete(id).await?;
                gone.push(id);
            }
            if let Some(config_items) = self.remove_record(app, seen, &gone).await? {
                return Ok(AppRemoved { sandboxes: gone, config_items });
            }
        }
        let message = "the app is given new sandboxes while it is being removed";
        Err(Error::new(ErrorKind::Conflict, "state_conflict", message).hint("try again"))
    }

    /// Removes the record, and returns how many settings and secrets went with it; `None` where a sandbox came meanwhile.
    async fn remove_record(
        &self,
        app: AppRef,
        seen: Option<Generation>,
        gone: &[SandboxId],
    ) -> Result<Option<u64>> {
        let mut txn = self.inner.store.begin().await?;
        require_seen(&fetch(&mut txn, app).await?, seen)?;
        if !sandbox_list_of_app(&mut txn, app.id).await?.is_empty() {
            return Ok(None);
        }
        let scope = app.id.to_string();
        let config_items = config_list(&mut txn, app.tenant, &scope).await?.len() as u64;
        config_remove_all_in_txn(&mut txn, app.tenant, &scope).await?;
        credential_remove_all_in_txn(&mut txn, app.tenant, &scope).await?;
        app_remove_in_txn(&mut txn, app.tenant, app.id).await?;
        let payload = EventPayload::AppDeleted { sandboxes: gone.to_vec(), config_items };
        let event = self.inner.app_event_in_txn(&mut txn, (app, None), &payload).await?;
        txn.commit().await?;
        self.inner.event_written(event);
        self.inner.app_visibilities_mut().remove(&app.id);
        Ok(Some(config_items))
    }

    async fn refuse_undecided(&self, sandboxes: &[SandboxId]) -> Result<()> {
        let mut waiting = Vec::new();
        for id in sandboxes {
            match self.undecided(*id).await {
                Some(0) => {}
                // What cannot be read may hold changes.
                changes => waiting.push(serde_json::json!({ "id": id, "changes": changes })),
            }
        }
        if waiting.is_empty() {
            return Ok(());
        }
        let message = "sandboxes of the app have changes that nobody decided about";
        Err(Error::new(ErrorKind::Conflict, "changes_pending", message)
            .hint("review them (`sandbar review`), or remove the app with them: `--force`, `?force=true`")
            .details(&serde_json::json!({ "sandboxes": waiting })))
    }
}
