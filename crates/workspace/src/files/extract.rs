//! A tar archive into a directory.
//!
//! The framing is the `tar` crate's; not one path of the archive is given to it. Everything is made below the
//! directory, through no link, so that an archive that makes a link and then writes through it is refused.

use std::{
    io::Read,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};
use sandbar_types::WorkspacePath;

use super::{
    FileKind, Files, FilesError, Parents, failed, kind, shown,
    write::{NewFile, copy, unused_name},
};
use crate::{beneath, entry};

/// How much an archive may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtractLimits {
    /// LIMIT: entries.
    pub entries_max: u64,
    /// LIMIT: bytes of content in all, holes included.
    pub bytes_max: u64,
    /// LIMIT: bytes of the archive itself, long names and headers included.
    pub archive_bytes_max: u64,
}

/// What an archive made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtractOutcome {
    /// Files, directories and links made or replaced.
    pub entries: u64,
    /// Bytes of content.
    pub bytes: u64,
}

impl Files<'_> {
    /// Unpacks the tar archive `input` into the directory `path`, which is made if it is missing; `None` is the top.
    ///
    /// Each file appears whole. Setuid, setgid and sticky bits, owners and attributes are dropped; times are kept.
    /// A hard link becomes a file of its own.
    ///
    /// # Errors
    /// Names that are absolute or climb, names below a link, devices and fifos, hard links to what is not a file
    /// inside: the archive is refused at that entry. What came before it stays.
    pub fn extract(
        &self,
        path: Option<&WorkspacePath>,
        input: &mut impl Read,
        limits: &ExtractLimits,
    ) -> Result<ExtractOutcome, FilesError> {
        if let Some(path) = path {
            self.make_dir(path, Parents::Create)?;
        }
        let top = self.dir(path.map_or(b"", WorkspacePath::as_bytes));
        let top = top.map_err(failed(path))?;
        let mut outcome = ExtractOutcome::default();
        let mut archive = tar::Archive::new(input.take(limits.archive_bytes_max));
        for entry in archive.entries().map_err(FilesError::Stream)? {
            let mut entry = entry.map_err(FilesError::Stream)?;
            if outcome.entries == limits.entries_max {
                return Err(FilesError::TooMuch { what: "entries", limit: limits.entries_max });
            }
            let left = limits.bytes_max - outcome.bytes;
            if let Some(bytes) = self.unpack(top.as_fd(), &mut entry, left)? {
                outcome.entries += 1;
                outcome.bytes += bytes;
            }
        }
        Ok(outcome)
    }

    /// Makes what one entry says; `None` where it says nothing.
    fn unpack<R: Read>(
        &self,
        top: BorrowedFd<'_>,
        entry: &mut tar::Entry<'_, R>,
        bytes_max: u64,
    ) -> Result<Option<u64>, FilesError> {
        let name = entry.path_bytes().into_owned();
        let what = entry.header().entry_type();
        if what.is_pax_global_extensions() {
            return Ok(None);
        }
        let Some(path) = checked(&name)? else {
            return Ok(None);
        };
        let mode = entry.header().mode().unwrap_or(0o644) & 0o777;
        if what.is_dir() {
            self.open_or_make(top, path.as_bytes(), &path, Some(mode))?;
            return Ok(Some(0));
        }
        let parent = path.parent();
        let parent = parent.as_ref().map_or(&b""[..], WorkspacePath::as_bytes);
        let dir = self.open_or_make(top, parent, &path, None)?;
        let failed = failed(Some(&path));
        if what.is_symlink() {
            let target = entry.link_name_bytes().unwrap_or_default();
            self.link(dir.as_fd(), path.name(), &target).map_err(&failed)?;
            return Ok(Some(0));
        }
        let times = entry.header().mtime().ok();
        if what.is_hard_link() {
            let target = entry.link_name_bytes().unwrap_or_default().into_owned();
            let (mut file, mode) = linked(top, &target, &name)?;
            let made = Made { mode, times, bytes_max };
            return self.file(dir.as_fd(), &path, &mut file, &made).map(Some);
        }
        if !(what.is_file() || what.is_contiguous() || what.is_gnu_sparse()) {
            return Err(refused(&name, "only files, directories and links can be in a workspace"));
        }
        let made = Made { mode, times, bytes_max };
        self.file(dir.as_fd(), &path, entry, &made).map(Some)
    }

    fn file(
        &self,
        dir: BorrowedFd<'_>,
        path: &WorkspacePath,
        content: &mut impl Read,
        made: &Made,
    ) -> Result<u64, FilesError> {
        let failed = failed(Some(path));
        require_no_directory(dir, path)?;
        let new = NewFile::create(dir).map_err(&failed)?;
        let bytes = copy(content, &new.file, made.bytes_max, &failed)?;
        self.own(new.file.as_fd(), made.mode).map_err(&failed)?;
        if let Some(seconds) = made.times {
            let time = Timespec { tv_sec: i64::try_from(seconds).unwrap_or(0), tv_nsec: 0 };
            let times = Timestamps { last_access: time, last_modification: time };
            rustix::fs::futimens(&new.file, &times).map_err(|errno| failed(errno.into()))?;
        }
        new.publish(path.name()).map_err(&failed)?;
        Ok(bytes)
    }

    /// Makes a link beside, and puts it in the place of what is there.
    fn link(&self, dir: BorrowedFd<'_>, name: &[u8], target: &[u8]) -> std::io::Result<()> {
        let beside = unused_name();
        rustix::fs::symlinkat(beneath::as_path(target), dir, beside.as_str())?;
        let (uid, gid) = self.owner();
        let owned = rustix::fs::chownat(
            dir,
            beside.as_str(),
            Some(uid),
            Some(gid),
            AtFlags::SYMLINK_NOFOLLOW,
        );
        let placed = owned
            .and_then(|()| rustix::fs::renameat(dir, beside.as_str(), dir, beneath::as_path(name)));
        if placed.is_err() {
            let _gone = rustix::fs::unlinkat(dir, beside.as_str(), AtFlags::empty());
        }
        Ok(placed?)
    }

    /// Opens the directory `at` below `top`, through no link; makes what is missing of it.
    fn open_or_make(
        &self,
        top: BorrowedFd<'_>,
        at: &[u8],
        entry: &WorkspacePath,
        mode: Option<u32>,
    ) -> Result<OwnedFd, FilesError> {
        let failed = failed(Some(entry));
        let mut dir = beneath::open_dir(top, b"").map_err(&failed)?;
        for name in at.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            let there = beneath::stat(&dir, name).map_err(&failed)?;
            match there.as_ref().map(kind) {
                Some(FileKind::Directory) => {}
                None => self.make_dir_in(dir.as_fd(), name).map_err(&failed)?,
                Some(FileKind::File | FileKind::Symlink | FileKind::Special) => {
                    let path = shown(Some(entry));
                    return Err(refused(path.as_bytes(), "a link or a file is on the way"));
                }
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            dir = beneath::openat2(&dir, name, flags, Mode::empty(), beneath::RESOLVE)
                .map_err(&failed)?;
        }
        if let Some(mode) = mode {
            self.own(dir.as_fd(), mode).map_err(&failed)?;
        }
        Ok(dir)
    }
}

