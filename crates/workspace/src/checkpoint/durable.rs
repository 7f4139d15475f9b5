//! Bringing a capture to the disk with as few waits as the file system allows.
//!
//! XFS and ext4 with a journal have one log: what waits for its last record has waited for every one before (jbd2 flushes
//! the disk's cache before the record, so data that was written out is there, too). There one `fsync` at the end is
//! enough, and everything else is only written out. btrfs commits everything that was done in one transaction, and what
//! shares its extents has no data of its own to write. Anywhere else each object is waited for.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
};

use rustix::io::Errno;
use sandbar_linux::{btrfs, writeback};

use super::{
    capture::{CaptureError, Captured},
    manifest::Manifest,
    path::split,
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
    /// The transaction, and data that was written.
    Transaction,
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
        Ok(match kind {
            XFS => Self::One,
            EXT4 if has_journal(rustix::fs::fstat(&dir)?.st_dev) => Self::One,
            _ if btrfs::is_on(&dir)? => Self::Transaction,
            _ => Self::Each,
        })
    }

    /// Waits until everything that was done is on the disk, the last of it in `dir`.
    ///
    /// # Errors
    /// What waiting says.
    pub fn wait(self, dir: &File) -> io::Result<()> {
        match self {
            Self::One | Self::Each => dir.sync_all(),
            Self::Transaction => btrfs::commit(dir),
        }
    }
}

/// Whether a file system of the ext family, which are all of one magic, has a journal. What does not say has none.
fn has_journal(dev: u64) -> bool {
    let (major, minor) = (rustix::fs::major(dev), rustix::fs::minor(dev));
    let device = std::fs::read_link(format!("/sys/dev/block/{major}:{minor}"));
    let name = device.ok().and_then(|link| Some(link.file_name()?.to_owned()));
    name.is_some_and(|name| Path::new("/sys/fs/ext4").join(name).join("journal_task").exists())
}

/// Brings what was captured into `into` to the disk; but for [`Log::Each`] it is there once the caller has waited for
/// what it does next, with [`Log::wait`]. The sandbox may run on meanwhile.
///
/// # Errors
/// See [`CaptureError`].
pub fn make_durable(
    into: BorrowedFd<'_>,
    captured: &Captured,
    log: Log,
) -> Result<(), CaptureError> {
    let failed = CaptureError::at;
    let Captured { written, cloned, directories, .. } = captured;
    if log == Log::Each && written.len() + cloned.len() + directories.len() > SYNCED_MAX {
        let top = beneath::open_dir(into, b"").map_err(failed(b""))?;
        return rustix::fs::syncfs(&top).map_err(|errno| failed(b"")(errno.into()));
    }
    // All of them are under way before one is waited for.
    each(into, written, |file| writeback::begin(file.as_fd()))?;
    match log {
        Log::One => each(into, written, |file| writeback::finish(file.as_fd())),
        Log::Transaction => each(into, written, File::sync_all),
        Log::Each => each(into, written.iter().chain(cloned).chain(directories), File::sync_all),
    }
}

fn each<'a>(
    into: BorrowedFd<'_>,
    paths: impl IntoIterator<Item = &'a Vec<u8>>,
    step: fn(&File) -> io::Result<()>,
) -> Result<(), CaptureError> {
    paths.into_iter().try_for_each(|path| {
        open(into, path).and_then(|file| step(&file)).map_err(CaptureError::at(path))
    })
}

/// Writes `manifest` to the new and empty `file`, as [`make_durable`] does.
///
/// # Errors
/// What writing says.
pub fn save(manifest: &Manifest, file: &File, log: Log) -> io::Result<()> {
    manifest.write(file)?;
    match log {
        Log::One => writeback::finish(file.as_fd()),
        Log::Transaction | Log::Each => file.sync_all(),
    }
}

/// Waits until everything that was done in the file system of `dir` is on the disk.
///
/// # Errors
/// What waiting says.
pub fn settle(dir: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(dir)?)
}

/// A regular file or a directory of ours.
fn open(into: BorrowedFd<'_>, path: &[u8]) -> io::Result<File> {
    let (dir, name) = split(path);
    let dir = beneath::open_dir(into, dir)?;
    match beneath::open_dir(&dir, name) {
        Ok(dir) => Ok(File::from(dir)),
        Err(error) if error.raw_os_error() == Some(Errno::NOTDIR.raw_os_error()) => {
            Ok(beneath::open_file(&dir, name)?.0)
        }
        Err(error) => Err(error),
    }
}
