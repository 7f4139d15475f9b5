//! What can go wrong while the database is asked.

use std::error::Error;

use crate::{DriverError, FailureClass};

/// A question that was not answered, or a write that was not made.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or failed.
    #[error("database failed to {doing}")]
    Query {
        /// What was being done.
        doing: &'static str,
        /// What it means.
        class: FailureClass,
        /// What the database said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A row holds what this version cannot read.
    #[error("column `{column}` of a stored row cannot be read")]
    Row {
        /// The column.
        column: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl StoreError {
    pub(crate) fn query(doing: &'static str) -> impl FnOnce(DriverError) -> Self {
        move |DriverError { class, source }| Self::Query { doing, class, source }
    }

    fn class(&self) -> FailureClass {
        match self {
            Self::Query { class, .. } => *class,
            Self::Row { .. } => FailureClass::Other,
        }
    }

    /// Whether a value that must be unique is there already. The transaction can only be dropped then.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.class() == FailureClass::Taken
    }

    /// Whether the disk is full: freeing space mends it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.class() == FailureClass::Full
    }

    /// Whether the database cannot be reached, or is busy: the same may work later.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.class() == FailureClass::Unavailable
    }

    /// Whether the database can no longer be trusted: a failed sync may have dropped what was written before, so nothing
    /// more may be acknowledged.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.class() == FailureClass::Fatal
    }
}

/// Why the store was not opened. It is never recreated and never repaired by guessing.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the store")]
pub struct OpenError {
    /// What is wrong.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether another server uses it.
    pub is_in_use: bool,
}
