//! One set of files for another, so that a crash leaves the old one or the new one.
//!
//! ```text
//! staged ──journal in place──► old moved aside ──► new moved in ──► journal removed
//!    └ a crash: thrown away        └──────── a crash: carried on ────────┘
//! ```
//!
//! INVARIANT: nothing of the old set is touched before the journal is on the disk, and each move is one that was not made
//! yet or is left out, so carrying on from anywhere ends the same.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::create::{self, remove};

/// Where a backup is unpacked.
pub(crate) const STAGING: &str = "restore.tmp";
const JOURNAL: &str = "restore.json";
const JOURNAL_NEW: &str = "restore.json.new";

/// Comes before each change; a test has it fail, as a crash would end it there.
pub(crate) type Step<'a> = &'a mut dyn FnMut() -> io::Result<()>;

/// An interrupted restore could not be finished.
#[derive(Debug, thiserror::Error)]
#[error("a restore was interrupted, and cannot be finished")]
pub struct RecoverError(#[source] io::Error);

/// What is moved.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Swap {
    /// Where the old set goes, below the data directory.
    pub(crate) aside: Option<String>,
    pub(crate) old: Vec<String>,
    /// Names below the staging directory, and the same below the data directory.
    pub(crate) fresh: Vec<String>,
}

/// Finishes a restore that a crash interrupted after it was decided, and throws away what one or a backup left before.
/// For every start of a server; without anything to do it is two looks.
///
/// # Errors
/// See [`RecoverError`]; the data directory must not be used then.
pub fn recover(data_dir: &Path) -> Result<(), RecoverError> {
    recover_by_steps(data_dir, &mut || Ok(())).map_err(RecoverError)
}

pub(crate) fn recover_by_steps(data_dir: &Path, step: Step<'_>) -> io::Result<()> {
    match fs::read(data_dir.join(JOURNAL)) {
        Ok(text) => {
            let swap: Swap = serde_json::from_slice(&text)?;
            swap.carry_out(data_dir, step)?;
        }
        Err(err) if err.kind() == io::ErrorKind::NotFound => {}
        Err(err) => return Err(err),
    }
    remove(&data_dir.join(STAGING))?;
    remove(&data_dir.join(create::STAGING))?;
    remove_file(&data_dir.join(JOURNAL_NEW))
}

impl Swap {
    /// Decides it: what is staged and the journal are on the disk.
    pub(crate) fn commit(&self, data_dir: &Path, step: Step<'_>) -> io::Result<()> {
        let staging = data_dir.join(STAGING);
        for name in &self.fresh {
            sync_parents(&staging, name)?;
        }
        sync(data_dir)?;
        step()?;
        let path = data_dir.join(JOURNAL_NEW);
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        step()?;
        fs::rename(path, data_dir.join(JOURNAL))?;
        sync(data_dir)
    }

    /// Makes the moves that are not made yet.
    pub(crate) fn carry_out(&self, data_dir: &Path, step: Step<'_>) -> io::Result<()> {
        if let Some(aside) = &self.aside {
            let aside = data_dir.join(aside);
            make_dir(&aside)?;
            for name in &self.old {
                // What is there by now may be the new one.
                if aside.join(name).symlink_metadata().is_err() {
                    step()?;
                    move_file(&data_dir.join(name), &aside.join(name))?;
                }
            }
            sync(&aside)?;
            sync(data_dir)?;
        }
        for name in &self.fresh {
            let to = data_dir.join(name);
            let staged = data_dir.join(STAGING).join(name);
            if staged.symlink_metadata().is_ok() {
                make_parents(data_dir, name)?;
                step()?;
                move_file(&staged, &to)?;
            }
        }
        for name in &self.fresh {
            sync_parents(data_dir, name)?;
        }
        sync(data_dir)?;
        step()?;
        remove_file(&data_dir.join(JOURNAL))?;
        sync(data_dir)?;
        step()?;
        remove(&data_dir.join(STAGING))
    }
}

fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

fn make_dir(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

/// Makes the directories that lead to `name`.
fn make_parents(root: &Path, name: &str) -> io::Result<()> {
    let parents = Path::new(name).parent();
    parents.map_or(Ok(()), |parents| {
        DirBuilder::new().recursive(true).mode(0o700).create(root.join(parents))
    })
}

/// Syncs the directories that lead to `name`, so that what was made and moved in them lasts.
fn sync_parents(root: &Path, name: &str) -> io::Result<()> {
    let parents = Path::new(name).ancestors().skip(1);
    parents.map(|parent| root.join(parent)).try_for_each(|parent| sync(&parent))
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
