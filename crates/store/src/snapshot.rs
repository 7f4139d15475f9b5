//! A copy of everything that a store holds, at one moment.

use std::{collections::BTreeMap, error::Error};

/// What a copy holds, as whoever wrote it counted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotContents {
    /// The last migration.
    pub schema: i64,
    /// How many rows each table has.
    pub rows: BTreeMap<String, u64>,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// This database is backed up by tools of its own.
    #[error("the database of this store has its own tools for backups")]
    Unsupported {
        /// The command that does it.
        hint: String,
    },
    /// The copy is not whole, so it is none.
    #[error("the copy is damaged: {finding}")]
    Corrupt {
        /// The first thing that the check said.
        finding: String,
    },
    /// The database failed.
    #[error("the database cannot be copied")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}
