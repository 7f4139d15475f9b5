//! Which hierarchies there are, and where in each of them our own processes are. See cgroups(7).

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process,
};

use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};

use super::{
    CgroupError, SlotProcesses,
    discovery::{parse, useful},
    file::{self, is_refusal},
    slot,
};

/// The name of the leaf that the server moves to, where it must leave its group.
pub(super) const SERVER_LEAF: &str = "sandbar-server";
/// The controllers whose limits a sandbox has.
const WANTED: [&str; 3] = ["memory", "cpu", "pids"];

/// The version of a hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    /// Version 1, with these controllers.
    One(Vec<String>),
    /// Version 2.
    Two,
}

/// One hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its version.
    pub version: Version,
    /// The directory of the group that our own processes are in, or should make groups below.
    pub own: PathBuf,
}

/// The hierarchies of this host that are of use to a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchies(pub(super) Vec<Hierarchy>);

impl Hierarchies {
    /// Reads `/proc/self/mountinfo` and `/proc/self/cgroup`.
    ///
    /// # Errors
    /// Those could not be read.
    pub fn discover() -> Result<Self, CgroupError> {
        let mounts = file::read(Path::new("/proc/self/mountinfo"))?;
        let groups = file::read(Path::new("/proc/self/cgroup"))?;
        let all = parse(&mounts, &groups);
        Ok(Self(useful(all, |dir| access(dir, Access::WRITE_OK).is_ok())))
    }

    /// The hierarchies, version 2 first.
    pub fn iter(&self) -> impl Iterator<Item = &Hierarchy> {
        self.0.iter()
    }

    /// Makes `sandbar-<instance>` below our own group in every hierarchy, and hands the controllers down on version 2.
    ///
    /// To be called once, when the server starts and before it starts anything: it may move the server to a group beside.
    /// A second call changes nothing.
    ///
    /// # Errors
    /// Not one hierarchy lets us.
    pub fn prepare(&self, instance: &str) -> Result<(), CgroupError> {
        let mut is_any_ours = false;
        for hierarchy in &self.0 {
            match hierarchy.prepare(instance) {
                Ok(()) => is_any_ours = true,
                Err(err) if is_refusal(&err) => {}
                Err(err) => return Err(err),
            }
        }
        if is_any_ours { Ok(()) } else { Err(CgroupError::NoHierarchy) }
    }

    /// Removes what [`Hierarchies::prepare`] made for an instance that will not come back.
    ///
    /// # Errors
    /// A slot is left in it (`ResourceBusy`), or the kernel refused.
    pub fn remove_instance(&self, instance: &str) -> Result<(), CgroupError> {
        for hierarchy in &self.0 {
            let dir = hierarchy.instance_dir(instance);
            match fs::remove_dir(&dir) {
                Err(err) if err.kind() == ErrorKind::NotFound => {}
                other => other.map_err(file::access("remove", &dir))?,
            }
        }
        Ok(())
    }

    /// Lists the slots of `instance` in all hierarchies, and who is in them.
    ///
    /// # Errors
    /// A hierarchy could not be read.
    pub fn slots(&self, instance: &str) -> Result<Vec<SlotProcesses>, CgroupError> {
        slot::list(self, instance)
    }
}

impl Hierarchy {
    pub(super) fn instance_dir(&self, instance: &str) -> PathBuf {
        self.own.join(format!("sandbar-{instance}"))
    }

    pub(super) fn prepare(&self, instance: &str) -> Result<(), CgroupError> {
        let dir = self.instance_dir(instance);
        file::make(&dir)?;
        if self.version == Version::Two {
            hand_down(&self.own, &WANTED)?;
            hand_down(&dir, &WANTED)?;
        }
        Ok(())
    }
}

/// Hands the `wanted` controllers to the groups in `dir`, as far as `dir` has them.
///
/// What cannot be handed down is not an error here: the limits that it would hold are then reported as held by nobody.
pub(super) fn hand_down(dir: &Path, wanted: &[&str]) -> Result<(), CgroupError> {
    let has = file::read(&dir.join("cgroup.controllers"))?;
    let given = file::read(&dir.join("cgroup.subtree_control"))?;
    let is_in = |text: &str, name: &str| text.split_whitespace().any(|word| word == name);
    for name in wanted {
        if !is_in(&has, name) || is_in(&given, name) {
            continue;
        }
        let control = dir.join("cgroup.subtree_control");
        let order = format!("+{name}");
        let Err(err) = file::write(&control, &order) else {
            continue;
        };
        // EBUSY: a group with processes cannot hand controllers down, unless it is the root of all.
        if is_busy(&err) && make_room(dir)? {
            // A refusal shows in what the slot's read-back finds.
            file::write(&control, &order).ok();
        }
    }
    Ok(())
}

fn is_busy(err: &CgroupError) -> bool {
    matches!(err, CgroupError::Access { source, .. } if source.raw_os_error() == Some(libc::EBUSY))
}

/// Moves the processes of `dir` to a leaf in it, if they are all ours; says whether that was done.
///
/// They are ours when the group was delegated to us (systemd says so by an attribute), or when nobody but us is in it.
/// Anything else, a login session for example, is not ours to rearrange.
fn make_room(dir: &Path) -> Result<bool, CgroupError> {
    let list = dir.join("cgroup.procs");
    let processes = file::read(&list)?;
    let us = process::id().to_string();
    if !is_delegated(dir) && processes.lines().any(|pid| pid != us) {
        return Ok(false);
    }
    let leaf = dir.join(SERVER_LEAF);
    file::make(&leaf)?;
    for pid in processes.lines() {
        match file::write(&leaf.join("cgroup.procs"), pid) {
            Err(CgroupError::Access { source, .. })
                if source.raw_os_error() == Some(libc::ESRCH) => {}
            other => other?,
        }
    }
    Ok(true)
}

fn is_delegated(dir: &Path) -> bool {
    ["user.delegate", "trusted.delegate"].iter().any(|name| {
        let mut value = [0u8; 1];
        rustix::fs::getxattr(dir, *name, &mut value).is_ok_and(|len| len == 1) && value == *b"1"
    })
}
