//! Points of a workspace's past.

use serde::{Deserialize, Serialize};

use crate::principal::words;

/// Why a checkpoint was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckpointKind {
    /// A task was about to begin.
    Before,
    /// A task had ended.
    After,
    /// Somebody asked for it.
    Manual,
    /// What was there was about to be restored over, or something taken back.
    Kept,
}

words!(
    CheckpointKind,
    "before, after, manual, kept",
    Before = "before",
    After = "after",
    Manual = "manual",
    Kept = "kept"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_written_as_it_is_on_the_wire() {
        for kind in CheckpointKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
    }
}
