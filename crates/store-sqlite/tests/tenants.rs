//! What is older than tenants belongs to the default one; what belongs to one is not found by another.

#![expect(
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    reason = "all of this is test code"
)]

use std::{borrow::Cow, path::Path};

use sandbar_store::{
    Driver as _, IdempotencyAt, idempotency_fetch, sandbox_list_living, tenant_fetch,
    tenant_has_sandbox,
};
use sandbar_store_sqlite::SqliteDriver;
use sandbar_types::{AccountName, Quota, SandboxId, TenantId};
use sqlx::{Connection as _, SqliteConnection, migrate::Migrator};

/// A database as the version before tenants left it.
async fn old(path: &Path, statements: &[&'static str]) {
    let all = sqlx::migrate!();
    let before: Vec<_> = all.iter().filter(|one| one.version < 6).cloned().collect();
    let migrator = Migrator { migrations: Cow::Owned(before), ..Migrator::DEFAULT };
    let address = format!("sqlite://{}?mode=rwc", path.display());
    let mut conn = SqliteConnection::connect(&address).await.unwrap();
    migrator.run(&mut conn).await.unwrap();
    for statement in statements {
        sqlx::query(*statement).execute(&mut conn).await.unwrap();
    }
    conn.close().await.unwrap();
}

const SANDBOX: &str = "sb_01890000000070008000000000000001";

#[tokio::test]
async fn a1_an_old_database_opens_with_everything_in_the_default_tenant() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sandbar.db");
    old(
        &path,
        &[
            "INSERT INTO sandbox (id, name, spec, caller, state, generation, review_generation, nonce, boot_id, \
             created_at, beginning_ns, updated_at, last_active_at, upper_bytes, upper_files) \
             VALUES ('sb_01890000000070008000000000000001', 'old', '{\"source\":{\"kind\":\"empty\"}}', '{}', \
             '{\"state\":\"stopped\"}', 1, 1, 'n', 'b', 0, 0, 0, 0, 0, 0)",
            "INSERT INTO idempotency_key VALUES ('k', 'r', zeroblob(32), NULL, NULL, 9000000000000000, 3)",
            "INSERT INTO approve (id, sandbox_id, sandbox_name, actor, diff_id, request_hash, source, started_at, paths) \
             VALUES ('ap_1', 'sb_1', 'old', '{}', 'd', zeroblob(32), x'2f', 0, 0)",
        ],
    )
    .await;
    let store = SqliteDriver::new(dir.path()).open().await.unwrap();
    let mut conn = store.read().await.unwrap();
    let id: SandboxId = SANDBOX.parse().unwrap();
    let rows = sandbox_list_living(&mut conn).await.unwrap();
    assert_eq!((rows[0].id, rows[0].tenant_id), (id, TenantId::DEFAULT));
    assert!(tenant_has_sandbox(&mut conn, TenantId::DEFAULT, id).await.unwrap());
    assert!(!tenant_has_sandbox(&mut conn, TenantId::generate(), id).await.unwrap());
    let tenant = tenant_fetch(&mut conn, TenantId::DEFAULT).await.unwrap().unwrap();
    assert_eq!(tenant.name, "default".parse::<AccountName>().unwrap());
    assert_eq!((tenant.quota, tenant.source_roots), (Quota::default(), None));
    let now = jiff::Timestamp::UNIX_EPOCH;
    let at = |tenant_id| IdempotencyAt {
        tenant_id,
        principal: "instance".to_owned(),
        route: "r".to_owned(),
        key: "k".to_owned(),
    };
    let key = idempotency_fetch(&mut conn, &at(TenantId::DEFAULT), now).await.unwrap();
    assert_eq!(key.unwrap().replays, 3);
    let other = idempotency_fetch(&mut conn, &at(TenantId::generate()), now).await.unwrap();
    assert_eq!(other, None);
    drop(conn);
    store.close().await;
}
