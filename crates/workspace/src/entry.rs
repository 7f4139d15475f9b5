//! What one path is: type, mode, size, hash, target; and the marks that show cheaply whether it changed since.

use std::{
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd},
};

use rustix::fs::{FileType, Stat};
use sandbar_types::{Entry, LinkTarget, Sha256, WorkspacePath};
use serde::{Deserialize, Serialize};
use sha2::Digest;

use crate::beneath;

/// LIMIT: bytes read at once while hashing. Small files get a small buffer: clearing a large one would take longer
/// than reading them.
const BUFFER_BYTES: u64 = 128 * 1024;

/// LIMIT: bytes kept of a file that is too large to be kept whole; where git looks for a NUL.
const PREFIX_BYTES: u64 = 8000;

/// LIMIT: readings of a file that changes while it is read.
const READINGS: u32 = 4;

/// What the kernel says of a path without reading it. Equal stamps mean: the same object, not written since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The device.
    pub dev: u64,
    /// The inode.
    pub ino: u64,
    /// Type and permission bits, as `st_mode`.
    pub mode: u32,
    /// Size in bytes.
    pub size: u64,
    /// Last change of content, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Last change of anything, nanoseconds since 1970. No program can set it.
    pub ctime_ns: i64,
}

impl Stamp {
    /// The stamp in what `stat` said.
    #[must_use]
    pub fn of(stat: &Stat) -> Self {
        Self {
            dev: stat.st_dev,
            ino: stat.st_ino,
            mode: stat.st_mode,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime_ns: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
            ctime_ns: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    /// The type.
    #[must_use]
    pub fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }

    /// The permission bits, `0o7777`.
    #[must_use]
    pub fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }

    /// The part of it that is kept for a path that was approved.
    #[must_use]
    pub fn host(&self) -> HostStamp {
        HostStamp { ino: self.ino, ctime_ns: self.ctime_ns }
    }
}

/// Nanoseconds since 1970; good until 2262, then the last instant.
fn nanoseconds(seconds: i64, nanos: impl TryInto<i64>) -> i64 {
    let nanos = nanos.try_into().unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// Recognizes the object that an approve left on the host, as long as nobody touched it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStamp {
    /// The inode.
    pub ino: u64,
    /// Last change of anything, nanoseconds since 1970.
    pub ctime_ns: i64,
}

/// Everything about one path: what it is, and the marks of the object it was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// What it is.
    pub entry: Entry,
    /// The marks, taken when it was read.
    pub stamp: Stamp,
}

/// The marks of `name` in `dir`, nothing read; `None` where nothing is.
///
/// # Errors
/// What the kernel says.
pub fn stamp(dir: impl AsFd, name: &[u8]) -> io::Result<Option<Stamp>> {
    Ok(beneath::stat(dir, name)?.as_ref().map(Stamp::of))
}

/// The marks of `path` below `root`; `None` where nothing is.
///
/// # Errors
/// What the kernel says.
pub fn stamp_below(root: BorrowedFd<'_>, path: &WorkspacePath) -> io::Result<Option<Stamp>> {
    beneath::in_parent(root, path, |dir, name| stamp(dir, name))
}

/// What `name` in `dir` is; `None` where nothing is.
///
/// # Errors
/// `ResourceBusy` for a file that changes each time that it is read; what the kernel says.
pub fn read(dir: impl AsFd, name: &[u8]) -> io::Result<Option<Entry>> {
    Ok(identity(dir, name)?.map(|identity| identity.entry))
}

/// What `path` below `root` is; `None` where nothing is, or where something on the way is no directory.
///
/// # Errors
/// As [`read`].
pub fn read_below(root: BorrowedFd<'_>, path: &WorkspacePath) -> io::Result<Option<Entry>> {
    beneath::in_parent(root, path, |dir, name| read(dir, name))
}

/// What `name` in `dir` is, with its marks; `None` where nothing is.
///
/// # Errors
/// As [`read`].
pub fn identity(dir: impl AsFd, name: &[u8]) -> io::Result<Option<Identity>> {
    Ok(identity_keeping(dir, name, Keep(0))?.map(|(identity, _)| identity))
}

