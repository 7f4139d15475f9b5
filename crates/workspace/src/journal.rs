//! The journal of one approve: what it is about to do, and how far it got. The single source of truth about it.
//!
//! ```text
//! <data>/journal/<approve id>/
//!   manifest.json   every step with what was there before and what is there after; written once
//!   state.json      the state; replaced by rename, synced before and after
//!   kept.json       that what was replaced is here whole, and no longer in the stage
//!   kept/old        what was replaced, by path
//!   kept/new        replaced texts as they were written, by path
//!   composed/       texts that no tree has, by their hash: some hunks of a file, or a merge
//!
//!   (nothing) ──► preparing ──► committing ──► applied
//!                     │             └────────► conflict | aborted   (everything rolled back)
//!                     └───────────────────────► conflict | aborted   (nothing was touched)
//! ```
//! `committing` is the commit point: from there on a crash ends in `applied`, unless the host got in the way.
//! The directory belongs to the owner of the source, who is who writes it.

use std::{
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
    process::{Gid, Uid},
};
use sandbar_types::{ApproveId, Conflict, Sha256, WorkspacePath};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    apply::{Applied, ApplyPlan, ApplyReport, Kept, failpoint, remove_tree},
    beneath,
};

/// LIMIT: bytes of one file of a journal; a manifest has some 200 bytes for each path.
const FILE_BYTES_MAX: u64 = 1 << 30;
const MANIFEST: &str = "manifest.json";
const STATE: &str = "state.json";
const KEPT: &str = "kept.json";
const NEXT: &str = "next";
const COMPOSED: &str = "composed";

/// What an approve is about to do: enough to finish it, to take it back, and to undo it later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the format.
    pub version: u32,
    /// The approve.
    pub id: ApproveId,
    /// The steps.
    pub plan: ApplyPlan,
}

impl Manifest {
    /// The version that is written.
    pub const VERSION: u32 = 1;
}

/// How far an approve got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Content is being staged; the source is as it was.
    Preparing,
    /// The decision is made; steps are being carried out.
    Committing,
    /// Every step is done. What was replaced is in the stage until it is forgotten.
    Applied {
        /// What was done.
        report: ApplyReport,
    },
    /// The host got in the way; the source is as it was.
    Conflict {
        /// What was in the way.
        conflicts: Vec<Conflict>,
        /// Paths that the host changed after they were written: left as the host has them, what they replaced kept
        /// in the stage.
        kept: Vec<WorkspacePath>,
        /// As of [`Journal::restored`].
        #[serde(default)]
        restored: Vec<Applied>,
    },
    /// It failed, or never began; the source is as it was, but for `kept`.
    Aborted {
        /// As of [`State::Conflict`].
        kept: Vec<WorkspacePath>,
        /// As of [`Journal::restored`].
        #[serde(default)]
        restored: Vec<Applied>,
    },
}

impl State {
    /// It never got to change anything.
    pub(crate) const UNTOUCHED: Self = Self::Aborted { kept: Vec::new(), restored: Vec::new() };
}

/// The journal directory of one approve.
#[derive(Debug)]
pub struct Journal {
    dir: OwnedFd,
}

impl Journal {
    /// Makes the journal `id` in `parent`, for the user and group `owner`, and makes it last.
    ///
    /// An existing one is opened, which is what a repeated request wants.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn create(parent: impl AsFd, id: ApproveId, owner: (u32, u32)) -> io::Result<Self> {
        let name = id.to_string();
        match rustix::fs::mkdirat(&parent, &name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let dir = beneath::open_dir(&parent, name.as_bytes())?;
        let stat = rustix::fs::fstat(&dir)?;
        if (stat.st_uid, stat.st_gid) != owner {
            let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
            rustix::fs::fchown(&dir, Some(uid), Some(gid))?;
        }
        rustix::fs::fsync(&dir)?;
        rustix::fs::fsync(&parent)?;
        Ok(Self { dir })
    }

