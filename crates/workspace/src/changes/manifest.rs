//! What a set of changes is as a whole: its id, and files that only moved.

use std::collections::BTreeMap;

use sandbar_types::{Change, ChangeKind, DiffId, Entry, Sha256, WorkspacePath};
use sha2::Digest;

/// Names a list of changes by its content: paths, kinds, and what was and is there. Not by what is merely shown:
/// flags, line counts and renames do not take part.
#[must_use]
pub fn diff_id(changes: &[Change]) -> DiffId {
    let mut ordered: Vec<&Change> = changes.iter().collect();
    ordered.sort_by(|one, other| one.path.cmp(&other.path));
    let mut hasher = sha2::Sha256::new();
    hasher.update(b"sandbar changes 1\n");
    for change in ordered {
        add_bytes(&mut hasher, change.path.as_bytes());
        hasher.update([kind_number(change.kind)]);
        add_entry(&mut hasher, change.old.as_ref());
        add_entry(&mut hasher, change.new.as_ref());
    }
    DiffId(Sha256(hasher.finalize().into()))
}

fn add_bytes(hasher: &mut sha2::Sha256, bytes: &[u8]) {
    hasher.update((bytes.len() as u64).to_be_bytes());
    hasher.update(bytes);
}

fn add_entry(hasher: &mut sha2::Sha256, entry: Option<&Entry>) {
    match entry {
        None => hasher.update([0]),
        Some(Entry::File { size, mode, sha256 }) => {
            hasher.update([1]);
            hasher.update(size.to_be_bytes());
            hasher.update(mode.to_be_bytes());
            hasher.update(sha256.0);
        }
        Some(Entry::Directory { mode }) => {
            hasher.update([2]);
            hasher.update(mode.to_be_bytes());
        }
        Some(Entry::Symlink { target }) => {
            hasher.update([3]);
            add_bytes(hasher, &target.0);
        }
        Some(Entry::Special { what }) => {
            hasher.update([4]);
            add_bytes(hasher, what.as_bytes());
        }
    }
}

fn kind_number(kind: ChangeKind) -> u8 {
    match kind {
        ChangeKind::Added => 1,
        ChangeKind::Modified => 2,
        ChangeKind::Deleted => 3,
        ChangeKind::TypeChanged => 4,
        ChangeKind::ModeChanged => 5,
        ChangeKind::XattrChanged => 6,
    }
}

/// Says of an added file where it probably came from: the one deleted file with its content, if it is the one added.
pub(super) fn add_renames(changes: &mut [Change]) {
    let mut came_from: BTreeMap<Sha256, Vec<WorkspacePath>> = BTreeMap::new();
    let mut went_to: BTreeMap<Sha256, Vec<usize>> = BTreeMap::new();
    for (index, change) in changes.iter().enumerate() {
        let (entry, kind) = match change.kind {
            ChangeKind::Deleted => (change.old.as_ref(), change.kind),
            ChangeKind::Added => (change.new.as_ref(), change.kind),
            ChangeKind::Modified
            | ChangeKind::TypeChanged
            | ChangeKind::ModeChanged
            | ChangeKind::XattrChanged => continue,
        };
        // Empty files are all alike.
        let Some(Entry::File { sha256, size: 1.., .. }) = entry else {
            continue;
        };
        if kind == ChangeKind::Deleted {
            came_from.entry(*sha256).or_default().push(change.path.clone());
        } else {
            went_to.entry(*sha256).or_default().push(index);
        }
    }
    for (sha256, added) in went_to {
        if let ([index], Some([from])) = (&added[..], came_from.get(&sha256).map(Vec::as_slice)) {
            changes[*index].renamed_from = Some(from.clone());
        }
    }
}
