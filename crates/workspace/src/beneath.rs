//! Reaching things below a directory descriptor, and nothing else.
//!
//! Every call resolves with `openat2` (see openat2(2)) below a descriptor, follows no link, and crosses no mount.
//! Paths longer than `PATH_MAX` work: they are walked in pieces. Nothing here blocks on a fifo or opens a device.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};
use sandbar_types::WorkspacePath;

/// How every path is resolved: below the directory, through no link, on one mount.
pub const RESOLVE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

/// LIMIT: bytes of path in one call of the kernel, less than `PATH_MAX` so that a piece always fits.
const PIECE_BYTES: usize = 3072;

/// LIMIT: repetitions of a call that lost a race against a rename (`EAGAIN`).
const RETRIES: u32 = 64;

/// Calls openat2(2), again where the kernel says that a rename was in the way.
///
/// # Errors
/// What the kernel says.
pub fn openat2(
    dir: impl AsFd,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
    resolve: ResolveFlags,
) -> io::Result<OwnedFd> {
    let mut left = RETRIES;
    loop {
        match rustix::fs::openat2(
            dir.as_fd(),
            as_path(path),
            flags | OFlags::CLOEXEC,
            mode,
            resolve,
        ) {
            Err(Errno::AGAIN | Errno::INTR) if left > 0 => left -= 1,
            other => return other.map_err(io::Error::from),
        }
    }
}

/// Opens the directory `path` below `root` for reading; the empty path is `root` itself.
///
/// # Errors
/// `NotFound`, `NotADirectory`; `ELOOP` for a link; `EXDEV` for another mount.
pub fn open_dir(root: impl AsFd, path: &[u8]) -> io::Result<OwnedFd> {
    open_dir_as(root, path, OFlags::RDONLY)
}

/// As [`open_dir`], with `O_PATH`: for being a base of other calls only, of directories that cannot be read too.
///
/// # Errors
/// As [`open_dir`].
pub fn open_dir_path(root: impl AsFd, path: &[u8]) -> io::Result<OwnedFd> {
    open_dir_as(root, path, OFlags::PATH)
}

fn open_dir_as(root: impl AsFd, path: &[u8], access: OFlags) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let mut rest = path;
    let mut at: Option<OwnedFd> = None;
    while rest.len() > PIECE_BYTES {
        let cut = rest[..PIECE_BYTES].iter().rposition(|b| *b == b'/');
        let cut = cut.ok_or(Errno::NAMETOOLONG)?;
        let base = at.as_ref().map_or_else(|| root.as_fd(), AsFd::as_fd);
        let next = openat2(base, &rest[..cut], flags | OFlags::PATH, Mode::empty(), RESOLVE)?;
        at = Some(next);
        rest = &rest[cut + 1..];
    }
    let base = at.as_ref().map_or_else(|| root.as_fd(), AsFd::as_fd);
    let last = if rest.is_empty() { b"." } else { rest };
    openat2(base, last, flags | access, Mode::empty(), RESOLVE)
}

/// Opens the directory that holds `path`, for reading, and returns it with the name of `path` in it.
///
/// # Errors
/// As [`open_dir`].
pub fn open_parent(root: impl AsFd, path: &WorkspacePath) -> io::Result<(OwnedFd, &[u8])> {
    let name = path.name();
    let bytes = path.as_bytes();
    let parent = &bytes[..bytes.len().saturating_sub(name.len() + 1)];
    Ok((open_dir(root, parent)?, name))
}

/// Opens the regular file `name` of `dir` for reading, with what it is.
///
/// It is asked first what it is, so that no device is opened and no fifo waited for, and again once it is open.
///
/// # Errors
/// `InvalidInput` for what is not a regular file; `NotFound`; `EXDEV` where something is mounted on it.
pub fn open_file(dir: impl AsFd, name: &[u8]) -> io::Result<(File, Stat)> {
    let dir = dir.as_fd();
    let before = stat(dir, name)?.ok_or(Errno::NOENT)?;
    require_regular(&before)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = openat2(dir, name, flags, Mode::empty(), RESOLVE)?;
    let stat = rustix::fs::fstat(&file)?;
    require_regular(&stat)?;
    Ok((File::from(file), stat))
}

fn require_regular(stat: &Stat) -> io::Result<()> {
    if file_type(stat) == FileType::RegularFile {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
}

/// What `name` of `dir` is, links not followed; `None` where nothing is.
///
/// # Errors
/// What the kernel says, other than that nothing is there.
pub fn stat(dir: impl AsFd, name: &[u8]) -> io::Result<Option<Stat>> {
    match rustix::fs::statat(dir, as_path(name), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// The target of the link `name` of `dir`.
///
/// # Errors
/// `InvalidInput` for what is not a link.
pub fn read_link(dir: impl AsFd, name: &[u8]) -> io::Result<Vec<u8>> {
    let target = rustix::fs::readlinkat(dir, as_path(name), Vec::new())?;
    Ok(target.into_bytes())
}

/// The names in the directory, sorted by their bytes, without `.` and `..`.
///
/// # Errors
/// What the kernel says.
pub fn list(dir: impl AsFd) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The type in a mode.
#[must_use]
pub fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Bytes as the kernel's calls want them. One component, or a path that is known to be short.
#[must_use]
pub fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Whether the error says that nothing is at the path, or that something on the way is no directory.
#[must_use]
pub fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw_os_error),
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
    )
}

/// Opens the directory that holds `path` and runs `f` with it; `None` where there is no such directory.
///
/// # Errors
/// As [`open_dir`], other than absence, and what `f` returns.
pub fn in_parent<T>(
    root: BorrowedFd<'_>,
    path: &WorkspacePath,
    f: impl FnOnce(BorrowedFd<'_>, &[u8]) -> io::Result<Option<T>>,
) -> io::Result<Option<T>> {
    match open_parent(root, path) {
        Ok((dir, name)) => f(dir.as_fd(), name),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The link leads to a place below the same root, where nothing but the ban on links stops it.
    #[test]
    fn a_link_that_stays_below_is_not_followed_either() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        std::fs::write(dir.path().join("real/file"), "x").unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("real/file", dir.path().join("alias")).unwrap();
        let root = File::open(dir.path()).unwrap();
        assert!(open_dir(&root, b"real").is_ok());
        assert!(open_dir(&root, b"link").is_err());
        assert!(open_dir_path(&root, b"link").is_err());
        let resolved = openat2(&root, b"link/file", OFlags::PATH, Mode::empty(), RESOLVE);
        assert_eq!(resolved.unwrap_err().raw_os_error(), Some(Errno::LOOP.raw_os_error()));
        let path = WorkspacePath::parse("link/file").unwrap();
        assert!(open_parent(&root, &path).is_err());
        assert!(open_file(&root, b"alias").is_err());
    }

    #[test]
    fn nothing_above_is_reached() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("root")).unwrap();
        let root = File::open(dir.path().join("root")).unwrap();
        for path in [b"..".as_slice(), b"/", b"../root", b"/proc/self/root"] {
            assert!(open_dir(&root, path).is_err(), "{path:?}");
        }
    }
}
