//! Everything that a layer consisted of at the instant of a capture, by path, with its marks.
//!
//! What has the same marks at the next capture was not touched since, and is not copied again. What cannot be read holds
//! nothing, which costs copies and never a byte.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read, Write},
};

use rustix::fs::FileType;

use super::path::{ancestors, parent};
use crate::entry::Stamp;

const MAGIC: &[u8] = b"sandbar checkpoint 2\n";
/// LIMIT: bytes of one path, as [`sandbar_types::WorkspacePath`] has it.
const PATH_BYTES_MAX: usize = 64 * 1024;

/// One object of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) stamp: Stamp,
    /// Whether everything that is done to it later moves its marks.
    pub(super) is_sure: bool,
}

impl Held {
    /// The kernel's mark of a deletion. All are alike, whichever node they are: overlayfs gives one several names.
    pub(super) const DELETION: Self = Self {
        stamp: Stamp { dev: 0, ino: 0, mode: 0o020_000, size: 0, mtime_ns: 0, ctime_ns: 0 },
        is_sure: true,
    };

    pub(super) fn is(&self, kind: FileType) -> bool {
        self.stamp.file_type() == kind
    }
}

/// The objects of a layer, by path; the empty path is its top.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Manifest(BTreeMap<Vec<u8>, Held>);

/// Which paths of a layer are wanted, with the directories on the way to each.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Paths(BTreeSet<Vec<u8>>);

impl Paths {
    pub(super) fn contains(&self, path: &[u8]) -> bool {
        self.0.contains(path)
    }
}

impl Manifest {
    pub(super) fn add(&mut self, path: Vec<u8>, held: Held) {
        self.0.insert(path, held);
    }

    pub(super) fn get(&self, path: &[u8]) -> Option<&Held> {
        self.0.get(path)
    }

    /// Those above first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &Held)> {
        self.0.iter().map(|(path, held)| (&**path, held))
    }

    /// Whether what is at `path` was not touched since.
    pub(super) fn is_same(&self, path: &[u8], stamp: &Stamp) -> bool {
        self.get(path).is_some_and(|held| held.is_sure && held.stamp == *stamp)
    }

    /// What may be otherwise in `other`, with everything beside it: enough of both to compare them.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Paths {
        let is_same = |path: &[u8], held: &Held| {
            held.is_sure && other.get(path).is_some_and(|other| other == held)
        };
        let changed = self.iter().filter(|(path, held)| !is_same(path, held));
        let made = other.iter().filter(|(path, _)| self.get(path).is_none());
        let places: BTreeSet<_> = changed.chain(made).map(|(path, _)| parent(path)).collect();
        let beside = self.iter().chain(other.iter()).map(|(path, _)| path);
        let mut wanted = Paths::default();
        for path in beside.filter(|path| places.contains(parent(path))) {
            for above in ancestors(path) {
                if !wanted.contains(above) {
                    wanted.0.insert(above.to_vec());
                }
            }
            wanted.0.insert(path.to_vec());
        }
        wanted
    }

    /// Writes it.
    ///
    /// # Errors
    /// What writing says.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        let mut bytes = MAGIC.to_vec();
        let mut last: &[u8] = b"";
        for (path, held) in self.iter() {
            // Most paths begin as the one before.
            let shared = last.iter().zip(path).take_while(|(one, other)| one == other).count();
            for len in [shared, path.len() - shared] {
                bytes.extend_from_slice(
                    &u32::try_from(len).map_err(io::Error::other)?.to_le_bytes(),
                );
            }
            bytes.extend_from_slice(&path[shared..]);
            let Held { stamp, is_sure } = held;
            for word in [stamp.dev, stamp.ino, u64::from(stamp.mode), stamp.size] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
            for word in [stamp.mtime_ns, stamp.ctime_ns] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
            bytes.push(u8::from(*is_sure));
            last = path;
        }
        out.write_all(&bytes)
    }

    /// Reads what [`Manifest::write`] wrote.
    ///
    /// # Errors
    /// What reading says; `InvalidData` for anything else.
    pub fn read(mut from: impl Read) -> io::Result<Self> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(io::ErrorKind::InvalidData)?;
        let mut objects: Vec<(Vec<u8>, Held)> = Vec::new();
        while !rest.is_empty() {
            let last = objects.last().map_or(&b""[..], |(path, _)| path);
            let object = object(&mut rest, last)?;
            objects.push(object);
        }
        Ok(Self(objects.into_iter().collect()))
    }
}

