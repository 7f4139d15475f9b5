//! Writing the pages of a file out without waiting for its metadata, see sync_file_range(2).

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// Begins to write the dirty pages of `file`, and does not wait.
///
/// # Errors
/// What the kernel says.
pub fn begin(file: BorrowedFd<'_>) -> io::Result<()> {
    sync_range(file, libc::SYNC_FILE_RANGE_WRITE)
}

/// Writes the dirty pages of `file` and waits for it.
///
/// From then on a program that has the file mapped must fault before it writes, and the fault moves the file's ctime.
///
/// # Errors
/// What the kernel says.
pub fn finish(file: BorrowedFd<'_>) -> io::Result<()> {
    let wait = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    sync_range(file, wait | libc::SYNC_FILE_RANGE_WRITE)
}

fn sync_range(file: BorrowedFd<'_>, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: `sync_file_range` takes no pointers; 0 and 0 mean the whole file.
    let rc = unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, flags) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
