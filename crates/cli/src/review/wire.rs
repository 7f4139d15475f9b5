//! Bodies of requests and answers that the types of the API do not have yet.
//!
//! Everything that waits for a field of the API is in this file. A field that is empty is left out, so it works with
//! a server of either age.

use sandbar_api::RejectRequest;
use sandbar_types::ApproveId;
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
    use sandbar_types::{DiffId, Selection, Sha256};

    use super::*;

    #[test]
    fn a_reason_is_sent_only_if_there_is_one() {
        let diff_id = Some(DiffId(Sha256([0; 32])));
        let request = RejectRequest { diff_id, selection: Selection::All };
        let mut rejection = Rejection { request: request.clone(), reason: None };
        let plain = serde_json::to_value(&request).unwrap();
        assert_eq!(serde_json::to_value(&rejection).unwrap(), plain);
        rejection.reason = Some("too slow".to_owned());
        assert_eq!(serde_json::to_value(&rejection).unwrap()["reason"], "too slow");
    }
}