fn object(rest: &mut &[u8], last: &[u8]) -> io::Result<(Vec<u8>, Held)> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let mut len = || Ok::<_, io::Error>(u32::from_le_bytes(take(rest)?) as usize);
    let (shared, own) = (len()?, len()?);
    if shared.saturating_add(own) > PATH_BYTES_MAX {
        return Err(invalid());
    }
    let mut path = last.get(..shared).ok_or_else(invalid)?.to_vec();
    let (end, after) = rest.split_at_checked(own).ok_or_else(invalid)?;
    path.extend_from_slice(end);
    *rest = after;
    let mut word = || Ok::<_, io::Error>(u64::from_le_bytes(take(rest)?));
    let (dev, ino, mode, size) = (word()?, word()?, word()?, word()?);
    let (mtime_ns, ctime_ns) = (word()?.cast_signed(), word()?.cast_signed());
    let mode = u32::try_from(mode).map_err(|_| invalid())?;
    let [is_sure] = take(rest)?;
    let stamp = Stamp { dev, ino, mode, size, mtime_ns, ctime_ns };
    Ok((path, Held { stamp, is_sure: is_sure == 1 }))
}

fn take<const N: usize>(rest: &mut &[u8]) -> io::Result<[u8; N]> {
    let (first, after) = rest.split_first_chunk::<N>().ok_or(io::ErrorKind::InvalidData)?;
    *rest = after;
    Ok(*first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn held() -> impl Strategy<Value = Held> {
        any::<(u64, u64, u32, u64, i64, i64, bool)>().prop_map(
            |(dev, ino, mode, size, mtime_ns, ctime_ns, is_sure)| Held {
                stamp: Stamp { dev, ino, mode, size, mtime_ns, ctime_ns },
                is_sure,
            },
        )
    }

    fn manifests() -> impl Strategy<Value = Manifest> {
        let path = proptest::collection::vec(any::<u8>(), 0..40);
        proptest::collection::btree_map(path, held(), 0..20).prop_map(Manifest)
    }

    /// Few paths and few marks, so that two are alike now and then.
    fn small() -> impl Strategy<Value = Manifest> {
        let held = (0_u64..3, prop::bool::weighted(0.9)).prop_map(|(ino, is_sure)| Held {
            stamp: Stamp { ino, ..Held::DELETION.stamp },
            is_sure,
        });
        proptest::collection::btree_map("[ab](/[ab]){0,3}", held, 0..20).prop_map(|map| {
            Manifest(map.into_iter().map(|(path, held)| (path.into(), held)).collect())
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again_and_what_is_cut_is_refused(manifest in manifests(), cut in 1_usize..30) {
            let mut bytes = Vec::new();
            manifest.write(&mut bytes).unwrap();
            prop_assert_eq!(&Manifest::read(&*bytes).unwrap(), &manifest);
            let cut = bytes.len().saturating_sub(cut);
            // Cut between two records it is a shorter one, which says less and nothing wrong.
            if let Ok(shorter) = Manifest::read(&bytes[..cut]) {
                prop_assert!(shorter.iter().all(|(path, held)| manifest.get(path) == Some(held)));
            }
        }

        #[test]
        fn anything_may_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut all = MAGIC.to_vec();
            all.extend(&bytes);
            let _whatever = Manifest::read(&*all);
            prop_assert!(Manifest::read(&*bytes).is_err());
        }

        #[test]
        fn what_is_left_out_of_a_comparison_is_the_same_in_both(one in small(), other in small()) {
            let wanted = one.differing(&other);
            prop_assert_eq!(&wanted, &other.differing(&one));
            for (path, held) in one.iter().chain(other.iter()) {
                if wanted.contains(path) {
                    prop_assert!(ancestors(path).all(|above| wanted.contains(above)));
                } else {
                    prop_assert!(held.is_sure);
                    prop_assert_eq!(one.get(path), other.get(path));
                }
            }
            prop_assert_eq!(one.differing(&one).0.is_empty(), one.iter().all(|(_, held)| held.is_sure));
        }
    }
}
