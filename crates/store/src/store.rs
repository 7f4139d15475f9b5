//! The handle of an open store.

use std::{path::Path, sync::Arc};

use crate::{
    Database, SnapshotContents, SnapshotError, StoreError,
    conn::{CommitTimes, Commits, ReadConn, WriteTxn},
};

/// The database: one connection that writes, a few that read.
#[derive(Debug, Clone)]
pub struct Store {
    database: Arc<dyn Database>,
    commits: Arc<Commits>,
}

impl Store {
    /// A store over an open database; for drivers.
    #[must_use]
    pub fn new(database: Arc<dyn Database>) -> Self {
        Self { database, commits: Arc::default() }
    }

    /// Begins the only transaction that may write now; waits for the one before.
    ///
    /// # Errors
    /// The database is locked by somebody else, or failed.
    pub async fn begin(&self) -> Result<WriteTxn, StoreError> {
        let txn = self.database.begin().await;
        let txn = txn.map_err(StoreError::query("begin a transaction"));
        let txn = self.commits.watch(txn)?;
        Ok(WriteTxn::new(txn, Arc::clone(&self.commits)))
    }

    /// What commits took since it was opened.
    #[must_use]
    pub fn commit_times(&self) -> CommitTimes {
        self.commits.times()
    }

    /// How often it was asked for a connection or a commit while the database could not be reached, or was busy.
    #[must_use]
    pub fn unavailable_count(&self) -> u64 {
        self.commits.unavailable()
    }

    /// Takes a connection that only reads.
    ///
    /// # Errors
    /// The database failed.
    pub async fn read(&self) -> Result<ReadConn, StoreError> {
        let conn = self.database.read().await;
        self.commits.watch(conn.map(ReadConn).map_err(StoreError::query("take a reader")))
    }

    /// Asks the database for nothing, to see whether it answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut conn = self.read().await?;
        let answered = conn.0.fetch("SELECT 1", Vec::new()).await;
        self.commits.watch(answered.map_err(StoreError::query("answer")))?;
        Ok(())
    }

    /// Writes everything that is committed now to a new file, and checks it; whoever writes meanwhile goes on.
    ///
    /// # Errors
    /// The database has tools of its own for it, failed, or the copy is not whole.
    pub async fn snapshot(&self, into: &Path) -> Result<SnapshotContents, SnapshotError> {
        self.database.snapshot(into).await
    }

    /// Closes every connection, and with the last one folds what is in the log into the database.
    pub async fn close(&self) {
        self.database.close().await;
    }
}
