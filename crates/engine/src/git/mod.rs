//! The source's git repository: what it had at the beginning, commits of what was approved, and branches that arrive.
//!
//! The server runs no git. Each request is carried out by `sandbar __git`, see [`sandbar_git`].

mod blobs;
mod worker;

pub use self::worker::{GitFds, GitWorker, NoGitWorker, WorkerGit};
