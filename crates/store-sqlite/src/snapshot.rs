//! Copies of the database: how one is made while others write, and how one is looked at.

use std::{collections::BTreeMap, fs::OpenOptions, io, os::unix::fs::OpenOptionsExt, path::Path};

use sandbar_store::{SnapshotContents, SnapshotError};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection,
    sqlite::SqliteConnectOptions,
};

use crate::driver::{APPLICATION_ID, FILE, options};

/// Copies the database of a data directory that no server uses, as it is: of whatever version, and without a change.
///
/// # Errors
/// There is none, it cannot be read, or the copy is not whole.
pub async fn snapshot_at_rest(
    data_dir: &Path,
    into: &Path,
) -> Result<SnapshotContents, SnapshotError> {
    // What a server that was killed left in the log is folded in, as the next server would.
    let mut conn = options(&data_dir.join(FILE)).connect().await.map_err(failed)?;
    let copied = copy(&mut conn, into).await;
    drop(conn.close().await);
    copied
}

/// Copies what `conn` sees now. A read transaction: with a write-ahead log, nobody who writes waits for it.
pub(crate) async fn copy(
    conn: &mut SqliteConnection,
    into: &Path,
) -> Result<SnapshotContents, SnapshotError> {
    let path = into
        .to_str()
        .ok_or_else(|| SnapshotError::Failed("SQLite takes no path that is not UTF-8".into()))?;
    // Made by us, so that nobody else can read it at any moment; SQLite takes an empty file for none.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(into);
    made.map_err(|err: io::Error| SnapshotError::Failed(err.into()))?;
    sqlx::query("VACUUM INTO $1").bind(path).execute(conn).await.map_err(failed)?;
    inspect(into).await
}

/// Checks every page, index and constraint of a copy, and counts what is in it. Writes nothing.
///
/// # Errors
/// It is damaged, no database of ours, or cannot be read.
pub async fn inspect(path: &Path) -> Result<SnapshotContents, SnapshotError> {
    // Nobody writes it, so SQLite need not make a log and a lock beside it.
    let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(true);
    let mut conn = options
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .connect()
        .await
        .map_err(failed)?;
    let found = contents(&mut conn).await;
    drop(conn.close().await);
    found
}

async fn contents(conn: &mut SqliteConnection) -> Result<SnapshotContents, SnapshotError> {
    let finding: String = sqlx::query_scalar("PRAGMA integrity_check(1)")
        .fetch_one(&mut *conn)
        .await
        .map_err(failed)?;
    if finding != "ok" {
        return Err(SnapshotError::Corrupt { finding });
    }
    let id: i64 =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *conn).await.map_err(failed)?;
    if id != APPLICATION_ID {
        return Err(SnapshotError::Corrupt { finding: "it is no database of Sandbar".to_owned() });
    }
    let schema = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
        .fetch_one(&mut *conn)
        .await
        .map_err(failed)?;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )
    .fetch_all(&mut *conn)
    .await
    .map_err(failed)?;
    let mut rows = BTreeMap::new();
    for table in tables {
        let count = format!("SELECT count(*) FROM \"{}\"", table.replace('"', "\"\""));
        let count: i64 =
            sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut *conn).await.map_err(failed)?;
        rows.insert(table, count.unsigned_abs());
    }
    Ok(SnapshotContents { schema, rows })
}

/// What SQLite says of damage on the way is a finding as well.
fn failed(source: sqlx::Error) -> SnapshotError {
    const SQLITE_CORRUPT: u32 = 11;
    const SQLITE_NOTADB: u32 = 26;
    let code = source.as_database_error().and_then(|err| err.code()?.parse::<u32>().ok());
    match code.map(|code| code & 0xff) {
        Some(SQLITE_CORRUPT | SQLITE_NOTADB) => {
            SnapshotError::Corrupt { finding: source.to_string() }
        }
        Some(_) | None => SnapshotError::Failed(source.into()),
    }
}
