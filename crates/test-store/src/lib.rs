//! Stores for tests, in each dialect.

mod cluster;

use std::{env, path::Path, sync::Arc};

use sandbar_store::Driver;
use sandbar_store_postgres::PostgresDriver;
use sandbar_store_sqlite::SqliteDriver;

/// A database that tests can run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// A file in the data directory.
    Sqlite,
    /// A database for the data directory, in a server for the whole run.
    Postgres,
}

/// The store that goes with a data directory: the same one, whenever it is asked for. `SANDBAR_TEST_STORE=postgres` has the
/// same tests run on PostgreSQL.
///
/// # Panics
/// The variable asks for what this machine lacks.
#[must_use]
pub fn driver(data_dir: &Path) -> Arc<dyn Driver> {
    let dialect = match env::var("SANDBAR_TEST_STORE").as_deref() {
        Ok("postgres") => Dialect::Postgres,
        Ok("sqlite") | Err(_) => Dialect::Sqlite,
        Ok(other) => panic!("SANDBAR_TEST_STORE is `{other}`: neither `sqlite` nor `postgres`"),
    };
    driver_of(dialect, data_dir).expect("the database of SANDBAR_TEST_STORE is installed")
}

/// The store of a dialect that goes with a data directory; `None` where this machine lacks its server.
#[must_use]
pub fn driver_of(dialect: Dialect, data_dir: &Path) -> Option<Arc<dyn Driver>> {
    match dialect {
        Dialect::Sqlite => Some(Arc::new(SqliteDriver::new(data_dir))),
        Dialect::Postgres => {
            let address = postgres_url(data_dir)?.parse().expect("we write addresses well");
            Some(Arc::new(PostgresDriver::new(address)))
        }
    }
}

/// The URL of the database that goes with a data directory; `None`, and said aloud, where PostgreSQL is not installed.
#[must_use]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub fn postgres_url(data_dir: &Path) -> Option<String> {
    let url = cluster::url(data_dir);
    if url.is_none() {
        eprintln!("skipped: PostgreSQL is not installed (`scripts/setup test` installs it)");
    }
    url
}
