//! The groups of one sandbox, one in each hierarchy.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags},
    process::Pid,
};
use serde::{Deserialize, Serialize};

use super::{
    CgroupError, Hierarchies, Version,
    file::{self, access, groups_depth_first, is_refusal, processes_below},
    freeze::wait_until,
};

/// LIMIT: how often the parent of a new slot is made again when somebody removes it at the same moment.
const PARENT_TRIES: u32 = 8;

/// The group of a slot in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotDir {
    /// The hierarchy's version.
    pub version: Version,
    /// The group's directory.
    pub path: PathBuf,
}

/// Where a slot is: enough to open it again from a server that was started in another group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlotRecord(pub Vec<SlotDir>);

/// A slot that is there, and who is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotProcesses {
    /// The slot's name.
    pub slot: String,
    /// Its processes, those of nested groups too; ids as we see them.
    pub pids: Vec<u32>,
}

/// The groups of one sandbox. Dropping it changes nothing on the host.
#[derive(Debug)]
pub struct CgroupSlot {
    pub(super) dirs: Vec<SlotDir>,
    unified: Option<OwnedFd>,
}

impl CgroupSlot {
    /// Makes `sandbar-<instance>/<slot>` in every hierarchy that lets us; one that is there already is fine.
    ///
    /// # Errors
    /// Not one hierarchy lets us ([`CgroupError::NoHierarchy`]), or one failed in another way.
    pub fn create(
        hierarchies: &Hierarchies,
        instance: &str,
        slot: &str,
    ) -> Result<Self, CgroupError> {
        let mut dirs = Vec::new();
        for hierarchy in hierarchies.iter() {
            let path = hierarchy.instance_dir(instance).join(slot);
            // The parent is usually there; it goes with its last slot, which may be right now.
            let made = (0..PARENT_TRIES).fold(file::make(&path), |made, _| match made {
                Err(_) => hierarchy.prepare(instance).and_then(|()| file::make(&path)),
                Ok(()) => Ok(()),
            });
            match made {
                Ok(()) => dirs.push(SlotDir { version: hierarchy.version.clone(), path }),
                Err(err) if is_refusal(&err) => {}
                Err(err) => return Err(err),
            }
        }
        if dirs.is_empty() {
            return Err(CgroupError::NoHierarchy);
        }
        Self::from_dirs(dirs)
    }

    /// Opens a slot that is there in at least one hierarchy.
    ///
    /// # Errors
    /// A hierarchy could not be read.
    pub fn open(
        hierarchies: &Hierarchies,
        instance: &str,
        slot: &str,
    ) -> Result<Option<Self>, CgroupError> {
        let dirs = hierarchies.iter().map(|hierarchy| SlotDir {
            version: hierarchy.version.clone(),
            path: hierarchy.instance_dir(instance).join(slot),
        });
        Self::reopen(&SlotRecord(dirs.collect()))
    }

    /// Opens the slot that was recorded; `None` when nothing of it is left.
    ///
    /// # Errors
    /// A hierarchy could not be read.
    pub fn reopen(record: &SlotRecord) -> Result<Option<Self>, CgroupError> {
        let dirs: Vec<SlotDir> = record.0.iter().filter(|dir| dir.path.is_dir()).cloned().collect();
        if dirs.is_empty() {
            return Ok(None);
        }
        Self::from_dirs(dirs).map(Some)
    }

    /// Where it is, to be written down.
    #[must_use]
    pub fn record(&self) -> SlotRecord {
        SlotRecord(self.dirs.clone())
    }

    fn from_dirs(dirs: Vec<SlotDir>) -> Result<Self, CgroupError> {
        let unified = dirs
            .iter()
            .find(|dir| dir.version == Version::Two)
            .map(|dir| {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                rustix::fs::open(&dir.path, flags, Mode::empty())
                    .map_err(|err| access("read", &dir.path)(err.into()))
            })
            .transpose()?;
        Ok(Self { dirs, unified })
    }

    /// The version 2 directory, for `CLONE_INTO_CGROUP`; `None` on a host without that hierarchy.
    #[must_use]
    pub fn unified_dir(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(AsFd::as_fd)
    }

