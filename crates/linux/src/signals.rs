//! Signals as something to wait for. See signalfd(2).

use std::{
    io, mem,
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
};

use rustix::process::{Pid, Signal};

/// Signals that are blocked, and read from a descriptor instead.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

/// One signal. The kernel merges equal ones that are not read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Its number.
    pub signal: i32,
    /// Who sent it, as numbered in our pid namespace; 0 for the kernel, and for senders outside of the namespace.
    pub sender: u32,
}

impl SignalFd {
    /// Blocks `signals` for this thread and opens a descriptor for them that never blocks.
    ///
    /// # Errors
    /// The kernel has no descriptor left.
    pub fn open(signals: &[Signal]) -> io::Result<Self> {
        // SAFETY: an all-zero set is the empty set; it holds integers only.
        let mut set: libc::sigset_t = unsafe { mem::zeroed() };
        for signal in signals {
            // SAFETY: the set is initialized, and a wrong number is refused, not written.
            unsafe { libc::sigaddset(&raw mut set, signal.as_raw()) };
        }
        // SAFETY: the set outlives the call, and the old one is not asked for.
        if unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the set outlives the call; -1 asks for a new descriptor.
        match unsafe { libc::signalfd(-1, &raw const set, flags) } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: the kernel has just made it, so nobody else owns it.
            fd => Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) })),
        }
    }

    /// Takes the next signal, or `None` when there is none now.
    ///
    /// # Errors
    /// The descriptor cannot be read, which the kernel has no reason for.
    pub fn receive(&self) -> io::Result<Option<Received>> {
        const BYTES: usize = size_of::<libc::signalfd_siginfo>();
        let mut bytes = [0; BYTES];
        match rustix::io::read(&self.0, &mut bytes) {
            Ok(BYTES) => {}
            Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(None),
            Err(err) => return Err(err.into()),
        }
        // SAFETY: the kernel filled all of it, and it holds integers only.
        let info: libc::signalfd_siginfo = unsafe { mem::transmute(bytes) };
        Ok(Some(Received { signal: info.ssi_signo.cast_signed(), sender: info.ssi_pid }))
    }
}

/// To whom a signal goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One process.
    Process(Pid),
    /// Every process of a group.
    Group(Pid),
    /// Every process that we may signal, except ourselves and process 1 of our pid namespace.
    Everyone,
}

/// Sends the signal with this number.
///
/// # Errors
/// As kill(2): `ESRCH` when there is nobody, `EPERM` when we may signal none of them, `EINVAL` for no signal's number.
pub fn send(target: Target, signal: i32) -> io::Result<()> {
    let target = match target {
        Target::Process(pid) => pid.as_raw_nonzero().get(),
        Target::Group(pid) => -pid.as_raw_nonzero().get(),
        Target::Everyone => -1,
    };
    // SAFETY: takes and returns integers.
    match unsafe { libc::kill(target, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
