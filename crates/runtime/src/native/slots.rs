//! Slots: numbers that name a sandbox's control groups and, in root mode, its range of host ids. Recorded as links in the data directory.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use sandbar_types::SandboxId;

use super::{
    host_ids::{DIR, HostIds},
    plan::Ids,
};

/// A slot's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(pub(super) u32);

/// First id of slot 0: above the ranges that other programs give out (subuid(5), systemd-nspawn).
const FIRST_BASE: u32 = 0x7000_0000;
const STRIDE: u32 = 0x1_0000;
/// LIMIT: ids stay below 2^31, beyond which programs that take ids as signed go wrong.
pub(super) const SLOTS: u32 = (0x7fff_0000 - FIRST_BASE) / STRIDE;

/// Every host id that a sandbox may have.
pub(crate) const ALL_IDS: std::ops::Range<u32> = FIRST_BASE..FIRST_BASE + SLOTS * STRIDE;

impl Slot {
    /// First host id of its range.
    pub(super) fn base(self) -> u32 {
        FIRST_BASE + self.0 * STRIDE
    }

    /// Its ids on the host, the creator's included.
    pub(super) fn host_ids(self) -> std::ops::Range<u64> {
        u64::from(self.base())..u64::from(self.base()) + u64::from(STRIDE)
    }

    /// The slot whose range begins at `base`.
    pub(super) fn of_base(base: u32) -> Option<Self> {
        let offset = base.checked_sub(FIRST_BASE)?;
        let slot = offset / STRIDE;
        (offset % STRIDE == 0 && slot < SLOTS).then_some(Self(slot))
    }

    /// Its ids in root mode.
    pub(super) fn ids(self) -> Ids {
        Ids::Range { base: self.base() }
    }

    /// Names its control groups.
    pub(super) fn name(self) -> String {
        self.0.to_string()
    }

    /// The slot of that name.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        name.parse().ok().filter(|slot| *slot < SLOTS).map(Self)
    }
}

/// Gives slots out. A slot belongs to a sandbox as long as its directory is there: its files have the slot's ids.
#[derive(Debug)]
pub(super) struct Slots {
    links: PathBuf,
    sandboxes: PathBuf,
    /// `None` in user mode, where slots stand for no ids.
    host: Option<HostIds>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    cursor: u32,
    /// Given out, and not (yet) recorded.
    reserved: BTreeSet<Slot>,
    /// What the links say, once they were read: nobody else changes them.
    recorded: Option<BTreeMap<Slot, SandboxId>>,
}

impl Slots {
    /// `data_dir` is the server's; `instance` spreads the slots of several servers of one host, and `host` parts them.
    pub(super) fn new(data_dir: &Path, instance: &str, host: Option<HostIds>) -> Self {
        let hash = instance
            .bytes()
            .fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
        let state = State { cursor: hash % SLOTS, reserved: BTreeSet::new(), recorded: None };
        Self {
            links: data_dir.join("slots"),
            sandboxes: data_dir.join("sandboxes"),
            host,
            state: Mutex::new(state),
        }
    }

