//! Killing everything in a slot, whatever it forks meanwhile.

use std::time::{Duration, Instant};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::{CgroupError, CgroupSlot, file};

/// LIMIT: rounds of freeze, kill, thaw where the kernel cannot kill a group at once.
const ROUNDS_MAX: usize = 100;
/// How long one round waits for the freeze; a process in an uninterruptible call does not freeze, and is killed anyway.
const FREEZE_PATIENCE: Duration = Duration::from_millis(100);

impl CgroupSlot {
    /// Kills every process with `SIGKILL`, those that are being forked too; frozen ones die as well.
    ///
    /// Returns when the kernel has been told; [`CgroupSlot::wait_empty`] says when they are gone.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn kill(&self, deadline: Instant) -> Result<(), CgroupError> {
        if let Some(dir) = self.unified_path() {
            match file::write(&dir.join("cgroup.kill"), "1") {
                Ok(()) => return Ok(()),
                // Before Linux 5.14; or the group is gone already, and then there is nobody to kill.
                Err(err) if file::is_refusal(&err) => {}
                Err(err) => return Err(err),
            }
        }
        for _ in 0..ROUNDS_MAX {
            if self.processes()?.is_empty() || Instant::now() >= deadline {
                break;
            }
            self.kill_round()?;
        }
        Ok(())
    }

    /// Frozen processes cannot fork, so one round gets all that it sees; the thaw lets them die.
    fn kill_round(&self) -> Result<(), CgroupError> {
        match self.freeze(Instant::now() + FREEZE_PATIENCE) {
            Ok(()) | Err(CgroupError::TimedOut { .. } | CgroupError::Unsupported { .. }) => {}
            Err(err) => return Err(err),
        }
        let killed = self.kill_each();
        self.thaw()?;
        killed?;
        self.wait_empty(Instant::now() + FREEZE_PATIENCE)?;
        Ok(())
    }

    fn kill_each(&self) -> Result<(), CgroupError> {
        let mut handles = Vec::new();
        for pid in self.processes()? {
            let known = i32::try_from(pid).ok().and_then(Pid::from_raw);
            if let Some(Ok(handle)) = known.map(|pid| pidfd_open(pid, PidfdFlags::empty())) {
                handles.push((pid, handle));
            }
        }
        // Looked at again: between the list and the handle a number may have become somebody else's.
        let still = self.processes()?;
        for (pid, handle) in handles {
            if still.binary_search(&pid).is_err() {
                continue;
            }
            match pidfd_send_signal(handle, Signal::KILL) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(err) => {
                    return Err(CgroupError::Access {
                        what: "kill a process of",
                        path: self.dirs[0].path.clone(),
                        source: err.into(),
                    });
                }
            }
        }
        Ok(())
    }
}
