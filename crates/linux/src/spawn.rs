//! Starting a program from a process with many threads, by posix_spawn(3): no code of ours runs between clone and exec.

use std::{
    ffi::{CStr, CString},
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::fcntl_dupfd_cloexec,
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::exec::close_on_exec_from;

/// Descriptors above this one are out of the way of any that a program is given.
const ABOVE: i32 = 256;

/// A process that was started. It is ours to reap, by [`rustix::process::waitid`] on `pidfd`.
#[derive(Debug)]
pub struct Spawned {
    /// Its number; good for display only.
    pub pid: Pid,
    /// Refers to it, whatever becomes of its number.
    pub pidfd: OwnedFd,
}

/// Starts `program` in a session of its own, with default signal handling, `environment` alone, and `descriptors` at 0, 1, 2, ….
///
/// No other descriptor gets across: every one of this process becomes close-on-exec first, those that it inherited itself too.
///
/// # Errors
/// As posix_spawn(3): that of the exec, too.
pub fn spawn(
    program: &CStr,
    arguments: &[CString],
    environment: &[CString],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<Spawned> {
    // Rust opens nothing without the flag, but whoever started this process may have left it something.
    close_on_exec_from(3)?;
    let high = descriptors
        .iter()
        .map(|fd| fcntl_dupfd_cloexec(fd, ABOVE))
        .collect::<Result<Vec<OwnedFd>, _>>()?;
    let mut actions = FileActions::new()?;
    for (target, source) in (0..).zip(&high) {
        actions.dup2(source.as_raw_fd(), target)?;
    }
    let attributes = Attributes::session_of_its_own()?;
    let argv = pointers(arguments);
    let envp = pointers(environment);
    let mut pid: libc::pid_t = 0;
    // SAFETY: `pid` is writable; actions and attributes were initialized; the program and both null-terminated vectors
    // of NUL-terminated strings outlive the call.
    let rc = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            program.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            argv.as_ptr(),
            envp.as_ptr(),
        )
    };
    check(rc)?;
    let pid = Pid::from_raw(pid).expect("posix_spawn returns a positive pid");
    // Not reaped yet, so the number is still its own.
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    Ok(Spawned { pid, pidfd })
}

fn pointers(strings: &[CString]) -> Vec<*mut libc::c_char> {
    let mut pointers: Vec<_> = strings.iter().map(|s| s.as_ptr().cast_mut()).collect();
    pointers.push(std::ptr::null_mut());
    pointers
}

fn check(rc: libc::c_int) -> io::Result<()> {
    if rc == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(rc)) }
}

struct FileActions(libc::posix_spawn_file_actions_t);

impl FileActions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: initializes the memory that it is given.
        let rc = unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) };
        check(rc)?;
        // SAFETY: the call above succeeded, so it is initialized.
        Ok(Self(unsafe { actions.assume_init() }))
    }

    fn dup2(&mut self, source: libc::c_int, target: libc::c_int) -> io::Result<()> {
        // SAFETY: `self.0` was initialized; both are numbers, looked at in the child only.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut self.0, source, target) })
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: `self.0` was initialized, and is not used again.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn session_of_its_own() -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: initializes the memory that it is given.
        let rc = unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) };
        check(rc)?;
        // SAFETY: the call above succeeded, so it is initialized.
        let mut attributes = Self(unsafe { attributes.assume_init() });
        attributes.default_signals()?;
        // POSIX_SPAWN_SETSID has the same value in glibc and musl.
        let flags = libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK | 0x80;
        let flags = libc::c_short::try_from(flags).expect("spawn flags fit");
        // SAFETY: `attributes.0` was initialized.
        check(unsafe { libc::posix_spawnattr_setflags(&raw mut attributes.0, flags) })?;
        Ok(attributes)
    }

    fn default_signals(&mut self) -> io::Result<()> {
        let mut all = MaybeUninit::uninit();
        // SAFETY: initializes the memory that it is given, and cannot fail.
        unsafe { libc::sigfillset(all.as_mut_ptr()) };
        let mut none = MaybeUninit::uninit();
        // SAFETY: initializes the memory that it is given, and cannot fail.
        unsafe { libc::sigemptyset(none.as_mut_ptr()) };
        // SAFETY: both were initialized above.
        check(unsafe { libc::posix_spawnattr_setsigdefault(&raw mut self.0, all.as_ptr()) })?;
        // SAFETY: both were initialized above.
        check(unsafe { libc::posix_spawnattr_setsigmask(&raw mut self.0, none.as_ptr()) })
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: `self.0` was initialized, and is not used again.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}
