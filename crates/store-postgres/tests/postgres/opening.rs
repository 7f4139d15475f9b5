//! What is refused, and left as it is.

use sandbar_store_postgres::PostgresOpenError;

use super::Database;

#[tokio::test]
async fn a_database_of_something_else_is_refused_and_left_alone() {
    let Some(database) = Database::fresh() else { return };
    let mut person = database.person().await;
    sqlx::query("CREATE TABLE theirs (a INT)").execute(&mut person).await.unwrap();
    let err = database.open().await.unwrap_err();
    assert!(
        matches!(err.source.downcast_ref(), Some(PostgresOpenError::Foreign { .. })),
        "{err:?}"
    );
    assert!(err.hint.unwrap().contains("createdb"));
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            .fetch_one(&mut person)
            .await
            .unwrap();
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let Some(database) = Database::fresh() else { return };
    database.open().await.unwrap().close().await;
    let mut person = database.person().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'newer', true, '\\x00', 0)",
    )
    .execute(&mut person)
    .await
    .unwrap();
    let err = database.open().await.unwrap_err();
    assert!(matches!(err.source.downcast_ref(), Some(PostgresOpenError::Migrate(_))), "{err:?}");
    assert!(err.hint.unwrap().contains("newer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_is_refused_until_the_first_has_closed() {
    let Some(database) = Database::fresh() else { return };
    let first = database.open().await.unwrap();
    let err = database.open().await.unwrap_err();
    assert!(err.is_in_use && err.hint.is_some(), "{err:?}");
    first.begin().await.unwrap().commit().await.unwrap();
    first.close().await;
    database.open().await.unwrap().close().await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_named_without_its_password() {
    let Some(database) = Database::fresh() else { return };
    let socket = database.dir().display();
    let url = format!("postgres:///db?host={socket}&user=me&password=geheim");
    let driver = sandbar_store_postgres::PostgresDriver::new(url.parse().unwrap());
    let err = sandbar_store::Driver::open(&driver).await.unwrap_err();
    assert!(
        matches!(err.source.downcast_ref(), Some(PostgresOpenError::Connect { .. })),
        "{err:?}"
    );
    let said = format!("{err:?} {} {:?} {driver:?}", err.source, err.hint);
    assert!(said.contains("postgres://me@") && !said.contains("geheim"), "{said}");
}

#[tokio::test]
async fn every_setting_is_what_the_server_says() {
    let Some(database) = Database::fresh() else { return };
    let store = database.open().await.unwrap();
    let mut person = database.person().await;
    let (sessions, locks): (i64, i64) = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')) \
         FROM pg_stat_activity WHERE application_name = 'sandbar' AND datname = current_database()",
    )
    .fetch_one(&mut person)
    .await
    .unwrap();
    assert_eq!(locks, 1, "one session of {sessions} holds the lock");
    store.close().await;
}
