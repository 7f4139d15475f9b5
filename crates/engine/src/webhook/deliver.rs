//! The one who delivers: a task for each webhook that has something to send, and none for the others.
//!
//! Level-triggered: it looks at what the store says whenever an event was written, a webhook was changed, a delivery
//! ended or a wait is over. A webhook has one task at most, so its events come in order, and a slow endpoint holds up
//! nobody else's.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use sandbar_store::{
    EventFilter, EventPage, EventRow, EventSubject, WebhookDeliveryRow, WebhookProgress,
    WebhookRow, event_insert_in_txn, event_list, webhook_delivery_insert_in_txn, webhook_fetch,
    webhook_list_active, webhook_progress_in_txn, webhook_update_in_txn,
};
use sandbar_types::{TenantId, WebhookId};
use tokio::task::{self, JoinSet};

use super::{
    backoff::{AfterFailure, after_failure},
    courier::WebhookMessage,
    secrets, signature,
};
use crate::{Error, Event, EventPayload, Result, engine::Inner};

/// LIMIT: attempts of a webhook that are remembered.
const DELIVERIES_KEPT: u32 = 200;
/// How often it is looked whether a wait is over. The clock of the engine says so, which may be set.
const TICK: Duration = Duration::from_millis(250);
/// How long nothing is tried after a failure of ours.
const OWN_FAULT_WAIT: Duration = Duration::from_secs(10);

/// What the one who delivers knows.
#[derive(Debug, Default)]
struct Desk {
    /// Every active webhook, as it was read last.
    known: BTreeMap<WebhookId, WebhookRow>,
    /// Those that may have something to send.
    pending: BTreeSet<WebhookId>,
    /// Those that have a task.
    busy: BTreeMap<task::Id, WebhookId>,
}

impl Desk {
    /// Reads the active webhooks again; what it knew stays where the store cannot be read.
    async fn look(&mut self, inner: &Inner) {
        let found = async {
            let mut conn = inner.store.read().await?;
            webhook_list_active(&mut conn).await
        };
        match found.await {
            Ok(rows) => self.known = rows.into_iter().map(|row| (row.id, row)).collect(),
            Err(err) => {
                let error = &err as &dyn std::error::Error;
                tracing::warn!(error, "the webhooks could not be read");
            }
        }
    }

    /// Takes out whose turn it is.
    fn due(&mut self, now: Timestamp) -> Vec<WebhookId> {
        let (known, busy) = (&self.known, &self.busy);
        let waits = |id: &WebhookId| known[id].progress.next_at.is_some_and(|at| now < at);
        self.pending.retain(|id| known.contains_key(id) && !waits(id));
        let is_busy = |id: &WebhookId| busy.values().any(|other| other == id);
        let due: Vec<_> = self.pending.iter().copied().filter(|id| !is_busy(id)).collect();
        for id in &due {
            self.pending.remove(id);
        }
        due
    }

    fn all_are_pending(&mut self) {
        self.pending.extend(self.known.keys());
    }

    /// Those whose wait is over.
    fn waited(&mut self, now: Timestamp) {
        let is_over = |row: &&WebhookRow| row.progress.next_at.is_some_and(|at| at <= now);
        self.pending.extend(self.known.values().filter(is_over).map(|row| row.id));
    }
}

/// Delivers until the server leaves.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut written = inner.events.subscribe();
    let mut under_way: JoinSet<()> = JoinSet::new();
    let mut desk = Desk::default();
    desk.look(&inner).await;
    desk.all_are_pending();
    loop {
        for id in desk.due(inner.config.clock.now()) {
            let Some(row) = desk.known.get(&id) else { continue };
            let started = under_way.spawn(deliver(Arc::clone(&inner), row.tenant_id, id));
            desk.busy.insert(started.id(), id);
        }
        let waits = desk.known.values().any(|row| row.progress.next_at.is_some());
        tokio::select! {
            () = inner.leaving.cancelled() => break,
            () = inner.webhooks_changed.notified() => {
                desk.look(&inner).await;
                desk.all_are_pending();
            }
            Some(ended) = under_way.join_next_with_id() => {
                let task = ended.map_or_else(|err| err.id(), |(id, ())| id);
                desk.busy.remove(&task);
                desk.look(&inner).await;
            }
            _changed = written.changed() => desk.all_are_pending(),
            () = tokio::time::sleep(TICK), if waits => desk.waited(inner.config.clock.now()),
        }
    }
}

/// Sends what a webhook has to send, until there is no more, or it is not taken.
async fn deliver(inner: Arc<Inner>, tenant: TenantId, id: WebhookId) {
    loop {
        match step(&inner, tenant, id).await {
            Ok(Step::Next) if !inner.leaving.is_cancelled() => {}
            Ok(Step::Next | Step::Rest) => return,
            Err(err) => {
                failed(id, &err);
                // Something of ours is wrong, the store or the key of secrets: what waits is not given up.
                tokio::select! {
                    () = inner.leaving.cancelled() => return,
                    () = tokio::time::sleep(OWN_FAULT_WAIT) => {}
                }
            }
        }
    }
}

