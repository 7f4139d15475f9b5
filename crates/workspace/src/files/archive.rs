//! A directory as a tar archive.

use std::{
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd},
};

use rustix::fs::Stat;
use sandbar_types::WorkspacePath;

use super::{FileKind, Files, FilesError, failed, kind, shown};
use crate::{
    beneath,
    entry::Stamp,
    tree::{self, Tree},
};

/// How large an archive may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// LIMIT: entries.
    pub entries_max: u64,
    /// LIMIT: bytes of content in all, holes included.
    pub bytes_max: u64,
}

/// What an archive holds, and what it does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct ArchiveOutcome {
    /// Entries written.
    pub entries: u64,
    /// Fifos, sockets and devices, which are left out: paths below the archived directory.
    pub left_out: Vec<Vec<u8>>,
}

impl Files<'_> {
    /// Writes what `path` is, or holds where it is a directory, as a tar archive; `None` is the top.
    ///
    /// Names are relative to the directory; a single file has its own name. Links are archived, not followed.
    /// Owners are not part of it.
    ///
    /// # Errors
    /// A limit; a file that cannot be read. What is written by then is no whole archive.
    pub fn archive(
        &self,
        path: Option<&WorkspacePath>,
        out: &mut impl Write,
        limits: &ArchiveLimits,
    ) -> Result<ArchiveOutcome, FilesError> {
        let failed = failed(path);
        let is_dir = self.stat(path)?.kind == FileKind::Directory;
        let (top, first) = match path {
            Some(path) if !is_dir => {
                let (dir, name) = self.parent(path).map_err(&failed)?;
                (dir, vec![name.to_vec()])
            }
            Some(_) | None => {
                let dir = self.dir(path.map_or(b"", WorkspacePath::as_bytes)).map_err(&failed)?;
                let names = beneath::list(&dir).map_err(&failed)?;
                (dir, names)
            }
        };
        let mut tree = Tree::new(top.as_fd()).map_err(&failed)?;
        let mut archive = Archive {
            tar: tar::Builder::new(out),
            limits,
            bytes_left: limits.bytes_max,
            outcome: ArchiveOutcome::default(),
        };
        let mut pending: Vec<Vec<u8>> = first.into_iter().rev().collect();
        while let Some(path) = pending.pop() {
            let at = |error: Failed| error.at(&path);
            let (above, name) = match path.iter().rposition(|byte| *byte == b'/') {
                Some(cut) => (&path[..cut], &path[cut + 1..]),
                None => (&b""[..], &path[..]),
            };
            let dir = tree.dir(above).map_err(|e| at(Failed::Read(e)))?;
            let Some(dir) = dir else { continue };
            if archive.add(dir, name, &path).map_err(at)? == FileKind::Directory
                && let Some(dir) = tree.dir(&path).map_err(|e| at(Failed::Read(e)))?
            {
                let names = beneath::list(dir).map_err(|e| at(Failed::Read(e)))?;
                pending.extend(names.iter().rev().map(|name| tree::join(&path, name)));
            }
        }
        archive.tar.finish().map_err(FilesError::Stream)?;
        Ok(archive.outcome)
    }
}

enum Failed {
    Read(io::Error),
    Write(io::Error),
    TooMuch(&'static str, u64),
}

impl Failed {
    fn at(self, path: &[u8]) -> FilesError {
        match self {
            Self::Read(source) => {
                FilesError::Io { path: shown(WorkspacePath::parse(path).ok().as_ref()), source }
            }
            Self::Write(source) => FilesError::Stream(source),
            Self::TooMuch(what, limit) => FilesError::TooMuch { what, limit },
        }
    }
}

struct Archive<'a, W: Write> {
    tar: tar::Builder<W>,
    limits: &'a ArchiveLimits,
    bytes_left: u64,
    outcome: ArchiveOutcome,
}

impl<W: Write> Archive<'_, W> {
    /// Adds one entry, and says what it is. What is gone meanwhile counts as a file that is not there.
    fn add(&mut self, dir: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<FileKind, Failed> {
        let Some(stat) = beneath::stat(dir, name).map_err(Failed::Read)? else {
            return Ok(FileKind::File);
        };
        let what = kind(&stat);
        if what == FileKind::Special {
            self.outcome.left_out.push(path.to_vec());
            return Ok(what);
        }
        if self.outcome.entries == self.limits.entries_max {
            return Err(Failed::TooMuch("entries", self.limits.entries_max));
        }
        self.outcome.entries += 1;
        let at = beneath::as_path(path);
        let mut header = header(&stat);
        match what {
            FileKind::Directory => {
                header.set_entry_type(tar::EntryType::Directory);
                let added = self.tar.append_data(&mut header, at, io::empty());
                added.map_err(Failed::Write)?;
            }
            FileKind::Symlink => {
                let target = beneath::read_link(dir, name).map_err(Failed::Read)?;
                header.set_entry_type(tar::EntryType::Symlink);
                let added = self.tar.append_link(&mut header, at, beneath::as_path(&target));
                added.map_err(Failed::Write)?;
            }
            FileKind::File => {
                let (file, stat) = beneath::open_file(dir, name).map_err(Failed::Read)?;
                let size = Stamp::of(&stat).size;
                let left = self.bytes_left.checked_sub(size);
                self.bytes_left = left.ok_or(Failed::TooMuch("bytes", self.limits.bytes_max))?;
                header.set_size(size);
                header.set_entry_type(tar::EntryType::Regular);
                // Exactly the announced size, whatever is written to the file meanwhile.
                let content = file.chain(io::repeat(0)).take(size);
                let added = self.tar.append_data(&mut header, at, content);
                added.map_err(Failed::Write)?;
            }
            FileKind::Special => {}
        }
        Ok(what)
    }
}

fn header(stat: &Stat) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    let stamp = Stamp::of(stat);
    header.set_mode(stamp.permissions() & 0o777);
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}