/// What a file is given besides its content.
struct Made {
    mode: u32,
    /// Seconds since 1970.
    times: Option<u64>,
    bytes_max: u64,
}

/// The name of an entry as a path; `None` for the top itself.
fn checked(name: &[u8]) -> Result<Option<WorkspacePath>, FilesError> {
    match WorkspacePath::parse(name) {
        Ok(path) => Ok(Some(path)),
        Err(sandbar_types::InvalidPath::Empty) => Ok(None),
        Err(_) => Err(refused(name, "it is not a path below the directory")),
    }
}

/// The file that a hard link of an archive names, which came before it.
fn linked(
    top: BorrowedFd<'_>,
    target: &[u8],
    name: &[u8],
) -> Result<(std::fs::File, u32), FilesError> {
    let no_file = || refused(name, "it is a hard link to what is no file of the archive");
    let path = WorkspacePath::parse(target).map_err(|_| no_file())?;
    let (dir, last) = beneath::open_parent(top, &path).map_err(|_| no_file())?;
    let (file, stat) = beneath::open_file(&dir, last).map_err(|_| no_file())?;
    Ok((file, entry::Stamp::of(&stat).permissions() & 0o777))
}

fn require_no_directory(dir: BorrowedFd<'_>, path: &WorkspacePath) -> Result<(), FilesError> {
    let there = beneath::stat(dir, path.name()).map_err(failed(Some(path)))?;
    if there.as_ref().map(kind) == Some(FileKind::Directory) {
        let (path, expected) = (shown(Some(path)), "a file");
        return Err(FilesError::WrongKind { path, expected });
    }
    Ok(())
}

fn refused(name: &[u8], why: &'static str) -> FilesError {
    let path = name.escape_ascii().to_string();
    FilesError::Refused { path, why }
}