fn failed(id: WebhookId, err: &Error) {
    let error = err as &dyn std::error::Error;
    tracing::warn!(error, webhook.id = %id, "a webhook could not be delivered");
}

enum Step {
    /// It was taken; there may be another one.
    Next,
    /// There is none, or it was not taken.
    Rest,
}

async fn step(inner: &Inner, tenant: TenantId, id: WebhookId) -> Result<Step> {
    let Some((row, event)) = next(inner, tenant, id).await? else { return Ok(Step::Rest) };
    let delivery = attempt(inner, &row, Some(&event)).await?;
    let is_delivered = delivery.status.is_some_and(|status| (200..300).contains(&status));
    let mut txn = inner.store.begin().await?;
    // Removed meanwhile: nothing is to be recorded.
    let Some(mut now_row) = webhook_fetch(&mut txn, tenant, id).await? else {
        return Ok(Step::Rest);
    };
    webhook_delivery_insert_in_txn(&mut txn, &delivery, DELIVERIES_KEPT).await?;
    if is_delivered {
        let progress = WebhookProgress { cursor: event.id, ..WebhookProgress::default() };
        webhook_progress_in_txn(&mut txn, id, &progress).await?;
        txn.commit().await?;
        return Ok(Step::Next);
    }
    let now = inner.config.clock.now();
    let chance = uuid::Uuid::new_v4().as_bytes()[0];
    match after_failure(now_row.progress, now, chance) {
        AfterFailure::Again(progress) => {
            webhook_progress_in_txn(&mut txn, id, &progress).await?;
            txn.commit().await?;
        }
        AfterFailure::GiveUp => {
            let reason = "nothing was taken for three days".to_owned();
            (now_row.is_active, now_row.updated_at) = (false, now);
            now_row.disabled_reason = Some(reason.clone());
            now_row.progress =
                WebhookProgress { cursor: now_row.progress.cursor, ..WebhookProgress::default() };
            let subject = EventSubject { tenant_id: tenant, app_id: None, sandbox_id: None };
            let payload = EventPayload::WebhookDisabled { webhook_id: id, reason };
            // One transaction may write at a time, so the row is the one that was just read.
            let _applied = webhook_update_in_txn(&mut txn, &now_row).await?;
            let written = event_insert_in_txn(&mut txn, &subject, now, &payload.to_value()).await?;
            txn.commit().await?;
            inner.event_written(written);
        }
    }
    Ok(Step::Rest)
}

/// The webhook as it is now, and the next event for it.
async fn next(
    inner: &Inner,
    tenant: TenantId,
    id: WebhookId,
) -> Result<Option<(WebhookRow, EventRow)>> {
    let mut conn = inner.store.read().await?;
    let found = webhook_fetch(&mut conn, tenant, id).await?;
    let Some(row) = found.filter(|row| row.is_active) else { return Ok(None) };
    let types = row.event_types.clone();
    let filter = EventFilter { tenant, app: row.app_id, sandbox: None, types };
    let page = EventPage::After(row.progress.cursor);
    let event = event_list(&mut conn, &filter, page, 1).await?.pop();
    Ok(event.map(|event| (row, event)))
}

/// Sends a message that says that it is a test, and records it.
pub(super) async fn test(inner: &Inner, row: &WebhookRow) -> Result<WebhookDeliveryRow> {
    let mut delivery = attempt(inner, row, None).await?;
    let mut txn = inner.store.begin().await?;
    if webhook_fetch(&mut txn, row.tenant_id, row.id).await?.is_some() {
        delivery.id = webhook_delivery_insert_in_txn(&mut txn, &delivery, DELIVERIES_KEPT).await?;
        txn.commit().await?;
    }
    Ok(delivery)
}

/// One attempt. Signed with what holds at its time.
async fn attempt(
    inner: &Inner,
    row: &WebhookRow,
    event: Option<&EventRow>,
) -> Result<WebhookDeliveryRow> {
    let now = inner.config.clock.now();
    let (id, body) = match event {
        Some(event) => {
            let event = Event::of(event.clone())?;
            let body = serde_json::to_string(&event).map_err(Error::internal)?;
            (format!("evt_{}", event.id), body)
        }
        None => {
            let body = serde_json::json!({ "type": "webhook_test", "at": now });
            (format!("test_{}", uuid::Uuid::new_v4().simple()), body.to_string())
        }
    };
    let secrets = secrets::holding(inner, row, now).await?;
    let timestamp = now.as_second();
    let signature = signature::sign(&secrets, &id, timestamp, &body);
    let message = WebhookMessage { url: row.url.clone(), id, timestamp, signature, body };
    let started = Instant::now();
    let answer = inner.config.courier.send(message).await;
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (status, error, response) = match answer {
        Ok(answer) => (Some(u32::from(answer.status)), None, answer.body),
        Err(why) => (None, Some(why), String::new()),
    };
    Ok(WebhookDeliveryRow {
        id: 0,
        webhook_id: row.id,
        event_id: event.map(|event| event.id),
        at: now,
        attempt: if event.is_some() { row.progress.attempts + 1 } else { 1 },
        duration_ms,
        status,
        error,
        response,
    })
}
