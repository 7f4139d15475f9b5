//! A new app like one that is there: what it is and what it is configured with, and nothing of its sandboxes.

use sandbar_store::{AppRow, config_list, config_put_in_txn};
use sandbar_types::{AppId, AppName, Generation};

use super::{App, AppRef, fetch};
use crate::{Engine, Result, event::EventPayload, secret};

impl Engine {
    /// Makes an app `name` with the description, tags, preset, visibility, settings and secrets of `from`: all of it, or
    /// nothing. Secrets are sealed again, for the new one.
    ///
    /// # Errors
    /// `app_not_found`, `app_name_taken`, `limit_reached`, `secrets_key_unusable`.
    pub async fn app_clone(&self, from: AppRef, name: AppName) -> Result<App> {
        // Held until the commit: no key that seals here is retired meanwhile. Where there is a secret, there is a key.
        let ring = self.inner.secrets.to_open().await?;
        let mut txn = self.inner.store.begin().await?;
        let source = fetch(&mut txn, from).await?;
        let now = self.now();
        let row = AppRow {
            id: AppId::generate(),
            name,
            external_user_id: None,
            external_project_id: None,
            generation: Generation::FIRST,
            created_at: now,
            updated_at: now,
            ..source
        };
        let payload = EventPayload::AppCloned { from: from.id };
        let event = self.inner.app_insert(&mut txn, &row, &payload).await?;
        for item in config_list(&mut txn, from.tenant, &from.id.to_string()).await? {
            let copy = secret::copy(ring.as_ref(), item, (&row.id.to_string(), now))?;
            config_put_in_txn(&mut txn, &copy).await?;
        }
        txn.commit().await?;
        drop(ring);
        self.inner.event_written(event);
        self.inner.app_shown_as(&row);
        Ok(App::of(row, None))
    }
}
