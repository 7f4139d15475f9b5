//! File systems that a host may have and this one may not.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::eventually;

/// A file system in a file, mounted; gone when dropped.
#[derive(Debug)]
pub struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    /// One of btrfs whose quotas are on; `None` where this host has none, which is said.
    ///
    /// # Panics
    /// If it is made, and its quotas cannot be had.
    #[must_use]
    pub fn btrfs_with_quotas() -> Option<Self> {
        let disk = Self::make(&["mkfs.btrfs", "-q"], "loop")?;
        let enabled = Command::new("btrfs").args(["quota", "enable"]).arg(disk.at()).status();
        assert!(enabled.expect("btrfs runs").success());
        Some(disk)
    }

    /// One of ext4 with quotas of projects; `None` where this host has none, which is said.
    #[must_use]
    pub fn ext4_with_project_quotas() -> Option<Self> {
        let mkfs = ["mkfs.ext4", "-q", "-O", "quota,project", "-E", "quotatype=prjquota"];
        Self::make(&mkfs, "loop,prjquota")
    }

    #[expect(clippy::print_stderr, reason = "what is not tested on this host is said")]
    fn make(mkfs: &[&str], options: &str) -> Option<Self> {
        let dir = tempfile::tempdir_in("/dev/shm").expect("a directory can be made");
        let (image, at) = (dir.path().join("image"), dir.path().join("at"));
        let file = fs::File::create(&image).expect("an image can be made");
        file.set_len(512 << 20).expect("an image can be large");
        fs::create_dir(&at).expect("a mount point can be made");
        let mut mount = Command::new("mount");
        mount.args(["-o", options]).arg(&image).arg(&at);
        for mut command in [mkfs_command(mkfs, &image), mount] {
            let is_done = command.output().is_ok_and(|output| output.status.success());
            if !is_done {
                eprintln!("SKIPPED: {command:?} does not work on this host");
                return None;
            }
        }
        Some(Self { dir })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn at(&self) -> PathBuf {
        self.dir.path().join("at")
    }
}

fn mkfs_command(mkfs: &[&str], image: &Path) -> Command {
    let mut command = Command::new(mkfs[0]);
    command.args(&mkfs[1..]).arg(image);
    command
}

impl Drop for Disk {
    fn drop(&mut self) {
        eventually("it is unmounted", Duration::from_secs(20), || {
            let done = Command::new("umount").arg(self.at()).output().expect("umount runs");
            if done.status.success() { Ok(()) } else { Err(done) }
        });
    }
}
