//! `clone3(2)`: new processes in new namespaces, and `unshare`-like calls that belong to it.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// `CLONE_INTO_CGROUP` of linux/sched.h; the constant of libc has the wrong width.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Namespaces and other flags of a clone; see clone(2).
#[derive(Debug, Clone, Copy, Default)]
pub struct CloneSpec<'fd> {
    /// `CLONE_NEW*` and `CLONE_PARENT` bits.
    pub flags: u64,
    /// A cgroup v2 directory that the child is born in.
    pub cgroup: Option<BorrowedFd<'fd>>,
}

/// What a clone returns, twice.
#[derive(Debug)]
pub enum Cloned {
    /// In the parent.
    Parent {
        /// The child's process id in the caller's namespace.
        pid: rustix::process::Pid,
        /// Refers to the child, whatever becomes of its number.
        pidfd: OwnedFd,
    },
    /// In the child.
    Child,
}

/// Clones the calling process (not only its thread).
///
/// # Errors
/// As clone3(2): `EPERM`, `ENOSPC` (a namespace limit), `EAGAIN`, and `EINVAL` when the caller has a second thread
/// — the child would hold its locks.
pub fn clone_process(spec: CloneSpec<'_>) -> io::Result<Cloned> {
    if thread_count()? != 1 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut pidfd: libc::c_int = -1;
    // SAFETY: an all-zero clone_args is valid: it holds integers only.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = spec.flags | (libc::CLONE_PIDFD as u64);
    args.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    // A child of CLONE_PARENT must not name an exit signal: it takes the caller's.
    if spec.flags & (libc::CLONE_PARENT as u64) == 0 {
        args.exit_signal = libc::SIGCHLD as u64;
    }
    if let Some(cgroup) = spec.cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup =
            u64::try_from(cgroup.as_raw_fd()).expect("a borrowed descriptor is not negative");
    }
    // SAFETY: `args` is valid for its size for the whole call, and without CLONE_VM and a stack the child runs on a
    // copy of ours, as after fork. The process has one thread, so no lock is held by anybody else.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            std::ptr::from_mut(&mut args),
            size_of::<libc::clone_args>(),
        )
    };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Cloned::Child),
        pid => {
            let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
            // SAFETY: CLONE_PIDFD succeeded, so the kernel put a new descriptor here that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Cloned::Parent { pid: pid.expect("the kernel returns a positive pid"), pidfd })
        }
    }
}

/// How many threads this process has, by `/proc/self/stat`.
fn thread_count() -> io::Result<usize> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name in parentheses may hold anything; field 20 is counted from behind it (proc_pid_stat(5)).
    stat.rsplit_once(')')
        .and_then(|(_, rest)| rest.split_ascii_whitespace().nth(17))
        .and_then(|n| n.parse().ok())
        .ok_or_else(|| io::Error::other("no thread count in /proc/self/stat"))
}

/// The child's parent becomes the caller's parent; see clone(2).
pub const CLONE_PARENT: u32 = libc::CLONE_PARENT.cast_unsigned();
