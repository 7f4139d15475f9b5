//! What can go wrong while the database is asked.

/// A question that was not answered, or a write that was not made.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused or failed.
    #[error("database failed to {doing}")]
    Query {
        /// What was being done.
        doing: &'static str,
        /// What SQLite said.
        #[source]
        source: sqlx::Error,
    },
    /// A row holds what this version cannot read.
    #[error("column `{column}` of a stored row cannot be read")]
    Row {
        /// The column.
        column: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Primary result codes of <https://sqlite.org/rescode.html>.
const SQLITE_IOERR: u32 = 10;
const SQLITE_CORRUPT: u32 = 11;
const SQLITE_FULL: u32 = 13;

impl StoreError {
    pub(crate) fn query(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Query { doing, source }
    }

    fn code(&self) -> Option<u32> {
        let Self::Query { source, .. } = self else {
            return None;
        };
        let extended: u32 = source.as_database_error()?.code()?.parse().ok()?;
        // The primary code is the low byte of the extended one.
        Some(extended & 0xff)
    }

    /// Whether the disk is full: freeing space mends it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.code() == Some(SQLITE_FULL)
    }

    /// Whether the database can no longer be trusted: a failed sync may have dropped what was written before, so nothing
    /// more may be acknowledged.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self.code(), Some(SQLITE_IOERR | SQLITE_CORRUPT))
    }
}
