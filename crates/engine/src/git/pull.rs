//! Commits of a sandbox, as a branch of the source's repository.
//!
//! A git inside makes a bundle; nothing that it says is believed. A worker of the source's owner checks the bundle and
//! takes objects and one name from it.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Seek, Write},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::Path,
    sync::Arc,
};

pub use sandbar_git::Update as BranchUpdate;
use sandbar_git::{Reply, Request};
use sandbar_types::{ExecSpec, HostPath, PullOutcome, PulledCommit, SandboxId, Source};

use super::refusal::refusal;
use crate::{
    Engine, Error, ErrorKind, Result, engine::Inner, exec::ExecResult, source,
    workspace_view::blocking,
};

/// LIMIT: bytes of a bundle; less where the sandbox's `log_bytes_max` is less, for it goes through a log.
const BUNDLE_BYTES_MAX: u64 = 256 << 20;
/// LIMIT: how long the git inside may take.
const BUNDLE_TIMEOUT_MS: u64 = 300_000;
/// LIMIT: characters that are passed on of what the git inside complained.
const COMPLAINT_MAX: usize = 300;

const NO_GIT: u8 = 12;
const NO_COMMIT: u8 = 10;
const NOTHING_NEW: u8 = 11;

/// The first argument is the commit that the source was at, or nothing.
const SCRIPT: &str = r#"command -v git >/dev/null || exit 12
head=$(git rev-parse --quiet --verify 'HEAD^{commit}' 2>/dev/null) || exit 10
if [ -n "$1" ] && git cat-file -e "$1^{commit}" 2>/dev/null; then
    [ -n "$(git rev-list --max-count=1 "$head" "^$1")" ] || exit 11
    exec git bundle create --quiet - HEAD "^$1"
fi
exec git bundle create --quiet - HEAD
"#;

/// What a pull is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullParams {
    /// The branch; `sandbar/<name of the sandbox>` when absent.
    pub branch: Option<String>,
    /// Whether a branch that is there may lose commits.
    pub update: BranchUpdate,
}

impl Engine {
    /// Brings the commits that `HEAD` of the sandbox's repository has to the source's repository, as a branch.
    ///
    /// Nothing is checked out; the source's `HEAD`, index and files are not touched.
    ///
    /// # Errors
    /// `no_source`, `state_conflict` (it must run), `nothing_to_pull`, `branch_conflict`, `commits_refused`,
    /// `limit_reached`, `repository_unsupported`, `git_unavailable`, `git_failed`, `invalid_value`.
    pub async fn pull(&self, id: SandboxId, params: PullParams) -> Result<PullOutcome> {
        let engine = self.clone();
        // A branch that was begun is set, whoever stops waiting.
        let pulled = self.inner.tasks.spawn(async move { pull(&engine, id, params).await });
        pulled.await.unwrap_or_else(|panicked| Err(Error::internal(panicked)))
    }
}

async fn pull(engine: &Engine, id: SandboxId, params: PullParams) -> Result<PullOutcome> {
    let row = engine.inner.actor(id)?.row();
    let Source::Directory { path: source } = &row.spec.source else {
        return Err(Error::new(
            ErrorKind::Invalid,
            "no_source",
            "the workspace began empty: there is no repository to bring commits to",
        )
        .hint("copy files out with `sandbar cp`"));
    };
    source::check(&row).await?;
    let branch = params.branch.unwrap_or_else(|| format!("sandbar/{}", row.name));
    let base = row.base_commit.clone().unwrap_or_default();
    let limit = BUNDLE_BYTES_MAX.min(row.spec.limits.log_bytes_max);
    let spec = ExecSpec {
        argv: ["sh", "-c", SCRIPT, "sh", &base].map(str::to_owned).to_vec(),
        env: BTreeMap::new(),
        cwd: None,
        terminal: None,
        stdin: false,
        timeout_ms: Some(BUNDLE_TIMEOUT_MS),
    };
    let result = engine.exec_run(id, spec, limit).await?;
    check_bundled(&result, limit)?;
    let dir = engine.inner.layout.sandbox(id).0;
    let bytes = result.stdout.bytes;
    let bundle = blocking(move || unnamed(&dir, &bytes)).await?.map_err(Error::internal)?;
    engine.inner.take_branch(source, bundle, branch, params.update).await
}

fn check_bundled(result: &ExecResult, limit: u64) -> Result<()> {
    let end = result.end()?;
    let nothing =
        |message: &'static str| Error::new(ErrorKind::Conflict, "nothing_to_pull", message);
    match end.status.shell_code() {
        0 if end.dropped_bytes > 0 || result.stdout.truncated_bytes > 0 => Err(Error::new(
            ErrorKind::LimitReached,
            "limit_reached",
            format!("the commits have more than {limit} bytes"),
        )
        .hint("pull more often, or raise `log_bytes_max` when you make the sandbox")
        .details(&serde_json::json!({ "limit": "bundle_bytes_max", "value": limit }))),
        0 => Ok(()),
        NO_COMMIT => Err(nothing("the workspace is not in a git repository with a commit")
            .hint("a source below the top of its repository, or in a linked worktree, has no history inside")),
        NOTHING_NEW => Err(nothing("no commit was made in the sandbox")
            .hint("changes that are not committed are brought by `sandbar approve`")),
        NO_GIT => Err(nothing("there is no git in the sandbox")),
        _failed => Err(Error::new(
            ErrorKind::Conflict,
            "commits_refused",
            format!("git in the sandbox made no bundle: {}", plain(&result.stderr.bytes)),
        )),
    }
}

/// What a sandbox says, on one line and without what a terminal would obey.
fn plain(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    said.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(COMPLAINT_MAX).collect()
}

/// A file without a name that holds `bytes`.
fn unnamed(dir: &Path, bytes: &[u8]) -> io::Result<OwnedFd> {
    let path = dir.join(format!("bundle-{}", uuid::Uuid::new_v4().simple()));
    let mut file =
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

impl Inner {
    async fn take_branch(
        self: &Arc<Self>,
        source: &HostPath,
        bundle: OwnedFd,
        branch: String,
        update: BranchUpdate,
    ) -> Result<PullOutcome> {
        let _source = self.source_lock(source).await;
        let request = Request::Pull { branch: branch.clone(), update };
        let report = match self.git(source, Some(bundle), request).await? {
            Reply::Pulled(report) => report,
            Reply::Failed { error } => return Err(refusal(&error)),
            Reply::Blobs { .. } | Reply::Committable | Reply::Committed(_) => {
                return Err(Error::internal("the git worker answered something else"));
            }
        };
        let commits = report.commits.into_iter().map(|commit| PulledCommit {
            id: commit.id,
            subject: commit.subject,
            author: commit.author,
        });
        Ok(PullOutcome {
            branch,
            head: report.head,
            before: report.before,
            total: report.total,
            commits: commits.collect(),
        })
    }
}
