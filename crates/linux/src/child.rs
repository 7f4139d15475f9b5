//! Starting a program as a child that has nothing of us: no descriptors, no signals, no privileges.
//!
//! A plain fork(2), not vfork(2): after a vfork the parent sleeps until the child's exec, and anybody who may signal the
//! child (in user mode that is every process of the sandbox) could stop it there, and process 1 with it. The supervisor
//! is small, so copying its page tables costs some ten microseconds. The child reports a failure through a pipe that
//! the exec closes, so nobody waits for it either.

use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

use rustix::{
    io::Errno,
    process::{Pid, Resource, Rlimit},
    thread::{CapabilitySet, capability_is_in_bounding_set, remove_capability_from_bounding_set},
};

use crate::capabilities;

/// User and group ids, as the calling process's user namespace numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// Whether the child's standard input is the terminal that controls its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// It is a terminal.
    Controlling,
    /// The session has no terminal.
    None,
}

/// A descriptor beside the three that every child has.
#[derive(Debug, Clone, Copy)]
pub struct Passed<'a> {
    /// Which one.
    pub fd: BorrowedFd<'a>,
    /// Its number in the child, from 3 to [`PASSED_MAX`].
    pub number: u8,
}

/// The highest number of a [`Passed`].
pub const PASSED_MAX: u8 = 9;

/// Everything about the child, allocated beforehand: between fork and exec nothing may be.
#[derive(Debug)]
pub struct ChildSpec<'a> {
    /// Files to execute, tried in order as execvp(3) does.
    pub files: &'a [CString],
    /// The arguments, the program's name first.
    pub argv: &'a [CString],
    /// The whole environment, as `NAME=value`.
    pub env: &'a [CString],
    /// Entered before the exec, after the change of identity. It must be a place that `getcwd` can name, not below `/proc`.
    pub cwd: &'a CStr,
    /// Become 0, 1 and 2; there are no others, but what is passed.
    pub stdio: [BorrowedFd<'a>; 3],
    /// One more descriptor.
    pub passed: Option<Passed<'a>>,
    /// Whether standard input is a terminal.
    pub terminal: Terminal,
    /// Who the child becomes, without supplementary groups and capabilities; `None` where it stays who we are.
    pub ids: Option<Ids>,
    /// Limits to set.
    pub limits: &'a [(Resource, Rlimit)],
    /// What is written to `/proc/self/oom_score_adj` while the child still is who we are; a refusal is ignored.
    pub oom_score_adj: Option<&'a CStr>,
    /// Where a failure is written; close-on-exec, so that its end says that the exec was done.
    pub report: BorrowedFd<'a>,
}

/// What a child was doing when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Making its session, its descriptors and its limits.
    Preparing = 1,
    /// Giving up what it is.
    Identity = 2,
    /// Entering the working directory.
    Directory = 3,
    /// Executing the program.
    Exec = 4,
}

/// Why a child could not become the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What it was doing.
    pub stage: Stage,
    /// What the kernel said.
    pub errno: i32,
}

impl Failure {
    /// Bytes of a report.
    pub const BYTES: usize = 5;

    /// Reads what came out of the report's pipe; `None` for anything that is not a whole report.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&stage, errno) = bytes.split_first()?;
        let stage = [Stage::Preparing, Stage::Identity, Stage::Directory, Stage::Exec]
            .into_iter()
            .find(|&known| known as u8 == stage)?;
        let errno = i32::from_ne_bytes(errno.try_into().ok()?);
        Some(Self { stage, errno })
    }

    fn encode(self) -> [u8; Self::BYTES] {
        let errno = self.errno.to_ne_bytes();
        [self.stage as u8, errno[0], errno[1], errno[2], errno[3]]
    }
}

/// Starts a child in a session of its own and returns at once; the report tells how it went.
///
/// The child has default signals, an empty signal mask, umask 022, no capabilities, and exactly the descriptors 0, 1, 2
/// and what is passed.
///
/// # Errors
/// There cannot be another process now (fork(2)), or what is passed cannot have that number.
pub fn spawn(spec: &ChildSpec<'_>) -> io::Result<Pid> {
    if spec.passed.is_some_and(|passed| !(3..=PASSED_MAX).contains(&passed.number)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let argv = pointers(spec.argv);
    let env = pointers(spec.env);
    // SAFETY: the child calls only functions that signal-safety(7) allows (system calls, without allocation or locks)
    // until it executes or exits, so a lock held by another thread at this moment does not matter.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => run_child(spec, &argv, &env),
        pid => Ok(Pid::from_raw(pid).expect("fork returns a positive pid in the parent")),
    }
}

/// Returns the session of a process, as its leader's number; `None` for a process that is not there, and for one whose
/// session began outside of our pid namespace, as ours did: a child is in it until it makes its own.
///
/// Rustix has this call, too, and takes the 0 that the kernel returns then for a number.
#[must_use]
pub fn session_of(pid: Pid) -> Option<Pid> {
    // SAFETY: takes and returns integers.
    let session = unsafe { libc::getsid(pid.as_raw_nonzero().get()) };
    if session > 0 { Pid::from_raw(session) } else { None }
}

