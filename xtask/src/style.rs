//! The size of files, and what must never be committed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::command::{Failed, note};

/// LIMIT: production lines of one file, above which it is refused (see `CONTRIBUTING.md`).
const LINES_MAX: usize = 600;
/// Above which it is looked at twice.
const LINES_NOTED: usize = 350;

/// Fails on a file that is too long.
pub(crate) fn check() -> Result<(), Failed> {
    let mut files = Vec::new();
    for root in ["crates", "xtask"] {
        rust_files(Path::new(root), &mut files)
            .map_err(|error| Failed(format!("{root} cannot be read: {error}")))?;
    }
    let mut too_long = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)
            .map_err(|error| Failed(format!("{}: {error}", file.display())))?;
        // What stands below the first test module is not production code.
        let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        if lines > LINES_MAX {
            too_long.push(format!("{} {lines}", file.display()));
        } else if lines > LINES_NOTED {
            note(&format!("look twice: {} has {lines} production lines", file.display()));
        }
    }
    too_long.is_empty().then_some(()).ok_or_else(|| {
        Failed(format!(
            "files of more than {LINES_MAX} production lines:\n  {}",
            too_long.join("\n  ")
        ))
    })
}

fn rust_files(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                rust_files(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
