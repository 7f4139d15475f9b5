//! Room on a file system: how much is free, and holding some of it.

use std::{fs::OpenOptions, io, os::unix::fs::OpenOptionsExt, path::Path};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// Bytes that are free for everybody on the file system of `path`.
///
/// # Errors
/// The file system does not say.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let seen = statvfs(path)?;
    Ok(seen.f_bavail.saturating_mul(seen.f_frsize))
}

/// Holds `bytes` in the file `path`, all of them allocated; removing the file gives them back.
///
/// # Errors
/// There is no room, and nothing is held; or the file system cannot hold any.
pub fn reserve(path: &Path, bytes: u64) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    let held = fallocate(&file, FallocateFlags::empty(), 0, bytes);
    if held.is_err() {
        // Half a reserve is none.
        std::fs::remove_file(path)?;
    }
    Ok(held?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn what_is_held_is_allocated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reserve");
        reserve(&path, 1 << 20).unwrap();
        assert!(std::fs::metadata(&path).unwrap().blocks() * 512 >= 1 << 20);
        assert!(free_bytes(dir.path()).unwrap() > 0);
        let err = reserve(&path, u64::MAX / 4).unwrap_err();
        assert!(!path.exists(), "{err}");
    }
}
