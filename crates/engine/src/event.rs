//! What happened to a sandbox, an app or a tenant, in words that a program can read.

mod payload;

use jiff::Timestamp;
pub use sandbar_store::EventFilter;
use sandbar_store::{EventAt, EventPage, EventRow, NewEvent, event_list};
use sandbar_types::{AppId, SandboxId};
use serde::Serialize;

pub use self::payload::EventPayload;
use crate::{Engine, Error, Result, engine::Inner};

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Grows with each event of the server; the id of the server-sent event, too.
    pub id: u64,
    /// When it happened.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// The app that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_id: Option<AppId>,
    /// The sandbox that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_id: Option<SandboxId>,
    /// What happened. New types may come; skip what you do not know.
    #[serde(flatten)]
    pub payload: EventPayload,
}

impl Event {
    pub(crate) fn of(row: EventRow) -> Result<Self> {
        Ok(Self {
            id: row.id.unsigned_abs(),
            at: row.at,
            app_id: row.subject.app_id,
            sandbox_id: row.subject.sandbox_id,
            payload: serde_json::from_value(row.payload).map_err(Error::internal)?,
        })
    }
}

/// In what order events are listed, and behind which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventOrder {
    /// Oldest first, behind this one; 0 from the beginning.
    OldestFirst(u64),
    /// Newest first, before this one; `None` from the end.
    NewestFirst(Option<u64>),
}

impl Inner {
    /// Tells everybody who waits for events.
    pub(crate) fn event_written(&self, event: EventAt) {
        self.metrics.events_written.add_one();
        self.events.send_modify(|last| *last = event.id.max(*last));
        self.watchers.tell(&event.subject);
    }

    /// Appends an event by itself, with all that are appended at the same time.
    pub(crate) async fn event_append(&self, id: SandboxId, payload: &EventPayload) {
        if let Err(err) = self.event_try_append(id, payload).await {
            tracing::warn!(sandbox.id = %id, error = &err as &dyn std::error::Error, "an event could not be written");
        }
    }

    /// Appends an event by itself, and says where that failed.
    pub(crate) async fn event_try_append(
        &self,
        id: SandboxId,
        payload: &EventPayload,
    ) -> Result<()> {
        let (at, payload) = (self.config.clock.now(), payload.to_value());
        let event = self.event_writer.append(NewEvent { sandbox_id: id, at, payload }).await;
        self.event_written(event.map_err(Error::internal)?);
        Ok(())
    }
}

impl Engine {
    /// At most `limit` events that pass `filter`. What they are about may be gone.
    ///
    /// Whoever goes on behind the last one that they saw misses none: ids grow in the order of commits.
    ///
    /// # Errors
    /// The store failed.
    pub async fn event_list(
        &self,
        filter: &EventFilter,
        order: EventOrder,
        limit: u32,
    ) -> Result<Vec<Event>> {
        let bound = |id| i64::try_from(id).unwrap_or(i64::MAX);
        let page = match order {
            EventOrder::OldestFirst(after) => EventPage::After(bound(after)),
            EventOrder::NewestFirst(before) => EventPage::Before(before.map_or(i64::MAX, bound)),
        };
        let mut conn = self.inner.store.read().await?;
        let rows = event_list(&mut conn, filter, page, limit).await?;
        rows.into_iter().map(Event::of).collect()
    }

    /// The events behind `after`, oldest first, as soon as there is one. Empty: the sandbox that `filter` names is gone,
    /// or the server leaves.
    ///
    /// # Errors
    /// The store failed.
    pub async fn event_wait(
        &self,
        filter: &EventFilter,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Event>> {
        let watch = self.inner.watchers.watch(filter);
        loop {
            // Begun before it is looked, so that what is written in between is not missed.
            let mut told = std::pin::pin!(watch.told.notified());
            told.as_mut().enable();
            let events = self.event_list(filter, EventOrder::OldestFirst(after), limit).await?;
            let is_gone = filter.sandbox.is_some_and(|id| self.inner.actor(id).is_err());
            if !events.is_empty() || is_gone || self.inner.leaving.is_cancelled() {
                return Ok(events);
            }
            tokio::select! {
                () = self.inner.leaving.cancelled() => {}
                () = told => {}
            }
        }
    }
}
