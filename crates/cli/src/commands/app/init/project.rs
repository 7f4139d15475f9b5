//! A directory as a project, for whoever may read it.

use std::{
    fs::{self, OpenOptions},
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use sandbar_presets::ProjectFiles;

use crate::failure::Failure;

/// LIMIT: bytes of a file that is looked at. What is longer was not written by a person.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The files below a directory.
#[derive(Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Ok(Self(path.to_owned())),
            Ok(_) => Err(Failure::usage(format!("{} is no directory", path.display()))),
            Err(error) => {
                Err(Failure::not_found(format!("no directory {}", path.display()))
                    .caused_by(&error))
            }
        }
    }
}

impl ProjectFiles for Directory {
    fn has(&self, path: &str) -> bool {
        fs::metadata(self.0.join(path)).is_ok_and(|found| found.is_file())
    }

    fn read(&self, path: &str) -> Option<String> {
        // Without the flag, opening a pipe would wait for somebody to write.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).ok()?;
        let file =
            OpenOptions::new().read(true).custom_flags(flags).open(self.0.join(path)).ok()?;
        let found = file.metadata().ok()?;
        if !found.is_file() || found.len() > FILE_BYTES_MAX {
            return None;
        }
        let mut text = String::new();
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
        Some(text)
    }
}
