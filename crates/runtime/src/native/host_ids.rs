//! Which ranges of ids are this server's, among all servers that root runs on this host, and which are anybody else's.
//!
//! Ranges are taken in blocks. A block is a link in [`DIR`] to the data directory whose files have its ids: it stays
//! taken while that directory is there, whether or not its server runs, and is gone with the next boot.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io,
    ops::Range,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::slots::{SLOTS, Slot};

/// Where blocks are recorded: the same for every server of the host, whatever its data directory.
pub(super) const DIR: &str = "/run/sandbar/ids";
/// LIMIT: slots of a block; 64 servers fit a host.
const BLOCK: u32 = 64;

/// The blocks of one server.
#[derive(Debug)]
pub(super) struct HostIds {
    dir: PathBuf,
    data_dir: PathBuf,
    /// Given to users of the host for their containers; see subuid(5).
    subordinate: Vec<Range<u64>>,
    ours: Mutex<BTreeSet<u32>>,
}

impl HostIds {
    /// `data_dir` is absolute. What cannot be read shows itself when a block is taken.
    pub(super) fn new(dir: &Path, data_dir: &Path) -> Self {
        let subordinate = ["/etc/subuid", "/etc/subgid"]
            .iter()
            .filter_map(|path| fs::read_to_string(path).ok())
            .flat_map(|text| subordinate(&text))
            .collect();
        let blocks = 0..SLOTS.div_ceil(BLOCK);
        let is_ours = |block: &u32| {
            fs::read_link(dir.join(block.to_string())).is_ok_and(|owner| owner == data_dir)
        };
        let ours = Mutex::new(blocks.filter(is_ours).collect());
        Self { dir: dir.to_owned(), data_dir: data_dir.to_owned(), subordinate, ours }
    }

    /// Whether the slot's block is ours already.
    pub(super) fn is_ours(&self, slot: Slot) -> bool {
        self.ours().contains(&(slot.0 / BLOCK)) && !self.is_subordinate(slot)
    }

    /// Takes the slot's block unless it is ours; `false` when its ids are somebody else's.
    ///
    /// # Errors
    /// The record of blocks cannot be written, so nobody can know.
    pub(super) fn claim(&self, slot: Slot) -> io::Result<bool> {
        if self.is_subordinate(slot) {
            return Ok(false);
        }
        let block = slot.0 / BLOCK;
        if self.ours().contains(&block) {
            return Ok(true);
        }
        let is_ours = self.take(block).map_err(|err| {
            let dir = self.dir.display();
            io::Error::new(
                err.kind(),
                format!("ranges of ids cannot be recorded in `{dir}`: {err}"),
            )
        })?;
        if is_ours {
            self.ours().insert(block);
        }
        Ok(is_ours)
    }

    fn take(&self, block: u32) -> io::Result<bool> {
        let _lock = self.lock()?;
        let link = self.dir.join(block.to_string());
        match fs::read_link(&link) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(err) => return Err(err),
            Ok(owner) if owner == self.data_dir => return Ok(true),
            Ok(owner) if fs::symlink_metadata(&owner).is_ok() => return Ok(false),
            // The directory is gone, and with it every file that had these ids.
            Ok(_) => fs::remove_file(&link)?,
        }
        symlink(&self.data_dir, &link)?;
        Ok(true)
    }

    fn lock(&self) -> io::Result<File> {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(&self.dir)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.dir.join("lock"))?;
        lock.lock()?;
        Ok(lock)
    }

    fn is_subordinate(&self, slot: Slot) -> bool {
        let ids = slot.host_ids();
        self.subordinate.iter().any(|other| other.start < ids.end && ids.start < other.end)
    }

    fn ours(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        // Every change of it is one insertion.
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ranges of a file in the form of subuid(5); lines that mean nothing are passed over, as others do.
fn subordinate(text: &str) -> Vec<Range<u64>> {
    let range = |line: &str| {
        let mut fields = line.trim().split(':').skip(1);
        let first: u64 = fields.next()?.parse().ok()?;
        let count: u64 = fields.next()?.parse().ok()?;
        Some(first..first.checked_add(count)?)
    };
    text.lines().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_servers_never_have_the_same_block() {
        let host = tempfile::tempdir().unwrap();
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dir = host.path().join("ids");
        let first = HostIds::new(&dir, one.path());
        let second = HostIds::new(&dir, two.path());
        assert!(!first.is_ours(Slot(0)));
        assert!(first.claim(Slot(0)).unwrap());
        assert!(first.is_ours(Slot(BLOCK - 1)));
        assert!(!second.claim(Slot(BLOCK - 1)).unwrap(), "the last of the same block");
        assert!(second.claim(Slot(BLOCK)).unwrap());
        assert!(HostIds::new(&dir, one.path()).is_ours(Slot(1)), "a restart forgets nothing");
    }

    #[test]
    fn a_block_is_free_again_when_the_data_directory_is_gone() {
        let host = tempfile::tempdir().unwrap();
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let second = HostIds::new(host.path(), two.path());
        assert!(HostIds::new(host.path(), one.path()).claim(Slot(7)).unwrap());
        assert!(!second.claim(Slot(7)).unwrap());
        drop(one);
        assert!(second.claim(Slot(7)).unwrap());
    }

    #[test]
    fn ids_of_a_users_containers_are_nobody_elses() {
        let host = tempfile::tempdir().unwrap();
        let mut ids = HostIds::new(host.path(), host.path());
        let taken = Slot(3).host_ids();
        for (text, is_free) in [
            (format!("ann:{}:1\n", taken.end - 1), false),
            (format!("ann:{}:65536\n", taken.start - 1), false),
            (format!("ann:{}:65536\n", taken.end), true),
            (format!("ann:{}:1\n", taken.start - 1), true),
            ("ann:100000:65536\nodd\n:::\nann:x:y\n".to_owned(), true),
        ] {
            ids.subordinate = subordinate(&text);
            assert_eq!(ids.claim(Slot(3)).unwrap(), is_free, "{text}");
        }
    }

    #[test]
    fn where_nothing_can_be_recorded_nothing_is_given_out() {
        let host = tempfile::tempdir().unwrap();
        let file = host.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(HostIds::new(&file, host.path()).claim(Slot(0)).is_err());
    }
}
