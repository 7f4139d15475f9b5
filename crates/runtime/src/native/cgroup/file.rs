//! The small files of a control group.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use super::CgroupError;

pub(super) fn access(
    what: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> CgroupError {
    let path = path.to_owned();
    move |source| CgroupError::Access { what, path, source }
}

pub(super) fn read(path: &Path) -> Result<String, CgroupError> {
    fs::read_to_string(path).map_err(access("read", path))
}

/// Reads a file that need not be there.
pub(super) fn read_optional(path: &Path) -> Result<Option<String>, CgroupError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
        Err(err) => Err(access("read", path)(err)),
    }
}

/// Writes in one call, as the kernel wants it; never makes a file, so a directory that is none of a group is refused.
pub(super) fn write(path: &Path, text: &str) -> Result<(), CgroupError> {
    OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(access("write", path))
}

/// Makes a group; one that is there already is fine.
pub(super) fn make(path: &Path) -> Result<(), CgroupError> {
    match fs::create_dir(path) {
        Err(err) if err.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(access("make", path)),
    }
}

/// Whether the failure says that this hierarchy is not ours to change.
pub(super) fn is_refusal(err: &CgroupError) -> bool {
    matches!(
        err,
        CgroupError::Access { source, .. }
            if matches!(source.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotFound)
    )
}

/// The value of `key` in a file of lines `key value`.
pub(super) fn field(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == key)
        .and_then(|(_, value)| value.trim().parse().ok())
}

/// The processes of the group at `dir` and of the groups in it. A group that goes away meanwhile has none.
pub(super) fn processes_below(dir: &Path) -> Result<Vec<u32>, CgroupError> {
    let mut pids = Vec::new();
    for group in groups_depth_first(dir)? {
        let path = group.join("cgroup.procs");
        match fs::read_to_string(&path) {
            Ok(text) => pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok())),
            Err(err) if is_gone(&err) => {}
            Err(err) => return Err(access("read", &path)(err)),
        }
    }
    pids.sort_unstable();
    pids.dedup();
    Ok(pids)
}

/// `dir` and the groups in it, those within first.
pub(super) fn groups_depth_first(dir: &Path) -> Result<Vec<PathBuf>, CgroupError> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(err) if is_gone(&err) => return Ok(found),
        Err(err) => return Err(access("read", dir)(err)),
    };
    for entry in entries {
        let entry = entry.map_err(access("read", dir))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(groups_depth_first(&entry.path())?);
        }
    }
    found.push(dir.to_owned());
    Ok(found)
}

/// A removed group says `ENODEV` to whoever has a file of it open, and `ENOENT` to whoever comes later.
fn is_gone(err: &std::io::Error) -> bool {
    err.kind() == ErrorKind::NotFound || err.raw_os_error() == Some(libc::ENODEV)
}
