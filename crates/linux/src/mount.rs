//! `mount_setattr(2)`, which rustix lacks; the rest of the mount API is rustix's.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// Which mounts a change of attributes hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The one mount.
    Mount,
    /// The mount and all below it.
    Tree,
}

/// Attributes to change on a mount; see mount_setattr(2).
#[derive(Debug, Clone, Copy, Default)]
pub struct MountAttributes<'fd> {
    /// `MOUNT_ATTR_*` bits to set.
    pub set: u64,
    /// `MOUNT_ATTR_*` bits to clear.
    pub clear: u64,
    /// Makes it private: events neither come nor go.
    pub is_private: bool,
    /// Shows ids through this user namespace's maps.
    pub idmap: Option<BorrowedFd<'fd>>,
}

/// No writes.
pub const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;
/// Set-user-id bits and file capabilities do nothing.
pub const NOSUID: u64 = libc::MOUNT_ATTR_NOSUID;
/// Device nodes do nothing.
pub const NODEV: u64 = libc::MOUNT_ATTR_NODEV;
/// Nothing can be executed.
pub const NOEXEC: u64 = libc::MOUNT_ATTR_NOEXEC;

/// Changes attributes of the mount that `tree` is the root of.
///
/// # Errors
/// As mount_setattr(2): `EINVAL` where the file system cannot be idmapped or `tree` is no mount's root, `EPERM`.
pub fn set_attributes(
    tree: BorrowedFd<'_>,
    reach: Reach,
    attributes: MountAttributes<'_>,
) -> io::Result<()> {
    // SAFETY: an all-zero mount_attr is valid: it holds integers only.
    let mut attr: libc::mount_attr = unsafe { std::mem::zeroed() };
    attr.attr_set = attributes.set;
    attr.attr_clr = attributes.clear;
    if attributes.is_private {
        attr.propagation = libc::MS_PRIVATE;
    }
    if let Some(userns) = attributes.idmap {
        attr.attr_set |= libc::MOUNT_ATTR_IDMAP;
        attr.userns_fd =
            u64::try_from(userns.as_raw_fd()).expect("a borrowed descriptor is not negative");
    }
    let flags = match reach {
        Reach::Mount => libc::AT_EMPTY_PATH,
        Reach::Tree => libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
    };
    // SAFETY: the path is a NUL-terminated literal, and `attr` is valid for the size that is passed.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(&attr),
            size_of::<libc::mount_attr>(),
        )
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
