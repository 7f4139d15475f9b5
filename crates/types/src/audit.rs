//! The words of the audit log.

use serde::{Deserialize, Serialize};

use crate::principal::words;

/// What became of what somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    /// It was done.
    Ok,
    /// They may not: nobody known, not allowed, or too often.
    Refused,
    /// It was not done, or not all of it; or nobody waited for the answer, and it may be done.
    Failed,
}

words!(AuditOutcome, "ok, refused, failed", Ok = "ok", Refused = "refused", Failed = "failed");
