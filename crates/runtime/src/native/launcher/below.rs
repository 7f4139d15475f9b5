//! Paths below a directory that somebody else may have filled: no link is followed.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Component, Path},
};

use rustix::{
    fs::{Mode, OFlags, fchmod, mkdirat, openat},
    io::Errno,
};

/// How a directory is opened to go on from it.
pub(super) const DIRECTORY: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Walks down without following a link; `make` makes what is missing.
pub(super) fn walk(
    top: BorrowedFd<'_>,
    path: &Path,
    make: &mut dyn FnMut(BorrowedFd<'_>, &Path) -> io::Result<()>,
) -> io::Result<OwnedFd> {
    let mut dir = openat(top, ".", DIRECTORY, Mode::empty())?;
    for component in path.components() {
        let Component::Normal(name) = component else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let name = Path::new(name);
        dir = match openat(&dir, name, DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) => {
                make(dir.as_fd(), name)?;
                openat(&dir, name, DIRECTORY, Mode::empty())?
            }
            other => other?,
        };
    }
    Ok(dir)
}

/// Makes the file `path` with `content`, which everybody may read and nobody write, and the directories on the way.
pub(super) fn write(dir: BorrowedFd<'_>, path: &Path, content: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new(""));
    let dir =
        walk(dir, parent, &mut |dir, name| Ok(mkdirat(dir, name, Mode::from_raw_mode(0o755))?))?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let file = openat(
        &dir,
        Path::new(name),
        OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC,
        Mode::from_raw_mode(0o644),
    )?;
    fchmod(&file, Mode::from_raw_mode(0o444))?;
    std::io::Write::write_all(&mut std::fs::File::from(file), content)
}
