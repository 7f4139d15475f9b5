//! Which files of the living layer a checkpoint holds as they were: their marks at the instant of the capture.
//!
//! A file whose marks are the same at the next capture was not written since, and is linked from this checkpoint
//! instead of being copied again. What cannot be read holds nothing, which costs a copy and never a byte.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};

use crate::entry::Stamp;

const MAGIC: &[u8] = b"sandbar checkpoint 1\n";
/// LIMIT: bytes of one path, as [`sandbar_types::WorkspacePath`] has it.
const PATH_BYTES_MAX: u32 = 64 * 1024;

/// The marks of files, by path.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Manifest(BTreeMap<Vec<u8>, Stamp>);

impl Manifest {
    pub(super) fn add(&mut self, path: Vec<u8>, stamp: Stamp) {
        self.0.insert(path, stamp);
    }

    /// Whether the file at `path` was not touched since.
    pub(super) fn is_same(&self, path: &[u8], stamp: &Stamp) -> bool {
        self.0.get(path) == Some(stamp)
    }

    /// Writes it.
    ///
    /// # Errors
    /// What writing says.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        let mut bytes = MAGIC.to_vec();
        for (path, stamp) in &self.0 {
            let len = u32::try_from(path.len()).map_err(io::Error::other)?;
            bytes.extend_from_slice(&len.to_le_bytes());
            bytes.extend_from_slice(path);
            for word in [stamp.dev, stamp.ino, u64::from(stamp.mode), stamp.size] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
            for word in [stamp.mtime_ns, stamp.ctime_ns] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
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
        let mut this = Self::default();
        while !rest.is_empty() {
            let len = u32::from_le_bytes(take(&mut rest)?);
            if len > PATH_BYTES_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let (path, after) = rest
                .split_at_checked(usize::try_from(len).unwrap_or(usize::MAX))
                .ok_or(io::ErrorKind::InvalidData)?;
            rest = after;
            let mut word = || Ok::<_, io::Error>(u64::from_le_bytes(take(&mut rest)?));
            let (dev, ino, mode, size) = (word()?, word()?, word()?, word()?);
            let mode = u32::try_from(mode).map_err(|_| io::ErrorKind::InvalidData)?;
            let (mtime_ns, ctime_ns) = (word()?.cast_signed(), word()?.cast_signed());
            this.add(path.to_vec(), Stamp { dev, ino, mode, size, mtime_ns, ctime_ns });
        }
        Ok(this)
    }
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

    fn stamps() -> impl Strategy<Value = Manifest> {
        let stamp = any::<(u64, u64, u32, u64, i64, i64)>().prop_map(
            |(dev, ino, mode, size, mtime_ns, ctime_ns)| Stamp {
                dev,
                ino,
                mode,
                size,
                mtime_ns,
                ctime_ns,
            },
        );
        let path = proptest::collection::vec(any::<u8>(), 1..40);
        proptest::collection::btree_map(path, stamp, 0..20).prop_map(Manifest)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again_and_what_is_cut_is_refused(manifest in stamps(), cut in 1_usize..30) {
            let mut bytes = Vec::new();
            manifest.write(&mut bytes).unwrap();
            prop_assert_eq!(&Manifest::read(&*bytes).unwrap(), &manifest);
            let cut = bytes.len().saturating_sub(cut);
            // Cut between two records it is a shorter one, which says less and nothing wrong.
            if let Ok(shorter) = Manifest::read(&bytes[..cut]) {
                prop_assert!(shorter.0.iter().all(|(path, stamp)| manifest.is_same(path, stamp)));
            }
        }

        #[test]
        fn anything_may_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut all = MAGIC.to_vec();
            all.extend(&bytes);
            let _whatever = Manifest::read(&*all);
            prop_assert!(Manifest::read(&*bytes).is_err());
        }
    }
}
