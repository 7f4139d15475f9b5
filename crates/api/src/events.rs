//! What happened: the feed of a tenant, and the history of one sandbox.

use jiff::Timestamp;
use sandbar_types::{AppId, EventType, SandboxId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// One event, as a client reads it that may be older than the server: the document says what each type has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Grows with each event of the server; the id of the server-sent event, too.
    pub id: u64,
    /// When it happened.
    pub at: Timestamp,
    /// The app that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<AppId>,
    /// The sandbox that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox_id: Option<SandboxId>,
    /// What happened, for example `running`. New ones may come; skip what you do not know.
    #[serde(rename = "type")]
    pub kind: String,
    /// More, by type; nothing where the type says it all.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub data: serde_json::Value,
}

/// One event of a stream, as the rules of server-sent events read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServerSentEvent {
    /// What `Last-Event-ID` takes to go on after it; that of the event before where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its type.
    pub event: String,
    /// A JSON value, by type.
    #[schema(content_media_type = "application/json")]
    pub data: String,
}

/// In what order a list is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Oldest first.
    #[default]
    Asc,
    /// Newest first.
    Desc,
}

/// Which events of a sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxEventsQuery {
    /// Items on the page, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// `asc`, oldest first, when absent. A stream has no other order.
    #[param(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// Only events of this type; may be given several times.
    #[param(inline)]
    #[serde(rename = "type", skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<EventType>,
}

/// Which events of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct EventsQuery {
    /// Items on the page, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// `asc`, oldest first, when absent. A stream has no other order.
    #[param(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// Only events of this type; may be given several times.
    #[param(inline)]
    #[serde(rename = "type", skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<EventType>,
    /// Only events of this app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<AppId>,
    /// Only events of this sandbox: its id, the unique beginning of one, or its name.
    #[param(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
}
