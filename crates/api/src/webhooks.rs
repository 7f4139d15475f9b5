//! Where events of a tenant are sent to.

use jiff::Timestamp;
use sandbar_types::{AppId, EventType, Generation, WebhookId};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::Secret;

/// A webhook, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Where to.
    pub url: String,
    /// What it is for.
    pub description: String,
    /// Which types are sent; every one where there is none.
    pub event_types: Vec<EventType>,
    /// Of which app only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppId>,
    /// Whether anything is sent.
    pub is_active: bool,
    /// Why nothing is, where it was the server that said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<String>,
    /// Since when nothing was taken.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// When it is tried again.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// Until when the secret before signs as well.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_secret_until: Option<Timestamp>,
    /// The `ETag`.
    pub generation: Generation,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When a person changed it.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// A webhook with its new secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookWithSecret {
    /// What is kept of it.
    pub webhook: Webhook,
    /// What messages are signed with. It is shown this once.
    pub secret: Secret,
}

/// Asks for a webhook, for what happens from then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookCreateRequest {
    /// Where to: `https://`, a host that is reached at a public address, and a path.
    pub url: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Which types are sent; every one where there is none.
    #[serde(default)]
    pub event_types: Vec<EventType>,
    /// Of which app only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppId>,
    /// Whether anything is sent; true when absent.
    #[serde(default = "yes")]
    pub is_active: bool,
}

const fn yes() -> bool {
    true
}

/// What shall be different; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookUpdateRequest {
    /// Where to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Which types are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_types: Option<Vec<EventType>>,
    /// Of which app only; `null` for every one.
    #[schema(value_type = Option<AppId>)]
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub app: Option<Option<AppId>>,
    /// Whether anything is sent. One that is made active again goes on where it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
}

/// Tells what is said to be nothing from what is not said.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<AppId>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// One attempt to send something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookDelivery {
    /// Grows with every attempt.
    pub id: u64,
    /// Which event; absent for a test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<u64>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Which attempt of this event, from 1.
    pub attempt: u32,
    /// Whether the endpoint took it: it answered with 2xx.
    pub is_delivered: bool,
    /// How long it took.
    pub duration_ms: u64,
    /// The status that was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u32>,
    /// Why nothing was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The beginning of the answer, its odd characters escaped.
    pub response: String,
}
