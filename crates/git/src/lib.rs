//! The source's git repository: read and written by a process that is its owner and can do nothing else.
//!
//! `head` and `repository` look at a few small files and start nothing. Everything else is the role `sandbar __git`, which runs the
//! host's git with no hook, no filter, no helper, no pager and no configuration but the repository's own, and can
//! write nowhere but in the repository's git directory. It never sees a repository that a sandbox can write:
//! what comes from there is a bundle of objects, which is checked before any of it is kept.
//! Why it is so: `docs/decisions/0006-git-in-a-worker.md`.

mod blobs;
mod bundle;
mod command;
mod commit;
mod head;
mod pull;
mod repository;
mod role;
mod wire;

pub use head::head_commit;
pub use repository::is_in_git_dir;
pub use role::main;
pub use wire::{
    Blob, Busy, CommitReport, CommitRequest, GitError, PullReport, Pulled, Reply, Request, Update,
};
