//! The processes inside sandboxes, seen from outside.

use std::{collections::BTreeMap, fs};

use crate::{Server, command_line};

impl Server {
    /// The processes of its sandboxes with their command lines: what was launched by it, and what is below that.
    ///
    /// # Panics
    /// If the host cannot be read.
    #[must_use]
    pub fn inside(&self) -> BTreeMap<u32, String> {
        let parents: BTreeMap<u32, u32> = fs::read_dir("/proc")
            .expect("proc is there")
            .filter_map(|entry| {
                let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
                let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
                let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
                Some((pid, parent))
            })
            .collect();
        let is_keeper = |pid: u32| {
            let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
            let mut open = open.filter_map(|entry| fs::read_link(entry.path()).ok());
            command_line(pid).contains("__launch")
                && open.any(|path| path.starts_with(self.data_dir()))
        };
        let above = |pid: &u32| parents.get(pid).copied();
        let all = parents.keys().copied();
        let below = all.filter(|pid| std::iter::successors(Some(*pid), above).any(is_keeper));
        below.map(|pid| (pid, command_line(pid))).collect()
    }
}
