//! Opening the database: every setting in one place, and every reason to refuse.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use sandbar_store::{Driver, OpenError, Store};
use sqlx::{
    Connection as _, PgConnection, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{PostgresAddress, database::PostgresDatabase};

static MIGRATIONS: Migrator = sqlx::migrate!();

/// The first version whose makers still mend it.
const VERSION_MIN: i32 = 140_000;
/// Of the lock of the database, which its one server holds: "Sbar".
const LOCK: i64 = 0x5362_6172;
/// LIMIT: readers at once; each is a process of the database.
const READERS_MAX: u32 = 4;
/// LIMIT: how long a connection is waited for, the one that writes included.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(15);
/// LIMIT: how long the connection of a server that was killed may outlive it.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);
/// How often the lock is tried meanwhile.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

/// Why the database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum PostgresOpenError {
    /// It does not answer, or does not let us in.
    #[error("cannot connect to `{address}`")]
    Connect {
        /// The database.
        address: PostgresAddress,
        /// What was said.
        #[source]
        source: sqlx::Error,
    },
    /// A statement failed.
    #[error("cannot use the database `{address}`")]
    Database {
        /// The database.
        address: PostgresAddress,
        /// What PostgreSQL said.
        #[source]
        source: sqlx::Error,
    },
    /// Another program has tables in it.
    #[error("`{address}` is not a database of Sandbar: it has tables of something else")]
    Foreign {
        /// The database.
        address: PostgresAddress,
    },
    /// A server with another data directory has it.
    #[error("the database `{address}` is in use by a server with another data directory")]
    InUse {
        /// The database.
        address: PostgresAddress,
    },
    /// It is too old, or cannot hold every text.
    #[error("PostgreSQL {version} with encoding {encoding} cannot be used; 14 and UTF8 are needed")]
    Unfit {
        /// What it says it is.
        version: String,
        /// How it keeps text.
        encoding: String,
    },
    /// A newer Sandbar wrote it, or a migration failed.
    #[error("the database cannot be brought to this version")]
    Migrate(#[source] MigrateError),
}

impl PostgresOpenError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Connect { .. } => {
                "see that PostgreSQL runs and that this user may connect, for example with psql; a password may also stand in ~/.pgpass or PGPASSWORD".to_owned()
            }
            Self::Foreign { .. } => {
                "make a database for Sandbar alone: `createdb -T template0 -E UTF8 sandbar`".to_owned()
            }
            Self::InUse { .. } => {
                "stop the other server, or give this one a database of its own".to_owned()
            }
            Self::Unfit { .. } => {
                "use a newer server, and `createdb -T template0 -E UTF8 sandbar`".to_owned()
            }
            Self::Migrate(_) => {
                "use the version of sandbar that wrote this database, or a newer one".to_owned()
            }
            Self::Database { .. } => return None,
        })
    }
}

impl From<PostgresOpenError> for OpenError {
    fn from(err: PostgresOpenError) -> Self {
        let is_in_use = matches!(err, PostgresOpenError::InUse { .. });
        Self { hint: err.hint(), is_in_use, source: err.into() }
    }
}

/// Opens a database of a server.
#[derive(Debug, Clone)]
pub struct PostgresDriver {
    address: PostgresAddress,
}

impl PostgresDriver {
    /// Of the database at `address`, which exists.
    #[must_use]
    pub fn new(address: PostgresAddress) -> Self {
        Self { address }
    }
}

#[async_trait]
impl Driver for PostgresDriver {
    async fn open(&self) -> Result<Store, OpenError> {
        Ok(Store::new(Arc::new(open(&self.address).await?)))
    }
}

/// Every setting of a connection.
fn options(address: &PostgresAddress) -> PgConnectOptions {
    address.0.clone().application_name("sandbar").options([
        // What a commit acknowledges is on the disk.
        ("synchronous_commit", "on"),
        // Nothing of ours waits for a lock: it would be a person's.
        ("lock_timeout", "10s"),
        // A host that vanished does not keep the lock of the database for hours.
        ("tcp_keepalives_idle", "30"),
        ("tcp_keepalives_interval", "10"),
        ("tcp_keepalives_count", "3"),
    ])
}

async fn open(address: &PostgresAddress) -> Result<PostgresDatabase, PostgresOpenError> {
    let database = |source| PostgresOpenError::Database { address: address.clone(), source };
    let mut first = PgConnection::connect_with(&options(address))
        .await
        .map_err(|source| PostgresOpenError::Connect { address: address.clone(), source })?;
    check_server(&mut first).await.map_err(database)??;
    if !is_ours_or_new(&mut first).await.map_err(database)? {
        return Err(PostgresOpenError::Foreign { address: address.clone() });
    }
    if !wait_for_lock(&mut first).await.map_err(database)? {
        return Err(PostgresOpenError::InUse { address: address.clone() });
    }
    first.close().await.map_err(database)?;
    let writer = writer(address).await.map_err(database)?;
    MIGRATIONS.run(&writer).await.map_err(PostgresOpenError::Migrate)?;
    Ok(PostgresDatabase {
        writer,
        readers: PgPoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options(address).options([("default_transaction_read_only", "on")]))
            .await
            .map_err(database)?,
    })
}

/// The one connection that writes. It takes the lock of the database when it is made, and so does the one that replaces
/// it after a loss: whoever has lost the lock to another server can write no more.
async fn writer(address: &PostgresAddress) -> Result<PgPool, sqlx::Error> {
    PgPoolOptions::new()
        .max_connections(1)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|conn, _about| {
            Box::pin(async move {
                if wait_for_lock(conn).await? {
                    Ok(())
                } else {
                    Err(sqlx::Error::Configuration("another server has the database".into()))
                }
            })
        })
        .connect_with(options(address))
        .await
}

async fn wait_for_lock(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        let is_taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut *conn)
            .await?;
        if is_taken || Instant::now() >= deadline {
            return Ok(is_taken);
        }
        tokio::time::sleep(LOCK_INTERVAL).await;
    }
}

async fn check_server(
    conn: &mut PgConnection,
) -> Result<Result<(), PostgresOpenError>, sqlx::Error> {
    let (number, version, encoding, fsync): (i32, String, String, String) = sqlx::query_as(
        "SELECT current_setting('server_version_num')::int4, current_setting('server_version'), \
         current_setting('server_encoding'), current_setting('fsync')",
    )
    .fetch_one(conn)
    .await?;
    if fsync == "off" {
        tracing::warn!("this PostgreSQL runs with fsync=off: a power cut loses what was recorded");
    }
    let is_fit = number >= VERSION_MIN && encoding == "UTF8";
    Ok(if is_fit { Ok(()) } else { Err(PostgresOpenError::Unfit { version, encoding }) })
}

/// Whether the schema has our mark, or nothing.
async fn is_ours_or_new(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT count(*) = 0 OR count(*) FILTER (WHERE tablename = 'sandbar') = 1 \
         FROM pg_tables WHERE schemaname = current_schema()",
    )
    .fetch_one(conn)
    .await
}
