//! Connections that may write, and connections that may not, as different types.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{Sqlite, SqliteConnection, Transaction, pool::PoolConnection};

use crate::StoreError;

/// The one transaction that may write at this moment. Dropped without [`WriteTxn::commit`], it is rolled back.
#[derive(Debug)]
pub struct WriteTxn {
    pub(crate) txn: Transaction<'static, Sqlite>,
    pub(crate) commits: Arc<Commits>,
}

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
}

impl Commits {
    pub(crate) fn times(&self) -> CommitTimes {
        let sum_us = self.sum_us.load(Ordering::Relaxed);
        CommitTimes {
            count: self.count.load(Ordering::Relaxed),
            sum: Duration::from_micros(sum_us),
        }
    }

    fn add(&self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(took_us, Ordering::Relaxed);
    }
}

impl WriteTxn {
    /// Makes everything durable: when this returns, a power cut no longer loses it.
    ///
    /// # Errors
    /// The database could not be synced; nothing was written.
    pub async fn commit(self) -> Result<(), StoreError> {
        let started = Instant::now();
        self.txn.commit().await.map_err(StoreError::query("commit"))?;
        self.commits.add(started.elapsed());
        Ok(())
    }
}

/// A connection that only reads.
#[derive(Debug)]
pub struct ReadConn(pub(crate) PoolConnection<Sqlite>);

mod sealed {
    pub trait Sealed {
        fn sqlite(&mut self) -> &mut sqlx::SqliteConnection;
    }
}

pub(crate) use sealed::Sealed;

/// What may be read from: a reading connection, or a transaction that sees its own writes.
pub trait Reads: Sealed + Send {}

impl Sealed for WriteTxn {
    fn sqlite(&mut self) -> &mut SqliteConnection {
        &mut self.txn
    }
}

impl Sealed for ReadConn {
    fn sqlite(&mut self) -> &mut SqliteConnection {
        &mut self.0
    }
}

impl Reads for WriteTxn {}
impl Reads for ReadConn {}
