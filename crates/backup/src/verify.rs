//! Reading a backup, believing nothing of it.

use std::{
    collections::BTreeSet,
    error::Error,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use sandbar_store::SnapshotContents;

use crate::{
    Entry, Manifest,
    create::remove,
    manifest::{FORMAT, MANIFEST_MAX, measure},
    name, seal,
};

/// Looks into a copy of a database: whether it is whole, and what it holds.
pub type Check<'a> = &'a dyn Fn(&Path) -> Result<SnapshotContents, Box<dyn Error + Send + Sync>>;

/// The first thing that is wrong with a backup.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read, or there is no place to unpack it.
    #[error("cannot use `{path}`", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// It is no archive, or one that is cut off.
    #[error("it is no backup, or one that is damaged")]
    Archive(#[source] io::Error),
    /// Its manifest is not there, or not readable.
    #[error("its manifest cannot be read")]
    Manifest(#[source] serde_json::Error),
    /// A newer Sandbar wrote it.
    #[error("it has format {format}; this version reads format 1")]
    Format {
        /// What it says.
        format: u32,
    },
    /// It holds what no backup holds.
    #[error("it holds `{name}`, which is not part of a backup")]
    Stranger {
        /// The name, escaped.
        name: String,
    },
    /// Something that the manifest lists is not there.
    #[error("`{name}` is missing in it")]
    Missing {
        /// Its name.
        name: String,
    },
    /// An entry is not what was written.
    #[error("`{name}` in it is damaged")]
    Damaged {
        /// Its name.
        name: String,
    },
    /// Every entry is right, something between them is not.
    #[error("it is damaged outside of its entries, or cut off")]
    Seal,
    /// The database in it is damaged.
    #[error("the database in it cannot be used")]
    Database(#[source] Box<dyn Error + Send + Sync>),
    /// The database in it holds something else than when it was written.
    #[error("the database in it does not hold what its manifest says")]
    Contents,
}

/// Verifies a backup: every hash, the database, and how many rows it has. `scratch` is where it is unpacked; it is made,
/// and removed again.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(archive: &Path, scratch: &Path, check: Check<'_>) -> Result<Manifest, VerifyError> {
    let verified = unpack(archive, scratch, check);
    // Of a copy that stays nobody is harmed who could not read the data directory before.
    remove(scratch).ok();
    verified
}

/// Verifies a backup into `into`, which is made, and leaves it there, every file synced.
pub(crate) fn unpack(
    archive: &Path,
    into: &Path,
    check: Check<'_>,
) -> Result<Manifest, VerifyError> {
    let unusable = |source| VerifyError::File { path: archive.to_owned(), source };
    let mut file = File::open(archive).map_err(unusable)?;
    let (len, is_sealed) = seal::check(&mut file).map_err(unusable)?;
    DirBuilder::new()
        .mode(0o700)
        .create(into)
        .map_err(|source| VerifyError::File { path: into.to_owned(), source })?;
    // Also with a broken seal: a name says more.
    let manifest = entries(file.take(len), into)?;
    if !is_sealed {
        return Err(VerifyError::Seal);
    }
    let contents = check(&into.join(name::DATABASE)).map_err(VerifyError::Database)?;
    if !manifest.is_of(&contents) {
        return Err(VerifyError::Contents);
    }
    Ok(manifest)
}

fn entries(archive: impl Read, into: &Path) -> Result<Manifest, VerifyError> {
    let mut archive = tar::Archive::new(archive);
    let mut entries = archive.entries().map_err(VerifyError::Archive)?;
    let Some(first) = entries.next() else {
        return Err(VerifyError::Missing { name: name::MANIFEST.to_owned() });
    };
    let first = first.map_err(VerifyError::Archive)?;
    if name_of(&first)? != name::MANIFEST {
        return Err(VerifyError::Missing { name: name::MANIFEST.to_owned() });
    }
    let mut text = Vec::new();
    first.take(MANIFEST_MAX).read_to_end(&mut text).map_err(VerifyError::Archive)?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(VerifyError::Manifest)?;
    if manifest.format != FORMAT {
        return Err(VerifyError::Format { format: manifest.format });
    }
    let mut missing: BTreeSet<&str> = manifest.entries.keys().map(String::as_str).collect();
    for entry in entries {
        let entry = entry.map_err(VerifyError::Archive)?;
        let name = name_of(&entry)?;
        // One that comes a second time is no part of it, either.
        let is_ours = entry.header().entry_type().is_file() && name::is_known(&name);
        if !is_ours || !missing.remove(name.as_str()) {
            return Err(VerifyError::Stranger { name });
        }
        take(entry, &into.join(&name), &name, &manifest.entries[&name])?;
    }
    if !manifest.entries.contains_key(name::DATABASE) {
        return Err(VerifyError::Missing { name: name::DATABASE.to_owned() });
    }
    match missing.first() {
        Some(name) => Err(VerifyError::Missing { name: (*name).to_owned() }),
        None => Ok(manifest),
    }
}

fn name_of(entry: &tar::Entry<'_, impl Read>) -> Result<String, VerifyError> {
    let name = entry.path_bytes();
    match str::from_utf8(&name) {
        Ok(name) => Ok(name.to_owned()),
        Err(_) => Err(VerifyError::Stranger { name: name.escape_ascii().to_string() }),
    }
}

/// Unpacks an entry, no more of it than it says it has, and checks what was written by reading it again.
fn take(from: impl Read, to: &Path, name: &str, expected: &Entry) -> Result<(), VerifyError> {
    let unusable = |source| VerifyError::File { path: to.to_owned(), source };
    if let Some(parent) = to.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(unusable)?;
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(unusable)?;
    io::copy(&mut from.take(expected.size_bytes.saturating_add(1)), &mut file).map_err(unusable)?;
    file.sync_all().map_err(unusable)?;
    let found = measure(File::open(to).map_err(unusable)?).map_err(unusable)?;
    if found == *expected {
        return Ok(());
    }
    fs::remove_file(to).ok();
    Err(VerifyError::Damaged { name: name.to_owned() })
}
