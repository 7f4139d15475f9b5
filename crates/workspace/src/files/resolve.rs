//! From a path to descriptors, inside the workspace whatever the links say.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags},
    io::Errno,
};
use sandbar_types::WorkspacePath;

use super::{FileKind, Files, kind};
use crate::beneath;

/// LIMIT: links at the end of a path that are followed to write; the kernel follows 40 in all.
const LINKS_MAX: u32 = 40;

/// LIMIT: bytes of a path up to which links in it are followed; longer ones hold none, or are refused.
const RESOLVED_BYTES_MAX: usize = 4000;

const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

impl Files<'_> {
    /// Opens `path` inside, for naming only; links are followed unless the last one shall not be.
    fn open_path(&self, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        beneath::openat2(self.root, path, flags | OFlags::PATH, Mode::empty(), INSIDE)
    }

    /// The directory at `path`, links followed inside. Of the top where `path` is empty.
    pub(super) fn dir(&self, path: &[u8]) -> io::Result<OwnedFd> {
        if path.len() > RESOLVED_BYTES_MAX {
            return beneath::open_dir(self.root, path);
        }
        let path = if path.is_empty() { b"." } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        beneath::openat2(self.root, path, flags, Mode::empty(), INSIDE)
    }

    /// The directory that holds `path`, and its name there. The name itself is not resolved.
    pub(super) fn parent<'p>(&self, path: &'p WorkspacePath) -> io::Result<(OwnedFd, &'p [u8])> {
        let (dir, name) = split(path.as_bytes());
        Ok((self.dir(dir)?, name))
    }

    /// As [`Self::parent`], of what `path` leads to where it is a link, or a link to one.
    pub(super) fn target_parent(&self, path: &WorkspacePath) -> io::Result<(OwnedFd, Vec<u8>)> {
        let mut at = path.as_bytes().to_vec();
        for _ in 0..LINKS_MAX {
            let (dir, name) = split(&at);
            if matches!(name, b"" | b"." | b"..") {
                return Err(Errno::ISDIR.into());
            }
            let opened = self.dir(dir)?;
            match beneath::stat(&opened, name)? {
                Some(stat) if kind(&stat) == FileKind::Symlink => {
                    let target = beneath::read_link(&opened, name)?;
                    at = if target.first() == Some(&b'/') {
                        target
                    } else {
                        // Not resolved by text: the kernel resolves `..` after the links before it.
                        [dir, b"/", &target].concat()
                    };
                    if at.len() > RESOLVED_BYTES_MAX {
                        return Err(Errno::NAMETOOLONG.into());
                    }
                }
                Some(_) | None => return Ok((opened, name.to_vec())),
            }
        }
        Err(Errno::LOOP.into())
    }

    /// Opens the regular file at `path` for reading, links followed inside; `None` for something else.
    ///
    /// It is named first and asked what it is, then opened through that very descriptor: no swap comes between.
    pub(super) fn regular(&self, path: &WorkspacePath) -> io::Result<Option<std::fs::File>> {
        let named = if path.as_bytes().len() > RESOLVED_BYTES_MAX {
            let (dir, name) = beneath::open_parent(self.root, path)?;
            let flags = OFlags::PATH | OFlags::NOFOLLOW;
            beneath::openat2(&dir, name, flags, Mode::empty(), beneath::RESOLVE)?
        } else {
            self.open_path(path.as_bytes(), OFlags::empty())?
        };
        if kind(&rustix::fs::fstat(&named)?) != FileKind::File {
            return Ok(None);
        }
        let through = format!("/proc/self/fd/{}", named.as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::fs::open(through.as_str(), flags, Mode::empty())?;
        Ok(Some(std::fs::File::from(file)))
    }
}

/// The directory and the name in it.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(0) => (b"/", &path[1..]),
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}
