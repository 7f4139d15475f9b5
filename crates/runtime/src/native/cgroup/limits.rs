//! Limits: written where the controller is, and read back.

use std::path::Path;

use sandbar_types::{Enforcement, Limits};

use super::{CgroupError, CgroupSlot, LimitsHeld, file};

/// The period over which processor time is counted, in microseconds; the kernel's own default.
const CPU_PERIOD_US: u64 = 100_000;
/// LIMIT: the least quota that the kernel takes, in microseconds.
const CPU_QUOTA_US_MIN: u64 = 1_000;
/// Bytes of memory are rounded down to whole pages, which are 64 KiB at the most.
const ROUNDING: u64 = (64 << 10) - 1;
/// Everything else is taken as it is.
const EXACT: u64 = 0;

/// What a process of a sandbox may open, on version 1: null, zero, full, random, urandom, tty, ptmx, pseudo-terminals.
const DEVICES: [&str; 8] = [
    "c 1:3 rw",
    "c 1:5 rw",
    "c 1:7 rw",
    "c 1:8 rw",
    "c 1:9 rw",
    "c 5:0 rw",
    "c 5:2 rw",
    "c 136:* rw",
];

impl CgroupSlot {
    /// Sets the limits, reads them back, and returns who holds which.
    ///
    /// Where memory is limited, swap is forbidden, or the limit would only move pages. A limit may be set again while
    /// processes run.
    ///
    /// # Errors
    /// A controller that is there refused the value, or holds another one.
    pub fn set_limits(&self, limits: &Limits) -> Result<LimitsHeld, CgroupError> {
        Ok(LimitsHeld {
            memory: self.limit_memory(limits.memory_bytes_max)?,
            cpu: self.limit_cpu(limits.cpu_millis_max)?,
            pids: self.limit_pids(limits.pids_max)?,
        })
    }

    /// `memory.high` stays unset: without swap it does not make a hog smaller, it makes the whole sandbox crawl.
    fn limit_memory(&self, bytes: u64) -> Result<Enforcement, CgroupError> {
        if let Some(dir) = self.unified_with("memory")? {
            set(&dir.join("memory.max"), bytes, ROUNDING)?;
            set_optional(&dir.join("memory.swap.max"), 0)?;
            set_optional(&dir.join("memory.zswap.max"), 0)?;
            return Ok(Enforcement::CgroupV2);
        }
        let Some(dir) = self.version_1_path("memory") else {
            return Ok(Enforcement::None);
        };
        // Memory with swap may never be the smaller of the two: raise it first, lower it last.
        let (plain, with_swap) =
            (dir.join("memory.limit_in_bytes"), dir.join("memory.memsw.limit_in_bytes"));
        if set(&plain, bytes, ROUNDING).is_err() {
            set_optional(&with_swap, bytes)?;
            set(&plain, bytes, ROUNDING)?;
        }
        set_optional(&with_swap, bytes)?;
        Ok(Enforcement::CgroupV1)
    }

    fn limit_cpu(&self, millis: u32) -> Result<Enforcement, CgroupError> {
        let quota = (u64::from(millis) * CPU_PERIOD_US / 1000).max(CPU_QUOTA_US_MIN);
        if let Some(dir) = self.unified_with("cpu")? {
            let path = dir.join("cpu.max");
            file::write(&path, &format!("{quota} {CPU_PERIOD_US}"))?;
            read_back(&path, quota, EXACT)?;
            return Ok(Enforcement::CgroupV2);
        }
        // A kernel may have the controller without the bandwidth part of it.
        match self.version_1_path("cpu") {
            Some(dir) if dir.join("cpu.cfs_quota_us").exists() => {
                set(&dir.join("cpu.cfs_period_us"), CPU_PERIOD_US, EXACT)?;
                set(&dir.join("cpu.cfs_quota_us"), quota, EXACT)?;
                Ok(Enforcement::CgroupV1)
            }
            Some(_) | None => Ok(Enforcement::None),
        }
    }

    fn limit_pids(&self, pids: u32) -> Result<Enforcement, CgroupError> {
        let pids = u64::from(pids);
        if let Some(dir) = self.unified_with("pids")? {
            set(&dir.join("pids.max"), pids, EXACT)?;
            return Ok(Enforcement::CgroupV2);
        }
        let Some(dir) = self.version_1_path("pids") else {
            return Ok(Enforcement::None);
        };
        set(&dir.join("pids.max"), pids, EXACT)?;
        Ok(Enforcement::CgroupV1)
    }

    /// Denies devices but for the harmless ones, on version 1. A second wall: the first is that no device node can be
    /// made or opened inside.
    ///
    /// # Errors
    /// A controller that is there refused.
    pub fn deny_devices(&self) -> Result<(), CgroupError> {
        let Some(dir) = self.version_1_path("devices") else {
            return Ok(());
        };
        match file::write(&dir.join("devices.deny"), "a") {
            Err(err) if file::is_refusal(&err) => return Ok(()),
            other => other?,
        }
        for device in DEVICES {
            file::write(&dir.join("devices.allow"), device)?;
        }
        Ok(())
    }

    fn unified_with(&self, controller: &str) -> Result<Option<&Path>, CgroupError> {
        let Some(dir) = self.unified_path() else {
            return Ok(None);
        };
        let has = file::read(&dir.join("cgroup.controllers"))?;
        Ok(has.split_whitespace().any(|name| name == controller).then_some(dir))
    }
}

fn set(path: &Path, value: u64, tolerance: u64) -> Result<(), CgroupError> {
    file::write(path, &value.to_string())?;
    read_back(path, value, tolerance)
}

/// For files that exist only where the kernel counts swap.
fn set_optional(path: &Path, value: u64) -> Result<(), CgroupError> {
    if path.exists() {
        file::write(path, &value.to_string())?;
    }
    Ok(())
}

/// The value may be up to `tolerance` below what was written, and never above.
fn read_back(path: &Path, wanted: u64, tolerance: u64) -> Result<(), CgroupError> {
    let text = file::read(path)?;
    let first = text.split_whitespace().next().unwrap_or_default();
    match first.parse::<u64>() {
        Ok(found) if found <= wanted && wanted - found <= tolerance => Ok(()),
        Ok(_) | Err(_) => Err(CgroupError::ReadBack {
            path: path.to_owned(),
            wanted,
            found: text.trim().to_owned(),
        }),
    }
}
