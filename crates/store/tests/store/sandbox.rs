//! Rows that are rewritten, and names that are unique.

use jiff::Timestamp;
use sandbar_store::{
    SandboxRow, Update, sandbox_count_living, sandbox_fetch, sandbox_insert_in_txn,
    sandbox_update_in_txn,
};
use sandbar_types::{
    Generation, SandboxId, SandboxSpec, SandboxState, Source, StopReason, TenantId,
};

use crate::support::{Fresh, on_both};

/// A sandbox with every kind of value.
pub(crate) fn row(name: &str) -> SandboxRow {
    let now = Timestamp::from_microsecond(1_700_000_000_000_000).unwrap();
    SandboxRow {
        id: SandboxId::generate(),
        tenant_id: TenantId::DEFAULT,
        app_id: None,
        is_current: false,
        name: name.parse().unwrap(),
        spec: SandboxSpec::over(Source::Empty),
        caller: serde_json::json!({}),
        state: SandboxState::Creating,
        generation: Generation::FIRST,
        review_generation: Generation::FIRST,
        nonce: "n".to_owned(),
        boot_id: "b".to_owned(),
        uid_base: Some(65_536),
        isolation: None,
        created_at: now,
        beginning_ns: 1,
        base_commit: Some("c".to_owned()),
        source_inode: Some(7),
        updated_at: now,
        lease_until: None,
        stop_reason: Some(StopReason::Idle),
        keepalive_until: Some(now),
        last_active_at: now,
        upper_bytes: 0,
        upper_files: 0,
        deleted_at: None,
    }
}

on_both!(
    b2_a_late_writer_loses_visibly,
    a_name_is_unique_among_the_living_only,
    nothing_more_is_done_after_a_statement_that_failed,
);

async fn b2_a_late_writer_loses_visibly(Fresh { store, .. }: &Fresh) {
    let mut first = row("one");
    let mut txn = store.begin().await.unwrap();
    sandbox_insert_in_txn(&mut txn, &first).await.unwrap();
    txn.commit().await.unwrap();
    let late = first.clone();
    let mut txn = store.begin().await.unwrap();
    first.state = SandboxState::Running;
    let next = Generation::FIRST.next();
    assert_eq!(sandbox_update_in_txn(&mut txn, &first).await.unwrap(), Update::Applied(next));
    assert_eq!(sandbox_update_in_txn(&mut txn, &late).await.unwrap(), Update::Stale);
    txn.commit().await.unwrap();
    first.generation = next;
    let stored = sandbox_fetch(&mut store.read().await.unwrap(), first.id).await.unwrap();
    assert_eq!(stored, Some(first));
    store.close().await;
}

async fn a_name_is_unique_among_the_living_only(Fresh { store, .. }: &Fresh) {
    let mut first = row("one");
    let mut txn = store.begin().await.unwrap();
    sandbox_insert_in_txn(&mut txn, &first).await.unwrap();
    txn.commit().await.unwrap();
    let mut txn = store.begin().await.unwrap();
    let err = sandbox_insert_in_txn(&mut txn, &row("one")).await.unwrap_err();
    assert!(err.is_taken() && !err.is_fatal() && !err.is_full(), "{err:?}");
    drop(txn);
    let mut txn = store.begin().await.unwrap();
    first.deleted_at = Some(first.created_at);
    assert!(matches!(sandbox_update_in_txn(&mut txn, &first).await.unwrap(), Update::Applied(_)));
    sandbox_insert_in_txn(&mut txn, &row("one")).await.unwrap();
    assert_eq!(sandbox_count_living(&mut txn).await.unwrap(), 1);
    // Not committed: nothing of it is there.
    drop(txn);
    let stored = sandbox_fetch(&mut store.read().await.unwrap(), first.id).await.unwrap();
    assert_eq!(stored.unwrap().deleted_at, None);
    store.close().await;
}

async fn nothing_more_is_done_after_a_statement_that_failed(Fresh { store, .. }: &Fresh) {
    let first = row("one");
    let mut txn = store.begin().await.unwrap();
    sandbox_insert_in_txn(&mut txn, &first).await.unwrap();
    assert!(sandbox_insert_in_txn(&mut txn, &first).await.unwrap_err().is_taken());
    assert!(sandbox_count_living(&mut txn).await.is_err(), "it was read from");
    assert!(sandbox_insert_in_txn(&mut txn, &row("two")).await.is_err(), "it was written to");
    // A database may answer this with a rollback, and call it success.
    assert!(txn.commit().await.is_err(), "it was committed");
    assert_eq!(sandbox_count_living(&mut store.read().await.unwrap()).await.unwrap(), 0);
    store.close().await;
}
