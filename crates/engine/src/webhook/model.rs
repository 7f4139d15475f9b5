//! Webhooks as they are asked for and shown.

use jiff::Timestamp;
use sandbar_secrets::SecretString;
use sandbar_store::{WebhookDeliveryRow, WebhookRow};
use sandbar_types::{AppId, EventType, Generation, TenantId, WebhookId};

/// A webhook, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Where to.
    pub url: String,
    /// What it is for.
    pub description: String,
    /// Which types; every one where there is none.
    pub event_types: Vec<EventType>,
    /// Of which app only.
    pub app: Option<AppId>,
    /// Whether anything is sent.
    pub is_active: bool,
    /// Why not, where it was not a person who said so.
    pub disabled_reason: Option<String>,
    /// Since when nothing was taken.
    pub failing_since: Option<Timestamp>,
    /// When it is tried again.
    pub next_attempt_at: Option<Timestamp>,
    /// Until when the secret before signs as well.
    pub old_secret_until: Option<Timestamp>,
    /// Grows with each change that a person makes.
    pub generation: Generation,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a person changed it.
    pub updated_at: Timestamp,
}

impl Webhook {
    pub(super) fn of(row: WebhookRow) -> Self {
        Self {
            id: row.id,
            url: row.url,
            description: row.description,
            event_types: row.event_types,
            app: row.app_id,
            is_active: row.is_active,
            disabled_reason: row.disabled_reason,
            failing_since: row.progress.failing_since,
            next_attempt_at: row.progress.next_at,
            old_secret_until: row.old_secret_until,
            generation: row.generation,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// A webhook with its new secret.
#[derive(Debug, Clone)]
pub struct WebhookWithSecret {
    /// The webhook.
    pub webhook: Webhook,
    /// The secret, which is shown this once.
    pub secret: SecretString,
}

/// What shall be sent where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookCreateParams {
    /// Where to.
    pub url: String,
    /// What it is for.
    pub description: String,
    /// Which types; every one where there is none.
    pub event_types: Vec<EventType>,
    /// Of which app only.
    pub app: Option<AppId>,
    /// Whether anything is sent.
    pub is_active: bool,
}

/// What shall be different. `None`: as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookUpdateParams {
    /// Where to.
    pub url: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Which types.
    pub event_types: Option<Vec<EventType>>,
    /// Of which app only; `Some(None)` for every one.
    pub app: Option<Option<AppId>>,
    /// Whether anything is sent.
    pub is_active: Option<bool>,
}

/// Which webhook, as somebody saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookWhich {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub id: WebhookId,
    /// The generation that was seen; `None` for any.
    pub generation: Option<Generation>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookDelivery {
    /// Grows with every attempt.
    pub id: u64,
    /// Which event; `None` for a test.
    pub event: Option<u64>,
    /// When.
    pub at: Timestamp,
    /// Which one of this event, from 1.
    pub attempt: u32,
    /// How long it took.
    pub duration_ms: u64,
    /// What was answered.
    pub status: Option<u32>,
    /// Why nothing was.
    pub error: Option<String>,
    /// The beginning of the answer, escaped.
    pub response: String,
}

impl WebhookDelivery {
    pub(super) fn of(row: WebhookDeliveryRow) -> Self {
        Self {
            id: row.id.unsigned_abs(),
            event: row.event_id.map(i64::unsigned_abs),
            at: row.at,
            attempt: row.attempt,
            duration_ms: row.duration_ms,
            status: row.status,
            error: row.error,
            response: row.response,
        }
    }

    /// Whether the endpoint took it.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}
