//! What a database has to offer. One crate for each dialect implements it; the questions are asked in one SQL that both
//! dialects take, with `$1` to `$n` for parameters.

use std::{error::Error, fmt, path::Path};

use async_trait::async_trait;

use crate::{OpenError, Param, Row, SnapshotContents, SnapshotError, Store};

/// Opens a database: knows where it is, every setting, and every reason to refuse.
#[async_trait]
pub trait Driver: fmt::Debug + Send + Sync + 'static {
    /// Opens it, makes its schema when there is none, checks it, and brings it to this version.
    ///
    /// # Errors
    /// It cannot be reached, is damaged, is of something else, of a newer version, or in use by another server.
    async fn open(&self) -> Result<Store, OpenError>;
}

/// An open database.
#[async_trait]
pub trait Database: fmt::Debug + Send + Sync + 'static {
    /// Begins a transaction that writes; waits, with a deadline, until no other one does.
    ///
    /// INVARIANT: there is one writer at a time, so what it checks still holds when it writes, and ids that grow are
    /// seen in the order of commits.
    async fn begin(&self) -> Result<Box<dyn Transaction>, DriverError>;

    /// Takes a connection that cannot write.
    async fn read(&self) -> Result<Box<dyn Connection>, DriverError>;

    /// Writes everything that is committed now to a new file, and checks it; whoever writes meanwhile goes on.
    async fn snapshot(&self, into: &Path) -> Result<SnapshotContents, SnapshotError>;

    /// Closes every connection.
    async fn close(&self);
}

/// Something that statements can be given to.
#[async_trait]
pub trait Connection: fmt::Debug + Send {
    /// Runs a statement and returns its rows.
    async fn fetch(
        &mut self,
        sql: &'static str,
        params: Vec<Param>,
    ) -> Result<Vec<Row>, DriverError>;
}

/// A transaction. Dropped without a commit, it is rolled back.
#[async_trait]
pub trait Transaction: Connection {
    /// Runs a statement and returns how many rows it changed.
    async fn execute(&mut self, sql: &'static str, params: Vec<Param>) -> Result<u64, DriverError>;

    /// Makes everything durable.
    async fn commit(self: Box<Self>) -> Result<(), DriverError>;
}

/// What a failure of the database means, in either dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// A value that must be unique is there already.
    Taken,
    /// The disk is full.
    Full,
    /// It cannot be reached or is busy: the same may work later.
    Unavailable,
    /// What it holds can no longer be trusted.
    Fatal,
    /// Everything else: a statement that is wrong, a value that is not allowed.
    Other,
}

/// A failure, as a driver reports it.
#[derive(Debug)]
pub struct DriverError {
    /// What it means.
    pub class: FailureClass,
    /// What the database said.
    pub source: Box<dyn Error + Send + Sync>,
}
