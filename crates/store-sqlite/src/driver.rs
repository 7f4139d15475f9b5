//! Opening the database: every setting in one place, and every reason to refuse.

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use sandbar_store::{Driver, OpenError, Store};
use sqlx::{
    SqlitePool,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::database::SqliteDatabase;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// The first version without the bug that could lose a checkpointed page when the write-ahead log was reset.
const SQLITE_MIN: (u32, u32, u32) = (3, 51, 3);
/// Where it is in the data directory.
pub(crate) const FILE: &str = "sandbar.db";
/// As set by the first migration.
pub(crate) const APPLICATION_ID: i64 = 0x5362_6172;
/// LIMIT: readers at once; each is a thread and a page cache.
const READERS_MAX: u32 = 4;
/// LIMIT: how long one of our own connections waits for another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum SqliteOpenError {
    /// The file cannot be made or opened.
    #[error("cannot open `{path}`", path = path.display())]
    File {
        /// The database.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// SQLite failed.
    #[error("cannot use the database `{path}`", path = path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: sqlx::Error,
    },
    /// The file is a database of something else.
    #[error("`{path}` is not a database of Sandbar", path = path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// The check found damage.
    #[error("the database `{path}` is damaged: {finding}", path = path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// The first thing that the check said.
        finding: String,
    },
    /// The SQLite that this binary was built with has a known bug that loses data.
    #[error("SQLite {version} loses data; at least 3.51.3 is needed")]
    TooOld {
        /// What it says it is.
        version: String,
    },
    /// A newer Sandbar wrote it, or a migration failed.
    #[error("the database cannot be brought to this version")]
    Migrate(#[source] MigrateError),
}

impl SqliteOpenError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Corrupt { path, .. } => Some(format!(
                "put a backup in its place with `sandbar backup restore FILE --replace --data-dir {1}`, which keeps what is there now in a directory beside it; without a backup, copy `{0}`, `{0}-wal` and `{0}-shm` aside and recover what can be read with `sqlite3 {0} .recover | sqlite3 {0}.new`. The files of sandboxes are not in the database and are untouched",
                path.display(),
                path.parent().unwrap_or(Path::new(".")).display()
            )),
            Self::Foreign { .. } => Some("choose another data directory".to_owned()),
            Self::Migrate(_) => Some(
                "use the version of sandbar that wrote this database, or a newer one".to_owned(),
            ),
            Self::TooOld { .. } => Some("build sandbar with its bundled SQLite".to_owned()),
            Self::File { .. } | Self::Database { .. } => None,
        }
    }
}

impl From<SqliteOpenError> for OpenError {
    fn from(err: SqliteOpenError) -> Self {
        // Whoever has the data directory has the file in it.
        Self { hint: err.hint(), is_in_use: false, source: err.into() }
    }
}

/// Opens a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteDriver {
    path: PathBuf,
}

impl SqliteDriver {
    /// Of the database in `data_dir`; made when there is none.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self { path: data_dir.join(FILE) }
    }
}

#[async_trait]
impl Driver for SqliteDriver {
    async fn open(&self) -> Result<Store, OpenError> {
        Ok(Store::new(Arc::new(open(&self.path).await?)))
    }
}

/// Every setting of a connection. `synchronous=FULL`, because with `NORMAL` a power cut loses what was acknowledged.
pub(crate) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .pragma("mmap_size", "0")
        .pragma("secure_delete", "ON")
        .pragma("wal_autocheckpoint", "1000")
        .pragma("journal_size_limit", "67108864")
}

/// Opens the database at `path`, makes it when there is none, checks it, and brings it to this version's schema. A damaged
/// or foreign file is left as it is.
async fn open(path: &Path) -> Result<SqliteDatabase, SqliteOpenError> {
    let file = |source| SqliteOpenError::File { path: path.to_owned(), source };
    let database = |source| SqliteOpenError::Database { path: path.to_owned(), source };
    // Made by us and not by SQLite, so that nobody else can read it at any moment; the log beside it gets the same mode.
    let made = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(_empty) => {}
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
        Err(err) => return Err(file(err)),
    }
    // The acquire check would cost a round trip for each write; the connection is ours alone and local.
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options(path))
        .await
        .map_err(|source| refine(path, source))?;
    check_version(&writer).await.map_err(database)??;
    check_owner(&writer, path).await?;
    check_pages(&writer, path).await?;
    MIGRATIONS.run(&writer).await.map_err(SqliteOpenError::Migrate)?;
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS_MAX)
        .test_before_acquire(false)
        .connect_with(options(path).read_only(true))
        .await
        .map_err(database)?;
    Ok(SqliteDatabase { writer, readers })
}

