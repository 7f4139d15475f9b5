//! One approve at a time on one source: a lock on the source directory itself, so that two servers see each other.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, Timespec},
    io::Errno,
};

use super::ApplyError;
use crate::beneath;

/// LIMIT: how long an approve waits for another one.
const DEADLINE: Duration = Duration::from_secs(30);
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };

/// Holds the source until dropped. The kernel lets go of it when the process dies.
#[derive(Debug)]
pub(super) struct SourceLock {
    _dir: OwnedFd,
}

impl SourceLock {
    /// Waits for the source.
    pub(super) fn take(source: BorrowedFd<'_>) -> Result<Self, ApplyError> {
        let failed = |error: io::Error| ApplyError::step("lock", None, error);
        // A description of our own: the lock belongs to it, and the caller's may be shared with another process.
        let dir = beneath::open_dir(source, b"").map_err(failed)?;
        let deadline = Instant::now() + DEADLINE;
        loop {
            match rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _dir: dir }),
                Err(Errno::AGAIN | Errno::INTR) if Instant::now() < deadline => {
                    // Cut short by a signal, it is only a shorter pause.
                    drop(rustix::thread::nanosleep(&PAUSE));
                }
                Err(Errno::AGAIN | Errno::INTR) => return Err(ApplyError::Busy),
                Err(errno) => return Err(failed(errno.into())),
            }
        }
    }
}
