//! Putting a backup in place of what is in a data directory.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    Manifest, VerifyError,
    create::remove,
    name,
    swap::{self, STAGING, Swap},
    verify::{Check, unpack},
};

/// What to do with a store that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it, and do nothing.
    Refuse,
    /// Move it to a directory beside it.
    MoveAside,
}

/// What is restored, and where.
#[derive(Clone, Copy)]
pub struct RestoreParams<'a> {
    /// The backup.
    pub archive: &'a Path,
    /// The data directory; it exists, and nobody else uses it.
    pub data_dir: &'a Path,
    /// What to do with a store that is there.
    pub existing: Existing,
    /// Looks into the database.
    pub check: Check<'a>,
}

impl std::fmt::Debug for RestoreParams<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestoreParams").field("archive", &self.archive).finish_non_exhaustive()
    }
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What was in the backup.
    pub manifest: Manifest,
    /// Where what was there before is now.
    pub aside: Option<PathBuf>,
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The data directory has a store already.
    #[error("the data directory `{path}` has a store", path = path.display())]
    Existing {
        /// The data directory.
        path: PathBuf,
    },
    /// The backup is not good.
    #[error("the backup cannot be used")]
    Verify(#[source] VerifyError),
    /// The data directory cannot be written to. What was begun is finished or undone by the next start.
    #[error("cannot change the data directory `{path}`", path = path.display())]
    DataDir {
        /// The data directory.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// Restores a backup: all of it, or nothing. Whoever calls has the data directory for itself.
///
/// The directories of sandboxes stay where they are, and what they say of themselves: it is younger than the backup.
///
/// # Errors
/// See [`RestoreError`].
pub fn restore(params: RestoreParams<'_>) -> Result<Restored, RestoreError> {
    restore_by_steps(params, &mut || Ok(()))
}

/// As [`restore`]; `step` comes before each change that a crash could part from the next one.
pub(crate) fn restore_by_steps(
    params: RestoreParams<'_>,
    step: swap::Step<'_>,
) -> Result<Restored, RestoreError> {
    let data_dir = params.data_dir;
    let failed = |source| RestoreError::DataDir { path: data_dir.to_owned(), source };
    swap::recover_by_steps(data_dir, step).map_err(failed)?;
    let store = [name::DATABASE, "secrets.key"];
    if params.existing == Existing::Refuse && store.iter().any(|name| has(data_dir, name)) {
        return Err(RestoreError::Existing { path: data_dir.to_owned() });
    }
    let staging = data_dir.join(STAGING);
    step().map_err(failed)?;
    let manifest = match unpack(params.archive, &staging, params.check) {
        Ok(manifest) => manifest,
        Err(error) => {
            remove(&staging).map_err(failed)?;
            return Err(RestoreError::Verify(error));
        }
    };
    let swap = plan(data_dir, &manifest).map_err(failed)?;
    swap.commit(data_dir, step).map_err(failed)?;
    swap.carry_out(data_dir, step).map_err(failed)?;
    Ok(Restored { manifest, aside: swap.aside.map(|aside| data_dir.join(aside)) })
}

/// Whether there is something of this name, be it a link that leads nowhere.
fn has(data_dir: &Path, name: &str) -> bool {
    data_dir.join(name).symlink_metadata().is_ok()
}

fn plan(data_dir: &Path, manifest: &Manifest) -> io::Result<Swap> {
    let old: Vec<String> = name::DATABASE_PARTS
        .iter()
        .chain(&name::STATE)
        .filter(|name| has(data_dir, name))
        .map(|name| (*name).to_owned())
        .collect();
    let fresh = manifest
        .entries
        .keys()
        .filter(|name| !name::is_record(name) || !has(data_dir, name))
        .cloned()
        .collect();
    let aside = if old.is_empty() { None } else { Some(free_name(data_dir)?) };
    Ok(Swap { aside, old, fresh })
}

/// A name that nothing has yet: what was replaced once stays, however often it is done again.
fn free_name(data_dir: &Path) -> io::Result<String> {
    (1_u32..)
        .map(|number| format!("replaced-{number}"))
        .find(|name| !has(data_dir, name))
        .ok_or_else(|| io::ErrorKind::AlreadyExists.into())
}