/// How much content to keep of what is hashed anyway, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep(pub(crate) u64);

/// As [`identity`], with the content of a regular file: all of it, or its beginning where it is larger than `keep`.
pub(crate) fn identity_keeping(
    dir: impl AsFd,
    name: &[u8],
    keep: Keep,
) -> io::Result<Option<(Identity, Vec<u8>)>> {
    let dir = dir.as_fd();
    for _ in 0..READINGS {
        let Some(stamp) = stamp(dir, name)? else {
            return Ok(None);
        };
        match identity_once(dir, name, &stamp, keep) {
            Ok(Some(identity)) => return Ok(Some(identity)),
            Ok(None) => {}
            // It was replaced between two looks: look again.
            Err(error)
                if beneath::is_absent(&error) || error.kind() == io::ErrorKind::InvalidInput => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "changes while it is read"))
}

/// What `path` below `root` is, with its marks; `None` where nothing is.
///
/// # Errors
/// As [`read`].
pub fn identity_below(root: BorrowedFd<'_>, path: &WorkspacePath) -> io::Result<Option<Identity>> {
    beneath::in_parent(root, path, |dir, name| identity(dir, name))
}

/// One reading; `None` where it changed meanwhile.
fn identity_once(
    dir: BorrowedFd<'_>,
    name: &[u8],
    stamp: &Stamp,
    keep: Keep,
) -> io::Result<Option<(Identity, Vec<u8>)>> {
    let mut kept = Vec::new();
    let entry = match stamp.file_type() {
        FileType::RegularFile => {
            let (file, opened) = beneath::open_file(dir, name)?;
            // What will not be kept whole is kept as far as it takes to tell text from binary.
            let keep = if stamp.size > keep.0 { Keep(keep.0.min(PREFIX_BYTES)) } else { keep };
            let (sha256, size) = hash_keeping(&file, stamp.size, keep, &mut kept)?;
            let after = Stamp::of(&rustix::fs::fstat(&file)?);
            if Stamp::of(&opened) != after || after != *stamp || after.size != size {
                return Ok(None);
            }
            Entry::File { size, mode: stamp.permissions(), sha256 }
        }
        FileType::Directory => Entry::Directory { mode: stamp.permissions() },
        FileType::Symlink => Entry::Symlink { target: LinkTarget(beneath::read_link(dir, name)?) },
        FileType::Fifo => special("fifo"),
        FileType::Socket => special("socket"),
        FileType::CharacterDevice => special("char_device"),
        FileType::BlockDevice => special("block_device"),
        FileType::Unknown => special("unknown"),
    };
    let stamp = *stamp;
    Ok(Some((Identity { entry, stamp }, kept)))
}

/// The entry of what is listed and never applied.
#[must_use]
pub fn special(what: &str) -> Entry {
    Entry::Special { what: what.to_owned() }
}

/// SHA-256 and size of everything from the reader's position on.
///
/// # Errors
/// What reading says.
pub fn hash(reader: impl Read) -> io::Result<(Sha256, u64)> {
    hash_keeping(reader, BUFFER_BYTES, Keep(0), &mut Vec::new())
}

fn hash_keeping(
    mut reader: impl Read,
    size_hint: u64,
    keep: Keep,
    kept: &mut Vec<u8>,
) -> io::Result<(Sha256, u64)> {
    let mut left = usize::try_from(keep.0).unwrap_or(usize::MAX);
    let mut hasher = sha2::Sha256::new();
    // One byte more, so that the end shows in the first reading.
    let buffer_bytes = (size_hint + 1).clamp(512, BUFFER_BYTES);
    let mut buffer = vec![0; usize::try_from(buffer_bytes).unwrap_or(512)];
    let mut size = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((Sha256(hasher.finalize().into()), size)),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                kept.extend_from_slice(&buffer[..read.min(left)]);
                left -= read.min(left);
                size += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
