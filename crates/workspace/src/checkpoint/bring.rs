//! Writing through a merged view what another view of the same workspace has.
//!
//! Each path is brought to its end state for itself, so that it can be repeated, after a crash too, until it is done.
//! Nothing is followed, and sockets are left alone: only the program that made one can make it again.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, Stat},
    io::Errno,
};
use sandbar_types::WorkspacePath;

use super::copy::{self, Attributes};
use crate::{beneath, entry, put::TEMPORARY};

/// What is to be at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// What the other view has there, or nothing where it has nothing.
    Take,
    /// This text, with these bits, in the file that is there.
    Text {
        /// The text.
        text: Vec<u8>,
        /// The permission bits.
        mode: u32,
    },
}

/// Why a workspace could not be brought to another state. Some paths may be; repeating it goes on.
#[derive(Debug, thiserror::Error)]
#[error("failed to write `{path}`")]
pub struct BringError {
    /// Which path.
    pub path: WorkspacePath,
    /// What the kernel said.
    #[source]
    pub source: io::Error,
}

/// Does `deeds` to `merged`, taking from `wanted`. A directory stays where something that nobody named is in it.
///
/// # Errors
/// See [`BringError`].
pub fn bring(
    merged: BorrowedFd<'_>,
    wanted: BorrowedFd<'_>,
    deeds: &BTreeMap<WorkspacePath, Deed>,
) -> Result<(), BringError> {
    let bring = Bring { merged, wanted };
    let failed = |path: &WorkspacePath| {
        let path = path.clone();
        move |source| BringError { path, source }
    };
    // What has to go goes first, the deepest first, so that a directory is empty when it goes.
    for path in deeds.iter().rev().filter(|(_, deed)| **deed == Deed::Take).map(|(path, _)| path) {
        bring.clear(path).map_err(failed(path))?;
    }
    for (path, deed) in deeds {
        match deed {
            Deed::Take => bring.fill(path),
            Deed::Text { text, mode } => bring.text(path, text, *mode),
        }
        .map_err(failed(path))?;
    }
    // Directories last: their bits might have kept us out, and filling them moved their times.
    for path in deeds.iter().rev().filter(|(_, deed)| **deed == Deed::Take).map(|(path, _)| path) {
        bring.finish(path).map_err(failed(path))?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
struct Bring<'a> {
    merged: BorrowedFd<'a>,
    wanted: BorrowedFd<'a>,
}

impl Bring<'_> {
    /// What is wanted at `path`, with the directory that holds it.
    fn wanted(self, path: &WorkspacePath) -> io::Result<Option<(OwnedFd, Stat)>> {
        beneath::in_parent(self.wanted, path, |dir, name| {
            let Some(stat) = beneath::stat(dir, name)? else {
                return Ok(None);
            };
            Ok(Some((dir.try_clone_to_owned()?, stat)))
        })
    }

    /// The directory of the workspace that holds `path`, and what it has there; `None` where there is no such directory.
    fn there(self, path: &WorkspacePath) -> io::Result<Option<(OwnedFd, Option<Stat>)>> {
        match beneath::open_parent(self.merged, path) {
            Ok((dir, name)) => {
                let stat = beneath::stat(&dir, name)?;
                Ok(Some((dir, stat)))
            }
            Err(error) if beneath::is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes what is there where nothing is wanted, or where a directory meets something else.
    fn clear(self, path: &WorkspacePath) -> io::Result<()> {
        let Some((dir, Some(stat))) = self.there(path)? else {
            return Ok(());
        };
        let is_directory = |stat: &Stat| beneath::file_type(stat) == FileType::Directory;
        let wanted = self.wanted(path)?;
        let is_replaced =
            wanted.is_some_and(|(_, wanted)| is_directory(&wanted) == is_directory(&stat));
        if is_replaced || beneath::file_type(&stat) == FileType::Socket {
            return Ok(());
        }
        let flags = if is_directory(&stat) { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        match rustix::fs::unlinkat(&dir, beneath::as_path(path.name()), flags) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Makes what is wanted.
    fn fill(self, path: &WorkspacePath) -> io::Result<()> {
        let Some((from, stat)) = self.wanted(path)? else {
            return Ok(());
        };
        let name = path.name();
        let (dir, is) = self.there(path)?.ok_or(Errno::NOENT)?;
        let kind = beneath::file_type(&stat);
        if is.as_ref().is_some_and(|is| beneath::file_type(is) == FileType::Socket) {
            return Ok(());
        }
        match kind {
            FileType::Directory => {
                match rustix::fs::mkdirat(&dir, beneath::as_path(name), Mode::RWXU) {
                    Ok(()) => Ok(()),
                    Err(Errno::EXIST) if is.is_some_and(|is| beneath::file_type(&is) == kind) => {
                        Ok(())
                    }
                    Err(errno) => Err(errno.into()),
                }
            }
            FileType::RegularFile => {
                let (source, stat) = beneath::open_file(&from, name)?;
                discard(&dir)?;
                let target = copy::create(dir.as_fd(), TEMPORARY)?;
                copy::content(&source, &stat, &target)?;
                drop(target);
                self.dressed(&from, &dir, name, &stat)
            }
            FileType::Symlink | FileType::Fifo => {
                discard(&dir)?;
                copy::special((from.as_fd(), name), (dir.as_fd(), TEMPORARY), &stat)?;
                self.dressed(&from, &dir, name, &stat)
            }
            // A checkpoint holds none, and the source's own cannot be made again.
            FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => Ok(()),
        }
    }

    fn dressed(self, from: &OwnedFd, dir: &OwnedFd, name: &[u8], stat: &Stat) -> io::Result<()> {
        let (from, to) = ((from.as_fd(), name), (dir.as_fd(), TEMPORARY));
        copy::dress(from, to, stat, Attributes::Shown)?;
        finish(dir, name)
    }

    /// Puts `text` into the place of the file at `path`, which stays whose it is.
    fn text(self, path: &WorkspacePath, text: &[u8], mode: u32) -> io::Result<()> {
        let name = path.name();
        let (dir, is) = self.there(path)?.ok_or(Errno::NOENT)?;
        let mut stat = is.ok_or(Errno::NOENT)?;
        // Whoever repeats it has nothing to do.
        let is_done = stat.st_mode & 0o7777 == mode
            && u64::try_from(stat.st_size).is_ok_and(|size| size == text.len() as u64)
            && entry::hash(beneath::open_file(&dir, name)?.0)? == entry::hash(text)?;
        if is_done {
            return Ok(());
        }
        discard(&dir)?;
        let mut target = copy::create(dir.as_fd(), TEMPORARY)?;
        target.write_all(text)?;
        let written = rustix::fs::fstat(&target)?;
        drop(target);
        stat.st_mode = (stat.st_mode & !0o7777) | mode;
        (stat.st_mtime, stat.st_mtime_nsec) = (written.st_mtime, written.st_mtime_nsec);
        self.dressed(&dir, &dir, name, &stat)
    }

    /// Gives a directory the owner, bits, attributes and times that are wanted.
    fn finish(self, path: &WorkspacePath) -> io::Result<()> {
        let Some((from, stat)) = self.wanted(path)? else {
            return Ok(());
        };
        let Some((dir, Some(is))) = self.there(path)? else {
            return Ok(());
        };
        let is_directory =
            [&stat, &is].iter().all(|stat| beneath::file_type(stat) == FileType::Directory);
        if !is_directory {
            return Ok(());
        }
        let name = path.name();
        copy::dress((from.as_fd(), name), (dir.as_fd(), name), &stat, Attributes::Shown)
    }
}

/// Removes what an interrupted one left.
fn discard(dir: &OwnedFd) -> io::Result<()> {
    match rustix::fs::unlinkat(dir, beneath::as_path(TEMPORARY), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn finish(dir: &OwnedFd, name: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::renameat(dir, beneath::as_path(TEMPORARY), dir, beneath::as_path(name))?)
}
