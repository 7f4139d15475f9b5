//! The content of one side of a change, verified to be what the change says.

use std::{
    fs::File,
    io::{self, Read, Seek},
    os::fd::BorrowedFd,
};

use sandbar_types::{Change, Entry, Sha256, WorkspacePath};
use sha1::Digest;

use super::{Contents, DiffError};
use crate::{ChangeLimits, beneath, entry};

/// LIMIT: bytes read at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// The content of a file, or the target of a link.
pub(super) enum Blob {
    Small {
        bytes: Vec<u8>,
        sha256: Sha256,
    },
    /// Read again each time, because it is too large to keep.
    Large {
        file: File,
        size: u64,
        sha256: Sha256,
    },
}

/// Both sides of a change; `None` where a side is neither a file nor a link.
pub(super) fn both(
    contents: Contents<'_>,
    change: &Change,
    limits: &ChangeLimits,
) -> Result<(Option<Blob>, Option<Blob>), DiffError> {
    let layers = contents.layers;
    let read = |root: Option<BorrowedFd<'_>>, entry: Option<&Entry>| match (root, entry) {
        (_, None) => Ok(None),
        (None, Some(_)) => Err(DiffError::Stale { path: change.path.clone() }),
        (Some(root), Some(entry)) => Blob::read(root, &change.path, entry, limits),
    };
    let new = match composed(contents, change.new.as_ref()) {
        Some(blob) => Some(blob),
        None => read(Some(layers.merged), change.new.as_ref())?,
    };
    Ok((read(layers.lower, change.old.as_ref())?, new))
}

fn composed(contents: Contents<'_>, entry: Option<&Entry>) -> Option<Blob> {
    match entry? {
        Entry::File { sha256, .. } => {
            let bytes = contents.composed.text(*sha256)?.to_vec();
            Some(Blob::Small { bytes, sha256: *sha256 })
        }
        Entry::Directory { .. } | Entry::Symlink { .. } | Entry::Special { .. } => None,
    }
}

impl Blob {
    fn read(
        root: BorrowedFd<'_>,
        path: &WorkspacePath,
        entry: &Entry,
        limits: &ChangeLimits,
    ) -> Result<Option<Self>, DiffError> {
        let unreadable = |source: io::Error| {
            let path = path.clone();
            let is_other = source.kind() == io::ErrorKind::InvalidInput;
            if is_other || beneath::is_absent(&source) {
                DiffError::Stale { path }
            } else {
                DiffError::Unreadable { path, source }
            }
        };
        let stale = || DiffError::Stale { path: path.clone() };
        match entry {
            Entry::Directory { .. } | Entry::Special { .. } => Ok(None),
            Entry::Symlink { target } => {
                let (dir, name) = beneath::open_parent(root, path).map_err(unreadable)?;
                let bytes = beneath::read_link(&dir, name).map_err(unreadable)?;
                if bytes != target.0 {
                    return Err(stale());
                }
                let sha256 = Sha256(sha2::Sha256::digest(&bytes).into());
                Ok(Some(Self::Small { bytes, sha256 }))
            }
            Entry::File { size, sha256, .. } => {
                let (dir, name) = beneath::open_parent(root, path).map_err(unreadable)?;
                let (mut file, stat) = beneath::open_file(&dir, name).map_err(unreadable)?;
                let (size, sha256) = (*size, *sha256);
                if u64::try_from(stat.st_size) != Ok(size) {
                    return Err(stale());
                }
                if size > limits.display_bytes_max {
                    return Ok(Some(Self::Large { file, size, sha256 }));
                }
                let mut bytes = Vec::new();
                Read::by_ref(&mut file)
                    .take(size + 1)
                    .read_to_end(&mut bytes)
                    .map_err(unreadable)?;
                if sha2::Sha256::digest(&bytes)[..] != sha256.0 {
                    return Err(stale());
                }
                Ok(Some(Self::Small { bytes, sha256 }))
            }
        }
    }

    pub(super) fn sha256(&self) -> Sha256 {
        match self {
            Self::Small { sha256, .. } | Self::Large { sha256, .. } => *sha256,
        }
    }

    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Small { bytes, .. } => bytes.len() as u64,
            Self::Large { size, .. } => *size,
        }
    }

    /// The name that git has for the content: SHA-1 over a header and the bytes. `git apply` demands it of binaries.
    pub(super) fn git_id(&self, path: &WorkspacePath) -> Result<String, DiffError> {
        let mut hasher = sha1::Sha1::new();
        hasher.update(format!("blob {}\0", self.size()).as_bytes());
        self.for_each(path, |bytes| {
            hasher.update(bytes);
            Ok(())
        })?;
        Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Hands all bytes to `each`, and then fails where they were not the right ones.
    pub(super) fn for_each(
        &self,
        path: &WorkspacePath,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), DiffError> {
        let (file, sha256) = match self {
            Self::Small { bytes, .. } => return each(bytes).map_err(DiffError::Write),
            Self::Large { file, sha256, .. } => (file, sha256),
        };
        let unreadable = |source| DiffError::Unreadable { path: path.clone(), source };
        let mut reader = file;
        reader.rewind().map_err(unreadable)?;
        let mut tee = Tee { reader, each: &mut each, failed: None };
        let hashed = entry::hash(io::BufReader::with_capacity(BUFFER_BYTES, &mut tee));
        if let Some(error) = tee.failed {
            return Err(DiffError::Write(error));
        }
        let (found, _) = hashed.map_err(unreadable)?;
        if found != *sha256 {
            return Err(DiffError::Stale { path: path.clone() });
        }
        Ok(())
    }
}

/// Shows everything that is read to `each`, and stops where it fails.
struct Tee<'a, F> {
    reader: &'a File,
    each: &'a mut F,
    failed: Option<io::Error>,
}

impl<F: FnMut(&[u8]) -> io::Result<()>> Read for Tee<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        if let Err(error) = (self.each)(&buffer[..read]) {
            self.failed = Some(error);
            return Ok(0);
        }
        Ok(read)
    }
}
