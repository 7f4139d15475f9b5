//! Writing files and making directories.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{AtFlags, Gid, Mode, OFlags, Uid},
    io::Errno,
};
use sandbar_types::WorkspacePath;

use super::{FileKind, FileStat, Files, FilesError, failed, kind, shown};
use crate::beneath;

/// LIMIT: bytes copied at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// LIMIT: names tried for a new file before it takes the place of the old one.
const NAMES_MAX: u32 = 100;

/// Whether directories on the way are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parents {
    /// They must be there.
    Required,
    /// What is missing is made, mode 0755; what is there is fine.
    Create,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteParams {
    /// Permission bits, `0o777`; `None` keeps those of the file that is there, or takes 0644.
    pub mode: Option<u32>,
    /// LIMIT: bytes; more is an error, and the old file stays.
    pub bytes_max: u64,
    /// Directories on the way.
    pub parents: Parents,
}

impl Files<'_> {
    /// Writes `content` to `path` in one step: who reads sees the old file or the new one, whole.
    ///
    /// Where `path` is a link, what it leads to inside is written.
    ///
    /// # Errors
    /// A directory or a special file is there; too many bytes; `content` fails. The old file stays then.
    pub fn write(
        &self,
        path: &WorkspacePath,
        content: &mut impl Read,
        params: &WriteParams,
    ) -> Result<FileStat, FilesError> {
        let failed = failed(Some(path));
        if let (Parents::Create, Some(parent)) = (params.parents, path.parent()) {
            self.make_dir(&parent, Parents::Create)?;
        }
        let (dir, name) = self.target_parent(path).map_err(&failed)?;
        let existing = beneath::stat(&dir, &name).map_err(&failed)?;
        if existing.as_ref().is_some_and(|stat| kind(stat) != FileKind::File) {
            let (path, expected) = (shown(Some(path)), "a file");
            return Err(FilesError::WrongKind { path, expected });
        }
        let existing = existing.map(|stat| stat.st_mode & 0o777);
        let mode = params.mode.map(|mode| mode & 0o777).or(existing).unwrap_or(0o644);
        let new = NewFile::create(dir.as_fd()).map_err(&failed)?;
        copy(content, &new.file, params.bytes_max, &failed)?;
        self.own(new.file.as_fd(), mode).map_err(&failed)?;
        let stat = rustix::fs::fstat(&new.file).map_err(|errno| failed(errno.into()))?;
        new.publish(&name).map_err(&failed)?;
        Ok(FileStat::of(&stat))
    }

    /// Makes the directory `path`, mode 0755.
    ///
    /// # Errors
    /// With [`Parents::Required`]: its parent is missing, or something is there already.
    /// With [`Parents::Create`]: something on the way is no directory.
    pub fn make_dir(&self, path: &WorkspacePath, parents: Parents) -> Result<(), FilesError> {
        let failed = failed(Some(path));
        if parents == Parents::Required {
            let (dir, name) = self.parent(path).map_err(&failed)?;
            return self.make_dir_in(dir.as_fd(), name).map_err(&failed);
        }
        let mut at: Vec<u8> = Vec::new();
        let mut dir = self.dir(b"").map_err(&failed)?;
        for name in path.components() {
            at = crate::tree::join(&at, name);
            dir = match self.dir(&at) {
                Ok(next) => next,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    match self.make_dir_in(dir.as_fd(), name) {
                        // Somebody else made it meanwhile, or it is a link that leads nowhere.
                        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                        made => made.map_err(&failed)?,
                    }
                    self.dir(&at).map_err(&failed)?
                }
                Err(error) => return Err(failed(error)),
            };
        }
        Ok(())
    }

    pub(super) fn make_dir_in(&self, dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
        rustix::fs::mkdirat(dir, beneath::as_path(name), Mode::RWXU)?;
        let made = beneath::open_dir(dir, name)?;
        self.own(made.as_fd(), 0o755)
    }

    /// Gives what was made to the sandbox. The owner first: changing it clears bits of the mode.
    pub(super) fn own(&self, made: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
        let (uid, gid) = self.owner();
        rustix::fs::fchown(made, Some(uid), Some(gid))?;
        rustix::fs::fchmod(made, Mode::from_raw_mode(mode))?;
        Ok(())
    }

    pub(super) fn owner(&self) -> (Uid, Gid) {
        (Uid::from_raw(self.owner.0), Gid::from_raw(self.owner.1))
    }
}

/// Copies, and counts.
pub(super) fn copy(
    content: &mut impl Read,
    mut to: &File,
    bytes_max: u64,
    failed: &impl Fn(io::Error) -> FilesError,
) -> Result<u64, FilesError> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut total = 0;
    loop {
        let read = match content.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(FilesError::Stream(error)),
        };
        total += read as u64;
        if total > bytes_max {
            return Err(FilesError::TooMuch { what: "bytes", limit: bytes_max });
        }
        to.write_all(&buffer[..read]).map_err(failed)?;
    }
}

/// A file that is not there yet under its own name, and goes away unless it gets it.
pub(super) struct NewFile<'d> {
    dir: BorrowedFd<'d>,
    name: String,
    pub(super) file: File,
}

impl<'d> NewFile<'d> {
    pub(super) fn create(dir: BorrowedFd<'d>) -> io::Result<Self> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW;
        for _ in 0..NAMES_MAX {
            let name = unused_name();
            let opened = beneath::openat2(
                dir,
                name.as_bytes(),
                flags,
                Mode::RUSR | Mode::WUSR,
                beneath::RESOLVE,
            );
            match opened {
                Ok(file) => {
                    let file = File::from(file);
                    return Ok(Self { dir, name, file });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(Errno::EXIST.into())
    }

    /// Puts it in the place of `name`.
    pub(super) fn publish(self, name: &[u8]) -> io::Result<()> {
        let to = beneath::as_path(name);
        rustix::fs::renameat(self.dir, self.name.as_str(), self.dir, to)?;
        Ok(())
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        // After `publish` the name is free, and this finds nothing; before it, this is the undo.
        let _gone = rustix::fs::unlinkat(self.dir, self.name.as_str(), AtFlags::empty());
    }
}

/// A name that nobody else uses: ours at the top, and of this process and moment.
pub(super) fn unused_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = now.map_or(0, |since| since.as_nanos());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!(".sandbar-new-{}-{nanos:x}-{count}", std::process::id())
}
