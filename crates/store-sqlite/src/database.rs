//! One connection that writes, and a few that read.

use std::{borrow::Cow, path::Path, sync::Arc};

use async_trait::async_trait;
use sandbar_store::{
    Connection, Database, DriverError, FailureClass, Param, Row, SnapshotContents, SnapshotError,
    Transaction, Value,
};
use sqlx::{
    Column, Row as _, Sqlite, SqliteConnection, SqlitePool, TypeInfo, ValueRef,
    pool::PoolConnection,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::snapshot;

/// Primary result codes of <https://sqlite.org/rescode.html>.
const SQLITE_BUSY: u32 = 5;
const SQLITE_IOERR: u32 = 10;
const SQLITE_CORRUPT: u32 = 11;
const SQLITE_FULL: u32 = 13;

/// The open file.
#[derive(Debug)]
pub(crate) struct SqliteDatabase {
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
}

#[derive(Debug)]
struct Reader(PoolConnection<Sqlite>);

#[derive(Debug)]
struct Writer(sqlx::Transaction<'static, Sqlite>);

#[async_trait]
impl Database for SqliteDatabase {
    async fn begin(&self) -> Result<Box<dyn Transaction>, DriverError> {
        // Immediate: a transaction that reads first and writes later could otherwise lose its snapshot in between.
        let txn = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        Ok(Box::new(Writer(txn)))
    }

    async fn read(&self) -> Result<Box<dyn Connection>, DriverError> {
        Ok(Box::new(Reader(self.readers.acquire().await.map_err(failed)?)))
    }

    async fn snapshot(&self, into: &Path) -> Result<SnapshotContents, SnapshotError> {
        let reader = self.readers.acquire().await;
        let mut reader = reader.map_err(|err| SnapshotError::Failed(err.into()))?;
        snapshot::copy(&mut reader, into).await
    }

    /// With the last connection, the log is folded into the database.
    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

#[async_trait]
impl Connection for Reader {
    async fn fetch(
        &mut self,
        sql: &'static str,
        params: Vec<Param>,
    ) -> Result<Vec<Row>, DriverError> {
        fetch(&mut self.0, sql, params).await
    }
}

#[async_trait]
impl Connection for Writer {
    async fn fetch(
        &mut self,
        sql: &'static str,
        params: Vec<Param>,
    ) -> Result<Vec<Row>, DriverError> {
        fetch(&mut self.0, sql, params).await
    }
}

#[async_trait]
impl Transaction for Writer {
    async fn execute(&mut self, sql: &'static str, params: Vec<Param>) -> Result<u64, DriverError> {
        let done = query(sql, params).execute(&mut *self.0).await.map_err(failed)?;
        Ok(done.rows_affected())
    }

    async fn commit(self: Box<Self>) -> Result<(), DriverError> {
        self.0.commit().await.map_err(failed)
    }
}

fn query(sql: &'static str, params: Vec<Param>) -> Query<'static, Sqlite, SqliteArguments> {
    params.into_iter().fold(sqlx::query(sql), |query, param| match param {
        Param::Int(number) => query.bind(number),
        Param::Text(text) => query.bind(text),
        Param::Bytes(bytes) => query.bind(bytes),
    })
}

async fn fetch(
    conn: &mut SqliteConnection,
    sql: &'static str,
    params: Vec<Param>,
) -> Result<Vec<Row>, DriverError> {
    let found = query(sql, params).fetch_all(conn).await.map_err(failed)?;
    let Some(first) = found.first() else { return Ok(Vec::new()) };
    let columns: Arc<[Box<str>]> =
        first.columns().iter().map(|column| column.name().into()).collect();
    found.iter().map(|row| read(row, &columns)).collect::<Result<_, _>>().map_err(failed)
}

fn read(row: &SqliteRow, columns: &Arc<[Box<str>]>) -> Result<Row, sqlx::Error> {
    let values = (0..row.len()).map(|at| {
        let value = row.try_get_raw(at)?;
        if value.is_null() {
            return Ok(Value::Null);
        }
        // Tables are strict, and an expression has the type of its value: nothing else occurs.
        match value.type_info().name() {
            "TEXT" => row.try_get(at).map(Value::Text),
            "BLOB" => row.try_get(at).map(Value::Bytes),
            _ => row.try_get(at).map(Value::Int),
        }
    });
    Ok(Row::new(Arc::clone(columns), values.collect::<Result<_, _>>()?))
}

fn failed(source: sqlx::Error) -> DriverError {
    DriverError { class: class(&source), source: source.into() }
}

fn class(err: &sqlx::Error) -> FailureClass {
    if matches!(err, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) {
        return FailureClass::Unavailable;
    }
    let Some(err) = err.as_database_error() else { return FailureClass::Other };
    if err.is_unique_violation() {
        return FailureClass::Taken;
    }
    let code: Option<u32> = err.code().map(Cow::into_owned).and_then(|code| code.parse().ok());
    // The primary code is the low byte of the extended one.
    match code.map(|code| code & 0xff) {
        Some(SQLITE_FULL) => FailureClass::Full,
        Some(SQLITE_BUSY) => FailureClass::Unavailable,
        Some(SQLITE_IOERR | SQLITE_CORRUPT) => FailureClass::Fatal,
        Some(_) | None => FailureClass::Other,
    }
}
