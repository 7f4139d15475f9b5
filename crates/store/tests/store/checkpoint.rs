//! Checkpoints: each of its own sandbox alone.

use jiff::Timestamp;
use sandbar_store::{
    CheckpointRow, checkpoint_fetch, checkpoint_insert_in_txn, sandbox_insert_in_txn,
};
use sandbar_types::{CheckpointId, CheckpointKind};

use crate::{
    sandbox::row as sandbox,
    support::{Fresh, on_both},
};

on_both!(a_checkpoint_is_found_in_its_own_sandbox_alone);

async fn a_checkpoint_is_found_in_its_own_sandbox_alone(Fresh { store, .. }: &Fresh) {
    let mut txn = store.begin().await.unwrap();
    let (own, other) = (sandbox("one"), sandbox("two"));
    for row in [&own, &other] {
        sandbox_insert_in_txn(&mut txn, row).await.unwrap();
    }
    let row = CheckpointRow {
        id: CheckpointId::generate(),
        sandbox_id: own.id,
        task_id: None,
        kind: CheckpointKind::Manual,
        label: Some("hé".to_owned()),
        bytes: 7,
        left_out: 1,
        created_at: Timestamp::from_second(1_700_000_000).unwrap(),
    };
    checkpoint_insert_in_txn(&mut txn, &row).await.unwrap();
    assert_eq!(checkpoint_fetch(&mut txn, own.id, row.id).await.unwrap().as_ref(), Some(&row));
    assert_eq!(checkpoint_fetch(&mut txn, other.id, row.id).await.unwrap(), None);
    assert_eq!(checkpoint_fetch(&mut txn, own.id, CheckpointId::generate()).await.unwrap(), None);
}