    /// Reserves a slot that nobody has. `is_busy` says what else speaks against one.
    pub(super) fn reserve(&self, is_busy: impl Fn(Slot) -> bool) -> io::Result<Slot> {
        let mut state = self.state();
        let is_ours = |slot| Ok(self.host.as_ref().is_none_or(|host| host.is_ours(slot)));
        // As few blocks of the host's ids as will do.
        let found = match self.find(&mut state, &is_busy, is_ours)? {
            None => self.find(&mut state, &is_busy, |slot| self.claim(slot))?,
            found => found,
        };
        found.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::QuotaExceeded,
                "every range of ids belongs to a sandbox, or to another server of this host: delete some",
            )
        })
    }

    fn find(
        &self,
        state: &mut State,
        is_busy: impl Fn(Slot) -> bool,
        may_have: impl Fn(Slot) -> io::Result<bool>,
    ) -> io::Result<Option<Slot>> {
        for _ in 0..SLOTS {
            let slot = Slot(state.cursor);
            // Round and round, so that a range comes back as late as possible.
            state.cursor = (state.cursor + 1) % SLOTS;
            let is_free = !state.reserved.contains(&slot)
                && may_have(slot)?
                && !self.owner_in(state, slot)?.is_some_and(|id| self.is_there(id))
                && !is_busy(slot);
            if is_free {
                state.reserved.insert(slot);
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    fn claim(&self, slot: Slot) -> io::Result<bool> {
        self.host.as_ref().map_or(Ok(true), |host| host.claim(slot))
    }

    /// Reserves this very slot for `id`, whose it was or whose it may be.
    pub(super) fn reserve_again(&self, slot: Slot, id: SandboxId) -> io::Result<()> {
        if !self.claim(slot)? {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!(
                    "its range of ids belongs to another server of this host, see `{DIR}`, or to a user of it, see subuid(5)"
                ),
            ));
        }
        if self.owner(slot)?.is_some_and(|owner| owner != id) || !self.state().reserved.insert(slot)
        {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "its range of ids belongs to another sandbox",
            ));
        }
        Ok(())
    }

    /// Gives back a reserved slot.
    pub(super) fn give_back(&self, slot: Slot) {
        self.state().reserved.remove(&slot);
    }

    /// Records that `slot` belongs to `id`.
    pub(super) fn record(&self, slot: Slot, id: SandboxId) -> io::Result<()> {
        std::fs::create_dir_all(&self.links)?;
        let link = self.links.join(slot.name());
        let new = self.links.join(format!("{}.new", slot.name()));
        match std::fs::remove_file(&new) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            Ok(()) | Err(_) => {}
        }
        std::os::unix::fs::symlink(id.to_string(), &new)?;
        let mut state = self.state();
        // Read before it is written, or what else is there would be missed.
        self.read(&mut state)?;
        std::fs::rename(&new, &link)?;
        state.recorded.get_or_insert_default().insert(slot, id);
        Ok(())
    }

    /// Takes back what [`Self::record`] said: nothing of the sandbox has the slot's ids.
    pub(super) fn forget(&self, slot: Slot) {
        // Left behind it would only make the range come back later.
        let mut state = self.state();
        let removed = std::fs::remove_file(self.links.join(slot.name()));
        if let (Ok(()), Some(recorded)) = (removed, &mut state.recorded) {
            recorded.remove(&slot);
        }
    }

    /// Whose `slot` is.
    pub(super) fn owner(&self, slot: Slot) -> io::Result<Option<SandboxId>> {
        let owner = self.owner_in(&mut self.state(), slot)?;
        Ok(owner.filter(|id| self.is_there(*id)))
    }

    /// Whose `slot` was, though the files may be gone.
    pub(super) fn last_owner(&self, slot: Slot) -> Option<SandboxId> {
        self.owner_in(&mut self.state(), slot).ok().flatten()
    }

    /// The slots that were recorded for `id`.
    pub(super) fn of(&self, id: SandboxId) -> io::Result<Vec<Slot>> {
        let mut state = self.state();
        let recorded = self.read(&mut state)?;
        Ok(recorded.iter().filter(|(_, owner)| **owner == id).map(|(slot, _)| *slot).collect())
    }

    fn owner_in(&self, state: &mut State, slot: Slot) -> io::Result<Option<SandboxId>> {
        Ok(self.read(state)?.get(&slot).copied())
    }

    fn is_there(&self, id: SandboxId) -> bool {
        self.sandboxes.join(id.to_string()).exists()
    }

    /// Reads the links, the first time.
    fn read<'a>(&self, state: &'a mut State) -> io::Result<&'a BTreeMap<Slot, SandboxId>> {
        if state.recorded.is_none() {
            let mut recorded = BTreeMap::new();
            let entries = match std::fs::read_dir(&self.links) {
                Err(err) if err.kind() == io::ErrorKind::NotFound => None,
                other => Some(other?),
            };
            for entry in entries.into_iter().flatten() {
                let name = entry?.file_name();
                let Some(slot) = name.to_str().and_then(Slot::of_name) else { continue };
                let target = std::fs::read_link(self.links.join(&name))?;
                let id = target.to_str().and_then(|text| text.parse().ok());
                recorded.extend(id.map(|id| (slot, id)));
            }
            state.recorded = Some(recorded);
        }
        Ok(state.recorded.get_or_insert_default())
    }

    /// Whether the slot is given out and not recorded: a warm launcher's.
    pub(super) fn is_reserved(&self, slot: Slot) -> bool {
        self.state().reserved.contains(&slot)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of it is one insertion or removal, so a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(data: &Path) -> Slots {
        Slots::new(data, "test", None)
    }

    #[test]
    fn ranges_neither_overlap_nor_leave_the_band() {
        assert!(Slot(0).base() >= 1_879_048_192, "systemd-nspawn gives out what is below");
        assert_eq!(Slot(1).base() - Slot(0).base(), STRIDE);
        assert!(Slot(SLOTS - 1).base().checked_add(STRIDE).is_some_and(|end| end <= 1 << 31));
        assert_eq!(Slot::of_base(Slot(7).base()), Some(Slot(7)));
        assert_eq!(Slot::of_base(Slot(7).base() + 1), None);
        assert_eq!(Slot::of_base(0), None);
    }

    #[test]
    fn a_slot_is_given_out_once_and_comes_back_when_the_files_are_gone() {
        let data = tempfile::tempdir().unwrap();
        let slots = slots(data.path());
        let id = SandboxId::generate();
        let dir = data.path().join("sandboxes").join(id.to_string());
        std::fs::create_dir_all(&dir).unwrap();
        let slot = slots.reserve(|_| false).unwrap();
        assert_ne!(slots.reserve(|_| false).unwrap(), slot);
        slots.record(slot, id).unwrap();
        slots.give_back(slot);
        assert_eq!(slots.owner(slot).unwrap(), Some(id));
        assert!(slots.reserve_again(slot, SandboxId::generate()).is_err(), "it is another's");
        std::fs::remove_dir(&dir).unwrap();
        assert_eq!(slots.owner(slot).unwrap(), None);
        assert_eq!(slots.of(id).unwrap(), [slot], "but whose it was is known");
    }

    #[test]
    fn a_busy_slot_is_passed_over() {
        let data = tempfile::tempdir().unwrap();
        let slots = slots(data.path());
        let first = slots.reserve(|_| false).unwrap();
        slots.give_back(first);
        let second = Slot((first.0 + 1) % SLOTS);
        assert_ne!(slots.reserve(|slot| slot == second).unwrap(), second);
    }

    #[test]
    fn slots_of_two_servers_never_meet_though_their_names_do() {
        let host = tempfile::tempdir().unwrap();
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let of = |data: &Path| Slots::new(data, "test", Some(HostIds::new(host.path(), data)));
        let (first, second) = (of(one.path()), of(two.path()));
        let reserve = |slots: &Slots| (0..100).map(|_| slots.reserve(|_| false).unwrap()).collect();
        let (mine, theirs): (BTreeSet<Slot>, BTreeSet<Slot>) = (reserve(&first), reserve(&second));
        assert_eq!((mine.len(), theirs.len()), (100, 100));
        assert!(mine.is_disjoint(&theirs));
        let taken = *theirs.first().unwrap();
        let refused = first.reserve_again(taken, SandboxId::generate()).unwrap_err();
        assert!(refused.to_string().contains("another server"), "{refused}");
    }
}
