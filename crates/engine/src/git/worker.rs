//! Who runs git over a source.

use std::{fs::File, os::fd::OwnedFd, path::PathBuf, time::Duration};

use sandbar_git::{GitError, Reply, Request};
use sandbar_runtime::spawn::{Worker, WorkerError};
use sandbar_types::HostPath;

use crate::{Error, ErrorKind, Result, engine::Inner, workspace_view::blocking};

/// LIMIT: a worker that takes longer is killed.
const DEADLINE: Duration = Duration::from_mins(10);

/// What a worker works on; nothing else is in its reach.
#[derive(Debug)]
pub struct GitFds {
    /// The source's directory.
    pub source: OwnedFd,
    /// The bundle; anything where the request has none.
    pub bundle: OwnedFd,
}

/// Runs git over a source.
#[async_trait::async_trait]
pub trait GitWorker: std::fmt::Debug + Send + Sync + 'static {
    /// Carries one request out.
    ///
    /// # Errors
    /// Nothing is known of what was done.
    async fn run(&self, fds: GitFds, request: Request) -> Result<Reply, WorkerError>;
}

/// Starts `sandbar __git` for each request: a process that is the source's owner, and can write in its git directory.
#[derive(Debug, Clone)]
pub struct WorkerGit {
    /// Our own executable.
    pub exe: PathBuf,
}

#[async_trait::async_trait]
impl GitWorker for WorkerGit {
    async fn run(&self, fds: GitFds, request: Request) -> Result<Reply, WorkerError> {
        let worker = Worker {
            exe: self.exe.clone(),
            role: "__git",
            fds: vec![fds.source, fds.bundle],
            deadline: DEADLINE,
        };
        worker.run(&request).await
    }
}

/// Says to everything that there is no git; what an engine has until it is given one that there is.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoGitWorker;

#[async_trait::async_trait]
impl GitWorker for NoGitWorker {
    async fn run(&self, _fds: GitFds, _request: Request) -> Result<Reply, WorkerError> {
        Ok(Reply::Failed { error: GitError::NoGit })
    }
}

impl Inner {
    /// Asks a worker over `source`, with the bundle where the request has one.
    ///
    /// # Errors
    /// The source cannot be opened, or nothing is known of what was done. What git refused is in the reply.
    pub(crate) async fn git(
        &self,
        source: &HostPath,
        bundle: Option<OwnedFd>,
        request: Request,
    ) -> Result<Reply> {
        let path = source.clone();
        let opened = blocking(move || {
            let source = File::open(path)?;
            let bundle = match bundle {
                Some(bundle) => bundle,
                None => File::open("/dev/null")?.into(),
            };
            std::io::Result::Ok(GitFds { source: source.into(), bundle })
        });
        let fds = opened.await?.map_err(|err| {
            Error::new(ErrorKind::Unavailable, "unavailable", "the source cannot be opened")
                .because(err)
        })?;
        self.config.git.run(fds, request).await.map_err(Error::internal)
    }
}
