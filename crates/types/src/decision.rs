//! The decision about changes, and what became of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{ApproveId, ChangeFlag, Entry, HunkId, LineText, WorkspacePath};

/// Which changes a decision is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Selection {
    /// Every change (protected, special and ignored ones are left pending, and reported).
    All,
    /// These paths; a directory stands for everything below it.
    Paths(Vec<WorkspacePath>),
    /// These paths, or only some hunks of them.
    Parts(Vec<Part>),
}

impl Selection {
    /// The paths that are named, each standing for everything below it; `None` for every path there is.
    #[must_use]
    pub fn paths(&self) -> Option<Vec<&WorkspacePath>> {
        match self {
            Self::All => None,
            Self::Paths(paths) => Some(paths.iter().collect()),
            Self::Parts(parts) => Some(parts.iter().map(|part| &part.path).collect()),
        }
    }
}

/// A path, or some of its hunks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The path; without hunks, a directory stands for everything below it.
    pub path: WorkspacePath,
    /// Only these hunks of it; absent or empty for the whole of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hunks: Vec<HunkPick>,
}

/// A hunk, or some of its lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct HunkPick {
    /// Which.
    pub id: HunkId,
    /// Only these of its lines, counted from 0 as the hunk lists them, context included; absent for the whole of it.
    ///
    /// As with `git add -p`: an added line that is not picked is not there, a removed one that is not picked stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<Vec<u32>>,
}

/// Flags that a person said yes to at one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PathFlags {
    /// The path.
    pub path: WorkspacePath,
    /// The flags.
    pub flags: BTreeSet<ChangeFlag>,
}

/// What a person said yes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// Flags, wherever they are.
    pub everywhere: BTreeSet<ChangeFlag>,
    /// Flags of single paths.
    pub paths: Vec<PathFlags>,
}

impl Confirmed {
    /// Whether the person said yes to `flag` at `path`.
    #[must_use]
    pub fn allows(&self, path: &WorkspacePath, flag: ChangeFlag) -> bool {
        let is_here = |at: &PathFlags| at.path == *path && at.flags.contains(&flag);
        self.everywhere.contains(&flag) || self.paths.iter().any(is_here)
    }
}

impl<const N: usize> From<[ChangeFlag; N]> for Confirmed {
    fn from(flags: [ChangeFlag; N]) -> Self {
        Self { everywhere: flags.into(), paths: Vec::new() }
    }
}

/// Whose version of a text: `ours` is the host's, `theirs` the sandbox's, as `git merge` calls what is merged into what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The host's.
    Ours,
    /// The sandbox's.
    Theirs,
}

/// Lines that the host and the sandbox made different things of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MergeConflict {
    /// Number of the first of the host's lines, from 1.
    pub ours_start: u64,
    /// What both began with.
    pub base: Vec<LineText>,
    /// What the host has.
    pub ours: Vec<LineText>,
    /// What the sandbox has.
    pub theirs: Vec<LineText>,
}

/// Why a path stood in the way of an approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConflictReason {
    /// The source has other content than it had at the base.
    HostModified,
    /// The source no longer has it.
    HostDeleted,
    /// The source has something where there was nothing.
    HostAdded,
    /// The source has another type of thing there.
    HostTypeChanged,
    /// It changed while the approve was being written; everything was rolled back.
    ChangedDuringApprove,
}

/// One path that stood in the way; nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Conflict {
    /// The path.
    pub path: WorkspacePath,
    /// Why.
    pub reason: ConflictReason,
    /// What the host has now.
    pub host: Option<Entry>,
    /// What the workspace has.
    pub workspace: Option<Entry>,
    /// The lines that the host and the sandbox made different things of, where both have a text and what they began
    /// with is known; else it is the whole of the path that collides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<MergeConflict>,
}

/// What a person says about a path that the host changed as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// The path.
    pub path: WorkspacePath,
    /// What counts there.
    pub take: Take,
}

/// What counts where the host and the sandbox collide. Edits that do not collide are merged all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Take {
    /// The host's version.
    Ours,
    /// The sandbox's version.
    Theirs,
    /// This text, as the person edited it.
    Content(LineText),
}

/// What an approve did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApproveOutcome {
    /// Names it, and its journal.
    pub id: ApproveId,
    /// Paths that were written or removed, ordered.
    pub applied: Vec<WorkspacePath>,
    /// Selected paths that are left pending: never applied, or ignored and not asked for. An ignored directory stands for
    /// what is below it.
    pub skipped: Vec<Skipped>,
    /// The commit that was made of it, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The branch that the commit is on; absent on a detached `HEAD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_branch: Option<String>,
    /// Paths that were written but not committed, because the repository ignores them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commit_ignored: Vec<WorkspacePath>,
}

/// A selected path that was not applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Skipped {
    /// The path.
    pub path: WorkspacePath,
    /// The flag that forbids it.
    pub flag: ChangeFlag,
}
