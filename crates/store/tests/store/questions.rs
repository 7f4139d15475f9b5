//! Every question that is not asked elsewhere here, once in each dialect, with values at the edges of what columns hold.

use jiff::{SignedDuration, Timestamp};
use sandbar_store::{
    ApproveFilter, ApprovePathRow, ApproveRow, ApprovedPathRow, ExecRow, IdempotencyAt,
    IdempotencyRow, approve_end_in_txn, approve_fetch, approve_find, approve_insert_in_txn,
    approve_last, approve_list, approve_list_kept, approve_list_open, approve_path_insert_in_txn,
    approve_path_list, approve_prune_in_txn, approve_set_commit_in_txn, approve_set_kept_in_txn,
    approve_set_undone_in_txn, approved_path_list, approved_path_put_in_txn, exec_fetch,
    exec_insert_in_txn, exec_list, exec_list_running, exec_remove_in_txn, exec_update_in_txn,
    idempotency_fetch, idempotency_forget_in_txn, idempotency_insert_in_txn,
    idempotency_list_expired, idempotency_replay_count, idempotency_replayed_in_txn,
    operation_end_in_txn, operation_insert_in_txn, operation_list_open, reservation_insert_in_txn,
    reservation_list, reservation_release_in_txn, sandbox_insert_in_txn, sandbox_prune_in_txn,
};
use sandbar_types::{
    Actor, ApproveId, DiffId, ExecId, ExecSpec, ExecState, Generation, HostPath, Sha256, TenantId,
    WorkspacePath,
};

use crate::{
    sandbox::row,
    support::{Fresh, on_both},
};

on_both!(
    a_repeated_put_replaces,
    an_exec_is_found_while_it_runs,
    an_approve_is_found_by_what_it_wrote,
    history_is_forgotten_with_its_sandbox,
);

fn now() -> Timestamp {
    Timestamp::from_microsecond(1_700_000_000_000_001).unwrap()
}

/// No text: bytes that no encoding has.
fn path() -> WorkspacePath {
    WorkspacePath::parse(b"dir/\xff\xfe").unwrap()
}

async fn a_repeated_put_replaces(Fresh { store, .. }: &Fresh) {
    let sandbox = row("one");
    let id = sandbox.id;
    let mut txn = store.begin().await.unwrap();
    sandbox_insert_in_txn(&mut txn, &sandbox).await.unwrap();
    for base in [1, 2] {
        let new = ApprovedPathRow { path: path(), base: serde_json::json!(base) };
        approved_path_put_in_txn(&mut txn, id, &new).await.unwrap();
        let held = HostPath::parse("/srv/a").unwrap();
        reservation_insert_in_txn(&mut txn, id, &held).await.unwrap();
    }
    let paths = approved_path_list(&mut txn, id).await.unwrap();
    assert_eq!(paths, [ApprovedPathRow { path: path(), base: serde_json::json!(2) }]);
    assert_eq!(reservation_list(&mut txn).await.unwrap().len(), 1);
    reservation_release_in_txn(&mut txn, id).await.unwrap();
    assert_eq!(reservation_list(&mut txn).await.unwrap(), []);
    let mut key = IdempotencyRow {
        at: IdempotencyAt {
            tenant_id: TenantId::DEFAULT,
            principal: "instance".to_owned(),
            route: "POST /v1/sandboxes".to_owned(),
            key: "k\u{301}".to_owned(),
        },
        request_hash: Sha256([0; 32]),
        sandbox_id: None,
        response: None,
        expires_at: now(),
        replays: 0,
    };
    idempotency_insert_in_txn(&mut txn, &key).await.unwrap();
    idempotency_replayed_in_txn(&mut txn, &key.at).await.unwrap();
    assert_eq!(idempotency_replay_count(&mut txn).await.unwrap(), 1);
    key.request_hash = Sha256([0xff; 32]);
    key.sandbox_id = Some(id);
    key.response = Some(serde_json::json!({"text": "nul \0"}));
    idempotency_insert_in_txn(&mut txn, &key).await.unwrap();
    assert_eq!(idempotency_list_expired(&mut txn, now()).await.unwrap().len(), 1);
    let before = now() - SignedDuration::from_micros(1);
    let found = idempotency_fetch(&mut txn, &key.at, before).await.unwrap();
    let other = IdempotencyAt { principal: "us_1".to_owned(), ..key.at.clone() };
    assert_eq!(found, Some(key));
    assert_eq!(idempotency_fetch(&mut txn, &other, before).await.unwrap(), None);
    idempotency_forget_in_txn(&mut txn, id).await.unwrap();
    assert_eq!(idempotency_replay_count(&mut txn).await.unwrap(), 0);
    txn.commit().await.unwrap();
}

