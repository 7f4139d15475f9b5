//! Both dialects have the same tables.

use std::collections::BTreeSet;

use sandbar_store::Driver;
use sandbar_store_sqlite::SqliteDriver;
use sqlx::SqlitePool;

use super::Database;

/// Tables, columns, types, and whether they may be empty.
type Schema = BTreeSet<(String, String, String, bool)>;

#[tokio::test]
async fn both_dialects_have_the_same_tables() {
    let Some(database) = Database::fresh() else { return };
    database.open().await.unwrap().close().await;
    SqliteDriver::new(database.dir()).open().await.unwrap().close().await;
    assert_eq!(postgres(&database).await, sqlite(&database).await);
}

async fn postgres(database: &Database) -> Schema {
    let columns: Vec<(String, String, String, bool)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'YES' \
         FROM information_schema.columns WHERE table_schema = 'public' \
         AND table_name NOT IN ('sandbar', '_sqlx_migrations')",
    )
    .fetch_all(&mut database.person().await)
    .await
    .unwrap();
    columns
        .into_iter()
        .map(|(table, column, kind, is_nullable)| {
            let kind = match kind.as_str() {
                "bigint" => "INTEGER",
                "bytea" => "BLOB",
                "text" => "TEXT",
                other => panic!("{table}.{column} is {other}"),
            };
            (table, column, kind.to_owned(), is_nullable)
        })
        .collect()
}

async fn sqlite(database: &Database) -> Schema {
    let path = database.dir().join("sandbar.db");
    let pool = SqlitePool::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    let columns: Vec<(String, String, String, bool)> = sqlx::query_as(
        "SELECT m.name, c.name, c.type, NOT (c.\"notnull\" OR c.pk) FROM sqlite_schema AS m, \
         pragma_table_info(m.name) AS c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' \
         AND m.name <> '_sqlx_migrations'",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    pool.close().await;
    columns.into_iter().collect()
}
