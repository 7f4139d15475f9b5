//! Bodies of the history of approves.
//!
//! An undo answers with [`sandbar_types::UndoOutcome`].

use jiff::Timestamp;
use sandbar_types::{Actor, ApproveId, ApprovedPath, HostPath, SandboxId, SandboxName};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which approves, and which page of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct ApproveListQuery {
    /// Only those that wrote to this directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The directory as bytes in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_b64: Option<String>,
    /// Only those of the sandbox with this id or name; it may be gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// Only those that wrote this path, relative to their source, or something below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The path as bytes in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_b64: Option<String>,
    /// Items on the page, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// An approve that wrote something; an undo is one, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Approve {
    /// Its id.
    pub id: ApproveId,
    /// The directory that it wrote to.
    pub source: HostPath,
    /// The sandbox that the changes came from. It may be gone.
    pub sandbox_id: SandboxId,
    /// The name of the sandbox then.
    pub sandbox_name: SandboxName,
    /// Who asked.
    pub actor: Actor,
    /// When it was written.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The commit that it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The approve that this one took back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<ApproveId>,
    /// The approve that took this one back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone_by: Option<ApproveId>,
    /// Whether it can be undone now, unless the directory has later changes that overlap.
    pub is_undoable: bool,
    /// How many paths it wrote or removed.
    pub paths_total: u64,
    /// The paths, ordered; in a list the first hundred.
    pub paths: Vec<ApprovedPath>,
}
