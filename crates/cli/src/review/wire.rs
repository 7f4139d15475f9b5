//! Bodies of requests and answers that the types of the API do not have yet.
//!
//! Everything that waits for a field of the API is in this file. Each field is left out when it is empty, and read as
//! empty when it is missing, so it works with a server of either age.

use sandbar_api::{ApproveRequest, Hunk, RejectRequest};
use sandbar_types::{ApproveId, DiffId, WorkspacePath};
use serde::{Deserialize, Serialize};

/// Where the latest approves are listed.
pub(crate) const APPROVES: &str = "/v1/approves";

/// The latest approve to `source`.
pub(crate) fn latest_approve(source: &[u8]) -> String {
    format!("{APPROVES}?source={}&limit=1", sandbar_api::paths::escape(source))
}

/// Takes an approve back.
pub(crate) fn undo(approve: ApproveId) -> String {
    format!("{APPROVES}/{approve}/undo")
}

/// An approve in the list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Approve {
    pub(crate) id: ApproveId,
}

/// A page of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Approves {
    pub(crate) items: Vec<Approve>,
}

/// Whether the host changed the file meanwhile, and what became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Merge {
    /// The host did not change it.
    #[default]
    None,
    /// It did, elsewhere.
    Clean,
    /// It did, at the same place.
    Conflict,
    /// It did, and what both began with is not known.
    NoBase,
}

/// A place that host and sandbox both changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConflictRegion {
    /// What both began with.
    #[serde(default)]
    pub(crate) base: Vec<String>,
    /// What the host made of it.
    #[serde(default)]
    pub(crate) ours: Vec<String>,
    /// What the sandbox made of it.
    #[serde(default)]
    pub(crate) theirs: Vec<String>,
}

/// [`sandbar_api::FileHunks`] with what a merge adds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Hunks {
    pub(crate) diff_id: DiffId,
    pub(crate) path: WorkspacePath,
    pub(crate) hunks: Vec<Hunk>,
    #[serde(default)]
    pub(crate) merge: Merge,
    #[serde(default)]
    pub(crate) conflicts: Vec<ConflictRegion>,
}

/// Whose text stands where host and sandbox both changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Take {
    /// The host's.
    Ours,
    /// The sandbox's.
    Theirs,
}

/// A decision about a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Resolution {
    pub(crate) path: WorkspacePath,
    pub(crate) take: Take,
}

/// [`ApproveRequest`] with resolutions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Approval {
    #[serde(flatten)]
    pub(crate) request: ApproveRequest,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) resolutions: Vec<Resolution>,
}

/// [`RejectRequest`] with a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Rejection {
    #[serde(flatten)]
    pub(crate) request: RejectRequest,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sandbar_types::{Selection, Sha256};

    use super::*;

    #[test]
    fn what_is_empty_is_left_out_and_what_is_missing_is_empty() {
        let diff_id = DiffId(Sha256([0; 32]));
        let request = ApproveRequest { diff_id, selection: Selection::All, confirm: BTreeSet::new() };
        let approval = Approval { request: request.clone(), resolutions: Vec::new() };
        assert_eq!(
            serde_json::to_value(&approval).unwrap(),
            serde_json::to_value(&request).unwrap()
        );
        let path = WorkspacePath::parse("a").unwrap();
        let approval = Approval { request, resolutions: vec![Resolution { path, take: Take::Ours }] };
        let resolutions = &serde_json::to_value(&approval).unwrap()["resolutions"];
        assert_eq!(resolutions, &serde_json::json!([{ "path": "a", "take": "ours" }]));
        let hunks: Hunks = serde_json::from_value(
            serde_json::json!({ "diff_id": diff_id, "path": "a", "hunks": [] }),
        )
        .unwrap();
        assert_eq!((hunks.merge, hunks.conflicts.len()), (Merge::None, 0));
    }
}
