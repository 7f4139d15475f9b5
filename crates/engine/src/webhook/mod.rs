//! Webhooks: where events of a tenant are sent to.
//!
//! A webhook has a cursor into the events, and one task of the engine ([`deliver`]) that moves it: the next event is sent
//! until it is taken, then the one behind it. What a server that ends has not recorded, the next one sends again, with the
//! same id: at least once, in order. One that fails for three days is disabled, and an event says so.

mod backoff;
mod courier;
mod deliver;
mod model;
mod secrets;
mod signature;

use std::time::Duration;

use sandbar_store::{
    WebhookProgress, WebhookRow, config_remove_all_in_txn, webhook_delivery_list, webhook_fetch,
    webhook_insert_in_txn, webhook_list, webhook_remove_in_txn, webhook_update_in_txn,
};
use sandbar_types::{Generation, TenantId, WebhookId};

pub(crate) use self::deliver::run;
pub use self::{
    courier::{Courier, NoCourier, WebhookAnswer, WebhookMessage},
    model::{
        Webhook, WebhookCreateParams, WebhookDelivery, WebhookUpdateParams, WebhookWhich,
        WebhookWithSecret,
    },
};
use crate::{Engine, Error, ErrorKind, Result};

/// LIMIT: webhooks of one tenant.
const WEBHOOKS_MAX: u32 = 32;
/// LIMIT: bytes of an address, and of a description.
const TEXT_BYTES_MAX: usize = 2048;
/// How long the secret before signs as well.
const OLD_SECRET: Duration = Duration::from_hours(24);

fn not_found() -> Error {
    Error::new(ErrorKind::NotFound, "webhook_not_found", "there is no such webhook")
        .hint("`GET /v1/webhooks` lists them")
}

fn check(row: &WebhookRow, courier: &dyn Courier) -> Result<()> {
    if row.url.len() > TEXT_BYTES_MAX || row.description.len() > TEXT_BYTES_MAX {
        let message =
            format!("an address and a description are at most {TEXT_BYTES_MAX} bytes long");
        return Err(Error::new(ErrorKind::Invalid, "invalid_value", message));
    }
    courier.check(&row.url).map_err(|what| {
        Error::new(ErrorKind::Invalid, "webhook_url_refused", what)
            .hint("docs/events.md tells which addresses are taken")
    })
}

impl Engine {
    /// Makes a webhook, for what happens from now on. Its secret is in this answer, and never again.
    ///
    /// # Errors
    /// `webhook_url_refused`, `invalid_value`, `limit_reached`, `secrets_key_unusable`.
    pub async fn webhook_create(
        &self,
        tenant: TenantId,
        params: WebhookCreateParams,
    ) -> Result<WebhookWithSecret> {
        let now = self.now();
        let mut row = WebhookRow {
            id: WebhookId::generate(),
            tenant_id: tenant,
            url: params.url,
            description: params.description,
            event_types: params.event_types,
            app_id: params.app,
            is_active: params.is_active,
            disabled_reason: None,
            old_secret_until: None,
            progress: WebhookProgress::default(),
            generation: Generation::FIRST,
            created_at: now,
            updated_at: now,
        };
        check(&row, &*self.inner.config.courier)?;
        let ring = self.inner.secrets.to_seal(&self.inner.store, true).await?;
        let ring = ring.expect("keys are there where something is to be sealed");
        let mut txn = self.inner.store.begin().await?;
        if webhook_list(&mut txn, tenant, None, WEBHOOKS_MAX).await?.len() >= WEBHOOKS_MAX as usize
        {
            let message = format!("a tenant has at most {WEBHOOKS_MAX} webhooks");
            return Err(Error::new(ErrorKind::LimitReached, "limit_reached", message));
        }
        row.progress.cursor = webhook_insert_in_txn(&mut txn, &row).await?;
        let secret = secrets::renew(&mut txn, &ring, &row, now).await?;
        txn.commit().await?;
        self.inner.webhooks_changed.notify_one();
        Ok(WebhookWithSecret { webhook: Webhook::of(row), secret })
    }

    /// Looks at a webhook.
    ///
    /// # Errors
    /// `webhook_not_found`.
    pub async fn webhook_fetch(&self, tenant: TenantId, id: WebhookId) -> Result<Webhook> {
        let found = webhook_fetch(&mut self.inner.store.read().await?, tenant, id).await?;
        found.map(Webhook::of).ok_or_else(not_found)
    }

