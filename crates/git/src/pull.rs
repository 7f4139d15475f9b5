//! Commits of a sandbox become a branch: objects into a quarantine, checked, kept, and one name set.
//!
//! Nothing is checked out, and neither `HEAD` nor the index is touched.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use crate::{
    GitError, PullReport, Pulled, Update,
    bundle::{self, bad},
    command::{Git, Ran},
    repository::{self, Repository},
};

/// LIMIT: bytes of objects, packed.
const PACK_BYTES_MAX: &str = "--max-input-size=268435456";
/// LIMIT: bytes of a list of the branches that a rebase moves.
const NAMES_BYTES_MAX: u64 = 1 << 20;
/// LIMIT: commits that are listed; the rest is counted.
const LISTED: &str = "--max-count=200";

pub(crate) fn pull(
    repository: &Repository,
    bundle: &File,
    branch: &str,
    update: Update,
) -> Result<PullReport, GitError> {
    let name = format!("refs/heads/{branch}");
    check_name(branch, &name)?;
    check_not_in_use(repository, branch, &name)?;
    let tip = bundle::tip(bundle)?;
    let quarantine = Quarantine::new(&repository.common_dir.join("objects"))?;
    quarantine.take(bundle)?;
    quarantine.check(&tip)?;
    let before = current(&name)?;
    if let Some(before) = &before {
        let args = ["merge-base", "--is-ancestor", before, &tip];
        let is_ancestor = quarantine.git("compare the branch", &args).run()?;
        match (is_ancestor.code, update) {
            (0, _) | (1, Update::Force) => {}
            (1, Update::FastForward) => {
                return Err(GitError::BranchDiverged { branch: branch.to_owned() });
            }
            (_failed, _) => return Err(is_ancestor.failed()),
        }
    }
    let (total, commits) = quarantine.list(&tip)?;
    quarantine.keep()?;
    // One name, and only if it is still what it was.
    let zero = "0".repeat(tip.len());
    let old = before.as_deref().unwrap_or(&zero);
    Git::to("set the branch", &["update-ref", "-m", "sandbar: pull", &name, &tip, old]).output()?;
    Ok(PullReport { head: tip, before, total, commits })
}

fn check_name(branch: &str, name: &str) -> Result<(), GitError> {
    let wrong = || GitError::BranchName { branch: branch.to_owned() };
    if branch.is_empty() || branch.starts_with('-') || branch == "HEAD" || branch.contains('\0') {
        return Err(wrong());
    }
    match Git::to("check the name", &["check-ref-format", name]).run()?.code {
        0 => Ok(()),
        _refused => Err(wrong()),
    }
}

/// A branch that moved below somebody's files would show as changes that they did not make.
fn check_not_in_use(repository: &Repository, branch: &str, name: &str) -> Result<(), GitError> {
    let listed = Git::to("list worktrees", &["worktree", "list", "--porcelain"]).output()?;
    let mut worktree = PathBuf::new();
    for line in String::from_utf8_lossy(&listed).lines() {
        if let Some(path) = line.strip_prefix("worktree ") {
            worktree = PathBuf::from(path);
        } else if line.strip_prefix("branch ") == Some(name) {
            return Err(GitError::BranchCheckedOut { branch: branch.to_owned(), worktree });
        }
    }
    match repository::worktrees(repository).find(|(dir, _files)| is_due(dir, branch, name)) {
        Some((_dir, worktree)) => {
            Err(GitError::BranchCheckedOut { branch: branch.to_owned(), worktree })
        }
        None => Ok(()),
    }
}

/// Whether the worktree of `git_dir` comes back to the branch: a rebase moves it at its end, and its `HEAD` is detached
/// until then; a bisection checks it out again.
fn is_due(git_dir: &Path, branch: &str, name: &str) -> bool {
    let says = |file: &str, what: &str| {
        let said = repository::bounded(&git_dir.join(file), NAMES_BYTES_MAX).unwrap_or_default();
        String::from_utf8_lossy(&said).lines().any(|line| line.trim_end() == what)
    };
    says("rebase-merge/head-name", name)
        || says("rebase-merge/update-refs", name)
        || says("rebase-apply/head-name", name)
        || says("BISECT_START", branch)
}

fn current(name: &str) -> Result<Option<String>, GitError> {
    let found = Git::to("read the branch", &["rev-parse", "--quiet", "--verify", name]).run()?;
    match found.code {
        0 => Ok(Some(String::from_utf8_lossy(&found.success()?).trim().to_owned())),
        _none => Ok(None),
    }
}

