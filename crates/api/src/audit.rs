//! Who asked for what that changes something.

use jiff::Timestamp;
use sandbar_types::{Actor, AuditOutcome, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Order;

/// One line of the audit log. Holds names of fields and ids, never values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditRecord {
    /// Grows with each line.
    pub id: u64,
    /// In whose log it is; absent where nobody was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// When it was answered.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who asked.
    pub actor: Actor,
    /// From which address; absent where it came by the socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What was asked for, for example `sandbox.deleted`; `audit` of `x-sandbar` of the route.
    pub action: String,
    /// What it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<AuditTarget>,
    /// What became of it.
    pub outcome: AuditOutcome,
    /// The code of the answer where it was no success; `abandoned` where nobody waited for the answer, and it may be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// `X-Request-Id` of the request; lines of the server's log have it, too.
    pub request_id: String,
    /// `fields`: which fields the body had; `made`: the id of what was made; `left_out`: how many lines of this asker were
    /// left out before, because they were too many; other names of the path by their name.
    #[schema(value_type = Object)]
    pub detail: serde_json::Value,
}

/// What a request was about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditTarget {
    /// What kind of thing, for example `sandbox`.
    pub kind: String,
    /// Which one: its id, or its name where it has no id.
    pub id: String,
}

/// Which lines of the audit log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct AuditQuery {
    /// Items on the page, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// `desc`, newest first, when absent.
    #[param(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// Of this tenant, by its name; for who runs the server, who sees all of them without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// By this actor: the id of a user or a key; `user:UID` or `token` for who runs the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Of this action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// About this, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Not from before.
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// From before this.
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// How the audit log is exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditFormat {
    /// One JSON object a line.
    #[default]
    Jsonl,
    /// RFC 4180, with a heading.
    Csv,
}

/// Which lines of the audit log are exported, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct AuditExportQuery {
    /// `jsonl` when absent.
    #[param(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<AuditFormat>,
    /// Of this tenant, by its name; for who runs the server, who sees all of them without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// By this actor: the id of a user or a key; `user:UID` or `token` for who runs the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Of this action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// About this, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Not from before.
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// From before this.
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}
