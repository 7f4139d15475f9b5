//! Descriptors that a process was started with, by number.

use std::{
    io,
    os::fd::{BorrowedFd, FromRawFd, OwnedFd},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// One bit for each number that was taken.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Takes ownership of an inherited descriptor and makes it close-on-exec. Each number can be taken once.
///
/// Meant for the first lines of a role that is started with descriptors at agreed numbers, before anything else is opened.
///
/// # Errors
/// It is not open (`EBADF`), was taken already, or is not one of 3 to 63 (`EINVAL`).
pub fn take(number: i32) -> io::Result<OwnedFd> {
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    if !(3..64).contains(&number) {
        return Err(invalid());
    }
    let bit = 1 << number;
    if TAKEN.fetch_or(bit, Ordering::SeqCst) & bit != 0 {
        return Err(invalid());
    }
    // SAFETY: used only to ask whether it is open; nothing in this function closes it meanwhile.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl_getfd(fd)?;
    fcntl_setfd(fd, FdFlags::CLOEXEC)?;
    // SAFETY: it is open, the role's contract says that it was passed to us, and TAKEN that nobody took it before.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