/// Objects that are not part of the repository yet; gone when dropped. A name that `git gc` cleans up after a crash.
struct Quarantine {
    dir: PathBuf,
    objects: PathBuf,
}

impl Drop for Quarantine {
    fn drop(&mut self) {
        // What is left is found by `git gc`.
        fs::remove_dir_all(&self.dir).ok();
    }
}

impl Quarantine {
    fn new(objects: &Path) -> Result<Self, GitError> {
        let dir = objects.join(format!("tmp_objdir-sandbar-{}", std::process::id()));
        let made = DirBuilder::new().mode(0o700).create(&dir);
        made.map_err(|err| failed("make a quarantine", &err))?;
        let quarantine = Self { dir, objects: objects.to_owned() };
        fs::create_dir(quarantine.dir.join("pack"))
            .map_err(|err| failed("make a quarantine", &err))?;
        Ok(quarantine)
    }

    /// A run that sees the repository's objects and those in quarantine, and writes into the quarantine.
    fn git<'a>(&self, step: &'static str, arguments: &[&'a str]) -> Git<'a> {
        // A list by colons, where a quoted name may have one.
        let quoted = self.objects.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
        Git::to(step, arguments)
            .env("GIT_OBJECT_DIRECTORY", &self.dir)
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", format!("\"{quoted}\""))
    }

    /// Takes the objects in, each one checked as a server checks what is pushed to it.
    fn take(&self, bundle: &File) -> Result<(), GitError> {
        let args = ["index-pack", "--stdin", "--strict", "--fix-thin", PACK_BYTES_MAX];
        let ran = self.git("take the objects", &args).stdin_file(bundle).run()?;
        accepted(ran).map(drop)
    }

    /// Checks that the tip is a commit, and that everything it needs is there.
    fn check(&self, tip: &str) -> Result<(), GitError> {
        let kind = self.git("read the commit", &["cat-file", "-t", tip]).run()?;
        if accepted(kind)?.trim_ascii() != b"commit" {
            return Err(bad("what it is about is not a commit"));
        }
        let args = ["rev-list", "--objects", "--quiet", tip, "--not", "--all"];
        accepted(self.git("look for missing objects", &args).run()?).map(drop)
    }

    fn list(&self, tip: &str) -> Result<(u64, Vec<Pulled>), GitError> {
        let count = ["rev-list", "--count", tip, "--not", "--all"];
        let total = self.git("count the commits", &count).line()?.parse().unwrap_or(0);
        let args = ["rev-list", LISTED, "--format=tformat:%H%x00%an%x00%s", tip, "--not", "--all"];
        let listed = self.git("list the commits", &args).output()?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        // Between them are lines `commit <id>`, without a NUL.
        let commits = listed.lines().filter_map(|line| {
            let mut fields = line.splitn(3, '\0').map(str::to_owned);
            let (id, author, subject) = (fields.next()?, fields.next()?, fields.next()?);
            Some(Pulled { id, subject, author })
        });
        Ok((total, commits.collect()))
    }

    /// Moves the checked pack into the repository; its index last, for without it git does not see the pack.
    fn keep(&self) -> Result<(), GitError> {
        let step = "keep the objects";
        let (from, to) = (self.dir.join("pack"), self.objects.join("pack"));
        let list = || -> io::Result<Vec<PathBuf>> {
            fs::read_dir(&from)?.map(|entry| Ok(entry?.path())).collect()
        };
        let mut files = list().map_err(|err| failed(step, &err))?;
        files.sort_by_key(|path| path.extension().is_some_and(|kind| kind == "idx"));
        let moved = || -> io::Result<()> {
            fs::create_dir_all(&to)?;
            for file in &files {
                let name = file.file_name().unwrap_or_default();
                // The same name is the same content.
                if !to.join(name).exists() {
                    fs::rename(file, to.join(name))?;
                }
            }
            File::open(&to)?.sync_all()
        };
        moved().map_err(|err| failed(step, &err))
    }
}

fn failed(step: &str, err: &io::Error) -> GitError {
    GitError::Failed { step: step.to_owned(), reason: err.to_string() }
}

/// What git says about the objects is a verdict on them.
fn accepted(ran: Ran) -> Result<Vec<u8>, GitError> {
    if ran.code == 0 { ran.success() } else { Err(bad(ran.complaint)) }
}
