//! Subvolumes of btrfs, and the quotas that it holds for each.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use rustix::fs::fstatfs;

/// `BTRFS_SUPER_MAGIC`.
const MAGIC: u64 = 0x9123_683e;
/// `_IOW(0x94, 14, struct btrfs_ioctl_vol_args)`.
const SUBVOL_CREATE: libc::c_ulong = 0x5000_940e;
/// `_IOR(0x94, 24, __u64)`.
const START_SYNC: libc::c_ulong = 0x8008_9418;
/// `_IOW(0x94, 22, __u64)`.
const WAIT_SYNC: libc::c_ulong = 0x4008_9416;
/// `_IOR(0x94, 43, struct btrfs_ioctl_qgroup_limit_args)`.
const QGROUP_LIMIT: libc::c_ulong = 0x8030_942b;
/// `BTRFS_QGROUP_LIMIT_MAX_RFER`.
const MAX_REFERENCED: u64 = 1;

/// `struct btrfs_ioctl_vol_args`.
#[repr(C)]
struct Volume {
    fd: i64,
    name: [u8; 4088],
}

/// `struct btrfs_ioctl_qgroup_limit_args`.
#[repr(C)]
struct GroupLimit {
    /// 0: the group of the subvolume that is asked.
    group: u64,
    flags: u64,
    max_referenced: u64,
    max_exclusive: u64,
    reserved_referenced: u64,
    reserved_exclusive: u64,
}

/// Whether `dir` is on btrfs.
///
/// # Errors
/// The file system does not say.
pub fn is_on(dir: impl AsFd) -> io::Result<bool> {
    Ok(u64::from_ne_bytes(fstatfs(dir)?.f_type.to_ne_bytes()) == MAGIC)
}

/// Commits the transaction of the file system of `dir`: every name, directory and shared extent is on the disk then, and
/// so is data that was waited for. Unlike syncfs(2) it writes nobody's dirty pages.
///
/// # Errors
/// What the kernel says; `ENOTTY` where it is not btrfs.
pub fn commit(dir: impl AsFd) -> io::Result<()> {
    let fd = dir.as_fd().as_raw_fd();
    let mut transaction = 0_u64;
    for request in [START_SYNC, WAIT_SYNC] {
        // SAFETY: START_SYNC writes one u64 and WAIT_SYNC reads it; it outlives both calls.
        let rc = unsafe { libc::ioctl(fd, request as _, std::ptr::from_mut(&mut transaction)) };
        if rc != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Makes the subvolume `name` in `dir`.
///
/// # Errors
/// `EEXIST`; `InvalidInput` for a name that is too long; what else the kernel said.
pub fn create(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let mut volume = Volume { fd: 0, name: [0; 4088] };
    let name = name.to_bytes_with_nul();
    let room = volume.name.get_mut(..name.len()).ok_or(io::ErrorKind::InvalidInput)?;
    room.copy_from_slice(name);
    // SAFETY: SUBVOL_CREATE reads one btrfs_ioctl_vol_args, which outlives the call; its name ends with NUL.
    let rc =
        unsafe { libc::ioctl(dir.as_raw_fd(), SUBVOL_CREATE as _, std::ptr::from_ref(&volume)) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Limits what the subvolume that `dir` is in may hold.
///
/// # Errors
/// `NotConnected` where quotas are off; `EPERM` without `CAP_SYS_ADMIN`.
pub fn limit(dir: BorrowedFd<'_>, bytes: u64) -> io::Result<()> {
    let limit = GroupLimit {
        group: 0,
        flags: MAX_REFERENCED,
        max_referenced: bytes,
        max_exclusive: 0,
        reserved_referenced: 0,
        reserved_exclusive: 0,
    };
    // SAFETY: QGROUP_LIMIT reads one btrfs_ioctl_qgroup_limit_args, which outlives the call.
    let rc = unsafe { libc::ioctl(dir.as_raw_fd(), QGROUP_LIMIT as _, std::ptr::from_ref(&limit)) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn another_file_system_has_no_subvolumes() {
        assert_eq!(size_of::<Volume>(), 4096);
        assert_eq!(size_of::<GroupLimit>(), 48);
        let proc = File::open("/proc").unwrap();
        assert!(!is_on(&proc).unwrap());
        assert!(create(proc.as_fd(), c"name").is_err());
        let long = std::ffi::CString::new(vec![b'x'; 4088]).unwrap();
        let err = create(proc.as_fd(), &long).unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::InvalidInput);
    }
}
