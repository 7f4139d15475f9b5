//! Quotas of directory trees on file systems that have project ids: ext4 and xfs, mounted with `prjquota`.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// `PRJQUOTA` of `linux/quota.h`.
const PRJQUOTA: u32 = 2;
/// `Q_XGETQSTATV` of `linux/dqblk_xfs.h`: what is counted and what is held, on ext4, too.
const Q_XGETQSTATV: u32 = ((b'X' as u32) << 8) + 8;
/// `Q_SETQUOTA` of `linux/quota.h`.
const Q_SETQUOTA: u32 = 0x80_0008;
/// `FS_QUOTA_PDQ_ENFD`: limits of projects are held, not only counted.
const PROJECTS_HELD: u16 = 1 << 5;
/// `FS_XFLAG_PROJINHERIT`: what is made below has the same project.
const INHERIT: u32 = 0x200;
/// `QIF_LIMITS`: the limits of a [`libc::dqblk`] are given, and nothing else of it.
const LIMITS: u32 = 1 | 4;
/// `QIF_DQBLKSIZE`: limits are counted in these.
const BLOCK: u64 = 1024;

/// `struct fsxattr` of `linux/fs.h`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Attributes {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    copy_on_write_extent_size: u32,
    pad: [u8; 8],
}

/// `_IOR('X', 31, struct fsxattr)`.
const FS_IOC_FSGETXATTR: libc::c_ulong = 0x801c_581f;
/// `_IOW('X', 32, struct fsxattr)`.
const FS_IOC_FSSETXATTR: libc::c_ulong = 0x401c_5820;

/// Whether the file system of `dir` holds limits of projects.
///
/// # Errors
/// The kernel refused for another reason than having none.
pub fn is_held(dir: BorrowedFd<'_>) -> io::Result<bool> {
    // `struct fs_quota_statv` is 160 bytes; its first is the version that is asked for.
    let mut state = [0_u64; 32];
    state[0] = u64::from_ne_bytes([1, 0, 0, 0, 0, 0, 0, 0]);
    match quotactl(dir, Q_XGETQSTATV, 0, &mut state) {
        Ok(()) => {
            let head = state[0].to_ne_bytes();
            Ok(u16::from_ne_bytes([head[2], head[3]]) & PROJECTS_HELD != 0)
        }
        Err(err) => match err.raw_os_error() {
            // It has no quotas, or none that are on; or the kernel does not know the call.
            Some(libc::ENOSYS | libc::ESRCH | libc::EINVAL | libc::EOPNOTSUPP | libc::ENOTTY) => {
                Ok(false)
            }
            _ => Err(err),
        },
    }
}

/// Gives the directory `dir`, and everything that is made below it from now on, to `project`.
///
/// # Errors
/// The kernel refused: the file system has no projects, or the caller is in a user namespace.
pub fn assign(dir: BorrowedFd<'_>, project: u32) -> io::Result<()> {
    let mut attributes = Attributes::default();
    // SAFETY: FS_IOC_FSGETXATTR writes one fsxattr, which outlives the call.
    let rc = unsafe {
        libc::ioctl(dir.as_raw_fd(), FS_IOC_FSGETXATTR as _, std::ptr::from_mut(&mut attributes))
    };
    checked(rc.into())?;
    attributes.project = project;
    attributes.flags |= INHERIT;
    // SAFETY: FS_IOC_FSSETXATTR reads one fsxattr, which outlives the call.
    let rc = unsafe {
        libc::ioctl(dir.as_raw_fd(), FS_IOC_FSSETXATTR as _, std::ptr::from_ref(&attributes))
    };
    checked(rc.into())
}

/// Limits what `project` may hold on the file system of `dir`.
///
/// # Errors
/// The kernel refused.
pub fn limit(dir: BorrowedFd<'_>, project: u32, bytes: u64, files: u64) -> io::Result<()> {
    // SAFETY: an all-zero dqblk is valid: integers.
    let mut limits: libc::dqblk = unsafe { std::mem::zeroed() };
    limits.dqb_bhardlimit = bytes.div_ceil(BLOCK);
    limits.dqb_ihardlimit = files;
    limits.dqb_valid = LIMITS;
    quotactl(dir, Q_SETQUOTA, project, &mut limits)
}

fn quotactl<T>(dir: BorrowedFd<'_>, command: u32, id: u32, value: &mut T) -> io::Result<()> {
    let command = (command << 8) | PRJQUOTA;
    // SAFETY: both commands that are used read or write at most one value of the size that is given, which outlives the
    // call; see quotactl(2).
    let rc = unsafe {
        libc::syscall(
            libc::SYS_quotactl_fd,
            dir.as_raw_fd(),
            command,
            id,
            std::ptr::from_mut(value),
        )
    };
    checked(rc)
}

fn checked(rc: libc::c_long) -> io::Result<()> {
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsFd};

    use super::*;

    #[test]
    fn a_file_system_without_projects_holds_none() {
        assert_eq!(size_of::<Attributes>(), 28);
        let proc = File::open("/proc").unwrap();
        assert!(!is_held(proc.as_fd()).unwrap());
        assert!(assign(proc.as_fd(), 1 << 31).is_err());
    }
}
