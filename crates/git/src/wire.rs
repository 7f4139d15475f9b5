//! What the engine and the role say to each other.

use std::path::PathBuf;

use sandbar_types::{GitIdentity, WorkspacePath};
use serde::{Deserialize, Serialize};

/// What the process is asked to do, for the source that it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Reads what `commit` has at these paths.
    ReadBlobs {
        /// A full object id.
        commit: String,
        /// Relative to the source.
        paths: Vec<WorkspacePath>,
    },
    /// Says whether these paths could be committed, and changes nothing.
    CheckCommit {
        /// Relative to the source; what an approve is about to write.
        paths: Vec<WorkspacePath>,
        /// Whether somebody is named who commits, should the repository name nobody.
        has_committer: bool,
    },
    /// Commits exactly these paths as they are in the source now.
    Commit(CommitRequest),
    /// Takes the commits of the bundle at descriptor 4 as a branch.
    Pull {
        /// Without `refs/heads/`.
        branch: String,
        /// Whether a branch that is there may lose commits.
        update: Update,
    },
}

/// What to commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitRequest {
    /// Relative to the source; directories among them stand for nothing.
    pub paths: Vec<WorkspacePath>,
    /// The whole message.
    pub message: String,
    /// Who wrote it; the committer when absent.
    pub author: Option<GitIdentity>,
    /// Who commits, where the repository's own configuration does not say.
    pub committer: Option<GitIdentity>,
}

/// Whether a branch that is there may lose commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Update {
    /// It only moves forward.
    FastForward,
    /// It becomes what was pulled.
    Force,
}

/// What became of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The answer to [`Request::ReadBlobs`]: what is a file there, and not too large.
    Blobs {
        /// In no order.
        blobs: Vec<Blob>,
    },
    /// The answer to [`Request::CheckCommit`]: it could.
    Committable,
    /// The answer to [`Request::Commit`].
    Committed(CommitReport),
    /// The answer to [`Request::Pull`].
    Pulled(PullReport),
    /// It did not happen, and nothing of it is left.
    Failed {
        /// Why.
        error: GitError,
    },
}

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// Relative to the source.
    pub path: WorkspacePath,
    /// What it holds.
    #[serde(with = "as_base64")]
    pub content: Vec<u8>,
}

/// A commit that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitReport {
    /// Its id.
    pub id: String,
    /// The branch that it is on; `None` where `HEAD` is detached.
    pub branch: Option<String>,
    /// Paths that were left out because the repository ignores them.
    pub ignored: Vec<WorkspacePath>,
}

/// A branch that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullReport {
    /// Where the branch is now.
    pub head: String,
    /// Where it was; `None` when it is new.
    pub before: Option<String>,
    /// How many commits the repository did not have.
    pub total: u64,
    /// The newest of them, newest first, at most 200.
    pub commits: Vec<Pulled>,
}

/// A commit that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulled {
    /// Its id.
    pub id: String,
    /// The first line of its message.
    pub subject: String,
    /// Who wrote it, as the commit says.
    pub author: String,
}

/// What a repository is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Busy {
    /// A merge.
    Merge,
    /// A rebase, or `git am`.
    Rebase,
    /// A cherry-pick.
    CherryPick,
    /// A revert.
    Revert,
    /// A bisection.
    Bisect,
    /// Paths are in conflict.
    Conflicts,
    /// Another git has the index.
    IndexLocked,
}

impl Busy {
    /// The rest of "the repository …".
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Merge => "is in the middle of a merge",
            Self::Rebase => "is in the middle of a rebase",
            Self::CherryPick => "is in the middle of a cherry-pick",
            Self::Revert => "is in the middle of a revert",
            Self::Bisect => "is in the middle of a bisection",
            Self::Conflicts => "has paths in conflict",
            Self::IndexLocked => "has its index locked by another git",
        }
    }
}

/// Why something did not happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum GitError {
    /// There is no git on the host.
    #[error("git is not installed on the host")]
    NoGit,
    /// The source is in no repository.
    #[error("the source is not in a git repository")]
    NoRepository,
    /// The source is a repository without files.
    #[error("the source is a bare repository, which has no files to commit")]
    Bare,
    /// It is in the middle of something.
    #[error("the repository {}", what.sentence())]
    Busy {
        /// Of what.
        what: Busy,
    },
    /// The path belongs to a repository within the repository.
    #[error("`{path}` belongs to another repository, a submodule or a nested one")]
    OtherRepository {
        /// Which.
        path: WorkspacePath,
    },
    /// Git would run a program over the path.
    #[error("`{path}` goes through the filter `{filter}`, a program that is not run here")]
    Filtered {
        /// Which.
        path: WorkspacePath,
        /// Its name in `.gitattributes`.
        filter: String,
    },
    /// Every path is ignored, or already what `HEAD` has.
    #[error("there is nothing to commit: what was approved is ignored, or already in `HEAD`")]
    NothingToCommit,
    /// Nobody is named who commits.
    #[error("nobody is named who commits")]
    NoIdentity,
    /// Not a name of a branch.
    #[error("`{branch}` is not a name for a branch")]
    BranchName {
        /// Which.
        branch: String,
    },
    /// Somebody works on the branch: it is checked out, or is being rebased or bisected.
    #[error("the branch `{branch}` is in use in `{worktree}`", worktree = worktree.display())]
    BranchCheckedOut {
        /// Which.
        branch: String,
        /// Where.
        worktree: PathBuf,
    },
    /// The branch has commits that the pulled one does not.
    #[error("the branch `{branch}` has commits that the sandbox does not have")]
    BranchDiverged {
        /// Which.
        branch: String,
    },
    /// The bundle is not one, or what is in it is refused.
    #[error("the commits are refused: {reason}")]
    BadBundle {
        /// What is wrong with them.
        reason: String,
    },
    /// Git refused or failed.
    #[error("git could not {step}: {reason}")]
    Failed {
        /// What was being done.
        step: String,
        /// What git said.
        reason: String,
    },
}

mod as_base64 {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}
