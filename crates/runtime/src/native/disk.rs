//! Who holds the disk limit of a sandbox: the file system where it can, else the server, which looks regularly.
//!
//! | Data directory | Held by |
//! |---|---|
//! | ext4 or xfs, mounted with `prjquota` | a project id on `upper`, `work` and `home` |
//! | btrfs, quotas on | the quota group of the sandbox's subvolume; `logs` is one of its own and not counted |
//! | anything else | nobody: watched |
//!
//! What cannot be held is watched, and said so; it is no reason not to launch. The layout is made in
//! [`make_directory`], which whoever makes the directory of a sandbox calls.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use rustix::fs::{Mode, OFlags, chmod, mkdir, open, openat};
use sandbar_linux::{btrfs, project_quota};
use sandbar_types::{Enforcement, SandboxId};

/// What is counted.
const COUNTED: [&str; 3] = ["upper", "work", "home"];
/// What the server and the keeper write beside it, on btrfs.
const OWN_BYTES: u64 = 4 << 20;
/// LIMIT: one file for so many bytes of the limit: that a tree of empty files does not take every inode of the disk.
const BYTES_PER_FILE: u64 = 4096;

/// Makes a directory with mode 0700; a subvolume on btrfs, so that it can be limited by itself.
///
/// # Errors
/// `AlreadyExists`; what else the kernel said.
pub fn make_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let (Some(parent), Some(name)) = (parent, path.file_name()) else {
        return Ok(mkdir(path, Mode::RWXU)?);
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = open(parent, flags, Mode::empty())?;
    let name = CString::new(name.as_bytes())?;
    // Where a subvolume cannot be made, a directory is as good, only not limited.
    if btrfs::is_on(&parent)? && btrfs::create(parent.as_fd(), &name).is_ok() {
        // Its parent is ours alone, so nobody was in before.
        return Ok(chmod(path, Mode::RWXU)?);
    }
    Ok(mkdir(path, Mode::RWXU)?)
}

/// Who holds the limit of a sandbox whose directory is in `parent`: tried with a directory that is removed again.
///
/// # Errors
/// No directory can be made there.
pub fn held_by(parent: &Path) -> io::Result<Enforcement> {
    let path = parent.join(format!(".quota-probe-{}", std::process::id()));
    make_directory(&path)?;
    let held =
        COUNTED.iter().try_for_each(|name| std::fs::create_dir(path.join(name))).and_then(|()| {
            let state =
                open(&path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            Ok(hold(state.as_fd(), SandboxId::generate(), 1 << 20))
        });
    std::fs::remove_dir_all(&path)?;
    held
}

/// Has the file system hold `bytes` for the sandbox whose directory is `state`, and says who holds them.
pub(super) fn hold(state: BorrowedFd<'_>, id: SandboxId, bytes: u64) -> Enforcement {
    match try_hold(state, id, bytes) {
        Ok(true) => Enforcement::Quota,
        Ok(false) => Enforcement::Watched,
        Err(err) => {
            tracing::warn!(sandbox.id = %id, error = %err, "the file system does not hold the disk limit; it is watched");
            Enforcement::Watched
        }
    }
}

fn try_hold(state: BorrowedFd<'_>, id: SandboxId, bytes: u64) -> io::Result<bool> {
    let readable =
        openat(state, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    if btrfs::is_on(&readable)? {
        // INVARIANT: never the group of the whole file system: only a subvolume's root has this inode.
        if rustix::fs::fstat(&readable)?.st_ino != SUBVOLUME_INODE {
            return Ok(false);
        }
        return match btrfs::limit(readable.as_fd(), bytes.saturating_add(OWN_BYTES)) {
            Ok(()) => Ok(true),
            Err(err) if err.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(err) => Err(err),
        };
    }
    if !project_quota::is_held(readable.as_fd())? {
        return Ok(false);
    }
    let project = project(id);
    for name in COUNTED {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = openat(state, name, flags, Mode::empty())?;
        project_quota::assign(dir.as_fd(), project)?;
    }
    project_quota::limit(readable.as_fd(), project, bytes, bytes / BYTES_PER_FILE)?;
    Ok(true)
}

/// `BTRFS_FIRST_FREE_OBJECTID`: the inode of the root of every subvolume.
const SUBVOLUME_INODE: u64 = 256;

/// The project of a sandbox: the upper half of all ids, which no one gives out by hand, and there the random end of the
/// sandbox's id. Not its id range: that is given to the next sandbox while the trash still holds files of the last one.
fn project(id: SandboxId) -> u32 {
    let text = id.to_string();
    let tail = text.get(text.len().saturating_sub(8)..).unwrap_or_default();
    (1 << 31) | u32::from_str_radix(tail, 16).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_are_the_sandbox_s_own() {
        let ids: Vec<_> = (0..100).map(|_| SandboxId::generate()).collect();
        let projects: std::collections::BTreeSet<_> = ids.iter().map(|id| project(*id)).collect();
        assert_eq!(projects.len(), ids.len());
        assert!(projects.iter().all(|project| *project > 1 << 31));
    }

    #[test]
    fn s8_where_nothing_holds_it_the_limit_is_watched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("one");
        make_directory(&path).unwrap();
        assert_eq!(make_directory(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let proc = std::fs::File::open("/proc").unwrap();
        assert_eq!(hold(proc.as_fd(), SandboxId::generate(), 1), Enforcement::Watched);
    }
}
