//! What may be approved without a person.

use serde::{Deserialize, Serialize};

use crate::{ApproveOutcome, ChangeFlag, WorkspacePath};

/// Rules that a person gives a sandbox when it is made. Without them, nothing is approved without a person.
///
/// Changes that need an explicit yes, that the host changed as well or that nobody can read are never among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AcceptanceRules {
    /// With more paths than this, all of them wait for a person.
    pub files_max: u32,
    /// With more lines than this that come or go, all of them wait for a person.
    pub lines_max: u64,
    /// Only paths that one of these patterns fits: `*` within a name, `**` over names, `?`, `[…]`, `{a,b}`. Every path
    /// where there are none.
    #[serde(default)]
    pub paths: Vec<String>,
}

/// Why a change waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "reason", content = "flag", rename_all = "snake_case")]
pub enum NeedsPerson {
    /// It has this flag.
    Flagged(ChangeFlag),
    /// It is no text that can be counted in lines.
    NotText,
    /// No pattern fits its path.
    PathNotListed,
}

/// A change that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Waiting {
    /// The path.
    pub path: WorkspacePath,
    /// Why.
    #[serde(flatten)]
    pub why: NeedsPerson,
}

/// What was approved by the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AcceptOutcome {
    /// The approve; absent where the rules accept nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve: Option<ApproveOutcome>,
    /// What stays pending, ordered.
    pub waiting: Vec<Waiting>,
}
