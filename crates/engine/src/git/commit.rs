//! A commit of what was approved: everything that can be refused is refused before a file is written.

use sandbar_git::{CommitReport, CommitRequest, Reply, Request};
use sandbar_store::{SandboxRow, approve_outcome_in_txn, approve_set_commit_in_txn};
use sandbar_types::{ApproveOutcome, CommitAuthor, CommitSpec, HostPath, Source, WorkspacePath};
use sandbar_workspace::apply::ApplyPlan;

use super::{message, refusal::refusal};
use crate::{Error, ErrorKind, Result, engine::Inner};

/// A commit that nothing is known to stand in the way of.
#[derive(Debug)]
pub(crate) struct PreparedCommit {
    source: HostPath,
    request: CommitRequest,
}

/// Refuses a commit that could never be made, whatever the changes are.
pub(crate) fn check_commit_spec(spec: &CommitSpec) -> Result<()> {
    let name = "x".parse().expect("it is a name");
    message::message(spec, &name, &[]).map(drop).map_err(no_message)
}

fn no_message(err: message::NoMessage) -> Error {
    Error::new(ErrorKind::Invalid, "invalid_value", err.to_string())
        .hint("say what was done: `-m` at the command line")
}

/// The answer to a request that was carried out before. Files without the commit that was asked for are no success.
pub(crate) fn replayed(
    asked: Option<&CommitSpec>,
    outcome: ApproveOutcome,
) -> Result<ApproveOutcome> {
    if asked.is_some() && outcome.commit.is_none() {
        return Err(commit_failed(&outcome, "an earlier request wrote them, and made no commit"));
    }
    Ok(outcome)
}

fn commit_failed(outcome: &ApproveOutcome, reason: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "commit_failed",
        format!("the files were written, but not committed: {reason}"),
    )
    .hint("what was approved is in the source: commit it there with git")
    .details(&serde_json::json!({
        "approve_id": outcome.id, "applied": outcome.applied, "reason": reason,
    }))
}

impl Inner {
    /// Checks that what `plan` writes could be committed to the source of `row` as it is now.
    pub(crate) async fn commit_prepare(
        &self,
        row: &SandboxRow,
        spec: &CommitSpec,
        plan: &ApplyPlan,
    ) -> Result<PreparedCommit> {
        let Source::Directory { path: source } = &row.spec.source else {
            return Err(Error::internal("an approve without a source"));
        };
        let paths: Vec<&WorkspacePath> = plan.approved.iter().map(|one| &one.path).collect();
        let message = message::message(spec, &row.name, &paths).map_err(no_message)?;
        let author = match spec.author {
            CommitAuthor::Agent => Some(message::agent(&row.name).map_err(Error::internal)?),
            CommitAuthor::Reviewer | CommitAuthor::CoAuthored => None,
        };
        let committer = spec.reviewer.clone().or_else(|| row.spec.git_identity.clone());
        let paths: Vec<_> = paths.into_iter().cloned().collect();
        let check =
            Request::CheckCommit { paths: paths.clone(), has_committer: committer.is_some() };
        match self.git(source, None, check).await? {
            Reply::Committable => Ok(PreparedCommit {
                source: source.clone(),
                request: CommitRequest { paths, message, author, committer },
            }),
            Reply::Failed { error } => Err(refusal(&error)),
            Reply::Blobs { .. } | Reply::Committed(_) | Reply::Pulled(_) => {
                Err(Error::internal("the git worker answered something else"))
            }
        }
    }

    /// Commits what was written. The files stay whatever comes of it, and the answer says so.
    pub(crate) async fn commit(
        &self,
        row: &SandboxRow,
        prepared: PreparedCommit,
        mut outcome: ApproveOutcome,
    ) -> Result<ApproveOutcome> {
        let PreparedCommit { source, mut request } = prepared;
        request.paths.clone_from(&outcome.applied);
        let report = match self.git(&source, None, Request::Commit(request)).await {
            Ok(Reply::Committed(report)) => report,
            Ok(Reply::Failed { error }) => return Err(commit_failed(&outcome, &error.to_string())),
            Ok(Reply::Blobs { .. } | Reply::Committable | Reply::Pulled(_)) => {
                return Err(commit_failed(&outcome, "the git worker answered something else"));
            }
            Err(err) => {
                tracing::error!(sandbox.id = %row.id, error = &err as &dyn std::error::Error, "a commit of approved files failed");
                return Err(commit_failed(&outcome, "git did not answer"));
            }
        };
        let CommitReport { id, branch, ignored } = report;
        outcome.commit = Some(id);
        outcome.commit_branch = branch;
        outcome.commit_ignored = ignored;
        if let Err(err) = self.record_commit(&outcome).await {
            // The commit is there; a repeated request will not know of it, and says that.
            tracing::error!(sandbox.id = %row.id, error = &err as &dyn std::error::Error, "a commit was made and could not be recorded");
        }
        Ok(outcome)
    }

    /// The one place where a commit of an approve is recorded.
    async fn record_commit(&self, outcome: &ApproveOutcome) -> Result<()> {
        let value = serde_json::to_value(outcome).map_err(Error::internal)?;
        let mut txn = self.store.begin().await?;
        approve_outcome_in_txn(&mut txn, outcome.id, &value).await?;
        if let Some(commit) = &outcome.commit {
            approve_set_commit_in_txn(&mut txn, outcome.id, commit).await?;
        }
        Ok(txn.commit().await?)
    }
}
