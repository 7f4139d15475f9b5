//! Copying a writable layer as it is at this instant. The sandbox must be frozen or stopped.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, Stat},
    io::Errno,
};
use sandbar_linux::writeback;

use super::{
    copy::{self, Attributes},
    manifest::Manifest,
};
use crate::{
    beneath,
    entry::Stamp,
    tree::{self, Tree},
};

/// A file that was written in the last moments before a capture is copied again by the next one: the kernel's clock of
/// files moves in ticks of up to 10 ms, and a write in the same tick moves no mark.
const TICK_NS: i64 = 20_000_000;
/// LIMIT: files that are written out before a sandbox is held still.
const WRITTEN_OUT_MAX: usize = 10_000;
const TMPFS: i64 = 0x0102_1994;

/// The checkpoint before: what did not change since is linked from it, never from the living layer, whose files change
/// in place.
#[derive(Debug, Clone, Copy)]
pub struct Previous<'a> {
    /// Its layer.
    pub upper: BorrowedFd<'a>,
    /// What the living layer was then.
    pub manifest: &'a Manifest,
}

/// What a capture did.
#[derive(Debug, Default)]
pub struct Captured {
    /// Bytes on disk of what was copied; what is shared with the checkpoint before does not count.
    pub bytes: u64,
    /// Files that were copied.
    pub copied: u64,
    /// Files that are shared with the checkpoint before.
    pub shared: u64,
    /// Sockets and devices, which are left out: only the program that made a socket can make it again.
    pub left_out: u64,
    /// For the next capture.
    pub manifest: Manifest,
    /// What [`super::make_durable`] has to bring to the disk: files.
    pub(super) fresh: Vec<Vec<u8>>,
    /// The same: directories, the top included.
    pub(super) directories: Vec<Vec<u8>>,
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

/// Copies the layer `upper` into the empty directory `into`.
///
/// # Errors
/// See [`CaptureError`]; what was copied until then is left to the caller.
pub fn capture(
    upper: BorrowedFd<'_>,
    into: BorrowedFd<'_>,
    previous: Option<Previous<'_>>,
) -> Result<Captured, CaptureError> {
    let failed = |source| CaptureError { path: ".".to_owned(), source };
    let mut capture = Capture::new(upper, into, previous).map_err(failed)?;
    let mut pending = vec![Vec::new()];
    // Dressed last, because bits may forbid to fill them, and the deepest first, because filling moves times.
    let mut directories = Vec::new();
    while let Some(path) = pending.pop() {
        capture.directory(&path, &mut pending)?;
        directories.push(path);
    }
    for path in directories.iter().rev() {
        let dressed = capture.dress_directory(path);
        dressed.map_err(|source| CaptureError { path: shown(path), source })?;
    }
    capture.captured.directories = directories;
    Ok(capture.captured)
}

/// Writes out what changed in the layer `upper`, which may be in use: so that a capture, while the sandbox is held still,
/// finds little to wait for. What cannot be opened is left to the capture.
pub fn write_out(upper: BorrowedFd<'_>, previous: Option<Previous<'_>>) {
    let mut begun = Vec::new();
    // What is not possible now is what the capture has to say.
    let _best_effort = begin_to_write(upper, previous, &mut begun);
    // All of them are under way before one is waited for.
    let _best_effort = finish_to_write(upper, &begun);
}

/// Writes the directory and the name of each file that it began with to `begun`.
fn begin_to_write(
    upper: BorrowedFd<'_>,
    previous: Option<Previous<'_>>,
    begun: &mut Vec<(Vec<u8>, Vec<u8>)>,
) -> io::Result<()> {
    let mut tree = Tree::new(upper)?;
    let mut pending = vec![Vec::new()];
    while let Some(path) = pending.pop() {
        let Some(dir) = tree.dir(&path)? else {
            continue;
        };
        for name in beneath::list(dir)? {
            let (full, Some(stat)) = (tree::join(&path, &name), beneath::stat(dir, &name)?) else {
                continue;
            };
            let is_same = previous
                .is_some_and(|previous| previous.manifest.is_same(&full, &Stamp::of(&stat)));
            match beneath::file_type(&stat) {
                FileType::Directory => pending.push(full),
                FileType::RegularFile
                    if !is_same && stat.st_size > 0 && begun.len() < WRITTEN_OUT_MAX =>
                {
                    writeback::begin(beneath::open_file(dir, &name)?.0.as_fd())?;
                    begun.push((path.clone(), name));
                }
                FileType::RegularFile
                | FileType::Symlink
                | FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice
                | FileType::Unknown => {}
            }
        }
    }
    Ok(())
}

fn finish_to_write(upper: BorrowedFd<'_>, begun: &[(Vec<u8>, Vec<u8>)]) -> io::Result<()> {
    let mut tree = Tree::new(upper)?;
    for (path, name) in begun {
        if let Some(dir) = tree.dir(path)? {
            writeback::finish(beneath::open_file(dir, name)?.0.as_fd())?;
        }
    }
    Ok(())
}

pub(super) fn shown(path: &[u8]) -> String {
    if path.is_empty() { ".".to_owned() } else { String::from_utf8_lossy(path).into_owned() }
}

struct Capture<'a> {
    from: Tree,
    to: Tree,
    into: BorrowedFd<'a>,
    before: Option<(Tree, &'a Manifest)>,
    /// Files with several names, by inode, and where the first of them is.
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
        previous: Option<Previous<'a>>,
    ) -> io::Result<Self> {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        let now_ns = now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec);
        #[expect(
            clippy::useless_conversion,
            reason = "the kernel's word has another size elsewhere"
        )]
        let kind = i64::from(rustix::fs::fstatfs(upper)?.f_type);
        let before = previous
            .map(|previous| Ok::<_, io::Error>((Tree::new(previous.upper)?, previous.manifest)))
            .transpose()?;
        Ok(Self {
            from: Tree::new(upper)?,
            to: Tree::new(into)?,
            into,
            before,
            linked: BTreeMap::new(),
            settled_ns: now_ns - TICK_NS,
            // tmpfs moves no time when a mapping of a file is written to.
            has_marks: kind != TMPFS,
            captured: Captured::default(),
        })
    }

    fn directory(&mut self, path: &[u8], pending: &mut Vec<Vec<u8>>) -> Result<(), CaptureError> {
        let failed = |source| CaptureError { path: shown(path), source };
        let dir = self.from.dir(path).map_err(failed)?;
        let dir = dir.ok_or_else(|| failed(Errno::NOENT.into()))?;
        for name in beneath::list(dir).map_err(failed)? {
            let full = tree::join(path, &name);
            let is_directory = self.object(path, &name, &full);
            if is_directory.map_err(|source| CaptureError { path: shown(&full), source })? {
                pending.push(full);
            }
        }
        Ok(())
    }

    /// Copies one object; whether it is a directory, which has to be filled.
    fn object(&mut self, parent: &[u8], name: &[u8], path: &[u8]) -> io::Result<bool> {
        let from = self.from.dir(parent)?.ok_or(Errno::NOENT)?;
        let stat = beneath::stat(from, name)?.ok_or(Errno::NOENT)?;
        let kind = beneath::file_type(&stat);
        let to = self.to.dir(parent)?.ok_or(Errno::NOENT)?;
        match kind {
            FileType::Directory => {
                rustix::fs::mkdirat(to, beneath::as_path(name), Mode::RWXU)?;
                self.captured.bytes += blocks(&stat);
                return Ok(true);
            }
            FileType::RegularFile => self.file(parent, name, path, &stat)?,
            FileType::Symlink | FileType::Fifo => {
                copy::special((from, name), (to, name), &stat)?;
                copy::dress((from, name), (to, name), &stat, Attributes::Raw)?;
            }
            // The kernel's mark of a deletion.
            FileType::CharacterDevice if stat.st_rdev == 0 => {
                copy::special((from, name), (to, name), &stat)?;
            }
            FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice => {
                // In its place a mark of a deletion, or what it hides would be there.
                let mode = Mode::empty();
                rustix::fs::mknodat(
                    to,
                    beneath::as_path(name),
                    FileType::CharacterDevice,
                    mode,
                    0,
                )?;
                self.captured.left_out += 1;
            }
            FileType::Unknown => return Err(io::ErrorKind::Unsupported.into()),
        }
        Ok(false)
    }

    fn file(&mut self, parent: &[u8], name: &[u8], path: &[u8], stat: &Stat) -> io::Result<()> {
        let stamp = Stamp::of(stat);
        let has_names = stat.st_nlink > 1;
        let first = if has_names { self.linked.get(&stat.st_ino).cloned() } else { None };
        let to = self.to.dir(parent)?.ok_or(Errno::NOENT)?;
        let is_shared = if let Some(first) = &first {
            let cut = first.iter().rposition(|byte| *byte == b'/');
            let dir = beneath::open_dir(self.into, &first[..cut.unwrap_or(0)])?;
            link((dir.as_fd(), &first[cut.map_or(0, |cut| cut + 1)..]), (to, name))?
        } else if let Some((before, manifest)) = &mut self.before
            && manifest.is_same(path, &stamp)
            && let Some(before) = before.dir(parent)?
        {
            let is_shared = link((before, name), (to, name))?;
            self.captured.shared += u64::from(is_shared);
            is_shared
        } else {
            false
        };
        if !is_shared {
            self.copy(parent, name, stat)?;
            self.captured.fresh.push(path.to_vec());
        }
        if self.has_marks && stamp.ctime_ns < self.settled_ns {
            self.captured.manifest.add(path.to_vec(), stamp);
        }
        if has_names && first.is_none() {
            self.linked.insert(stat.st_ino, path.to_vec());
        }
        Ok(())
    }

    fn copy(&mut self, parent: &[u8], name: &[u8], stat: &Stat) -> io::Result<()> {
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
        let target = copy::create(to, name)?;
        copy::content(&source, stat, &target)?;
        drop(target);
        copy::dress((from, name), (to, name), stat, Attributes::Raw)?;
        self.captured.bytes += blocks(stat);
        self.captured.copied += 1;
        Ok(())
    }

    fn dress_directory(&mut self, path: &[u8]) -> io::Result<()> {
        let from = self.from.dir(path)?.ok_or(Errno::NOENT)?;
        let to = self.to.dir(path)?.ok_or(Errno::NOENT)?;
        let stat = rustix::fs::fstat(from)?;
        copy::dress((from, b"."), (to, b"."), &stat, Attributes::Raw)
    }
}

/// Gives a file another name; `false` where it cannot have one more.
fn link(from: (BorrowedFd<'_>, &[u8]), to: (BorrowedFd<'_>, &[u8])) -> io::Result<bool> {
    let (old, new) = (beneath::as_path(from.1), beneath::as_path(to.1));
    match rustix::fs::linkat(from.0, old, to.0, new, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::MLINK | Errno::XDEV | Errno::PERM | Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn blocks(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or(0) * 512
}
