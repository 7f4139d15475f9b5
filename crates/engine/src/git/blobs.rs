//! What files were when a sandbox began, where the source's repository knows.

use std::collections::BTreeMap;

use sandbar_git::{Reply, Request};
use sandbar_types::{SandboxId, Source, WorkspacePath};

use crate::{Engine, Error, Result, engine::Inner};

impl Engine {
    /// Reads the files that the commit had which the source was at when the sandbox began.
    ///
    /// A path is absent when the commit does not have it as a file, when it is larger than 4 MiB, and whenever nothing is
    /// known: no repository, no git, a commit that is gone. What was not committed at the beginning is not in it.
    ///
    /// # Errors
    /// `sandbox_not_found`, `unavailable`.
    pub async fn blobs_at_beginning(
        &self,
        id: SandboxId,
        paths: &[WorkspacePath],
    ) -> Result<BTreeMap<WorkspacePath, Vec<u8>>> {
        self.inner.blobs_at_beginning(id, paths).await
    }
}

impl Inner {
    /// See [`Engine::blobs_at_beginning`].
    pub(crate) async fn blobs_at_beginning(
        &self,
        id: SandboxId,
        paths: &[WorkspacePath],
    ) -> Result<BTreeMap<WorkspacePath, Vec<u8>>> {
        let row = self.actor(id)?.row();
        let (Source::Directory { path: source }, Some(commit)) =
            (&row.spec.source, &row.base_commit)
        else {
            return Ok(BTreeMap::new());
        };
        if paths.is_empty() {
            return Ok(BTreeMap::new());
        }
        let request = Request::ReadBlobs { commit: commit.clone(), paths: paths.to_vec() };
        match self.git(source, None, request).await? {
            Reply::Blobs { blobs } => {
                Ok(blobs.into_iter().map(|blob| (blob.path, blob.content)).collect())
            }
            Reply::Failed { error } => {
                tracing::debug!(sandbox.id = %id, error = %error, "what files were at the beginning is not known");
                Ok(BTreeMap::new())
            }
            Reply::Committable | Reply::Committed(_) | Reply::Pulled(_) => {
                Err(Error::internal("the git worker answered something else"))
            }
        }
    }
}