async fn an_exec_is_found_while_it_runs(Fresh { store, .. }: &Fresh) {
    let sandbox = row("one");
    let mut txn = store.begin().await.unwrap();
    sandbox_insert_in_txn(&mut txn, &sandbox).await.unwrap();
    let mut exec = ExecRow {
        id: ExecId::generate(),
        sandbox_id: sandbox.id,
        spec: ExecSpec {
            argv: vec!["true".to_owned()],
            env: std::collections::BTreeMap::new(),
            cwd: None,
            terminal: None,
            stdin: false,
            timeout_ms: None,
        },
        state: ExecState::Running,
        generation: Generation::FIRST,
        started_at: now(),
        ended_at: None,
    };
    exec_insert_in_txn(&mut txn, &exec).await.unwrap();
    assert_eq!(exec_list_running(&mut txn, sandbox.id).await.unwrap(), [exec.clone()]);
    exec.state = ExecState::Lost;
    exec.ended_at = Some(now());
    let _applied = exec_update_in_txn(&mut txn, &exec).await.unwrap();
    exec.generation = exec.generation.next();
    assert_eq!(exec_list_running(&mut txn, sandbox.id).await.unwrap(), []);
    assert_eq!(exec_list(&mut txn, sandbox.id, 9).await.unwrap(), [exec.clone()]);
    exec_remove_in_txn(&mut txn, exec.id).await.unwrap();
    assert_eq!(exec_fetch(&mut txn, exec.id).await.unwrap(), None);
    let made = operation_insert_in_txn(&mut txn, sandbox.id, "launch", &["a"], "n", now()).await;
    let open = operation_list_open(&mut txn).await.unwrap();
    assert_eq!((open.len(), open[0].id), (1, made.unwrap()));
    operation_end_in_txn(&mut txn, sandbox.id, Some("it broke"), now()).await.unwrap();
    assert_eq!(operation_list_open(&mut txn).await.unwrap(), []);
    txn.commit().await.unwrap();
}

fn approve(sandbox: &sandbar_store::SandboxRow) -> ApproveRow {
    ApproveRow {
        id: ApproveId::generate(),
        tenant_id: TenantId::DEFAULT,
        seq: 0,
        sandbox_id: sandbox.id,
        sandbox_name: sandbox.name.clone(),
        actor: Actor::Unknown,
        diff_id: DiffId(Sha256([7; 32])),
        request_hash: Sha256([1; 32]),
        source: HostPath::parse("/srv/a").unwrap(),
        outcome: None,
        started_at: now(),
        ended_at: None,
        paths: 0,
        undoes: None,
        undone_by: None,
        commit_id: None,
        kept_bytes: None,
    }
}

