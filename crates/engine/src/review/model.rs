//! Changes as a person sees them, and what a decision is given.

use std::collections::BTreeSet;

use sandbar_types::{ChangeFlag, ChangeSet, DiffId, Generation, Selection, WorkspacePath};

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
}

/// One run of changed lines and what is around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// First line in the source, from 1; 0 for an empty one.
    pub old_start: u64,
    /// Lines of the source.
    pub old_lines: u64,
    /// First line in the workspace.
    pub new_start: u64,
    /// Lines of the workspace.
    pub new_lines: u64,
    /// The lines.
    pub lines: Vec<HunkLine>,
}

/// Where a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// In both.
    Context,
    /// In the workspace only.
    Added,
    /// In the source only.
    Removed,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HunkLine {
    /// Where it is.
    pub kind: LineKind,
    /// Its text without the newline; bytes that are not UTF-8 are shown as the replacement character.
    pub text: String,
    /// Whether it ends with a newline.
    pub has_newline: bool,
}

/// What an approve is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApproveParams {
    /// The changes that the person saw.
    pub diff_id: DiffId,
    /// Which of them.
    pub selection: Selection,
    /// Flags that the person said yes to.
    pub confirm: BTreeSet<ChangeFlag>,
    /// The generation that the person saw, where they sent one.
    pub generation: Option<Generation>,
}

/// What a reject is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectParams {
    /// The changes that the person saw; `None` to drop whatever there is.
    pub diff_id: Option<DiffId>,
    /// Which of them.
    pub selection: Selection,
    /// The generation that the person saw, where they sent one.
    pub generation: Option<Generation>,
}

/// What a reject did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectOutcome {
    /// The paths that are as in the source again.
    pub rejected: Vec<WorkspacePath>,
}
