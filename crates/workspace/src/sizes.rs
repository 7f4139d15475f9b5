//! How much a workspace takes: the writable layer by size, its largest files, and what builds left behind.

use std::{collections::BTreeSet, io, os::fd::BorrowedFd};

use rustix::fs::{FileType, Stat};
use sandbar_types::WorkspacePath;
use serde::{Deserialize, Serialize};

use crate::{
    beneath,
    tree::{self, Tree},
};

/// How much is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeLimits {
    /// LIMIT: largest files named.
    pub largest_max: usize,
    /// LIMIT: artifact directories named, the largest first.
    pub artifacts_max: usize,
}

impl Default for SizeLimits {
    fn default() -> Self {
        Self { largest_max: 20, artifacts_max: 50 }
    }
}

/// What a writable layer takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// Bytes that are allocated on disk, those of directories included; a hard link counts once.
    pub bytes: u64,
    /// Files, directories and links; the marks of deletions are none.
    pub files: u64,
    /// The largest files, the largest first.
    pub largest: Vec<Large>,
    /// Directories of build artifacts, the largest first.
    pub artifacts: Vec<Artifact>,
}

/// A large file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Large {
    /// Where.
    pub path: WorkspacePath,
    /// Bytes that are allocated.
    pub bytes: u64,
}

/// A directory that a build or a package manager made, and can make again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Where: the outermost one.
    pub path: WorkspacePath,
    /// Of which kind.
    pub kind: ArtifactKind,
    /// Bytes that are allocated below it in the writable layer.
    pub bytes: u64,
    /// Files, directories and links below it.
    pub files: u64,
}

/// What made an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactKind {
    /// Compiled code and bundles: `target`, `build`, `dist`, `out`, `.next`, …
    Build,
    /// Packages: `node_modules`, `.venv`, `vendor`, …
    Dependencies,
    /// What only makes the next run faster: `__pycache__`, `.mypy_cache`, …
    Cache,
}

/// Names of directories that can be made again.
const ARTIFACTS: [(&[u8], ArtifactKind); 21] = [
    (b"target", ArtifactKind::Build),
    (b"build", ArtifactKind::Build),
    (b"dist", ArtifactKind::Build),
    (b"out", ArtifactKind::Build),
    (b".next", ArtifactKind::Build),
    (b".nuxt", ArtifactKind::Build),
    (b".output", ArtifactKind::Build),
    (b".svelte-kit", ArtifactKind::Build),
    (b"node_modules", ArtifactKind::Dependencies),
    (b".venv", ArtifactKind::Dependencies),
    (b"venv", ArtifactKind::Dependencies),
    (b"vendor", ArtifactKind::Dependencies),
    (b".pnpm-store", ArtifactKind::Dependencies),
    (b"__pycache__", ArtifactKind::Cache),
    (b".pytest_cache", ArtifactKind::Cache),
    (b".mypy_cache", ArtifactKind::Cache),
    (b".ruff_cache", ArtifactKind::Cache),
    (b".tox", ArtifactKind::Cache),
    (b".gradle", ArtifactKind::Cache),
    (b".turbo", ArtifactKind::Cache),
    (b".parcel-cache", ArtifactKind::Cache),
];

/// Measures a writable layer. It may be in use meanwhile: the sizes are those of about one moment.
///
/// # Errors
/// A directory cannot be read.
pub fn sizes(upper: BorrowedFd<'_>, limits: &SizeLimits) -> io::Result<Sizes> {
    let mut measured = Measured { sizes: Sizes::default(), linked: BTreeSet::new(), limits };
    let mut tree = Tree::new(upper)?;
    let mut pending: Vec<(Vec<u8>, Option<usize>)> = vec![(Vec::new(), None)];
    while let Some((directory, artifact)) = pending.pop() {
        let Some(dir) = tree.dir(&directory)? else {
            continue;
        };
        for name in beneath::list(dir)? {
            let Some(stat) = beneath::stat(dir, &name)? else {
                continue;
            };
            let path = tree::join(&directory, &name);
            let is_directory = beneath::file_type(&stat) == FileType::Directory;
            let within = artifact
                .or_else(|| if is_directory { measured.artifact(&name, &path) } else { None });
            measured.count(&stat, &path, within);
            if is_directory {
                pending.push((path, within));
            }
        }
    }
    Ok(measured.finish())
}

struct Measured<'a> {
    sizes: Sizes,
    /// Files with several names that were counted, by device and inode.
    linked: BTreeSet<(u64, u64)>,
    limits: &'a SizeLimits,
}

impl Measured<'_> {
    /// Begins a new artifact where the name is that of one.
    fn artifact(&mut self, name: &[u8], path: &[u8]) -> Option<usize> {
        let (_, kind) = ARTIFACTS.iter().find(|(known, _)| *known == name)?;
        let path = WorkspacePath::parse(path).ok()?;
        self.sizes.artifacts.push(Artifact { path, kind: *kind, bytes: 0, files: 0 });
        Some(self.sizes.artifacts.len() - 1)
    }

    fn count(&mut self, stat: &Stat, path: &[u8], artifact: Option<usize>) {
        let what = beneath::file_type(stat);
        // A whiteout: the kernel's mark of a deletion.
        if what == FileType::CharacterDevice && stat.st_rdev == 0 {
            return;
        }
        let is_file = what == FileType::RegularFile;
        if is_file && stat.st_nlink > 1 && !self.linked.insert((stat.st_dev, stat.st_ino)) {
            return;
        }
        let bytes = u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
        self.sizes.bytes += bytes;
        self.sizes.files += 1;
        if let Some(artifact) = artifact.and_then(|at| self.sizes.artifacts.get_mut(at)) {
            artifact.bytes += bytes;
            artifact.files += 1;
        }
        if is_file && let Ok(path) = WorkspacePath::parse(path) {
            self.sizes.largest.push(Large { path, bytes });
            // Kept short while walking, without sorting each time.
            if self.sizes.largest.len() >= 2 * self.limits.largest_max.max(64) {
                self.keep_largest();
            }
        }
    }

    fn keep_largest(&mut self) {
        let largest = &mut self.sizes.largest;
        largest.sort_by(|one, other| (other.bytes, &one.path).cmp(&(one.bytes, &other.path)));
        largest.truncate(self.limits.largest_max);
    }

    fn finish(mut self) -> Sizes {
        self.keep_largest();
        let artifacts = &mut self.sizes.artifacts;
        artifacts.sort_by(|one, other| (other.bytes, &one.path).cmp(&(one.bytes, &other.path)));
        artifacts.truncate(self.limits.artifacts_max);
        self.sizes
    }
}
