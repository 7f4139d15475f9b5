//! Exactly the approved paths, as one commit, and everything else as the user left it.
//!
//! As `git commit --only`: the tree is made in an index of its own, from `HEAD` and the paths; then the same paths are
//! set in the user's index, where everything else that is staged stays staged; then `HEAD` moves, if it is still where
//! it was. Hooks do not run, nothing is signed, no filter is run.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use sandbar_types::{GitIdentity, WorkspacePath};

use crate::{Busy, CommitReport, CommitRequest, GitError, command::Git, repository::Repository};

/// Says whether `paths` could be committed in `dir`, and changes nothing.
pub(crate) fn check(
    repository: &Repository,
    dir: &Path,
    paths: &[WorkspacePath],
    has_committer: bool,
) -> Result<(), GitError> {
    check_repository(repository)?;
    if !has_committer && own_identity()?.is_none() {
        return Err(GitError::NoIdentity);
    }
    check_others(dir, paths)?;
    check_filters(paths)?;
    // What lies beyond a link or below a file is not there yet, or will not be: nothing to ask git about.
    let reachable: Vec<_> =
        paths.iter().filter(|path| place(dir, path) != Place::Beyond).cloned().collect();
    let beyond = reachable.len() < paths.len();
    if !beyond && ignored(&reachable)?.len() == paths.len() {
        return Err(GitError::NothingToCommit);
    }
    Ok(())
}

pub(crate) fn commit(
    repository: &Repository,
    dir: &Path,
    request: &CommitRequest,
) -> Result<CommitReport, GitError> {
    check_repository(repository)?;
    let own = own_identity()?;
    let committer = own.as_ref().or(request.committer.as_ref()).ok_or(GitError::NoIdentity)?;
    check_others(dir, &request.paths)?;
    let index = OwnIndex(repository.git_dir.join(format!("sandbar-index-{}", std::process::id())));
    let parent =
        Git::to("read HEAD", &["rev-parse", "--quiet", "--verify", "HEAD^{commit}"]).run()?;
    let parent =
        (parent.code == 0).then(|| String::from_utf8_lossy(&parent.stdout).trim().to_owned());
    let tree = parent.as_deref().unwrap_or("--empty");
    index.git("read the tree", &["read-tree", tree]).output()?;

    let (written, gone): (Vec<_>, Vec<_>) = request
        .paths
        .iter()
        .filter(|path| place(dir, path) != Place::Directory)
        .cloned()
        .partition(|path| place(dir, path) == Place::File);
    check_filters(&written)?;
    let left_out = ignored(&written)?;
    let written: Vec<_> = written.into_iter().filter(|path| !left_out.contains(path)).collect();
    // A directory that is gone stands for every file that was in it.
    let gone = index.listed(&gone)?;

    let set = |git: fn(&'static str, &[&'static str], &OwnIndex) -> Git<'static>| {
        let removed = joined(&gone, b"");
        let remove = ["update-index", "--force-remove", "-z", "--stdin"];
        git("remove paths from the index", &remove, &index).stdin_owned(removed).output()?;
        let added = joined(&written, b"");
        let add = ["update-index", "--add", "--replace", "-z", "--stdin"];
        git("add paths to the index", &add, &index).stdin_owned(added).output()
    };
    set(|step, arguments, index| index.git(step, arguments))?;
    let tree = index.git("write the tree", &["write-tree"]).line()?;
    if let Some(parent) = &parent {
        let old = format!("{parent}^{{tree}}");
        if Git::to("read the tree", &["rev-parse", &old]).line()? == tree {
            return Err(GitError::NothingToCommit);
        }
    }
    let id = write(&tree, parent.as_deref(), request, committer)?;
    // The index first: should it be locked, nothing is committed; should `HEAD` move then, the paths are staged.
    set(|step, arguments, _| Git::to(step, arguments))?;
    let subject = request.message.lines().next().unwrap_or_default();
    let reason = format!("commit: {subject}");
    let zero = "0".repeat(id.len());
    let old = parent.as_deref().unwrap_or(&zero);
    Git::to("move HEAD", &["update-ref", "-m", &reason, "HEAD", &id, old]).output()?;
    Ok(CommitReport { id, branch: branch()?, ignored: left_out.into_iter().collect() })
}

