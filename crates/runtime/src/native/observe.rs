//! What the host shows of sandboxes, and the release of what is left of one. No process number is trusted: keepers answer, or control groups tell.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use sandbar_types::SandboxId;

use super::{
    NativeRuntime,
    ask::{ask, is_gone, open_dir, record, unexpected},
    cgroup::{CgroupError, CgroupSlot, Hierarchies},
    keeper::{KEEPER_SOCKET, Reply, Request, SUPERVISOR_SOCKET},
    launcher::remove,
    slots::Slot,
};
use crate::{Observed, SandboxDir, StopOutcome};

/// LIMIT: how long killed processes may take to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// The slots of this server that are there, and how many processes are in each.
type Groups = BTreeMap<Slot, usize>;

impl NativeRuntime {
    pub(super) async fn observe_all(
        &self,
        sandboxes: &[(SandboxId, SandboxDir)],
    ) -> io::Result<BTreeMap<SandboxId, Observed>> {
        let groups = self.groups()?;
        let mut all = BTreeMap::new();
        for (id, dir) in sandboxes {
            if let Some(observed) = self.observe_one(*id, dir, &groups).await? {
                all.insert(*id, observed);
            }
        }
        let known: BTreeSet<SandboxId> = sandboxes.iter().map(|(id, _)| *id).collect();
        for (slot, processes) in &groups {
            // Warm launchers are nobody's yet.
            if self.pool.slots.is_reserved(*slot) {
                continue;
            }
            match self.pool.slots.last_owner(*slot).filter(|id| !known.contains(id)) {
                Some(id) if *processes > 0 => drop(all.insert(id, Observed::Orphaned)),
                Some(id) => drop(all.entry(id).or_insert(Observed::Remains { exit: None })),
                // A launcher that was killed before its claim, or a slot of a sandbox seen above.
                None => {}
            }
        }
        Ok(all)
    }

    async fn observe_one(
        &self,
        id: SandboxId,
        dir: &SandboxDir,
        groups: &Groups,
    ) -> io::Result<Option<Observed>> {
        match ask(dir, Request::Status, Duration::ZERO).await {
            Ok((Reply::Status { nonce, is_paused }, _)) => {
                return Ok(Some(Observed::Running { nonce, paused: is_paused }));
            }
            Ok(_) => return Err(unexpected()),
            Err(err) if is_gone(&err) => {}
            Err(err) if err.kind() == io::ErrorKind::TimedOut => return self.observe_mute(id, dir),
            Err(err) => return Err(err),
        }
        let slots = self.pool.slots.of(id)?;
        if slots.iter().any(|slot| groups.get(slot).is_some_and(|processes| *processes > 0)) {
            return Ok(Some(Observed::Orphaned));
        }
        let record = record(dir)?;
        let has_sockets = [KEEPER_SOCKET, SUPERVISOR_SOCKET]
            .iter()
            .any(|name| dir.0.join("run").join(name).symlink_metadata().is_ok());
        let has_groups = slots.iter().any(|slot| groups.contains_key(slot));
        if record.is_none() && !has_sockets && !has_groups {
            return Ok(None);
        }
        Ok(Some(Observed::Remains {
            exit: record.and_then(|record| record.end).and_then(|end| end.status),
        }))
    }

    /// A keeper that is there but does not answer, stopped for example, still keeps: what it wrote down and its control groups tell.
    fn observe_mute(&self, id: SandboxId, dir: &SandboxDir) -> io::Result<Option<Observed>> {
        let Some(record) = record(dir)? else {
            return Err(io::ErrorKind::TimedOut.into());
        };
        let groups = self.open_groups(id)?;
        let paused = groups.iter().any(|group| group.is_frozen().unwrap_or(false));
        Ok(Some(Observed::Running { nonce: record.nonce, paused }))
    }

    fn groups(&self) -> io::Result<Groups> {
        let Some(hierarchies) = &self.hierarchies else {
            return Ok(Groups::new());
        };
        let slots = hierarchies.slots(&self.config.instance).map_err(io::Error::other)?;
        Ok(slots
            .into_iter()
            .filter_map(|slot| Some((Slot::of_name(&slot.slot)?, slot.pids.len())))
            .collect())
    }

    fn open_groups(&self, id: SandboxId) -> io::Result<Vec<CgroupSlot>> {
        let Some(hierarchies) = &self.hierarchies else {
            return Ok(Vec::new());
        };
        let open = |slot: Slot| CgroupSlot::open(hierarchies, &self.config.instance, &slot.name());
        self.pool
            .slots
            .of(id)?
            .into_iter()
            .filter_map(|slot| open(slot).transpose())
            .collect::<Result<_, CgroupError>>()
            .map_err(io::Error::other)
    }

    /// Kills processes that no keeper answers for.
    pub(super) async fn kill_orphans(&self, id: SandboxId) -> io::Result<StopOutcome> {
        let groups = self.open_groups(id)?;
        blocking(move || kill_all(&groups)).await
    }

    pub(super) async fn release_one(&self, dir: &SandboxDir, id: SandboxId) -> io::Result<()> {
        match ask(dir, Request::Status, Duration::ZERO).await {
            Err(err) if is_gone(&err) => {}
            Ok(_) => return Err(busy()),
            Err(err) => return Err(err),
        }
        let groups = self.open_groups(id)?;
        blocking(move || remove_all(groups)).await?;
        let state = match open_dir(&dir.0) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        for name in ["keeper.json", "keeper.json.new"] {
            remove(state.as_fd(), name)?;
        }
        match open_dir(&dir.0.join("run")) {
            Ok(run) => [KEEPER_SOCKET, SUPERVISOR_SOCKET]
                .iter()
                .try_for_each(|name| remove(run.as_fd(), name)),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(err) => Err(err),
        }
    }

    /// At start: removes what warm launchers of a server that was killed left. Nobody's files are touched.
    pub(super) fn sweep(
        hierarchies: &Hierarchies,
        instance: &str,
        is_owned: impl Fn(Slot) -> bool,
    ) -> Result<(), CgroupError> {
        for found in hierarchies.slots(instance)? {
            let is_ours = Slot::of_name(&found.slot).is_none_or(&is_owned);
            // A launcher that still lives is about to see that its server is gone, and to clean up by itself.
            if is_ours || !found.pids.is_empty() {
                continue;
            }
            if let Some(group) = CgroupSlot::open(hierarchies, instance, &found.slot)? {
                group.remove(Duration::from_millis(100))?;
            }
        }
        Ok(())
    }
}

fn busy() -> io::Error {
    io::Error::new(io::ErrorKind::ResourceBusy, "something of the sandbox still runs")
}

/// Runs what waits for the kernel where waiting holds up nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, io::Error> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn kill_all(groups: &[CgroupSlot]) -> io::Result<StopOutcome> {
    let mut outcome = StopOutcome::NotRunning;
    for group in groups {
        if group.processes().map_err(io::Error::other)?.is_empty() {
            continue;
        }
        let deadline = Instant::now() + KILL_PATIENCE;
        group.kill(deadline).map_err(io::Error::other)?;
        if !group.wait_empty(deadline).map_err(io::Error::other)? {
            return Ok(StopOutcome::Stuck);
        }
        outcome = StopOutcome::Killed;
    }
    Ok(outcome)
}

fn remove_all(groups: Vec<CgroupSlot>) -> io::Result<()> {
    for group in groups {
        if !group.processes().map_err(io::Error::other)?.is_empty() {
            return Err(busy());
        }
        group.remove(Duration::from_secs(1)).map_err(io::Error::other)?;
    }
    Ok(())
}
