//! What names a directory for as long as it exists, whatever is mounted where.

use std::{fs::File, io, path::Path};

/// File systems whose inode numbers outlive a mount. Others make them up: overlayfs over several, FAT, some of FUSE.
const PERSISTENT: [i64; 7] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0x0102_1994, // tmpfs
    0xf2f5_2010, // f2fs
    0x2fc1_2fc1, // zfs
    0xca45_1a4e, // bcachefs
];

/// The inode number of the directory `path`, and whether its file system keeps it; see statfs(2).
///
/// Without the device: its number changes with each mount.
///
/// # Errors
/// It cannot be opened.
pub fn inode(path: &Path) -> io::Result<(u64, bool)> {
    let dir = File::open(path)?;
    let kind = rustix::fs::fstatfs(&dir)?.f_type;
    #[expect(clippy::useless_conversion, reason = "the kernel's word has another size elsewhere")]
    let kind = i64::from(kind);
    Ok((rustix::fs::fstat(&dir)?.st_ino, PERSISTENT.contains(&kind)))
}
