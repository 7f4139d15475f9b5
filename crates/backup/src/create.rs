//! Writing a backup.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File},
    io::{self, BufWriter, Seek as _, Write as _},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Mode, OFlags};
use sandbar_store::SnapshotContents;

use crate::{
    Entry, Manifest,
    manifest::{FORMAT, measure},
    name, seal,
};

/// What is in a data directory while a backup of it is made.
pub(crate) const STAGING: &str = "backup.tmp";
/// LIMIT: bytes of a file other than the database; all of them are small.
const FILE_MAX: u64 = 64 << 20;

/// Why no backup was written.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A file of the data directory cannot be read.
    #[error("cannot read `{path}`", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The archive cannot be written.
    #[error("cannot write the backup")]
    Write(#[source] io::Error),
}

/// What a backup is made of.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The data directory.
    pub data_dir: &'a Path,
    /// A copy of its database.
    pub database: &'a Path,
    /// What the copy holds.
    pub contents: &'a SnapshotContents,
}

/// A directory for the copy of a database, in the data directory; removed with everything in it when it is dropped.
#[derive(Debug)]
pub struct Staging(PathBuf);

impl Staging {
    /// Makes it. One backup is made at a time: what another one left is removed.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn make(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(STAGING);
        remove(&path)?;
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Where the copy of the database goes.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.0.join(name::DATABASE)
    }

    /// A file without a name that is gone when it is closed, for an archive.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn archive(&self) -> io::Result<File> {
        let path = self.0.join("archive");
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR)?;
        fs::remove_file(path)?;
        Ok(file.into())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What stays is removed by the next backup and the next start.
        remove(&self.0).ok();
    }
}

/// Removes a directory that may not be there.
pub(crate) fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Writes a backup to `out`, an empty file, and syncs it.
///
/// # Errors
/// See [`CreateError`]; what was written is no backup then.
pub fn create(source: Source<'_>, mut out: &File) -> Result<Manifest, CreateError> {
    let mut small = BTreeMap::new();
    for name in names(source.data_dir)? {
        let path = source.data_dir.join(&name);
        if let Some(bytes) = read(&path).map_err(|source| CreateError::Read { path, source })? {
            small.insert(name, bytes);
        }
    }
    let unreadable = |err| CreateError::Read { path: source.database.to_owned(), source: err };
    let mut database = File::open(source.database).map_err(unreadable)?;
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    entries.insert(name::DATABASE.to_owned(), measure(&database).map_err(unreadable)?);
    for (name, bytes) in &small {
        entries.insert(name.clone(), measure(&**bytes).map_err(CreateError::Write)?);
    }
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        schema: source.contents.schema,
        rows: source.contents.rows.clone(),
        entries,
    };
    let mut write = || {
        let mut archive = tar::Builder::new(BufWriter::new(out));
        append(&mut archive, name::MANIFEST, &serde_json::to_vec_pretty(&manifest)?)?;
        for (name, bytes) in &small {
            append(&mut archive, name, bytes)?;
        }
        database.rewind()?;
        let size = manifest.entries[name::DATABASE].size_bytes;
        archive.append_data(&mut header(size), name::DATABASE, &database)?;
        archive.into_inner()?.flush()?;
        let mut sealed = out.try_clone()?;
        seal::put(&mut sealed)?;
        out.flush()?;
        out.sync_all()
    };
    write().map_err(CreateError::Write)?;
    Ok(manifest)
}

/// What is in a data directory beside the database, by name. Not all of it has to be there.
fn names(data_dir: &Path) -> Result<Vec<String>, CreateError> {
    let mut names: Vec<String> = name::STATE.map(ToOwned::to_owned).into();
    let path = data_dir.join(name::SANDBOXES);
    let unreadable = |source| CreateError::Read { path: path.clone(), source };
    let sandboxes = match fs::read_dir(&path) {
        Ok(sandboxes) => sandboxes,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(names),
        Err(err) => return Err(unreadable(err)),
    };
    for sandbox in sandboxes {
        let id = sandbox.map_err(unreadable)?.file_name();
        let Some(id) = id.to_str().filter(|id| name::is_id(id)) else { continue };
        names.extend(name::RECORDS.map(|file| format!("{}/{id}/{file}", name::SANDBOXES)));
    }
    Ok(names)
}

/// Reads a file; `None`: it is not there. A link is followed for no file but the operator's own configuration.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    use std::io::Read as _;

    let is_operators = path.ends_with("config.toml");
    let follow = if is_operators { OFlags::empty() } else { OFlags::NOFOLLOW };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | follow;
    let file = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        // A sandbox may be removed meanwhile.
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(None),
        Err(err) => return Err(err.into()),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(Some(bytes))
}

fn append(archive: &mut tar::Builder<impl io::Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    archive.append_data(&mut header(bytes.len() as u64), name, bytes)
}

/// For its owner alone, of no time: the same state gives the same bytes.
fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o600);
    header.set_size(size);
    header.set_entry_type(tar::EntryType::Regular);
    header
}
