//! Stopping everybody by signal, for hosts whose cgroups have no freezer.
//!
//! Weaker than a freezer, and reported as such by the host: a parent sees its children stop, and SIGCONT from outside
//! of this module undoes it.

use std::{
    io,
    time::{Duration, Instant},
};

use rustix::{
    event::{Timespec, poll},
    io::Errno,
    process::{Pid, Signal},
};
use sandbar_linux::signals::{Target, send};

use crate::processes;

/// How long everybody may take to stop. A process in an uninterruptible sleep cannot.
const FREEZE_DEADLINE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000 };

/// A sandbox whose processes were stopped.
#[derive(Debug)]
pub(crate) struct Frozen {
    /// Those that had been stopped before, by a shell or a debugger, and stay so.
    stopped_before: Vec<Pid>,
}

impl Frozen {
    /// Stops every process, and returns when they have stopped.
    ///
    /// One signal to all is enough: the kernel sends it to every process that there is and restarts a fork that was on its way.
    ///
    /// `known` are processes that exist: where `/proc` hides even those, nobody could say that all have stopped.
    pub(crate) fn freeze(known: &[Pid]) -> io::Result<Self> {
        let before = processes::visible()?;
        if known.iter().any(|pid| !before.contains(pid)) {
            return Err(Errno::ACCESS.into());
        }
        let stopped_before = before.into_iter().filter(|&pid| processes::is_stopped(pid)).collect();
        let frozen = Self { stopped_before };
        signal_everyone(Signal::STOP)?;
        let deadline = Instant::now() + FREEZE_DEADLINE;
        loop {
            if processes::visible()?.into_iter().all(processes::is_stopped) {
                return Ok(frozen);
            }
            if Instant::now() >= deadline {
                frozen.thaw()?;
                return Err(Errno::TIMEDOUT.into());
            }
            // The kernel tells nobody when the process of somebody else has stopped.
            poll(&mut [], Some(&LOOK_AGAIN))?;
        }
    }

    /// Lets them go on.
    pub(crate) fn thaw(self) -> io::Result<()> {
        if self.stopped_before.is_empty() {
            return signal_everyone(Signal::CONT);
        }
        let all = processes::visible()?;
        for pid in all.into_iter().filter(|pid| !self.stopped_before.contains(pid)) {
            nobody_is_fine(send(Target::Process(pid), Signal::CONT.as_raw()))?;
        }
        Ok(())
    }
}

/// Sends `signal` to every process of the sandbox, if there is one.
pub(crate) fn signal_everyone(signal: Signal) -> io::Result<()> {
    nobody_is_fine(send(Target::Everyone, signal.as_raw()))
}

fn nobody_is_fine(sent: io::Result<()>) -> io::Result<()> {
    match sent {
        Err(err) if Errno::from_io_error(&err) == Some(Errno::SRCH) => Ok(()),
        other => other,
    }
}