    /// Lists at most `limit` webhooks of a tenant after `after`, oldest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn webhook_list(
        &self,
        tenant: TenantId,
        after: Option<WebhookId>,
        limit: u32,
    ) -> Result<Vec<Webhook>> {
        let mut conn = self.inner.store.read().await?;
        let rows = webhook_list(&mut conn, tenant, after, limit).await?;
        Ok(rows.into_iter().map(Webhook::of).collect())
    }

    /// Changes a webhook. One that is made active again goes on where it stopped.
    ///
    /// # Errors
    /// `webhook_not_found`, `stale_generation`, `webhook_url_refused`, `invalid_value`.
    pub async fn webhook_update(
        &self,
        which: WebhookWhich,
        params: WebhookUpdateParams,
    ) -> Result<Webhook> {
        let mut txn = self.inner.store.begin().await?;
        let mut row = fetch(&mut txn, which).await?;
        let WebhookUpdateParams { url, description, event_types, app, is_active } = params;
        row.url = url.unwrap_or(row.url);
        row.description = description.unwrap_or(row.description);
        row.event_types = event_types.unwrap_or(row.event_types);
        row.app_id = app.unwrap_or(row.app_id);
        row.is_active = is_active.unwrap_or(row.is_active);
        check(&row, &*self.inner.config.courier)?;
        if row.is_active {
            row.disabled_reason = None;
        }
        // Whoever changed something wants to see whether it helps, now.
        row.progress =
            WebhookProgress { cursor: row.progress.cursor, ..WebhookProgress::default() };
        row.updated_at = self.now();
        row.generation = applied(webhook_update_in_txn(&mut txn, &row).await?)?;
        txn.commit().await?;
        self.inner.webhooks_changed.notify_one();
        Ok(Webhook::of(row))
    }

    /// Gives a webhook a new secret; the one before signs as well for a day.
    ///
    /// # Errors
    /// `webhook_not_found`, `stale_generation`, `secrets_key_unusable`.
    pub async fn webhook_rotate(&self, which: WebhookWhich) -> Result<WebhookWithSecret> {
        let now = self.now();
        let ring = self.inner.secrets.to_seal(&self.inner.store, true).await?;
        let ring = ring.expect("keys are there where something is to be sealed");
        let mut txn = self.inner.store.begin().await?;
        let mut row = fetch(&mut txn, which).await?;
        let secret = secrets::renew(&mut txn, &ring, &row, now).await?;
        row.old_secret_until = Some(now + OLD_SECRET);
        row.updated_at = now;
        row.generation = applied(webhook_update_in_txn(&mut txn, &row).await?)?;
        txn.commit().await?;
        self.inner.webhooks_changed.notify_one();
        Ok(WebhookWithSecret { webhook: Webhook::of(row), secret })
    }

    /// Removes a webhook, its secrets and what is known of its attempts.
    ///
    /// # Errors
    /// `webhook_not_found`, `stale_generation`.
    pub async fn webhook_remove(&self, which: WebhookWhich) -> Result<()> {
        let mut txn = self.inner.store.begin().await?;
        let row = fetch(&mut txn, which).await?;
        config_remove_all_in_txn(&mut txn, row.tenant_id, &row.id.to_string()).await?;
        webhook_remove_in_txn(&mut txn, row.tenant_id, row.id).await?;
        txn.commit().await?;
        self.inner.webhooks_changed.notify_one();
        Ok(())
    }

    /// Sends a message that says that it is a test, once, and returns what became of it.
    ///
    /// # Errors
    /// `webhook_not_found`, `secrets_key_unusable`.
    pub async fn webhook_test(&self, tenant: TenantId, id: WebhookId) -> Result<WebhookDelivery> {
        let found = webhook_fetch(&mut self.inner.store.read().await?, tenant, id).await?;
        let row = found.ok_or_else(not_found)?;
        Ok(WebhookDelivery::of(deliver::test(&self.inner, &row).await?))
    }

    /// Lists at most `limit` of the last attempts of a webhook before `before`, newest first.
    ///
    /// # Errors
    /// `webhook_not_found`.
    pub async fn webhook_deliveries(
        &self,
        tenant: TenantId,
        id: WebhookId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<WebhookDelivery>> {
        let mut conn = self.inner.store.read().await?;
        webhook_fetch(&mut conn, tenant, id).await?.ok_or_else(not_found)?;
        let before = before.map(|before| i64::try_from(before).unwrap_or(i64::MAX));
        let rows = webhook_delivery_list(&mut conn, id, before, limit).await?;
        Ok(rows.into_iter().map(WebhookDelivery::of).collect())
    }
}

async fn fetch(txn: &mut sandbar_store::WriteTxn, which: WebhookWhich) -> Result<WebhookRow> {
    let row = webhook_fetch(txn, which.tenant, which.id).await?.ok_or_else(not_found)?;
    if which.generation.is_some_and(|seen| seen != row.generation) {
        return Err(stale());
    }
    Ok(row)
}

fn applied(update: sandbar_store::Update) -> Result<Generation> {
    match update {
        sandbar_store::Update::Applied(generation) => Ok(generation),
        sandbar_store::Update::Stale => Err(stale()),
    }
}

fn stale() -> Error {
    Error::new(ErrorKind::Stale, "stale_generation", "the webhook was changed since")
        .hint("look again, and decide again")
}