    /// Opens the journal `id` in `parent`; `None` where there is none.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(parent: impl AsFd, id: ApproveId) -> io::Result<Option<Self>> {
        match beneath::open_dir(parent, id.to_string().as_bytes()) {
            Ok(dir) => Ok(Some(Self { dir })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The journal in the directory `dir`.
    #[must_use]
    pub fn from_dir(dir: OwnedFd) -> Self {
        Self { dir }
    }

    /// The directory, to be handed to an applier.
    #[must_use]
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// The directory, for whoever goes on with it.
    #[must_use]
    pub fn into_dir(self) -> OwnedFd {
        self.dir
    }

    /// The approves that have a journal in `parent`, the oldest first.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn list(parent: impl AsFd) -> io::Result<Vec<ApproveId>> {
        let names = beneath::list(parent)?;
        let ids = names.iter().filter_map(|name| str::from_utf8(name).ok()?.parse().ok());
        Ok(ids.collect())
    }

    /// Removes the journal `id` from `parent`, with what is kept in it. Its stage must be gone, see
    /// [`crate::apply::forget`].
    ///
    /// # Errors
    /// What the kernel says; that there is none is not an error.
    pub fn remove(parent: impl AsFd, id: ApproveId) -> io::Result<()> {
        let Some(journal) = Self::open(&parent, id)? else {
            return Ok(());
        };
        // INVARIANT: first of all, so that what a crash leaves of it is not taken for the whole.
        match rustix::fs::unlinkat(&journal.dir, KEPT, AtFlags::empty()) {
            Ok(()) => rustix::fs::fsync(&journal.dir)?,
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        remove_tree(parent.as_fd(), id.to_string().as_bytes())
    }

    /// What is kept for an undo; `None` where nothing is, or not all of it yet.
    ///
    /// # Errors
    /// As [`Journal::state`].
    pub fn kept(&self) -> io::Result<Option<Kept>> {
        self.read(KEPT)
    }

    pub(crate) fn write_kept(&self, kept: Kept) -> io::Result<()> {
        self.write(KEPT, &kept)
    }

    /// A tree of content in the journal; `None` where there is none.
    pub(crate) fn tree(&self, path: &str) -> io::Result<Option<OwnedFd>> {
        match beneath::open_dir(&self.dir, path.as_bytes()) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if beneath::is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes what an attempt that was cut off had put there.
    pub(crate) fn discard_composed(&self) -> io::Result<()> {
        remove_tree(self.dir.as_fd(), COMPOSED.as_bytes())
    }

    /// Puts a text there that the approve will write and no tree has. It need not last: before the commit point the
    /// stage has a copy that does.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn put_composed(&self, sha256: Sha256, text: &[u8]) -> io::Result<()> {
        match rustix::fs::mkdirat(&self.dir, COMPOSED, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let dir = beneath::open_dir(&self.dir, COMPOSED.as_bytes())?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW;
        // The applier may be another user; the journal around it lets nobody else in.
        let mode = Mode::from_raw_mode(0o644);
        let name = sha256.to_string();
        let file = beneath::openat2(&dir, name.as_bytes(), flags, mode, beneath::RESOLVE)?;
        std::fs::File::from(file).write_all(text)
    }

    pub(crate) fn open_composed(&self, sha256: Sha256) -> io::Result<std::fs::File> {
        let dir = beneath::open_dir(&self.dir, COMPOSED.as_bytes())?;
        let (file, _) = beneath::open_file(dir, sha256.to_string().as_bytes())?;
        Ok(file)
    }

    /// How far it got; `None` where nothing was written yet.
    ///
    /// # Errors
    /// It cannot be read, or is not what we write.
    pub fn state(&self) -> io::Result<Option<State>> {
        self.read(STATE)
    }

    /// What was taken back: the old content is in its place again, but its ctime is a new one, so that the base would
    /// take it for a change by the host. To be recorded in [`crate::Base::approved`] as an approve is.
    ///
    /// # Errors
    /// As [`Journal::state`].
    pub fn restored(&self) -> io::Result<Vec<Applied>> {
        Ok(match self.state()? {
            Some(State::Conflict { restored, .. } | State::Aborted { restored, .. }) => restored,
            Some(State::Preparing | State::Committing | State::Applied { .. }) | None => Vec::new(),
        })
    }

    /// What it is about; `None` where nothing was written yet.
    ///
    /// # Errors
    /// It cannot be read, is not what we write, or is of a version that we do not know.
    pub fn manifest(&self) -> io::Result<Option<Manifest>> {
        let manifest: Option<Manifest> = self.read(MANIFEST)?;
        if manifest.as_ref().is_some_and(|manifest| manifest.version != Manifest::VERSION) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "a journal of another version"));
        }
        Ok(manifest)
    }

    pub(crate) fn write_manifest(&self, manifest: &Manifest) -> io::Result<()> {
        self.write(MANIFEST, manifest)
    }

    /// Moves to `state`. When it returns the new state lasts; when it fails either may.
    pub(crate) fn write_state(&self, state: &State) -> io::Result<()> {
        self.write(STATE, state)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let file = match beneath::open_file(&self.dir, name.as_bytes()) {
            Ok((file, _)) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        let value = serde_json::from_slice(&bytes)?;
        Ok(Some(value))
    }

    fn write(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW;
        let mode = Mode::RUSR | Mode::WUSR;
        failpoint("journal.open")?;
        let file = beneath::openat2(&self.dir, NEXT.as_bytes(), flags, mode, beneath::RESOLVE)?;
        let mut file = std::fs::File::from(file);
        failpoint("journal.write")?;
        file.write_all(&serde_json::to_vec(value)?)?;
        failpoint("journal.sync")?;
        file.sync_all()?;
        failpoint("journal.rename")?;
        rustix::fs::renameat(&self.dir, NEXT, &self.dir, name)?;
        failpoint("journal.sync_dir")?;
        rustix::fs::fsync(&self.dir)?;
        failpoint("journal.done")?;
        Ok(())
    }
}
