//! Changes as a person sees them, and what a decision is given.

use sandbar_types::{
    ChangeSet, CommitSpec, Confirmed, DiffId, Generation, Hunk, MergeConflict, Selection,
    WorkspacePath,
};

use super::propose::Resolutions;

/// How the changes were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// The sandbox was frozen meanwhile.
    Frozen,
    /// Nothing of it ran.
    Stopped,
}

/// Every change at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The changes.
    pub set: ChangeSet,
    /// Counts the decisions about them: an approve or reject that names another one is refused as stale.
    pub generation: Generation,
    /// How they were read.
    pub consistency: Consistency,
}

/// The hunks of one changed text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHunks {
    /// The changes that they belong to.
    pub diff_id: DiffId,
    /// The path.
    pub path: WorkspacePath,
    /// In order; none when it is not text.
    pub hunks: Vec<Hunk>,
    /// Whether the host changed it meanwhile.
    pub merge: MergeState,
    /// Where a person has to say whose version counts.
    pub conflicts: Vec<MergeConflict>,
}

/// What became of a file that the host may have changed under the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeState {
    /// The host did not change it.
    None,
    /// The host changed it elsewhere: the hunks are those of the merge.
    Clean,
    /// The host changed the same lines.
    Conflict,
    /// The host changed it, and what both began with is not known.
    NoBase,
}

/// What an approve is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApproveParams {
    /// The changes that the person saw.
    pub diff_id: DiffId,
    /// Which of them.
    pub selection: Selection,
    /// What the person said yes to.
    pub confirm: Confirmed,
    /// What they say about paths that the host changed as well.
    pub resolutions: Resolutions,
    /// The generation that the person saw, where they sent one.
    pub generation: Option<Generation>,
    /// Commits what was written, where the person wants that.
    pub commit: Option<CommitSpec>,
}

/// What a reject is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectParams {
    /// The changes that the person saw; `None` to drop whatever there is.
    pub diff_id: Option<DiffId>,
    /// Which of them.
    pub selection: Selection,
    /// What the person says about it, for whoever works in the sandbox next.
    pub reason: Option<String>,
    /// The generation that the person saw, where they sent one.
    pub generation: Option<Generation>,
}

/// What a reject did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectOutcome {
    /// The paths that are as in the source again.
    pub rejected: Vec<WorkspacePath>,
    /// The paths of which only hunks were dropped.
    pub parts: Vec<WorkspacePath>,
}