    /// Moves the process `pid` into the slot, in every hierarchy that it is not in already.
    ///
    /// What it forked before stays where it was, so it must not have forked yet.
    ///
    /// # Errors
    /// It is gone, or a hierarchy refused.
    pub fn attach(&self, pid: Pid) -> Result<(), CgroupError> {
        let number = pid.as_raw_nonzero().get().to_string();
        for dir in &self.dirs {
            // Version 2 may have been entered at birth, and a move that changes nothing costs as much as any.
            if dir.version != Version::Two || !lists(&dir.path, pid)? {
                file::write(&dir.path.join("cgroup.procs"), &number)?;
            }
        }
        Ok(())
    }

    /// Whether `pid` is in the slot in every hierarchy; part of the read-back.
    ///
    /// # Errors
    /// A hierarchy could not be read.
    pub fn holds(&self, pid: Pid) -> Result<bool, CgroupError> {
        for dir in &self.dirs {
            if !lists(&dir.path, pid)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The processes in it, ids as we see them.
    ///
    /// # Errors
    /// A hierarchy could not be read.
    pub fn processes(&self) -> Result<Vec<u32>, CgroupError> {
        let mut pids = Vec::new();
        for dir in &self.dirs {
            pids.extend(processes_below(&dir.path)?);
        }
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// Removes the slot from every hierarchy, nested groups first; while the kernel is busy, retries for `patience`.
    ///
    /// # Errors
    /// Processes are left in it (`ResourceBusy`), or the kernel refused. It can be tried again.
    pub fn remove(&self, patience: Duration) -> Result<(), CgroupError> {
        let deadline = Instant::now() + patience;
        for dir in &self.dirs {
            for group in groups_depth_first(&dir.path)? {
                remove_group(&group, deadline)?;
            }
            // With the last slot goes what held the slots. It is refused while there are others, and that is fine:
            // whoever comes last does it, also long after the server that made it was killed.
            if let Some(instance) = dir.path.parent() {
                fs::remove_dir(instance).ok();
            }
        }
        Ok(())
    }

    /// The group in the hierarchy of version 2.
    pub(super) fn unified_path(&self) -> Option<&Path> {
        self.dirs.iter().find(|dir| dir.version == Version::Two).map(|dir| dir.path.as_path())
    }

    /// The group in the version 1 hierarchy that has `controller`.
    pub(super) fn version_1_path(&self, controller: &str) -> Option<&Path> {
        self.dirs
            .iter()
            .find(|dir| match &dir.version {
                Version::One(controllers) => controllers.iter().any(|name| name == controller),
                Version::Two => false,
            })
            .map(|dir| dir.path.as_path())
    }
}

pub(super) fn list(
    hierarchies: &Hierarchies,
    instance: &str,
) -> Result<Vec<SlotProcesses>, CgroupError> {
    let mut slots: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for hierarchy in hierarchies.iter() {
        let dir = hierarchy.instance_dir(instance);
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(err) if err.kind() == ErrorKind::NotFound => continue,
            Err(err) => return Err(access("read", &dir)(err)),
        };
        for entry in entries {
            let entry = entry.map_err(access("read", &dir))?;
            let is_group = entry.file_type().is_ok_and(|kind| kind.is_dir());
            // Names are ours, and so text; anything else is not a slot.
            if let (true, Ok(name)) = (is_group, entry.file_name().into_string()) {
                slots.entry(name).or_default().extend(processes_below(&entry.path())?);
            }
        }
    }
    let with_processes = |(slot, mut pids): (String, Vec<u32>)| {
        pids.sort_unstable();
        pids.dedup();
        SlotProcesses { slot, pids }
    };
    Ok(slots.into_iter().map(with_processes).collect())
}

fn lists(dir: &Path, pid: Pid) -> Result<bool, CgroupError> {
    let number = u32::try_from(pid.as_raw_nonzero().get()).expect("process ids are positive");
    Ok(processes_below(dir)?.binary_search(&number).is_ok())
}

/// The kernel says busy for some moments after the last process is gone, too.
fn remove_group(group: &Path, deadline: Instant) -> Result<(), CgroupError> {
    let mut last = Ok(());
    wait_until(deadline, || {
        last = fs::remove_dir(group);
        Ok(!last.as_ref().is_err_and(is_busy))
    })?;
    match last {
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map_err(access("remove", group)),
    }
}

fn is_busy(err: &io::Error) -> bool {
    err.kind() == ErrorKind::ResourceBusy
}
