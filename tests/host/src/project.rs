//! A directory that stands for a user's project, and a witness that says whether anything of it changed.

use std::{
    fs,
    io::Read,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// A project in a directory of its own.
#[derive(Debug)]
pub struct Project {
    dir: tempfile::TempDir,
}

impl Default for Project {
    fn default() -> Self {
        Self::new()
    }
}

impl Project {
    /// An empty project.
    ///
    /// # Panics
    /// If no directory can be made.
    #[must_use]
    pub fn new() -> Self {
        let dir =
            tempfile::Builder::new().prefix("project.").tempdir().expect("a directory can be made");
        Self { dir }
    }

    /// Writes a file, with the directories above it.
    ///
    /// # Panics
    /// If it cannot be written.
    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().expect("a file has a directory"))
            .expect("directories can be made");
        fs::write(path, content).expect("a file can be written");
        self
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The content of a file; `None` where there is none.
    #[must_use]
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.path().join(path)).ok()
    }

    /// A hash over every name, byte, mode, owner, mtime, link target and extended attribute of the tree.
    ///
    /// # Panics
    /// If something cannot be read.
    #[must_use]
    pub fn witness(&self) -> String {
        witness(self.path())
    }
}

/// See [`Project::witness`].
fn witness(root: &Path) -> String {
    let mut hash = Sha256::new();
    let mut todo = vec![root.to_owned()];
    while let Some(path) = todo.pop() {
        let stat = fs::symlink_metadata(&path).expect("what was listed can be read");
        let numbers = [u64::from(stat.mode()), stat.uid().into(), stat.gid().into(), stat.nlink()];
        hash.update(path.strip_prefix(root).expect("walked from the root").as_os_str().as_bytes());
        for number in numbers {
            hash.update(number.to_le_bytes());
        }
        hash.update(stat.mtime().to_le_bytes());
        hash.update(stat.mtime_nsec().to_le_bytes());
        hash.update(attributes(&path));
        if stat.is_dir() {
            let mut children: Vec<PathBuf> = fs::read_dir(&path)
                .expect("a directory can be listed")
                .map(|entry| entry.expect("an entry").path())
                .collect();
            children.sort();
            todo.extend(children.into_iter().rev());
        } else if stat.is_symlink() {
            hash.update(fs::read_link(&path).expect("a link can be read").as_os_str().as_bytes());
        } else if stat.is_file() {
            let mut file = fs::File::open(&path).expect("root can read");
            let mut buffer = vec![0; 1 << 16];
            loop {
                let count = file.read(&mut buffer).expect("root can read");
                if count == 0 {
                    break;
                }
                hash.update(&buffer[..count]);
            }
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(path: &Path) -> Vec<u8> {
    let mut names = vec![0; 64 << 10];
    let Ok(count) = rustix::fs::llistxattr(path, &mut names) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for name in names[..count].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 64 << 10];
        let count = rustix::fs::lgetxattr(path, name, &mut value).unwrap_or(0);
        all.extend_from_slice(name);
        all.extend_from_slice(&value[..count]);
    }
    all
}