/// Runs `work` with other file system ids, so that what it makes (a pipe, a terminal) belongs to `ids`.
///
/// Without that, an exec could not open its own `/dev/stdout`: the pipe behind it would belong to the supervisor.
///
/// # Errors
/// The ids could not be taken (needs `CAP_SETUID` and `CAP_SETGID`); `work` did not run then.
pub fn as_owner<T>(ids: Option<Ids>, work: impl FnOnce() -> T) -> io::Result<T> {
    let Some(ids) = ids else {
        return Ok(work());
    };
    let ours =
        Ids { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() };
    set_fs_ids(ids);
    // The calls above say nothing about success (setfsuid(2)); asking is to set what cannot be.
    let is_set = fs_ids() == ids;
    let made = is_set.then(work);
    set_fs_ids(ours);
    made.ok_or_else(|| Errno::PERM.into())
}

fn set_fs_ids(ids: Ids) {
    // SAFETY: takes and returns integers.
    let _previous = unsafe { libc::setfsgid(ids.gid) };
    // SAFETY: takes and returns integers.
    let _previous = unsafe { libc::setfsuid(ids.uid) };
}

fn fs_ids() -> Ids {
    // SAFETY: takes and returns integers; -1 is no id, so nothing changes.
    let uid = unsafe { libc::setfsuid(u32::MAX) };
    // SAFETY: as above.
    let gid = unsafe { libc::setfsgid(u32::MAX) };
    Ids { uid: uid.cast_unsigned(), gid: gid.cast_unsigned() }
}

fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    let texts = texts.iter().map(|text| text.as_ptr());
    texts.chain([ptr::null()]).collect()
}

type Pointers = [*const libc::c_char];

/// Number that the report's descriptor gets in the child, behind all that stay.
const REPORT: libc::c_int = 10;
const _: () = assert!(REPORT > PASSED_MAX as libc::c_int);

/// Signals have numbers from 1 to this.
const SIGNALS_MAX: libc::c_int = 64;
/// Bytes of the kernel's set of signals; not those of the C library's, which has room for more.
const SIGNAL_SET_BYTES: usize = 8;

fn run_child(spec: &ChildSpec<'_>, argv: &Pointers, env: &Pointers) -> ! {
    // Where it is until it is placed.
    let mut number = spec.report.as_raw_fd();
    let Err((stage, errno)) = become_program(spec, argv, env, &mut number);
    let report = Failure { stage, errno: errno.raw_os_error() }.encode();
    // SAFETY: the buffer is valid for its length. Should the pipe be gone, nobody is left to tell.
    let _written = unsafe { libc::write(number, report.as_ptr().cast(), report.len()) };
    // SAFETY: ends the process without running anything of the parent's.
    unsafe { libc::_exit(127) }
}

fn become_program(
    spec: &ChildSpec<'_>,
    argv: &Pointers,
    env: &Pointers,
    report: &mut libc::c_int,
) -> Result<std::convert::Infallible, (Stage, Errno)> {
    let at = |stage| move |errno| (stage, errno);
    prepare(spec, report).map_err(at(Stage::Preparing))?;
    surrender(spec.ids).map_err(at(Stage::Identity))?;
    // INVARIANT: as who it will be, and when nothing of ours is open: the directory must be one that the program may
    // enter by itself, and `/proc/self/fd/N` leads nowhere.
    enter(spec.cwd).map_err(at(Stage::Directory))?;
    reset_signals().map_err(at(Stage::Preparing))?;
    Err((Stage::Exec, exec(spec.files, argv, env)))
}

fn prepare(spec: &ChildSpec<'_>, report: &mut libc::c_int) -> Result<(), Errno> {
    rustix::process::setsid()?;
    let [stdin, stdout, stderr] = spec.stdio;
    rustix::stdio::dup2_stdin(stdin)?;
    rustix::stdio::dup2_stdout(stdout)?;
    rustix::stdio::dup2_stderr(stderr)?;
    place_descriptors(spec, report)?;
    match spec.terminal {
        Terminal::Controlling => rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?,
        Terminal::None => {}
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    if let Some(score) = spec.oom_score_adj {
        adjust_oom_score(score);
    }
    for (resource, limit) in spec.limits {
        rustix::process::setrlimit(*resource, *limit)?;
    }
    Ok(())
}

/// Leaves the report, what is passed, and nothing else behind the first three.
fn place_descriptors(spec: &ChildSpec<'_>, report: &mut libc::c_int) -> Result<(), Errno> {
    // INVARIANT: first both out of the way: each may have the number that the other is to get.
    *report = moved_up(spec.report)?;
    let passed = match spec.passed {
        Some(Passed { fd, number }) => Some((moved_up(fd)?, libc::c_int::from(number))),
        None => None,
    };
    // SAFETY: takes numbers only. What had the number is a copy of the parent's, and this process is about to close all.
    check(unsafe { libc::dup3(*report, REPORT, libc::O_CLOEXEC) })?;
    *report = REPORT;
    if let Some((fd, number)) = passed {
        // SAFETY: as above.
        check(unsafe { libc::dup2(fd, number) })?;
    }
    let kept = passed.map_or(2, |(_, number)| number);
    close_between(3, kept - 1)?;
    close_between(kept + 1, REPORT - 1)?;
    close_between(REPORT + 1, libc::c_int::MAX)
}

fn moved_up(fd: BorrowedFd<'_>) -> Result<libc::c_int, Errno> {
    // SAFETY: takes numbers only.
    let copy = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, REPORT + 1) };
    if copy < 0 { Err(last_errno()) } else { Ok(copy) }
}

