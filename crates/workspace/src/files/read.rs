//! Looking at files and reading them.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    ops::Range,
};

use sandbar_types::{LinkTarget, WorkspacePath};

use super::{FileKind, FileStat, Files, FilesError, failed, kind, shown};
use crate::beneath;

/// What a directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Its entries, ordered by the bytes of their names.
    pub entries: Vec<Listed>,
    /// There are more than were asked for.
    pub is_truncated: bool,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name, any bytes.
    pub name: Vec<u8>,
    /// What it is, links not followed.
    pub stat: FileStat,
}

impl Files<'_> {
    /// What is at `path`; a link at its end is not followed. `None` is the top.
    ///
    /// # Errors
    /// Nothing is there.
    pub fn stat(&self, path: Option<&WorkspacePath>) -> Result<FileStat, FilesError> {
        let failed = failed(path);
        let Some(at) = path else {
            let stat = rustix::fs::fstat(self.root).map_err(|errno| failed(errno.into()))?;
            return Ok(FileStat::of(&stat));
        };
        let (dir, name) = self.parent(at).map_err(&failed)?;
        let found = stat_in(&dir, name).map_err(&failed)?;
        found.ok_or_else(|| FilesError::NotFound { path: shown(path) })
    }

    /// What the directory at `path` holds, at most `entries_max` entries.
    ///
    /// # Errors
    /// It is not a directory.
    pub fn list(
        &self,
        path: Option<&WorkspacePath>,
        entries_max: usize,
    ) -> Result<Listing, FilesError> {
        let failed = failed(path);
        let dir = self.dir(path.map_or(b"", WorkspacePath::as_bytes));
        let dir = dir.map_err(|error| self.explain(path, error))?;
        let mut names = beneath::list(&dir).map_err(&failed)?;
        let is_truncated = names.len() > entries_max;
        names.truncate(entries_max);
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            // What went meanwhile is not there.
            if let Some(stat) = stat_in(&dir, &name).map_err(&failed)? {
                entries.push(Listed { name, stat });
            }
        }
        Ok(Listing { entries, is_truncated })
    }

    /// Opens the regular file at `path`, links followed inside.
    ///
    /// # Errors
    /// It is not a regular file.
    pub fn open(&self, path: &WorkspacePath) -> Result<(File, FileStat), FilesError> {
        let failed = failed(Some(path));
        let file = self.regular(path).map_err(&failed)?;
        let file = file
            .ok_or_else(|| FilesError::WrongKind { path: shown(Some(path)), expected: "a file" })?;
        let stat = rustix::fs::fstat(&file).map_err(|errno| failed(errno.into()))?;
        Ok((file, FileStat::of(&stat)))
    }

    /// Reads the bytes `range` of the file at `path`, as far as there are any.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn read(&self, path: &WorkspacePath, range: Range<u64>) -> Result<Vec<u8>, FilesError> {
        let failed = failed(Some(path));
        let (mut file, _) = self.open(path)?;
        file.seek(SeekFrom::Start(range.start)).map_err(&failed)?;
        let mut bytes = Vec::new();
        let len = range.end.saturating_sub(range.start);
        file.take(len).read_to_end(&mut bytes).map_err(&failed)?;
        Ok(bytes)
    }

    /// Tells a path that is no directory from one that is not there: the kernel says `ENOTDIR` for both.
    fn explain(&self, path: Option<&WorkspacePath>, error: std::io::Error) -> FilesError {
        let there = path.is_some_and(|path| self.stat(Some(path)).is_ok());
        if there && error.kind() == std::io::ErrorKind::NotADirectory {
            return FilesError::WrongKind { path: shown(path), expected: "a directory" };
        }
        failed(path)(error)
    }
}

fn stat_in(dir: impl std::os::fd::AsFd, name: &[u8]) -> std::io::Result<Option<FileStat>> {
    let dir = dir.as_fd();
    let Some(stat) = beneath::stat(dir, name)? else {
        return Ok(None);
    };
    let mut found = FileStat::of(&stat);
    if kind(&stat) == FileKind::Symlink {
        found.target = beneath::read_link(dir, name).ok().map(LinkTarget);
    }
    Ok(Some(found))
}
