//! What `u` asks the server for: the list of approves, and taking one back.
//!
//! The types and paths of the API for it come with `undo`; then this file goes.

use sandbar_types::ApproveId;
use serde::Deserialize;

/// Where approves are listed.
const APPROVES: &str = "/v1/approves";
/// LIMIT: approves that are looked at for one that is not taken back yet.
const LOOKED_AT_MAX: u32 = 50;

/// The latest approves to `source`.
pub(crate) fn latest_approves(source: &[u8]) -> String {
    format!("{APPROVES}?source={}&limit={LOOKED_AT_MAX}", sandbar_api::paths::escape(source))
}

/// Takes an approve back.
pub(crate) fn undo(approve: ApproveId) -> String {
    format!("{APPROVES}/{approve}/undo")
}

/// An approve in the list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Approve {
    id: ApproveId,
    /// Itself takes one back.
    #[serde(default)]
    undoes: Option<ApproveId>,
    /// Is taken back.
    #[serde(default)]
    undone_by: Option<ApproveId>,
}

/// The latest one that stands.
pub(crate) fn standing(newest_first: &[Approve]) -> Option<ApproveId> {
    newest_first
        .iter()
        .find(|approve| approve.undoes.is_none() && approve.undone_by.is_none())
        .map(|approve| approve.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_back_is_not_taken_back_again() {
        let [first, second, undo] = [(); 3].map(|()| ApproveId::generate());
        let all: Vec<Approve> = serde_json::from_value(serde_json::json!([
            { "id": undo, "undoes": second, "is_undoable": false },
            { "id": second, "undone_by": undo },
            { "id": first },
        ]))
        .unwrap();
        assert_eq!(standing(&all), Some(first));
        assert_eq!(standing(&all[..2]), None);
    }
}
