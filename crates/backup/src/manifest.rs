//! What a backup says of itself.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, Read},
};

use sandbar_store::SnapshotContents;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The version of this format.
pub(crate) const FORMAT: u32 = 1;
/// LIMIT: bytes of a manifest: some hundred thousand entries.
pub(crate) const MANIFEST_MAX: u64 = 64 << 20;

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the format.
    pub format: u32,
    /// The version of Sandbar that wrote it.
    pub version: String,
    /// The last migration of the database.
    pub schema: i64,
    /// How many rows each table of the database has.
    pub rows: BTreeMap<String, u64>,
    /// Everything else in the archive, by name.
    pub entries: BTreeMap<String, Entry>,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Bytes.
    pub size_bytes: u64,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// Whether the database has what the manifest says.
    pub(crate) fn is_of(&self, contents: &SnapshotContents) -> bool {
        self.schema == contents.schema && self.rows == contents.rows
    }
}

/// Reads to the end: how much it is, and its hash.
pub(crate) fn measure(mut from: impl Read) -> io::Result<Entry> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut size_bytes = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(read) => read,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
            Err(err) => return Err(err),
        };
        if read == 0 {
            return Ok(Entry { size_bytes, sha256: hex(&hash.finalize()) });
        }
        hash.update(&buffer[..read]);
        size_bytes += read as u64;
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes every write");
        text
    })
}
