//! Counts what a sandbox could leave behind on the host.

use std::{fs, path::Path, process::Command};

/// Counts of what the kernel holds. Two counts are the same when nothing was left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaks {
    /// Lines of the host's mount table.
    pub mounts: usize,
    /// Control groups with our name, in every hierarchy.
    pub cgroups: Vec<String>,
    /// Processes that run a role of ours, other than servers.
    pub processes: Vec<String>,
    /// Namespaces that `lsns` sees, by type.
    pub namespaces: usize,
    /// Bound unix sockets below the data directory.
    pub sockets: usize,
}

impl Leaks {
    /// Counts now. Only what belongs to `data_dir` counts where a name can tell.
    ///
    /// # Panics
    /// If the host cannot be read.
    #[must_use]
    pub fn count(data_dir: &Path) -> Self {
        let data = data_dir.to_string_lossy().into_owned();
        Self {
            mounts: fs::read_to_string("/proc/self/mountinfo")
                .expect("proc is mounted")
                .lines()
                .count(),
            cgroups: cgroups(),
            processes: processes(),
            namespaces: namespaces(),
            sockets: fs::read_to_string("/proc/net/unix")
                .unwrap_or_default()
                .lines()
                .filter(|line| line.contains(&data))
                .count(),
        }
    }

    /// What is here and was not in `before`, for the message of a test that failed.
    #[must_use]
    pub fn beyond(&self, before: &Self) -> Self {
        Self {
            mounts: self.mounts - before.mounts.min(self.mounts),
            cgroups: new_ones(&before.cgroups, &self.cgroups),
            processes: new_ones(&before.processes, &self.processes),
            namespaces: self.namespaces - before.namespaces.min(self.namespaces),
            sockets: self.sockets - before.sockets.min(self.sockets),
        }
    }
}

/// See [`Leaks::beyond`].
fn new_ones(before: &[String], now: &[String]) -> Vec<String> {
    now.iter().filter(|one| !before.contains(one)).cloned().collect()
}

fn cgroups() -> Vec<String> {
    let output = Command::new("find")
        .args(["/sys/fs/cgroup", "-type", "d", "-path", "*sandbar-*/*"])
        .output()
        .expect("find runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut found: Vec<String> = text.lines().map(str::to_owned).collect();
    found.sort();
    found
}

/// Roles other than the server, with their command lines: `__launch`, `__supervise`, `__apply`.
fn processes() -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("proc is mounted").flatten() {
        let Ok(line) = fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if ["__launch", "__supervise", "__apply"].iter().any(|role| line.contains(role)) {
            found.push(line);
        }
    }
    found.sort();
    found
}

fn namespaces() -> usize {
    let output = Command::new("lsns").args(["--noheadings", "--output", "NS"]).output();
    output.map_or(0, |output| String::from_utf8_lossy(&output.stdout).lines().count())
}
