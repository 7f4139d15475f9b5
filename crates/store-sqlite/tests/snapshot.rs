//! A copy holds every value of every table, and says so when it does not.

#![expect(
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    reason = "all of this is test code"
)]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use sandbar_store::{Driver as _, SnapshotError};
use sandbar_store_sqlite::{SqliteDriver, inspect, snapshot_at_rest};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

async fn connect(path: &Path) -> SqliteConnection {
    let mut conn =
        SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    // A row of each table stands alone here.
    sqlx::query("PRAGMA foreign_keys = OFF").execute(&mut conn).await.unwrap();
    conn
}

async fn tables(conn: &mut SqliteConnection) -> Vec<String> {
    let all = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name";
    sqlx::query_scalar(all).fetch_all(conn).await.unwrap()
}

/// Puts one row with a value in each column into every table.
async fn fill(conn: &mut SqliteConnection) {
    // A value in each column is more than some tables allow.
    sqlx::query("PRAGMA ignore_check_constraints = ON").execute(&mut *conn).await.unwrap();
    for table in tables(conn).await {
        if table == "_sqlx_migrations" {
            continue;
        }
        let columns = sqlx::query(AssertSqlSafe(format!("PRAGMA table_info({table})")))
            .fetch_all(&mut *conn)
            .await
            .unwrap();
        let values: Vec<String> = columns
            .iter()
            .map(|column| {
                let name: String = column.get("name");
                match column.get::<String, _>("type").as_str() {
                    "INTEGER" => "9000000000000001".to_owned(),
                    "BLOB" => "x'00ff0a27'".to_owned(),
                    "TEXT" => format!("'{name} of {table} ü'"),
                    other => panic!("a column of type {other}"),
                }
            })
            .collect();
        let insert = format!("INSERT INTO {table} VALUES ({})", values.join(", "));
        sqlx::query(AssertSqlSafe(insert)).execute(&mut *conn).await.unwrap();
    }
}

/// Every value as SQL writes it.
async fn dump(path: &Path) -> Vec<String> {
    let mut conn = connect(path).await;
    let mut all = Vec::new();
    for table in tables(&mut conn).await {
        let names: Vec<String> = sqlx::query(AssertSqlSafe(format!("PRAGMA table_info({table})")))
            .fetch_all(&mut conn)
            .await
            .unwrap()
            .iter()
            .map(|column| format!("quote({})", column.get::<String, _>("name")))
            .collect();
        let select = format!("SELECT {} FROM {table} ORDER BY 1", names.join(" || ',' || "));
        let rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(&mut conn).await.unwrap();
        all.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
    }
    conn.close().await.unwrap();
    all
}

#[tokio::test]
async fn bak5_a_copy_holds_every_value_of_every_table_while_others_write() {
    let dir = tempfile::tempdir().unwrap();
    let (live, copy) = (dir.path().join("sandbar.db"), dir.path().join("copy"));
    let store = SqliteDriver::new(dir.path()).open().await.unwrap();
    let mut conn = connect(&live).await;
    fill(&mut conn).await;
    // A transaction that is open holds nobody up, and is not in the copy.
    let open = store.begin().await.unwrap();
    let contents = store.snapshot(&copy).await.unwrap();
    drop(open);
    assert_eq!(dump(&copy).await, dump(&live).await);
    assert!(contents.rows.values().all(|rows| *rows > 0), "{contents:?}");
    assert!(contents.rows.contains_key("api_key") && contents.schema >= 6, "{contents:?}");
    assert_eq!(inspect(&copy).await.unwrap(), contents);
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    conn.close().await.unwrap();
    store.close().await;
    let at_rest = dir.path().join("at-rest");
    assert_eq!(snapshot_at_rest(dir.path(), &at_rest).await.unwrap(), contents);
    assert_eq!(dump(&at_rest).await, dump(&copy).await);
}

#[tokio::test]
async fn a_damaged_database_is_not_copied_as_if_it_were_whole() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("sandbar.db");
    SqliteDriver::new(dir.path()).open().await.unwrap().close().await;
    let mut bytes = fs::read(&live).unwrap();
    bytes[4096..].fill(0xa5);
    fs::write(&live, &bytes).unwrap();
    let err = snapshot_at_rest(dir.path(), &dir.path().join("copy")).await.unwrap_err();
    assert!(matches!(err, SnapshotError::Corrupt { .. }), "{err:?}");
    let err = inspect(&live).await.unwrap_err();
    assert!(matches!(err, SnapshotError::Corrupt { .. }), "{err:?}");
}

#[tokio::test]
async fn a_file_that_is_there_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteDriver::new(dir.path()).open().await.unwrap();
    let copy = dir.path().join("copy");
    fs::write(&copy, "mine").unwrap();
    assert!(store.snapshot(&copy).await.is_err());
    assert_eq!(fs::read(&copy).unwrap(), b"mine");
    store.close().await;
}