/// What is no database at all is damage, too: the first page is unreadable.
fn refine(path: &Path, source: sqlx::Error) -> SqliteOpenError {
    const SQLITE_CORRUPT: &str = "11";
    const SQLITE_NOTADB: &str = "26";
    let code =
        source.as_database_error().and_then(|err| err.code().map(std::borrow::Cow::into_owned));
    match code.as_deref() {
        Some(SQLITE_CORRUPT | SQLITE_NOTADB) => SqliteOpenError::Corrupt {
            path: path.to_owned(),
            finding: "it is not a database".to_owned(),
        },
        Some(_) | None => SqliteOpenError::Database { path: path.to_owned(), source },
    }
}

async fn check_version(writer: &SqlitePool) -> Result<Result<(), SqliteOpenError>, sqlx::Error> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(writer).await?;
    Ok(if is_new_enough(&version) { Ok(()) } else { Err(SqliteOpenError::TooOld { version }) })
}

fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next()) >= SQLITE_MIN
}

async fn check_owner(writer: &SqlitePool, path: &Path) -> Result<(), SqliteOpenError> {
    let id: i64 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(writer)
        .await
        .map_err(|err| refine(path, err))?;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
        .fetch_one(writer)
        .await
        .map_err(|err| refine(path, err))?;
    let is_new = id == 0 && tables == 0;
    if id == APPLICATION_ID || is_new {
        Ok(())
    } else {
        Err(SqliteOpenError::Foreign { path: path.to_owned() })
    }
}

async fn check_pages(writer: &SqlitePool, path: &Path) -> Result<(), SqliteOpenError> {
    let finding: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(writer)
        .await
        .map_err(|err| refine(path, err))?;
    if finding == "ok" {
        Ok(())
    } else {
        Err(SqliteOpenError::Corrupt { path: path.to_owned(), finding })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, is_enough) in [
            ("3.51.3", true),
            ("3.9.9", false),
            ("3.51.2", false),
            ("3.52.0", true),
            ("4.0.0", true),
            ("", false),
        ] {
            assert_eq!(is_new_enough(version), is_enough, "{version}");
        }
    }

    #[tokio::test]
    async fn every_setting_is_what_the_kernel_of_sqlite_says() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir.path().join("sandbar.db")).await.unwrap();
        for (pragma, expected) in [
            ("PRAGMA synchronous", 2),
            ("PRAGMA foreign_keys", 1),
            ("PRAGMA trusted_schema", 0),
            ("PRAGMA cell_size_check", 1),
            ("PRAGMA mmap_size", 0),
            ("PRAGMA secure_delete", 1),
            ("PRAGMA journal_size_limit", 67_108_864),
            ("PRAGMA application_id", APPLICATION_ID),
        ] {
            let found: i64 = sqlx::query_scalar(pragma).fetch_one(&store.writer).await.unwrap();
            assert_eq!(found, expected, "{pragma}");
        }
        let mode: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&store.writer).await.unwrap();
        assert_eq!(mode, "wal");
        sandbar_store::Database::close(&store).await;
    }

    #[tokio::test]
    async fn a_reader_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir.path().join("sandbar.db")).await.unwrap();
        assert!(sqlx::query("DELETE FROM sandbox").execute(&store.readers).await.is_err());
        sandbar_store::Database::close(&store).await;
    }

    #[tokio::test]
    async fn a_damaged_database_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sandbar.db");
        sandbar_store::Database::close(&open(&path).await.unwrap()).await;
        let mut bytes = std::fs::read(&path).unwrap();
        // The second page and everything after it: b-trees of tables, the schema's first page stays readable.
        bytes[4096..].fill(0xa5);
        std::fs::write(&path, &bytes).unwrap();
        let err = open(&path).await.unwrap_err();
        assert!(matches!(err, SqliteOpenError::Corrupt { .. }), "{err:?}");
        let exact =
            format!("sandbar backup restore FILE --replace --data-dir {}", dir.path().display());
        assert!(err.hint().unwrap().contains(&exact));
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "it was changed");
    }

    #[tokio::test]
    async fn what_is_no_database_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sandbar.db");
        std::fs::write(&path, vec![b'x'; 8192]).unwrap();
        assert!(matches!(open(&path).await.unwrap_err(), SqliteOpenError::Corrupt { .. }));
        assert_eq!(std::fs::read(&path).unwrap(), vec![b'x'; 8192]);
    }

    #[tokio::test]
    async fn a_database_of_something_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sandbar.db");
        std::fs::write(&path, []).unwrap();
        let pool = SqlitePool::connect_with(options(&path)).await.unwrap();
        sqlx::query("CREATE TABLE theirs (a)").execute(&pool).await.unwrap();
        pool.close().await;
        assert!(matches!(open(&path).await.unwrap_err(), SqliteOpenError::Foreign { .. }));
    }
}
