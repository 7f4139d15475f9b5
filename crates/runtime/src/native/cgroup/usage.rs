//! What a slot uses.

use super::{
    CgroupError, CgroupSlot,
    file::{field, read_optional},
};
use crate::Usage;

impl CgroupSlot {
    /// Reads what it uses; what no controller counts is `None`.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn usage(&self) -> Result<Usage, CgroupError> {
        let number = |text: Option<String>| text.and_then(|text| text.trim().parse::<u64>().ok());
        let memory =
            self.read_two("memory.current")?.or(self.read_one("memory", "memory.usage_in_bytes")?);
        let pids = self.read_two("pids.current")?.or(self.read_one("pids", "pids.current")?);
        let cpu_us = match self.read_two("cpu.stat")? {
            Some(text) => field(&text, "usage_usec"),
            None => number(self.read_one("cpuacct", "cpuacct.usage")?).map(|ns| ns / 1000),
        };
        Ok(Usage {
            memory_bytes: number(memory),
            pids: number(pids),
            cpu_us,
            oom_kills: self.oom_kills()?,
        })
    }

    /// How many processes of it the kernel killed for memory; `None` where no controller counts.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn oom_kills(&self) -> Result<Option<u64>, CgroupError> {
        let events =
            self.read_two("memory.events")?.or(self.read_one("memory", "memory.oom_control")?);
        Ok(events.and_then(|text| field(&text, "oom_kill")))
    }

    fn read_two(&self, name: &str) -> Result<Option<String>, CgroupError> {
        match self.unified_path() {
            Some(dir) => read_optional(&dir.join(name)),
            None => Ok(None),
        }
    }

    fn read_one(&self, controller: &str, name: &str) -> Result<Option<String>, CgroupError> {
        match self.version_1_path(controller) {
            Some(dir) => read_optional(&dir.join(name)),
            None => Ok(None),
        }
    }
}
