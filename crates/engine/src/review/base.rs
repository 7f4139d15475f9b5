//! The texts that host and sandbox had in common, kept so that they can be merged when both go on.
//!
//! One file for each path below `base/` of the sandbox, named by a hash of the path. The row of the path says which text
//! it must be; another one is no base. What is lost here costs a merge, never a byte: without a base, a person decides.

use std::{
    fs::{self, DirBuilder},
    io::{self, Read},
    os::{fd::AsFd, unix::fs::DirBuilderExt},
    path::PathBuf,
};

use sandbar_types::{Entry, Sha256, WorkspacePath};
use sandbar_workspace::beneath;
use sha2::Digest;

use crate::layout::Layout;

/// LIMIT: bytes of a text that is kept.
const TEXT_BYTES_MAX: u64 = 1 << 20;

pub(super) struct BaseTexts(PathBuf);

impl BaseTexts {
    pub(super) fn of(layout: &Layout, id: sandbar_types::SandboxId) -> Self {
        Self(layout.sandbox(id).0.join("base"))
    }

    /// Keeps `text` as what both sides have at `path`.
    pub(super) fn put(&self, path: &WorkspacePath, text: &[u8]) -> io::Result<()> {
        let file = self.file(path);
        if text.len() as u64 > TEXT_BYTES_MAX {
            return match fs::remove_file(file) {
                Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
                Ok(()) | Err(_) => Ok(()),
            };
        }
        match DirBuilder::new().mode(0o700).create(&self.0) {
            Err(err) if err.kind() != io::ErrorKind::AlreadyExists => return Err(err),
            Ok(()) | Err(_) => {}
        }
        fs::write(file, text)
    }

    /// Keeps what the source has at each path, as far as it is still what an approve left there.
    pub(super) fn keep(
        &self,
        source: impl AsFd + Copy,
        left: &[(WorkspacePath, Option<Entry>)],
    ) -> io::Result<()> {
        for (path, entry) in left {
            let Some(Entry::File { size, sha256, .. }) = entry else {
                continue;
            };
            if *size > TEXT_BYTES_MAX {
                continue;
            }
            let read = read(source, path);
            if let Some(text) = read.filter(|text| hash(text) == *sha256) {
                self.put(path, &text)?;
            }
        }
        Ok(())
    }

    /// The text that was kept for `path`, if it is the one of `entry`.
    pub(super) fn find(&self, path: &WorkspacePath, entry: &Entry) -> Option<Vec<u8>> {
        let Entry::File { sha256, .. } = entry else {
            return None;
        };
        let text = fs::read(self.file(path)).ok()?;
        (hash(&text) == *sha256).then_some(text)
    }

    fn file(&self, path: &WorkspacePath) -> PathBuf {
        self.0.join(hash(path.as_bytes()).to_string())
    }
}

fn read(source: impl AsFd, path: &WorkspacePath) -> Option<Vec<u8>> {
    let (dir, name) = beneath::open_parent(source, path).ok()?;
    let (file, _) = beneath::open_file(dir, name).ok()?;
    let mut text = Vec::new();
    file.take(TEXT_BYTES_MAX + 1).read_to_end(&mut text).ok()?;
    Some(text)
}

fn hash(bytes: &[u8]) -> Sha256 {
    Sha256(sha2::Sha256::digest(bytes).into())
}
