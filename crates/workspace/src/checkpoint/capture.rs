//! Copying what a writable layer has otherwise than at the capture before. The sandbox must be frozen or stopped.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::{
    fs::{FileType, Mode, Stat},
    io::Errno,
};
use sandbar_linux::writeback;

use super::{
    copy::{self, Attributes, Content, blocks},
    manifest::{Held, Manifest},
    path::{ancestors, split},
};
use crate::{
    beneath,
    entry::Stamp,
    tree::{self, Tree},
};

/// A file that was written in the last moments before a capture is copied again by the next one: the kernel's clock of
/// files moves in ticks of up to 10 ms, and a write in the same tick moves no mark.
const TICK_NS: i64 = 20_000_000;
const TMPFS: i64 = 0x0102_1994;

/// What a capture did.
#[derive(Debug, Default)]
pub struct Captured {
    /// Bytes on disk of what was copied; what the captures before have does not count.
    pub bytes: u64,
    /// Files that were copied.
    pub copied: u64,
    /// Files that a capture before has.
    pub shared: u64,
    /// Sockets and devices, which are left out: only the program that made a socket can make it again.
    pub left_out: u64,
    /// Everything that the layer consists of, for the next capture and for putting it together again.
    pub manifest: Manifest,
    /// What [`super::make_durable`] has to bring to the disk: files whose content was written.
    pub(super) written: Vec<Vec<u8>>,
    /// The same: files that share their content with the living ones, which is on the disk.
    pub(super) cloned: Vec<Vec<u8>>,
    /// The same: directories, the top included.
    pub(super) directories: BTreeSet<Vec<u8>>,
}

/// Why a layer could not be captured. Nothing is ever left out instead.
#[derive(Debug, thiserror::Error)]
#[error("cannot capture `{path}`")]
pub struct CaptureError {
    /// Which path, with what is not UTF-8 replaced.
    pub path: String,
    /// What the kernel says.
    #[source]
    pub source: io::Error,
}

impl CaptureError {
    /// For `map_err`: the error at `path`.
    pub(super) fn at(path: &[u8]) -> impl FnOnce(io::Error) -> Self {
        let path = if path.is_empty() { b"." } else { path };
        move |source| Self { path: String::from_utf8_lossy(path).into_owned(), source }
    }
}

/// Copies into the empty directory `into` what the layer `upper` has otherwise than `previous`, with the directories on
/// the way. A living file is never shared, because it changes in place.
///
/// # Errors
/// See [`CaptureError`]; what was copied until then is left to the caller.
pub fn capture(
    upper: BorrowedFd<'_>,
    into: BorrowedFd<'_>,
    previous: Option<&Manifest>,
) -> Result<Captured, CaptureError> {
    let mut capture = Capture::new(upper, into, previous).map_err(CaptureError::at(b""))?;
    let mut pending = vec![Vec::new()];
    while let Some(path) = pending.pop() {
        capture.directory(&path, &mut pending)?;
    }
    // Dressed last, because bits may forbid to fill them.
    let directories = std::mem::take(&mut capture.captured.directories);
    for path in directories.iter().rev() {
        capture.dress_directory(path).map_err(CaptureError::at(path))?;
    }
    Ok(Captured { directories, ..capture.captured })
}

struct Capture<'a> {
    from: Tree,
    to: Tree,
    into: BorrowedFd<'a>,
    previous: Option<&'a Manifest>,
    /// Files with several names, by inode, and where the first of them was copied to.
    linked: BTreeMap<u64, Vec<u8>>,
    /// What is newer is not surely told from what comes next.
    settled_ns: i64,
    /// Whether a write through a mapping shows in the marks of a file.
    has_marks: bool,
    captured: Captured,
}