fn write(
    tree: &str,
    parent: Option<&str>,
    request: &CommitRequest,
    committer: &GitIdentity,
) -> Result<String, GitError> {
    let author = request.author.as_ref().unwrap_or(committer);
    let mut arguments = vec!["commit-tree", tree, "-F", "-"];
    arguments.extend(parent.into_iter().flat_map(|parent| ["-p", parent]));
    Git::to("write the commit", &arguments)
        .env("GIT_AUTHOR_NAME", author.name())
        .env("GIT_AUTHOR_EMAIL", author.email())
        .env("GIT_COMMITTER_NAME", committer.name())
        .env("GIT_COMMITTER_EMAIL", committer.email())
        .stdin(request.message.as_bytes())
        .line()
}

fn branch() -> Result<Option<String>, GitError> {
    let head = Git::to("read HEAD", &["symbolic-ref", "--quiet", "HEAD"]).run()?;
    let name = String::from_utf8_lossy(&head.stdout).trim().to_owned();
    Ok(name.strip_prefix("refs/heads/").map(str::to_owned))
}

/// Refuses what a commit would make worse.
fn check_repository(repository: &Repository) -> Result<(), GitError> {
    const SIGNS: [(&str, Busy); 7] = [
        ("MERGE_HEAD", Busy::Merge),
        ("rebase-merge", Busy::Rebase),
        ("rebase-apply", Busy::Rebase),
        ("CHERRY_PICK_HEAD", Busy::CherryPick),
        ("REVERT_HEAD", Busy::Revert),
        ("BISECT_LOG", Busy::Bisect),
        ("index.lock", Busy::IndexLocked),
    ];
    if repository.is_bare {
        return Err(GitError::Bare);
    }
    let inside = Git::to("find the files", &["rev-parse", "--is-inside-work-tree"]).line()?;
    if inside != "true" {
        return Err(GitError::Bare);
    }
    for (name, what) in SIGNS {
        if repository.git_dir.join(name).symlink_metadata().is_ok() {
            return Err(GitError::Busy { what });
        }
    }
    if !Git::to("look for conflicts", &["ls-files", "--unmerged", "-z"]).output()?.is_empty() {
        return Err(GitError::Busy { what: Busy::Conflicts });
    }
    Ok(())
}

/// Who the repository's own configuration says commits here.
fn own_identity() -> Result<Option<GitIdentity>, GitError> {
    let value = |key| -> Result<String, GitError> {
        let ran = Git::to("read the configuration", &["config", "--get", key]).run()?;
        Ok(String::from_utf8_lossy(&ran.stdout).trim().to_owned())
    };
    Ok(GitIdentity::new(value("user.name")?, value("user.email")?).ok())
}

/// Refuses paths of a submodule or of a repository within the source.
fn check_others(dir: &Path, paths: &[WorkspacePath]) -> Result<(), GitError> {
    let staged = Git::to("list the index", &["ls-files", "--stage", "-z"]).output()?;
    let mut others: BTreeSet<WorkspacePath> = staged
        .split(|byte| *byte == 0)
        .filter(|entry| entry.starts_with(b"160000 "))
        .filter_map(|entry| entry.splitn(2, |byte| *byte == b'\t').nth(1))
        .filter_map(|path| WorkspacePath::parse(path).ok())
        .collect();
    let mut own = BTreeSet::new();
    for path in paths {
        let above = std::iter::successors(path.parent(), WorkspacePath::parent);
        for above in above {
            if own.contains(&above) {
                break;
            }
            if others.contains(&above)
                || dir.join(above.as_path()).join(".git").symlink_metadata().is_ok()
            {
                others.insert(above);
                return Err(GitError::OtherRepository { path: path.clone() });
            }
            own.insert(above);
        }
    }
    Ok(())
}

