//! Whether an app builds.

use serde::{Deserialize, Serialize};

use crate::principal::words;

/// How a check of a build came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// The app builds, or has nothing to build.
    Passed,
    /// It does not, or not in its time.
    Failed,
    /// The manifest says that nothing is built.
    Skipped,
}

words!(
    CheckStatus,
    "passed, failed, skipped",
    Passed = "passed",
    Failed = "failed",
    Skipped = "skipped"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_written_as_it_is_on_the_wire() {
        for status in CheckStatus::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
    }
}
