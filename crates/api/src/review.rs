//! Bodies of changes, diff, approve and reject.
//!
//! An approve answers with [`sandbar_types::ApproveOutcome`].

use std::collections::BTreeSet;

use jiff::Timestamp;
use sandbar_types::{
    Change, ChangeFlag, CommitSpec, DiffId, HunkId, MergeConflict, PathFlags, Resolution,
    Selection, Side, WorkspacePath,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which page of the changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct ChangesQuery {
    /// Items on the page, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before. A cursor of an earlier set of changes is 409 `diff_changed`.
    #[param(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A page of the changes of one instant, ordered by path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangesPage {
    /// Names the whole set by its content. The `ETag` is the generation of the decisions, a dot, and this.
    pub diff_id: DiffId,
    /// How many changes the whole set has.
    pub total: u64,
    /// The changes of this page.
    pub items: Vec<Change>,
    /// Ask again with this as `cursor` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// What to show as a unified diff.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct DiffQuery {
    /// Only this path, or what is below it; everything when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The path as bytes in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_b64: Option<String>,
}

/// Whose hunks to show.
pub type HunksQuery = crate::FileQuery;

/// The hunks of one changed text file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileHunks {
    /// Names the set of changes that the hunks belong to.
    pub diff_id: DiffId,
    /// The file.
    pub path: WorkspacePath,
    /// The hunks, from the top down; empty for what is not text. They are what an approve would write: where the host
    /// changed the file as well, those of the merge, with the sandbox's lines at conflicts.
    pub hunks: Vec<Hunk>,
    /// Whether the host changed the file as well.
    pub merge: MergeState,
    /// The lines that host and sandbox made different things of, for `conflict`.
    pub conflicts: Vec<MergeConflict>,
}

/// What became of a file that the host may have changed under the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MergeState {
    /// The host did not change it.
    None,
    /// The host changed it elsewhere: both are merged.
    Clean,
    /// The host changed the same lines: an approve needs a resolution.
    Conflict,
    /// The host changed it, and what both began with is not known: an approve needs a resolution.
    NoBase,
}

/// Lines that differ, with the lines around them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hunk {
    /// Its name, for approve and reject; it stays when a neighbor is approved.
    pub id: HunkId,
    /// First line in the source, from 1; 0 where it has none.
    pub old_start: u64,
    /// Lines in the source.
    pub old_lines: u64,
    /// First line in the workspace, from 1; 0 where it has none.
    pub new_start: u64,
    /// Lines in the workspace.
    pub new_lines: u64,
    /// The lines.
    pub lines: Vec<HunkLine>,
}

/// Where a line of a hunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// In both.
    Context,
    /// Only in the workspace.
    Added,
    /// Only in the source.
    Removed,
}

/// One line of a hunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HunkLine {
    /// Where it is.
    pub kind: LineKind,
    /// Its text, without the end of line where it is UTF-8; other bytes are replaced.
    pub text: String,
    /// Whether an end of line follows.
    pub has_newline: bool,
}

/// Writes changes to the source. `If-Match` with the `ETag` of the changes is honored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// The set that was looked at; another one by now is 409 `diff_changed`.
    pub diff_id: DiffId,
    /// Which of its changes.
    pub selection: Selection,
    /// Flags to which the person said yes, wherever they are.
    #[serde(default)]
    pub confirm: BTreeSet<ChangeFlag>,
    /// Flags to which they said yes at single paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirm_paths: Vec<PathFlags>,
    /// What counts at paths that the host changed as well, and that cannot be merged; without it they are 409
    /// `review_conflict`, and nothing is written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolutions: Vec<Resolution>,
    /// What counts at every other path that cannot be merged. What is overwritten by `theirs` can be brought back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Side>,
    /// Commits exactly what was written to the source's repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitSpec>,
}

/// Brings the sandbox's commits to the source's repository as a branch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PullRequest {
    /// The branch; `sandbar/<name of the sandbox>` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Whether a branch that is there may lose commits.
    pub force: bool,
}

/// Drops changes from the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectRequest {
    /// The set that was looked at; another one by now is 409 `diff_changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff_id: Option<DiffId>,
    /// Which of its changes.
    pub selection: Selection,
    /// What the person says about it, at most 4 KiB, for whoever works in the sandbox next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Brings the host's newer state into the workspace, at paths that both changed. `If-Match` with the `ETag` of the
/// changes is honored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    /// Which changes; every one when absent.
    #[serde(default = "everything")]
    pub selection: Selection,
    /// What counts at paths that cannot be merged; without it they are 409 `review_conflict`, and nothing is written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolutions: Vec<Resolution>,
    /// What counts at every other path that cannot be merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Side>,
}

fn everything() -> Selection {
    Selection::All
}

/// What a refresh did, each list ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefreshOutcome {
    /// Paths where both were merged, or that got the text that was sent.
    pub merged: Vec<WorkspacePath>,
    /// Paths that have what the host has.
    pub ours: Vec<WorkspacePath>,
    /// Paths that stay as they were, as a change against what the host has now.
    pub theirs: Vec<WorkspacePath>,
}

/// What was rejected in a sandbox, the newest first; at most a hundred rejects are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeclinedList {
    /// The rejects.
    pub items: Vec<Declined>,
}

/// One reject. Inside, `.sandbar-review/declined.md` at the top of the workspace says the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Declined {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What the person said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The paths.
    pub paths: Vec<WorkspacePath>,
    /// What was dropped, as a unified diff of at most 16 KiB, for reading: bytes that are not UTF-8 are replaced.
    pub patch: String,
    /// Whether the patch is only the beginning.
    pub is_truncated: bool,
}

/// What a reject did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RejectOutcome {
    /// Paths that are again what the source has, ordered.
    pub rejected: Vec<WorkspacePath>,
    /// Paths of which only hunks were dropped, ordered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<WorkspacePath>,
}
