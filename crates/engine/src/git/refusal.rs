//! What a client is told when git did not do what was asked.

use sandbar_git::GitError;

use crate::{Error, ErrorKind};

/// The error of a request that git refused; nothing was written.
pub(crate) fn refusal(error: &GitError) -> Error {
    let message = error.to_string();
    let refused = |kind, code| Error::new(kind, code, message.clone());
    match error {
        GitError::NoGit => {
            refused(ErrorKind::Invalid, "git_unavailable").hint("install git on the host")
        }
        GitError::NoRepository => refused(ErrorKind::Invalid, "repository_unsupported")
            .hint("`git init` in the source makes it one")
            .details(&serde_json::json!({ "reason": "no_repository" })),
        GitError::Bare => refused(ErrorKind::Invalid, "repository_unsupported")
            .details(&serde_json::json!({ "reason": "bare" })),
        GitError::Busy { what } => refused(ErrorKind::Conflict, "repository_busy")
            .hint("finish that first, or approve without `commit`")
            .details(&serde_json::json!({ "reason": what })),
        GitError::OtherRepository { path } => refused(ErrorKind::Conflict, "commit_refused")
            .hint("approve it without `commit`, and commit it in that repository")
            .details(&serde_json::json!({ "reason": "other_repository", "paths": [path] })),
        GitError::Filtered { path, filter } => refused(ErrorKind::Conflict, "commit_refused")
            .hint("approve it without `commit`, and commit it yourself")
            .details(
                &serde_json::json!({ "reason": "filtered", "paths": [path], "filter": filter }),
            ),
        GitError::NothingToCommit => refused(ErrorKind::Conflict, "commit_refused")
            .hint("approve without `commit`")
            .details(&serde_json::json!({ "reason": "nothing_to_commit" })),
        GitError::NoIdentity => refused(ErrorKind::Conflict, "commit_refused")
            .hint("set `user.name` and `user.email` with `git config`, or send `commit.reviewer`")
            .details(&serde_json::json!({ "reason": "no_identity" })),
        GitError::BranchName { .. } => refused(ErrorKind::Invalid, "invalid_value"),
        GitError::BranchCheckedOut { branch, .. } => {
            refused(ErrorKind::Conflict, "branch_conflict")
                .hint("choose another branch; or end the rebase or bisection there, and check out something else")
                .details(&serde_json::json!({ "reason": "checked_out", "branch": branch }))
        }
        GitError::BranchDiverged { branch } => refused(ErrorKind::Conflict, "branch_conflict")
            .hint("choose another branch, or replace it with `--force` (`force` in the API)")
            .details(&serde_json::json!({ "reason": "diverged", "branch": branch })),
        GitError::BadBundle { .. } => refused(ErrorKind::Conflict, "commits_refused"),
        GitError::Failed { .. } => refused(ErrorKind::Conflict, "git_failed"),
    }
}