async fn an_approve_is_found_by_what_it_wrote(Fresh { store, .. }: &Fresh) {
    let sandbox = row("one");
    let new = approve(&sandbox);
    let mut txn = store.begin().await.unwrap();
    sandbox_insert_in_txn(&mut txn, &sandbox).await.unwrap();
    approve_insert_in_txn(&mut txn, &new).await.unwrap();
    assert_eq!(approve_list_open(&mut txn).await.unwrap().len(), 1);
    let wrote = ApprovePathRow { path: path(), before: None, after: None };
    approve_path_insert_in_txn(&mut txn, new.id, std::slice::from_ref(&wrote)).await.unwrap();
    let outcome = serde_json::json!({"written": 1});
    approve_end_in_txn(&mut txn, new.id, Some(&outcome), now()).await.unwrap();
    approve_set_kept_in_txn(&mut txn, new.id, Some(u64::MAX)).await.unwrap();
    approve_set_commit_in_txn(&mut txn, new.id, "abc").await.unwrap();
    txn.commit().await.unwrap();
    let conn = &mut store.read().await.unwrap();
    let found = approve_fetch(conn, new.id).await.unwrap().unwrap();
    assert_eq!((found.paths, found.commit_id.as_deref()), (1, Some("abc")));
    assert_eq!(approve_path_list(conn, new.id, 9).await.unwrap(), [wrote]);
    assert_eq!(approve_last(conn, &new.source).await.unwrap(), Some(found.clone()));
    let hash = new.request_hash;
    assert_eq!(approve_find(conn, sandbox.id, hash).await.unwrap(), Some(found.clone()));
    assert_eq!(approve_list_kept(conn).await.unwrap(), std::slice::from_ref(&found));
    let all = ApproveFilter::default();
    let filters = [
        (all.clone(), true),
        (ApproveFilter { source: Some(new.source.clone()), ..all.clone() }, true),
        (ApproveFilter { sandbox: Some("one".to_owned()), ..all.clone() }, true),
        (ApproveFilter { sandbox: Some("two".to_owned()), ..all.clone() }, false),
        (ApproveFilter { path: Some(path()), ..all.clone() }, true),
        (ApproveFilter { path: WorkspacePath::parse(b"dir").ok(), ..all.clone() }, true),
        (ApproveFilter { path: WorkspacePath::parse(b"di").ok(), ..all.clone() }, false),
        (ApproveFilter { before_seq: Some(found.seq), ..all.clone() }, false),
    ];
    for (filter, is_found) in filters {
        let listed = approve_list(conn, TenantId::DEFAULT, &filter, 9).await.unwrap();
        assert_eq!(listed.len() == 1, is_found, "{filter:?}");
    }
}

async fn history_is_forgotten_with_its_sandbox(Fresh { store, .. }: &Fresh) {
    let mut sandbox = row("one");
    sandbox.deleted_at = Some(now());
    let (first, second) = (approve(&sandbox), approve(&sandbox));
    let later = now() + SignedDuration::from_micros(1);
    let mut txn = store.begin().await.unwrap();
    sandbox_insert_in_txn(&mut txn, &sandbox).await.unwrap();
    for approve in [&first, &second] {
        approve_insert_in_txn(&mut txn, approve).await.unwrap();
        let wrote = ApprovePathRow { path: path(), before: None, after: None };
        approve_path_insert_in_txn(&mut txn, approve.id, &[wrote]).await.unwrap();
        approve_end_in_txn(&mut txn, approve.id, None, later).await.unwrap();
    }
    approve_set_undone_in_txn(&mut txn, first.id, second.id).await.unwrap();
    // Too young, and more paths than one may be kept: the older one goes.
    assert_eq!(approve_prune_in_txn(&mut txn, now(), 1).await.unwrap(), 1);
    assert_eq!(approve_fetch(&mut txn, first.id).await.unwrap(), None);
    assert_eq!(approve_path_list(&mut txn, first.id, 9).await.unwrap(), []);
    assert_eq!(sandbox_prune_in_txn(&mut txn, now()).await.unwrap(), 0);
    assert_eq!(sandbox_prune_in_txn(&mut txn, later).await.unwrap(), 1);
    txn.commit().await.unwrap();
    assert!(approve_fetch(&mut store.read().await.unwrap(), second.id).await.unwrap().is_some());
}
