//! Freezing, thawing, and waiting for what the kernel does in its own time.

use std::{
    fs::File,
    os::{fd::AsFd, unix::fs::FileExt},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    CgroupError, CgroupSlot,
    file::{self, access, field},
};

impl CgroupSlot {
    /// Freezes every process and waits until they are; if they are not by `deadline`, they are thawed again.
    ///
    /// # Errors
    /// [`CgroupError::TimedOut`], [`CgroupError::Unsupported`], or the kernel refused.
    pub fn freeze(&self, deadline: Instant) -> Result<(), CgroupError> {
        let is_frozen = match (self.unified_path(), self.version_1_path("freezer")) {
            (Some(dir), _) => {
                file::write(&dir.join("cgroup.freeze"), "1")?;
                wait_for_event(dir, "frozen", 1, deadline)?
            }
            (None, Some(dir)) => freeze_version_1(dir, deadline)?,
            (None, None) => return Err(CgroupError::Unsupported { what: "freeze" }),
        };
        if is_frozen {
            return Ok(());
        }
        self.thaw()?;
        Err(CgroupError::TimedOut { what: "freeze" })
    }

    /// Gives back the memory that processes who do not run can do without: what the kernel can read or swap in again.
    /// As much as goes; none of it is an error.
    pub fn reclaim(&self) {
        let held = self.usage().ok().and_then(|usage| usage.memory_bytes).unwrap_or_default();
        let (two, one) = (self.unified_path(), self.version_1_path("memory"));
        // cgroup-v2.rst: short of what was asked for is `EAGAIN`. The older one takes nothing and gives what it can.
        let reclaimed = match (two.map(|dir| dir.join("memory.reclaim")), one) {
            (Some(path), _) if path.exists() => file::write(&path, &held.to_string()),
            (_, Some(dir)) => file::write(&dir.join("memory.force_empty"), "0"),
            (_, None) => Ok(()),
        };
        drop(reclaimed);
    }

    /// Lets every process run again; fine when they do already.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn thaw(&self) -> Result<(), CgroupError> {
        match (self.unified_path(), self.version_1_path("freezer")) {
            (Some(dir), _) => file::write(&dir.join("cgroup.freeze"), "0"),
            (None, Some(dir)) => file::write(&dir.join("freezer.state"), "THAWED"),
            (None, None) => Ok(()),
        }
    }

    /// Whether every process is frozen.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn is_frozen(&self) -> Result<bool, CgroupError> {
        match (self.unified_path(), self.version_1_path("freezer")) {
            (Some(dir), _) => {
                let events = file::read(&dir.join("cgroup.events"))?;
                Ok(field(&events, "frozen") == Some(1))
            }
            (None, Some(dir)) => Ok(file::read(&dir.join("freezer.state"))?.trim() == "FROZEN"),
            (None, None) => Ok(false),
        }
    }

    /// Waits until no process is left; `false` if some are at `deadline`.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn wait_empty(&self, deadline: Instant) -> Result<bool, CgroupError> {
        if let Some(dir) = self.unified_path()
            && dir.exists()
            && !wait_for_event(dir, "populated", 0, deadline)?
        {
            return Ok(false);
        }
        wait_until(deadline, || Ok(self.processes()?.is_empty()))
    }
}

/// Waits until `key` of `cgroup.events` is `value`; the kernel wakes us when a line changes.
fn wait_for_event(
    dir: &Path,
    key: &str,
    value: u64,
    deadline: Instant,
) -> Result<bool, CgroupError> {
    let path = dir.join("cgroup.events");
    let events = File::open(&path).map_err(access("read", &path))?;
    loop {
        // Read first, then wait: what changes in between is noticed by the wait.
        let mut text = [0u8; 128];
        let len = match events.read_at(&mut text, 0) {
            Ok(len) => len,
            // The group is gone, and so is everybody in it.
            Err(err) if err.raw_os_error() == Some(libc::ENODEV) => return Ok(key == "populated"),
            Err(err) => return Err(access("read", &path)(err)),
        };
        let text = String::from_utf8_lossy(&text[..len]);
        if field(&text, key) == Some(value) {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let timeout = Timespec::try_from(left.min(Duration::from_secs(1))).ok();
        let mut watched = [PollFd::from_borrowed_fd(events.as_fd(), PollFlags::PRI)];
        match poll(&mut watched, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(err) => return Err(access("read", &path)(err.into())),
        }
    }
}

fn freeze_version_1(dir: &Path, deadline: Instant) -> Result<bool, CgroupError> {
    let state = dir.join("freezer.state");
    wait_until(deadline, || {
        // Said again each time: a process that was forked meanwhile may have been missed (freezer-subsystem.txt).
        file::write(&state, "FROZEN")?;
        Ok(file::read(&state)?.trim() == "FROZEN")
    })
}

/// For what the kernel does not wake anybody for.
pub(super) fn wait_until(
    deadline: Instant,
    mut holds: impl FnMut() -> Result<bool, CgroupError>,
) -> Result<bool, CgroupError> {
    let mut pause = Duration::from_micros(200);
    loop {
        if holds()? {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        pause_for(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

#[expect(clippy::disallowed_methods, reason = "a condition with a deadline is being polled")]
fn pause_for(pause: Duration) {
    thread::sleep(pause);
}