impl<'a> Capture<'a> {
    fn new(
        upper: BorrowedFd<'_>,
        into: BorrowedFd<'a>,
        previous: Option<&'a Manifest>,
    ) -> io::Result<Self> {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        let now_ns = now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec);
        #[expect(
            clippy::useless_conversion,
            reason = "the kernel's word has another size elsewhere"
        )]
        let kind = i64::from(rustix::fs::fstatfs(upper)?.f_type);
        let mut this = Self {
            from: Tree::new(upper)?,
            to: Tree::new(into)?,
            into,
            previous,
            linked: BTreeMap::new(),
            settled_ns: now_ns - TICK_NS,
            // tmpfs moves no time when a mapping of a file is written to.
            has_marks: kind != TMPFS,
            captured: Captured::default(),
        };
        this.captured.directories.insert(Vec::new());
        let top = this.held(&rustix::fs::fstat(upper)?);
        this.captured.manifest.add(Vec::new(), top);
        Ok(this)
    }

    fn held(&self, stat: &Stat) -> Held {
        let stamp = Stamp::of(stat);
        let has_marks = self.has_marks || stamp.file_type() != FileType::RegularFile;
        Held { stamp, is_sure: has_marks && stamp.ctime_ns < self.settled_ns }
    }

    fn directory(&mut self, path: &[u8], pending: &mut Vec<Vec<u8>>) -> Result<(), CaptureError> {
        let dir = self.from.dir(path).map_err(CaptureError::at(path))?;
        let dir = dir.ok_or_else(|| CaptureError::at(path)(Errno::NOENT.into()))?;
        for name in beneath::list(dir).map_err(CaptureError::at(path))? {
            let full = tree::join(path, &name);
            let held = self.object(path, &name, &full).map_err(CaptureError::at(&full))?;
            if held.is(FileType::Directory) {
                pending.push(full.clone());
            }
            self.captured.manifest.add(full, held);
        }
        Ok(())
    }

    /// Copies one object, unless a capture before has it.
    fn object(&mut self, parent: &[u8], name: &[u8], path: &[u8]) -> io::Result<Held> {
        let from = self.from.dir(parent)?.ok_or(Errno::NOENT)?;
        let stat = beneath::stat(from, name)?.ok_or(Errno::NOENT)?;
        let kind = beneath::file_type(&stat);
        let held = match kind {
            FileType::CharacterDevice if stat.st_rdev == 0 => Held::DELETION,
            // In its place a mark of a deletion, or what it hides would be there.
            FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice => {
                self.captured.left_out += 1;
                Held::DELETION
            }
            FileType::Unknown => return Err(io::ErrorKind::Unsupported.into()),
            FileType::RegularFile | FileType::Directory | FileType::Symlink | FileType::Fifo => {
                self.held(&stat)
            }
        };
        if self.previous.is_some_and(|previous| previous.is_same(path, &held.stamp)) {
            self.captured.shared += u64::from(kind == FileType::RegularFile);
            return Ok(held);
        }
        if kind == FileType::Directory {
            self.make(path)?;
            return Ok(held);
        }
        self.make(parent)?;
        if kind == FileType::RegularFile {
            self.file(parent, name, path, &stat)?;
        } else {
            self.special(parent, name, &stat, held)?;
        }
        Ok(held)
    }

    /// Makes the directory `path` of what this capture holds, with those above it.
    fn make(&mut self, path: &[u8]) -> io::Result<()> {
        let made = &mut self.captured.directories;
        let mut missing: Vec<_> = std::iter::once(path)
            .chain(ancestors(path))
            .take_while(|path| !made.contains(*path))
            .collect();
        while let Some(path) = missing.pop() {
            let (parent, name) = split(path);
            let to = self.to.dir(parent)?.ok_or(Errno::NOENT)?;
            rustix::fs::mkdirat(to, beneath::as_path(name), Mode::RWXU)?;
            made.insert(path.to_vec());
        }
        Ok(())
    }

    fn special(&mut self, parent: &[u8], name: &[u8], stat: &Stat, held: Held) -> io::Result<()> {
        let from = self.from.dir(parent)?.ok_or(Errno::NOENT)?;
        let to = self.to.dir(parent)?.ok_or(Errno::NOENT)?;
        if held == Held::DELETION {
            return copy::deletion(to, name);
        }
        copy::special((from, name), (to, name), stat)?;
        copy::dress((from, name), (to, name), stat, Attributes::Raw)
    }

    fn file(&mut self, parent: &[u8], name: &[u8], path: &[u8], stat: &Stat) -> io::Result<()> {
        let has_names = stat.st_nlink > 1;
        if has_names && let Some(first) = self.linked.get(&stat.st_ino) {
            let (dir, first) = split(first);
            let dir = beneath::open_dir(self.into, dir)?;
            let to = self.to.dir(parent)?.ok_or(Errno::NOENT)?;
            if copy::link((dir.as_fd(), first), (to, name))? {
                return Ok(());
            }
        }
        let fresh = match self.copy(parent, name, stat)? {
            Content::Written => &mut self.captured.written,
            Content::Cloned => &mut self.captured.cloned,
        };
        fresh.push(path.to_vec());
        if has_names {
            self.linked.entry(stat.st_ino).or_insert_with(|| path.to_vec());
        }
        Ok(())
    }

    fn copy(&mut self, parent: &[u8], name: &[u8], stat: &Stat) -> io::Result<Content> {
        let from = self.from.dir(parent)?.ok_or(Errno::NOENT)?;
        let to = self.to.dir(parent)?.ok_or(Errno::NOENT)?;
        let (source, opened) = beneath::open_file(from, name)?;
        if Stamp::of(&opened) != Stamp::of(stat) {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "changes while it is captured",
            ));
        }
        if self.has_marks {
            // INVARIANT: before it is read. A page that was written through a mapping and is still dirty can be written
            // again without a fault, so the next capture would not see it.
            writeback::finish(source.as_fd())?;
        }
        let content = copy::file((&source, stat), (from, name), (to, name))?;
        self.captured.bytes += blocks(stat);
        self.captured.copied += 1;
        Ok(content)
    }

    fn dress_directory(&mut self, path: &[u8]) -> io::Result<()> {
        let from = self.from.dir(path)?.ok_or(Errno::NOENT)?;
        let to = self.to.dir(path)?.ok_or(Errno::NOENT)?;
        let stat = rustix::fs::fstat(from)?;
        self.captured.bytes += blocks(&stat);
        copy::dress((from, b"."), (to, b"."), &stat, Attributes::Raw)
    }
}
