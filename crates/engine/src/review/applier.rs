//! Who writes what was approved to its source.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    time::Duration,
};

use sandbar_runtime::spawn::{Worker, WorkerError};
use sandbar_workspace::applier::{self, Reply, Request};

/// LIMIT: a worker that takes longer is killed, and recovery ends what it began.
const DEADLINE: Duration = Duration::from_mins(10);

/// What an applier works on; nothing else is in its reach.
#[derive(Debug)]
pub struct ApplierFds {
    /// The source's directory.
    pub source: OwnedFd,
    /// The merged view; of an undo the journal of what is undone; any directory where the request reads neither.
    pub merged: OwnedFd,
    /// The journal's directory.
    pub journal: OwnedFd,
}

/// Writes what was approved to its source.
#[async_trait::async_trait]
pub trait Applier: std::fmt::Debug + Send + Sync + 'static {
    /// Carries one request out.
    ///
    /// # Errors
    /// Nothing is known of what was done: the journal says, and recovery ends it.
    async fn run(&self, fds: ApplierFds, request: Request) -> Result<Reply, WorkerError>;
}

/// Starts `sandbar __apply` for each approve: a process that sees nothing but the source and the change.
#[derive(Debug, Clone)]
pub struct WorkerApplier {
    /// Our own executable.
    pub exe: PathBuf,
}

#[async_trait::async_trait]
impl Applier for WorkerApplier {
    async fn run(&self, fds: ApplierFds, request: Request) -> Result<Reply, WorkerError> {
        let worker = Worker {
            exe: self.exe.clone(),
            role: "__apply",
            fds: vec![fds.source, fds.merged, fds.journal],
            deadline: DEADLINE,
        };
        worker.run(&request).await
    }
}

/// Applies within this process: for tests, and for nothing that a sandbox wrote with rights of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct InProcessApplier;

#[async_trait::async_trait]
impl Applier for InProcessApplier {
    async fn run(&self, fds: ApplierFds, request: Request) -> Result<Reply, WorkerError> {
        let work = tokio::task::spawn_blocking(move || {
            applier::answer(fds.source.as_fd(), fds.merged, fds.journal, &request)
        });
        work.await.map_err(|panicked| WorkerError::Failed { stderr: panicked.to_string() })
    }
}
