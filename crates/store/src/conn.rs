//! Connections that may write, and connections that may not, as different types.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{Connection, DriverError, FailureClass, Param, Row, StoreError, Transaction};

/// The one transaction that may write at this moment. Dropped without [`WriteTxn::commit`], it is rolled back.
///
/// After a statement that failed, nothing more can be done in it, a commit included: PostgreSQL would answer such a
/// commit with a rollback and call it success. SQLite would go on; that it may not here keeps both the same.
#[derive(Debug)]
pub struct WriteTxn {
    txn: Box<dyn Transaction>,
    commits: Arc<Commits>,
    has_failed: bool,
}

/// A statement of this transaction failed before.
#[derive(Debug, thiserror::Error)]
#[error("a statement of this transaction has failed")]
struct Spoiled;

/// What commits took since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CommitTimes {
    /// How many there were.
    pub count: u64,
    /// Their time in sum: writing the log and waiting for the disk, not the statements before.
    pub sum: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Commits {
    count: AtomicU64,
    sum_us: AtomicU64,
    unavailable: AtomicU64,
}

impl Commits {
    pub(crate) fn times(&self) -> CommitTimes {
        let sum_us = self.sum_us.load(Ordering::Relaxed);
        CommitTimes {
            count: self.count.load(Ordering::Relaxed),
            sum: Duration::from_micros(sum_us),
        }
    }

    pub(crate) fn unavailable(&self) -> u64 {
        self.unavailable.load(Ordering::Relaxed)
    }

    /// Counts an answer that says that the database cannot be used now.
    pub(crate) fn watch<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if answer.as_ref().is_err_and(StoreError::is_unavailable) {
            self.unavailable.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    fn add(&self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(took_us, Ordering::Relaxed);
    }
}

impl WriteTxn {
    pub(crate) fn new(txn: Box<dyn Transaction>, commits: Arc<Commits>) -> Self {
        Self { txn, commits, has_failed: false }
    }

    /// Makes everything durable: when this returns, a power cut no longer loses it.
    ///
    /// # Errors
    /// The database could not be synced, or a statement failed before; nothing was written.
    pub async fn commit(self) -> Result<(), StoreError> {
        const WHAT: &str = "commit";
        if self.has_failed {
            return Err(StoreError::query(WHAT)(spoiled()));
        }
        let started = Instant::now();
        let committed = self.txn.commit().await.map_err(StoreError::query(WHAT));
        self.commits.watch(committed)?;
        self.commits.add(started.elapsed());
        Ok(())
    }

    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        params: Vec<Param>,
    ) -> Result<u64, DriverError> {
        if self.has_failed {
            return Err(spoiled());
        }
        // Set while it runs: a statement that is given up in the middle counts as failed.
        self.has_failed = true;
        let changed = self.txn.execute(sql, params).await?;
        self.has_failed = false;
        Ok(changed)
    }
}

fn spoiled() -> DriverError {
    DriverError { class: FailureClass::Other, source: Spoiled.into() }
}

/// A connection that only reads.
#[derive(Debug)]
pub struct ReadConn(pub(crate) Box<dyn Connection>);

mod sealed {
    use super::{DriverError, Param, Row};

    pub trait Sealed {
        fn fetch(
            &mut self,
            sql: &'static str,
            params: Vec<Param>,
        ) -> impl Future<Output = Result<Vec<Row>, DriverError>> + Send;
    }
}

pub(crate) use sealed::Sealed;

/// What may be read from: a reading connection, or a transaction that sees its own writes.
pub trait Reads: Sealed + Send {}

impl Sealed for WriteTxn {
    async fn fetch(
        &mut self,
        sql: &'static str,
        params: Vec<Param>,
    ) -> Result<Vec<Row>, DriverError> {
        if self.has_failed {
            return Err(spoiled());
        }
        self.has_failed = true;
        let rows = self.txn.fetch(sql, params).await?;
        self.has_failed = false;
        Ok(rows)
    }
}

impl Sealed for ReadConn {
    async fn fetch(
        &mut self,
        sql: &'static str,
        params: Vec<Param>,
    ) -> Result<Vec<Row>, DriverError> {
        self.0.fetch(sql, params).await
    }
}

impl Reads for WriteTxn {}
impl Reads for ReadConn {}
