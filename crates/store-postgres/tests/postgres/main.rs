//! The store on a real PostgreSQL server. Each test skips, and says so, where none is installed.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod losses;
mod opening;
mod schema;

use std::path::Path;

use sandbar_store::{Driver, OpenError, Store};
use sandbar_store_postgres::PostgresDriver;
use sqlx::{Connection, PgConnection};

/// An empty database of its own.
struct Database {
    url: String,
    dir: tempfile::TempDir,
}

impl Database {
    fn fresh() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let url = sandbar_test_store::postgres_url(dir.path())?;
        Some(Self { url, dir })
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    async fn open(&self) -> Result<Store, OpenError> {
        PostgresDriver::new(self.url.parse().unwrap()).open().await
    }

    /// A person at the database.
    async fn person(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }
}