fn close_between(first: libc::c_int, last: libc::c_int) -> Result<(), Errno> {
    if first > last {
        return Ok(());
    }
    // SAFETY: takes numbers only. Owners of these descriptors are the parent's; here none of them runs again.
    check(unsafe { libc::close_range(first.cast_unsigned(), last.cast_unsigned(), 0) })
}

/// Lets the kernel prefer this process when memory is short. Best effort: a masked `/proc` refuses.
fn adjust_oom_score(score: &CStr) {
    let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC;
    if let Ok(file) =
        rustix::fs::open(c"/proc/self/oom_score_adj", flags, rustix::fs::Mode::empty())
    {
        let _refused = rustix::io::write(&file, score.to_bytes());
    }
}

fn surrender(ids: Option<Ids>) -> Result<(), Errno> {
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(one) {
            Ok(true) => remove_capability_from_bounding_set(one)?,
            Ok(false) => {}
            // The first number that this kernel does not know.
            Err(_) => break,
        }
    }
    if let Some(Ids { uid, gid }) = ids {
        let (uid, gid) = (rustix::process::Uid::from_raw(uid), rustix::process::Gid::from_raw(gid));
        // INVARIANT: groups before the user: afterwards nothing is allowed any more.
        rustix::thread::set_thread_groups(&[])?;
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    }
    capabilities::drop_all().map_err(|err| Errno::from_io_error(&err).unwrap_or(Errno::PERM))
}

fn enter(cwd: &CStr) -> Result<(), Errno> {
    const PATH_MAX: usize = 4096;
    rustix::process::chdir(cwd)?;
    let mut path = [0_u8; PATH_MAX];
    // SAFETY: the buffer is valid for its length. The system call itself, because the C library's function walks the
    // tree, with allocation, where the kernel says "(unreachable)".
    let length = unsafe { libc::syscall(libc::SYS_getcwd, path.as_mut_ptr(), path.len()) };
    if length < 0 {
        return Err(last_errno());
    }
    let path = CStr::from_bytes_until_nul(&path).map_err(|_| Errno::NAMETOOLONG)?.to_bytes();
    // A directory outside of the root reads as "(unreachable)…"; one below /proc belongs to a process, not to a place.
    let is_place = path.starts_with(b"/") && path != b"/proc" && !path.starts_with(b"/proc/");
    if is_place { Ok(()) } else { Err(Errno::ACCESS) }
}

fn reset_signals() -> Result<(), Errno> {
    // A `struct sigaction` of the kernel, which is at most four words; all zero is SIG_DFL, without flags or mask.
    const DEFAULT: [u64; 4] = [0; 4];
    const NULL: *mut u64 = ptr::null_mut();
    for signal in 1..=SIGNALS_MAX {
        // SAFETY: the action outlives the call, and the old one is not asked for. The system call itself, because the
        // C library keeps two signals to itself and refuses them, and whoever started us may have ignored them.
        // SIGKILL and SIGSTOP are refused by the kernel, and are default anyway.
        let _refused = unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, DEFAULT.as_ptr(), NULL, SIGNAL_SET_BYTES)
        };
    }
    // SAFETY: an all-zero set is the empty set; it holds integers only.
    let none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set outlives the call, and the old one is not asked for.
    check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) })
}

/// Tries the files in order, and returns why the last word is no: a file that may not be executed counts for more than
/// one that is not there, as in execvp(3).
fn exec(files: &[CString], argv: &Pointers, env: &Pointers) -> Errno {
    let mut answer = Errno::NOENT;
    for file in files {
        // SAFETY: all three are NUL-terminated, live until the call is over, and the arrays end with a null pointer.
        unsafe { libc::execve(file.as_ptr(), argv.as_ptr(), env.as_ptr()) };
        match last_errno() {
            Errno::NOENT | Errno::NOTDIR => {}
            Errno::ACCESS => answer = Errno::ACCESS,
            final_errno => return final_errno,
        }
    }
    answer
}

fn check(result: libc::c_int) -> Result<(), Errno> {
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_back_and_half_of_one_does_not() {
        let failure = Failure { stage: Stage::Directory, errno: 2 };
        let bytes = failure.encode();
        assert_eq!(Failure::decode(&bytes), Some(failure));
        assert_eq!(Failure::decode(&bytes[..4]), None);
        assert_eq!(Failure::decode(&[9, 0, 0, 0, 0]), None);
    }
}