/// Refuses paths that git would run a program over. Ends of lines and encodings are git's own and are applied.
fn check_filters(paths: &[WorkspacePath]) -> Result<(), GitError> {
    let asked = joined(paths, b"");
    let said = Git::to("read the attributes", &["check-attr", "-z", "--stdin", "filter"])
        .stdin(&asked)
        .output()?;
    let fields: Vec<&[u8]> = said.split(|byte| *byte == 0).collect();
    for triple in fields.chunks_exact(3) {
        let [path, _filter, value] = triple else { continue };
        if !matches!(*value, b"unspecified" | b"unset")
            && let Ok(path) = WorkspacePath::parse(path)
        {
            let filter = String::from_utf8_lossy(value).into_owned();
            return Err(GitError::Filtered { path, filter });
        }
    }
    Ok(())
}

/// Those that the repository ignores and does not have.
fn ignored(paths: &[WorkspacePath]) -> Result<BTreeSet<WorkspacePath>, GitError> {
    // With the dot, none begins as a magic pathspec does.
    let asked = joined(paths, b"./");
    if asked.is_empty() {
        return Ok(BTreeSet::new());
    }
    let ran =
        Git::to("read what is ignored", &["check-ignore", "-z", "--stdin"]).stdin(&asked).run()?;
    let listed = match ran.code {
        0 | 1 => ran.stdout,
        _failed => return Err(ran.failed()),
    };
    let paths = listed.split(|byte| *byte == 0).filter_map(|path| path.strip_prefix(b"./"));
    Ok(paths.filter_map(|path| WorkspacePath::parse(path).ok()).collect())
}

fn joined(paths: &[WorkspacePath], before: &[u8]) -> Vec<u8> {
    paths.iter().flat_map(|path| [before, path.as_bytes(), b"\0"].concat()).collect()
}

/// What a path is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A file or a link: what git keeps.
    File,
    Directory,
    /// Nothing, or nothing that git keeps.
    Gone,
    /// Something that is no directory is above it.
    Beyond,
}

fn place(dir: &Path, path: &WorkspacePath) -> Place {
    let mut at = dir.to_owned();
    let mut components = path.components().peekable();
    while let Some(name) = components.next() {
        use std::os::unix::ffi::OsStrExt;
        at.push(std::ffi::OsStr::from_bytes(name));
        let kind = match fs::symlink_metadata(&at) {
            Ok(stat) => stat.file_type(),
            Err(err) if err.kind() == io::ErrorKind::NotADirectory => return Place::Beyond,
            Err(_none) => return Place::Gone,
        };
        if components.peek().is_none() {
            return match (kind.is_dir(), kind.is_file() || kind.is_symlink()) {
                (true, _) => Place::Directory,
                (false, true) => Place::File,
                (false, false) => Place::Gone,
            };
        }
        if !kind.is_dir() {
            return Place::Beyond;
        }
    }
    Place::Directory
}

/// An index beside the user's; gone when dropped.
struct OwnIndex(PathBuf);

impl Drop for OwnIndex {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

impl OwnIndex {
    fn git<'a>(&self, step: &'static str, arguments: &[&'a str]) -> Git<'a> {
        Git::to(step, arguments).env("GIT_INDEX_FILE", &self.0)
    }

    /// The files of this index that are `paths` or below them.
    fn listed(&self, paths: &[WorkspacePath]) -> Result<Vec<WorkspacePath>, GitError> {
        let mut listed = Vec::new();
        for some in paths.chunks(200) {
            let mut git =
                self.git("list the tree", &["--literal-pathspecs", "ls-files", "-z", "--"]);
            for path in some {
                git = git.argument(path.as_bytes());
            }
            let found = git.output()?;
            let found = found.split(|byte| *byte == 0);
            listed.extend(found.filter_map(|path| WorkspacePath::parse(path).ok()));
        }
        Ok(listed)
    }
}
