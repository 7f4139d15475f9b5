//! Bringing a capture to the disk with as few waits as the file system allows.
//!
//! XFS and ext4 with a journal have one log: what waits for its last record has waited for every one before (jbd2 flushes
//! the disk's cache before the record, so data that was written out is there, too). There one `fsync` at the end is
//! enough, and everything else is only written out. Anywhere else each object is waited for.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
};

use rustix::io::Errno;
use sandbar_linux::writeback;

use super::{
    capture::{CaptureError, Captured, shown},
    manifest::Manifest,
};
use crate::beneath;

const EXT4: i64 = 0xef53;
const XFS: i64 = 0x5846_5342;
/// LIMIT: objects that are waited for one by one; for more the whole file system is.
const SYNCED_MAX: usize = 512;

/// What has to be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// The last thing that was done: it brings everything before to the disk.
    One,
    /// Each object by itself.
    Each,
}

impl Log {
    /// That of the file system of `dir`.
    ///
    /// # Errors
    /// The file system does not say.
    pub fn of(dir: impl AsFd) -> io::Result<Self> {
        #[expect(
            clippy::useless_conversion,
            reason = "the kernel's word has another size elsewhere"
        )]
        let kind = i64::from(rustix::fs::fstatfs(&dir)?.f_type);
        let has_one = match kind {
            XFS => true,
            EXT4 => has_journal(rustix::fs::fstat(&dir)?.st_dev),
            _ => false,
        };
        Ok(if has_one { Self::One } else { Self::Each })
    }
}

/// Whether a file system of the ext family, which are all of one magic, has a journal. What does not say has none.
fn has_journal(dev: u64) -> bool {
    let (major, minor) = (rustix::fs::major(dev), rustix::fs::minor(dev));
    let device = std::fs::read_link(format!("/sys/dev/block/{major}:{minor}"));
    let name = device.ok().and_then(|link| Some(link.file_name()?.to_owned()));
    name.is_some_and(|name| Path::new("/sys/fs/ext4").join(name).join("journal_task").exists())
}

/// Brings what was captured into `into` to the disk; with [`Log::One`] it is there once the caller has waited for what
/// it does next. The sandbox may run on meanwhile.
///
/// # Errors
/// See [`CaptureError`].
pub fn make_durable(
    into: BorrowedFd<'_>,
    captured: &Captured,
    log: Log,
) -> Result<(), CaptureError> {
    let failed = |path: &[u8]| {
        let path = shown(path);
        move |source| CaptureError { path, source }
    };
    if log == Log::Each && captured.fresh.len() + captured.directories.len() > SYNCED_MAX {
        let top = beneath::open_dir(into, b"").map_err(failed(b"."))?;
        return rustix::fs::syncfs(&top).map_err(|errno| failed(b".")(errno.into()));
    }
    // All of them are under way before one is waited for.
    for step in [writeback::begin, writeback::finish] {
        for path in &captured.fresh {
            open(into, path).and_then(|file| step(file.as_fd())).map_err(failed(path))?;
        }
    }
    if log == Log::One {
        return Ok(());
    }
    captured.fresh.iter().chain(&captured.directories).try_for_each(|path| {
        open(into, path).and_then(|file| Ok(rustix::fs::fsync(&file)?)).map_err(failed(path))
    })
}

/// Writes `manifest` to the new and empty `file`, for the next wait to be for it as well or, with [`Log::Each`], waits.
///
/// # Errors
/// What writing says.
pub fn save(manifest: &Manifest, file: &File, log: Log) -> io::Result<()> {
    manifest.write(file)?;
    match log {
        Log::One => writeback::finish(file.as_fd()),
        Log::Each => file.sync_all(),
    }
}

/// A regular file or a directory of ours.
fn open(into: BorrowedFd<'_>, path: &[u8]) -> io::Result<File> {
    let cut = path.iter().rposition(|byte| *byte == b'/');
    let dir = beneath::open_dir(into, &path[..cut.unwrap_or(0)])?;
    let name = &path[cut.map_or(0, |cut| cut + 1)..];
    match beneath::open_dir(&dir, name) {
        Ok(dir) => Ok(File::from(dir)),
        Err(error) if error.raw_os_error() == Some(Errno::NOTDIR.raw_os_error()) => {
            Ok(beneath::open_file(&dir, name)?.0)
        }
        Err(error) => Err(error),
    }
}
