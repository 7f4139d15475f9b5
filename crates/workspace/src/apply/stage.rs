//! The stage: a directory in the source that holds new content before the commit, and the replaced content after it.
//!
//! It lies in the source so that it is on the same file system, where a rename is atomic. Slot `n<i>` belongs to step `i`.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, ResolveFlags},
    io::Errno,
};
use sandbar_types::{ApproveId, ChangeFlag, Entry, Sha256, WorkspacePath};
use sha2::Digest;

use super::{ApplyError, ApplyPlan, Op, failpoint, tree::Tree};
use crate::{beneath, journal::Journal};

/// LIMIT: bytes copied at once.
const BUFFER_BYTES: usize = 256 * 1024;
/// LIMIT: files that are synced one by one; more are synced with their whole file system, in one call.
pub(super) const SYNC_EACH_MAX: usize = 16;

/// How staged content is made to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sync {
    /// Each file for itself: nobody else's data has to be written as well.
    Each,
    /// The whole file system in one call, once everything is there.
    Together,
}

impl Sync {
    fn of(plan: &ApplyPlan) -> Self {
        let new = || plan.ops.iter().filter_map(Op::after);
        if new().count() <= SYNC_EACH_MAX && new().all(|tree| tree.below.is_empty()) {
            Self::Each
        } else {
            Self::Together
        }
    }
}

/// Where new content comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contents<'a> {
    pub(super) merged: BorrowedFd<'a>,
    pub(super) journal: &'a Journal,
}

impl Contents<'_> {
    /// Opens a text that was composed for this approve.
    fn composed(self, sha256: Sha256) -> io::Result<Option<File>> {
        self.journal.open_composed(sha256).map(Some)
    }

    /// Opens a file of the workspace; `None` where there is no such file any more.
    fn of_workspace(self, path: &WorkspacePath) -> io::Result<Option<File>> {
        open_below(self.merged, path)
    }
}

