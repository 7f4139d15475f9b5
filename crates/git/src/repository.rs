//! Finding the repository that a directory is in, without git.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// LIMIT: directories that are looked at on the way up.
const LEVELS_MAX: usize = 64;
/// LIMIT: bytes of a file that names something.
const SMALL_MAX: u64 = 4096;

/// Where the parts of a repository are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repository {
    /// Has `HEAD` and the index; one for each worktree.
    pub(crate) git_dir: PathBuf,
    /// Has objects and branches; the same for every worktree.
    pub(crate) common_dir: PathBuf,
    /// Whether it has no files of its own.
    pub(crate) is_bare: bool,
}

/// Finds the repository that `dir` is in, `dir` being its top or below it.
pub(crate) fn discover(dir: &Path) -> Option<Repository> {
    dir.ancestors().take(LEVELS_MAX).find_map(|above| {
        let dot_git = above.join(".git");
        let git_dir = match fs::symlink_metadata(&dot_git) {
            Ok(stat) if stat.is_file() => linked(above, &dot_git)?,
            // A link, too: git follows it.
            Ok(_directory_or_link) => dot_git,
            Err(_none) if is_git_dir(above) => {
                return Some(Repository {
                    git_dir: above.to_owned(),
                    common_dir: above.to_owned(),
                    is_bare: true,
                });
            }
            Err(_none) => return None,
        };
        let common_dir = match small(&git_dir.join("commondir")) {
            Ok(said) => git_dir.join(said),
            Err(_none) => git_dir.clone(),
        };
        is_git_dir(&common_dir).then_some(Repository { git_dir, common_dir, is_bare: false })
    })
}

/// Whether `dir` is a git directory or lies in one: the `.git` of a repository, or a bare repository.
#[must_use]
pub fn is_in_git_dir(dir: &Path) -> bool {
    discover(dir).is_some_and(|found| found.is_bare)
}

/// The git directory of every worktree of `repository`, each with where the worktree's files are.
pub(crate) fn worktrees(repository: &Repository) -> impl Iterator<Item = (PathBuf, PathBuf)> {
    let common = &repository.common_dir;
    let files = |dot_git: &Path| dot_git.parent().unwrap_or(dot_git).to_owned();
    let main = (common.clone(), files(common));
    let linked = fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten();
    std::iter::once(main).chain(linked.map(move |entry| {
        let git_dir = entry.path();
        let dot_git =
            small(&git_dir.join("gitdir")).map_or_else(|_| git_dir.clone(), PathBuf::from);
        (git_dir, files(&dot_git))
    }))
}

fn is_git_dir(dir: &Path) -> bool {
    dir.join("HEAD").exists() && dir.join("objects").is_dir() && dir.join("refs").is_dir()
}

/// A `.git` that is a file: of a linked worktree, or of a submodule.
fn linked(above: &Path, dot_git: &Path) -> Option<PathBuf> {
    let said = small(dot_git).ok()?;
    Some(above.join(said.strip_prefix("gitdir:")?.trim()))
}

/// Reads a file of one line.
pub(crate) fn small(path: &Path) -> io::Result<String> {
    let text = bounded(path, SMALL_MAX)?;
    String::from_utf8(text)
        .map(|text| text.trim_end().to_owned())
        .map_err(|err| io::Error::new(io::ErrorKind::InvalidData, err))
}

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // A pipe in its place must not hold us up.
    let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let stat = file.metadata()?;
    if !stat.is_file() || stat.len() > limit {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}
