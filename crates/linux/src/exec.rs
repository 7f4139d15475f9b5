//! Becoming another program with exactly the descriptors that it is meant to have.

use std::{
    convert::Infallible,
    ffi::CStr,
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};

use rustix::io::fcntl_dupfd_cloexec;

/// Descriptors above this one are out of the way of any that a program is given.
const ABOVE: i32 = 64;

/// Puts `descriptors` at 0, 1, 2, …, closes every other one but `program`, and becomes `program` with an empty environment.
///
/// Returns only on failure; descriptors may be gone by then, so that all the caller can do is report and end.
///
/// # Errors
/// As dup2(2) and execveat(2).
pub fn become_program(
    program: BorrowedFd<'_>,
    arguments: &[&CStr],
    descriptors: &[BorrowedFd<'_>],
    report: BorrowedFd<'_>,
) -> io::Result<Infallible> {
    // First everything out of the way, or a source would be overwritten before its turn.
    let program = fcntl_dupfd_cloexec(program, ABOVE)?;
    // Kept open up to the exec: its closing is what says that the exec succeeded.
    let _report = fcntl_dupfd_cloexec(report, ABOVE)?;
    let high = descriptors
        .iter()
        .map(|fd| fcntl_dupfd_cloexec(fd, ABOVE))
        .collect::<Result<Vec<OwnedFd>, _>>()?;
    close_on_exec_from(0)?;
    for (target, source) in (0..).zip(&high) {
        // SAFETY: no pointers. What was open at `target` is closed under its owner, which this process, about to end or
        // to become another program, never uses again: the caller was told so.
        let rc = unsafe { libc::dup2(source.as_raw_fd(), target) };
        if rc < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    exec(rustix::fd::AsFd::as_fd(&program), arguments)
}

fn exec(program: BorrowedFd<'_>, arguments: &[&CStr]) -> io::Result<Infallible> {
    let mut argv: Vec<*const libc::c_char> =
        arguments.iter().map(|argument| argument.as_ptr()).collect();
    argv.push(std::ptr::null());
    let environment: [*const libc::c_char; 1] = [std::ptr::null()];
    // SAFETY: the path and every argument are NUL-terminated and alive, both vectors end with a null pointer.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    Err(io::Error::last_os_error())
}

/// Marks every descriptor from `first` on as close-on-exec.
///
/// # Errors
/// As close_range(2).
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: no pointers; with CLOSE_RANGE_CLOEXEC nothing is closed now, so every owned descriptor stays valid.
    let rc = unsafe {
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