/// Opens the file at `path` of `root`; `None` where there is no such file.
fn open_below(root: BorrowedFd<'_>, path: &WorkspacePath) -> io::Result<Option<File>> {
    let (dir, name) = match beneath::open_parent(root, path) {
        Ok(found) => found,
        Err(error) if beneath::is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    match beneath::open_file(&dir, name) {
        Ok((file, _)) => Ok(Some(file)),
        Err(error) if beneath::is_absent(&error) || error.kind() == io::ErrorKind::InvalidInput => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The directory, open.
#[derive(Debug)]
pub(super) struct Stage {
    dir: OwnedFd,
}

/// The name of the stage of `id` in the source. It is protected, so no workspace can have made it.
pub(super) fn name(id: ApproveId) -> String {
    format!(".sandbar-stage-{id}")
}

/// The name of the slot of step `index`.
pub(super) fn slot(index: usize) -> String {
    format!("n{index}")
}

impl Stage {
    /// Makes the stage.
    pub(super) fn create(source: BorrowedFd<'_>, id: ApproveId) -> io::Result<Self> {
        failpoint("stage.make")?;
        rustix::fs::mkdirat(source, name(id), Mode::RWXU)?;
        failpoint("stage.open")?;
        let dir = beneath::open_dir(source, name(id).as_bytes())?;
        Ok(Self { dir })
    }

    /// Opens the stage; `None` where there is none.
    pub(super) fn open(source: BorrowedFd<'_>, id: ApproveId) -> io::Result<Option<Self>> {
        match beneath::open_dir(source, name(id).as_bytes()) {
            Ok(dir) => Ok(Some(Self { dir })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Another directory that trees are copied to as they are to a stage.
    pub(super) fn at(dir: OwnedFd) -> Self {
        Self { dir }
    }

    pub(super) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Fills the slots, and makes them last.
    pub(super) fn fill(&self, contents: Contents<'_>, plan: &ApplyPlan) -> Result<(), ApplyError> {
        if plan.ops.iter().any(|op| matches!(op, Op::Replace { .. })) {
            self.probe_exchange()?;
        }
        let sync = Sync::of(plan);
        for (index, op) in plan.ops.iter().enumerate() {
            if let Some(new) = op.after() {
                self.fill_slot(contents, plan, index, op.path(), new, sync)?;
            }
        }
        self.sync(sync).map_err(|error| ApplyError::step("stage.sync", None, error))
    }

    fn sync(&self, sync: Sync) -> io::Result<()> {
        if sync == Sync::Together {
            failpoint("stage.syncfs")?;
            rustix::fs::syncfs(&self.dir)?;
        }
        failpoint("stage.sync")?;
        rustix::fs::fsync(&self.dir)?;
        Ok(())
    }

    fn fill_slot(
        &self,
        contents: Contents<'_>,
        plan: &ApplyPlan,
        index: usize,
        path: &WorkspacePath,
        new: &Tree,
        sync: Sync,
    ) -> Result<(), ApplyError> {
        let slot = WorkspacePath::parse(slot(index)).expect("the name of a slot is a path");
        let mut directories = Vec::new();
        for (from, entry) in new.paths(path) {
            let rest = &from.as_bytes()[path.as_bytes().len()..];
            let to = [slot.as_bytes(), rest].concat();
            let failed = |error| ApplyError::step("stage.fill", Some(&from), error);
            let to = WorkspacePath::parse(to).map_err(|error| failed(io::Error::other(error)))?;
            match entry {
                Entry::Directory { mode } => {
                    self.make_directory(&to).map_err(failed)?;
                    directories.push((from.clone(), to, *mode));
                }
                Entry::File { size, mode, sha256 } => {
                    let opened = if plan.composed.contains(sha256) {
                        contents.composed(*sha256)
                    } else {
                        contents.of_workspace(&from)
                    };
                    let opened = opened.map_err(failed)?;
                    let copied = opened.map(|file| self.copy(file, &to, *size)).transpose();
                    let Some((file, copied)) = copied.map_err(failed)?.flatten() else {
                        return Err(ApplyError::WorkspaceChanged { path: from });
                    };
                    if copied != *sha256 {
                        return Err(ApplyError::WorkspaceChanged { path: from });
                    }
                    finish(&file, *mode, sync).map_err(failed)?;
                }
                Entry::Symlink { target } => {
                    if !plan.confirmed.allows(&from, ChangeFlag::SymlinkExternal) {
                        require_inside(contents.merged, &from, &target.0)?;
                    }
                    failpoint("stage.symlink").map_err(failed)?;
                    let (dir, name) = beneath::open_parent(&self.dir, &to).map_err(failed)?;
                    let target = beneath::as_path(&target.0);
                    rustix::fs::symlinkat(target, dir, beneath::as_path(name))
                        .map_err(|errno| failed(errno.into()))?;
                }
                // The plan never has one: a change to or from something special is skipped.
                Entry::Special { .. } => return Err(failed(Errno::INVAL.into())),
            }
        }
        // Once they are filled, the deepest first: an old directory may forbid its own owner to write to it.
        for (from, to, mode) in directories.into_iter().rev() {
            let dir = beneath::open_dir(&self.dir, to.as_bytes());
            // Apart from mkdirat, so that neither the process's umask nor an inherited bit has a say.
            let set = dir.and_then(|dir| Ok(rustix::fs::fchmod(dir, Mode::from_raw_mode(mode))?));
            set.map_err(|error| ApplyError::step("stage.fill", Some(&from), error))?;
        }
        Ok(())
    }

    /// Makes a directory that only we can use until it gets its own bits.
    pub(super) fn make_directory(&self, to: &WorkspacePath) -> io::Result<()> {
        failpoint("stage.mkdir")?;
        let (parent, name) = beneath::open_parent(&self.dir, to)?;
        rustix::fs::mkdirat(&parent, beneath::as_path(name), Mode::RWXU)?;
        Ok(())
    }

    /// Copies the file `from` of `root`; as [`Stage::copy`], and `None` where there is no such file.
    pub(super) fn copy_below(
        &self,
        root: BorrowedFd<'_>,
        from: &WorkspacePath,
        to: &WorkspacePath,
        size: u64,
    ) -> io::Result<Option<(File, Sha256)>> {
        match open_below(root, from)? {
            Some(source) => self.copy(source, to, size),
            None => Ok(None),
        }
    }

    /// Copies one file, holes kept, and returns its hash; `None` where it is not of `size` any more.
    fn copy(
        &self,
        mut source: File,
        to: &WorkspacePath,
        size: u64,
    ) -> io::Result<Option<(File, Sha256)>> {
        failpoint("stage.open_file")?;
        let (dir, name) = beneath::open_parent(&self.dir, to)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let target = beneath::openat2(dir, name, flags, Mode::RUSR | Mode::WUSR, beneath::RESOLVE)?;
        let mut target = File::from(target);
        failpoint("stage.write")?;
        let hash = copy_data(&mut source, &mut target, size)?;
        Ok(hash.map(|hash| (target, hash)))
    }

    /// Exchanges two directories of no meaning, to know before anything is touched.
    fn probe_exchange(&self) -> Result<(), ApplyError> {
        let probe = || -> io::Result<bool> {
            for name in ["p", "q"] {
                rustix::fs::mkdirat(&self.dir, name, Mode::RWXU)?;
            }
            let exchanged =
                rustix::fs::renameat_with(&self.dir, "p", &self.dir, "q", RenameFlags::EXCHANGE);
            for name in ["p", "q"] {
                rustix::fs::unlinkat(&self.dir, name, AtFlags::REMOVEDIR)?;
            }
            match exchanged {
                Ok(()) => Ok(true),
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
                Err(errno) => Err(errno.into()),
            }
        };
        match probe() {
            Ok(true) => Ok(()),
            Ok(false) => Err(ApplyError::ExchangeUnsupported),
            Err(error) => Err(ApplyError::step("stage.probe", None, error)),
        }
    }
}

fn finish(file: &File, mode: u32, sync: Sync) -> io::Result<()> {
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
    failpoint("stage.sync_file")?;
    if sync == Sync::Each {
        file.sync_all()?;
    }
    Ok(())
}

/// Removes the stage of `id` with everything in it; that there is none is not an error.
pub(super) fn remove(source: BorrowedFd<'_>, id: ApproveId) -> io::Result<()> {
    failpoint("stage.remove")?;
    remove_tree(source, name(id).as_bytes())?;
    failpoint("stage.removed")
}

/// Removes what `name` in `dir` is, with everything below; that there is nothing is not an error.
pub(crate) fn remove_tree(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    let Some(stat) = beneath::stat(dir, name)? else {
        return Ok(());
    };
    let path = beneath::as_path(name);
    if beneath::file_type(&stat) != FileType::Directory {
        return ignore_absent(rustix::fs::unlinkat(dir, path, AtFlags::empty()));
    }
    let opened = match beneath::open_dir(dir, name) {
        // Only an ordinary user is ever told so; root never changes bits by name, where a link could be put.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            rustix::fs::chmodat(dir, path, Mode::RWXU, AtFlags::empty())?;
            beneath::open_dir(dir, name)?
        }
        opened => opened?,
    };
    if stat.st_mode & 0o700 != 0o700 {
        rustix::fs::fchmod(&opened, Mode::RWXU)?;
    }
    for child in beneath::list(&opened)? {
        remove_tree(opened.as_fd(), &child)?;
    }
    ignore_absent(rustix::fs::unlinkat(dir, path, AtFlags::REMOVEDIR))
}

fn ignore_absent(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Copies `size` bytes and hashes them; `None` where there are fewer or more.
fn copy_data(from: &mut File, to: &mut File, size: u64) -> io::Result<Option<Sha256>> {
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut at = 0;
    while at < size {
        let data = match rustix::fs::seek(&*from, rustix::fs::SeekFrom::Data(at)) {
            Ok(data) => data.min(size),
            // A hole up to the end, or the end itself: told apart by the length below.
            Err(Errno::NXIO) => size,
            // The file system knows no holes.
            Err(Errno::INVAL) => at,
            Err(errno) => return Err(errno.into()),
        };
        hash_zeros(&mut hasher, data - at);
        at = data;
        let end = match rustix::fs::seek(&*from, rustix::fs::SeekFrom::Hole(at)) {
            Ok(end) => end.min(size),
            Err(Errno::NXIO | Errno::INVAL) => size,
            Err(errno) => return Err(errno.into()),
        };
        from.seek(SeekFrom::Start(at))?;
        to.seek(SeekFrom::Start(at))?;
        while at < end {
            let want = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
            let read = from.read(&mut buffer[..want])?;
            if read == 0 {
                return Ok(None);
            }
            hasher.update(&buffer[..read]);
            to.write_all(&buffer[..read])?;
            at += read as u64;
        }
    }
    let length = from.seek(SeekFrom::End(0))?;
    to.set_len(size)?;
    Ok((length == size).then(|| Sha256(hasher.finalize().into())))
}

fn hash_zeros(hasher: &mut sha2::Sha256, mut count: u64) {
    const ZEROS: [u8; 4096] = [0; 4096];
    while count > 0 {
        let chunk = count.min(ZEROS.len() as u64);
        hasher.update(&ZEROS[..usize::try_from(chunk).expect("at most the length of an array")]);
        count -= chunk;
    }
}

/// Asks the kernel whether the link at `path` stays inside: its text was judged before, but it may lead through links.
fn require_inside(
    merged: BorrowedFd<'_>,
    path: &WorkspacePath,
    target: &[u8],
) -> Result<(), ApplyError> {
    if target.first() == Some(&b'/') {
        return Ok(());
    }
    let parent = path.parent();
    let parent = parent.as_ref().map_or(&b"."[..], WorkspacePath::as_bytes);
    let full = [parent, b"/", target].concat();
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match beneath::openat2(merged, &full, OFlags::PATH, Mode::empty(), resolve) {
        Err(error) if error.raw_os_error() == Some(Errno::XDEV.raw_os_error()) => {
            Err(ApplyError::LinkLeavesTree { path: path.clone() })
        }
        // It dangles, or leads to where we may not look: it stays inside as far as it goes.
        Ok(_) | Err(_) => Ok(()),
    }
}
