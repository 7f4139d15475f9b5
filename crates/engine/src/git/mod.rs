//! The source's git repository: what it had at the beginning, commits of what was approved, and branches that arrive.
//!
//! The server runs no git. Each request is carried out by `sandbar __git`, see [`sandbar_git`].

mod blobs;
mod commit;
mod message;
mod pull;
mod refusal;
mod worker;

pub(crate) use self::commit::{check_commit_spec, replayed};
pub use self::{
    pull::{BranchUpdate, PullParams},
    worker::{GitFds, GitWorker, NoGitWorker, WorkerGit},
};
