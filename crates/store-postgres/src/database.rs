//! One connection that writes, and a few that read.

use std::{borrow::Cow, path::Path, sync::Arc};

use async_trait::async_trait;
use sandbar_store::{
    Connection, Database, DriverError, FailureClass, Param, Row, SnapshotContents, SnapshotError,
    Transaction, Value,
};
use sqlx::{
    Column, PgConnection, PgPool, Postgres, Row as _, TypeInfo, ValueRef,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    query::Query,
};

/// Error codes of <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
const DISK_FULL: &str = "53100";
const SERIALIZATION_FAILURE: &str = "40001";
const DEADLOCK_DETECTED: &str = "40P01";
const LOCK_NOT_AVAILABLE: &str = "55P03";
const READ_ONLY_TRANSACTION: &str = "25006";
const IO_ERROR: &str = "58030";
const DATA_CORRUPTED: &str = "XX001";
const INDEX_CORRUPTED: &str = "XX002";
/// What to do instead of a backup of ours. `pg_restore` of it is all or nothing.
pub const BACKUP_HINT: &str = "back the database up with `pg_dump --format=custom --file=sandbar.dump \"$SANDBAR_STORE\"`, restore it into an empty one with `pg_restore --single-transaction --exit-on-error --dbname=\"$SANDBAR_STORE\" sandbar.dump`, and copy `config.toml`, `token` and `secrets.key` of the data directory beside it";
/// Classes: the connection, resources, what an operator does (a shutdown, a terminated session).
const CLASSES_UNAVAILABLE: [&str; 3] = ["08", "53", "57"];

/// The database of a server.
#[derive(Debug)]
pub(crate) struct PostgresDatabase {
    /// Its one connection holds the lock of the database, so nobody writes without it.
    pub(crate) writer: PgPool,
    pub(crate) readers: PgPool,
}

#[derive(Debug)]
struct Reader(PoolConnection<Postgres>);

#[derive(Debug)]
struct Writer {
    txn: sqlx::Transaction<'static, Postgres>,
    writer: PgPool,
}

#[async_trait]
impl Database for PostgresDatabase {
    async fn begin(&self) -> Result<Box<dyn Transaction>, DriverError> {
        let txn = self.writer.begin().await.map_err(failed)?;
        Ok(Box::new(Writer { txn, writer: self.writer.clone() }))
    }

    async fn read(&self) -> Result<Box<dyn Connection>, DriverError> {
        Ok(Box::new(Reader(self.readers.acquire().await.map_err(failed)?)))
    }

    /// A dump of a server of another version than this host's tools is best made by that server's own.
    async fn snapshot(&self, _into: &Path) -> Result<SnapshotContents, SnapshotError> {
        Err(SnapshotError::Unsupported { hint: BACKUP_HINT.to_owned() })
    }

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
        fetch(&mut self.txn, sql, params).await
    }
}

#[async_trait]
impl Transaction for Writer {
    async fn execute(&mut self, sql: &'static str, params: Vec<Param>) -> Result<u64, DriverError> {
        let done = query(sql, params).execute(&mut *self.txn).await.map_err(failed)?;
        Ok(done.rows_affected())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), DriverError> {
        let Self { mut txn, writer } = *self;
        let written: Option<String> =
            sqlx::query_scalar("SELECT pg_current_xact_id_if_assigned()::text")
                .fetch_one(&mut *txn)
                .await
                .map_err(failed)?;
        let Err(err) = txn.commit().await else { return Ok(()) };
        let err = failed(err);
        match written {
            Some(id) if err.class == FailureClass::Unavailable => became_of(&writer, id, err).await,
            Some(_) | None => Err(err),
        }
    }
}

/// Finds out whether a transaction was committed whose answer never came.
///
/// The next connection that writes has the lock, so the one before has ended, and with it its transaction: one way or
/// the other, and no longer open.
async fn became_of(writer: &PgPool, id: String, err: DriverError) -> Result<(), DriverError> {
    let status: Result<Option<String>, _> =
        sqlx::query_scalar("SELECT pg_xact_status($1::text::xid8)")
            .bind(id)
            .fetch_one(writer)
            .await;
    match status {
        Ok(Some(status)) if status == "committed" => Ok(()),
        Ok(_) | Err(_) => Err(err),
    }
}

fn query(sql: &'static str, params: Vec<Param>) -> Query<'static, Postgres, PgArguments> {
    params.into_iter().fold(sqlx::query(sql), |query, param| match param {
        Param::Int(number) => query.bind(number),
        Param::Text(text) => query.bind(text),
        Param::Bytes(bytes) => query.bind(bytes),
    })
}

async fn fetch(
    conn: &mut PgConnection,
    sql: &'static str,
    params: Vec<Param>,
) -> Result<Vec<Row>, DriverError> {
    let found = query(sql, params).fetch_all(conn).await.map_err(failed)?;
    let Some(first) = found.first() else { return Ok(Vec::new()) };
    let columns: Arc<[Box<str>]> =
        first.columns().iter().map(|column| column.name().into()).collect();
    found.iter().map(|row| read(row, &columns)).collect::<Result<_, _>>().map_err(failed)
}

fn read(row: &PgRow, columns: &Arc<[Box<str>]>) -> Result<Row, sqlx::Error> {
    let values = (0..row.len()).map(|at| {
        let value = row.try_get_raw(at)?;
        if value.is_null() {
            return Ok(Value::Null);
        }
        match value.type_info().name() {
            "TEXT" => row.try_get(at).map(Value::Text),
            "BYTEA" => row.try_get(at).map(Value::Bytes),
            // A constant in a query.
            "INT4" => row.try_get(at).map(|number: i32| Value::Int(number.into())),
            // Any other type than a BIGINT is an error here.
            _ => row.try_get(at).map(Value::Int),
        }
    });
    Ok(Row::new(Arc::clone(columns), values.collect::<Result<_, _>>()?))
}

fn failed(source: sqlx::Error) -> DriverError {
    DriverError { class: class(&source), source: source.into() }
}

pub(crate) fn class(err: &sqlx::Error) -> FailureClass {
    let Some(database) = err.as_database_error() else {
        let is_gone = matches!(
            err,
            sqlx::Error::Io(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
        );
        return if is_gone { FailureClass::Unavailable } else { FailureClass::Other };
    };
    if database.is_unique_violation() {
        return FailureClass::Taken;
    }
    match database.code().map(Cow::into_owned).as_deref() {
        Some(DISK_FULL) => FailureClass::Full,
        Some(IO_ERROR | DATA_CORRUPTED | INDEX_CORRUPTED) => FailureClass::Fatal,
        // Nobody but us writes, and we one at a time: these come from a person at the database, or a failover.
        Some(
            SERIALIZATION_FAILURE | DEADLOCK_DETECTED | LOCK_NOT_AVAILABLE | READ_ONLY_TRANSACTION,
        ) => FailureClass::Unavailable,
        Some(code) if CLASSES_UNAVAILABLE.iter().any(|class| code.starts_with(class)) => {
            FailureClass::Unavailable
        }
        Some(_) | None => FailureClass::Other,
    }
}
