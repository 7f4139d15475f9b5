//! Events are seen in the order of their ids.

use std::sync::atomic::{AtomicBool, Ordering};

use sandbar_store::{
    event_insert_of_sandbox_in_txn, event_list, event_prune_in_txn, sandbox_insert_in_txn,
};
use tokio::task::JoinSet;

use crate::{
    sandbox::row,
    support::{Fresh, on_both},
};

on_both!(
    who_reads_on_after_an_id_misses_nothing_that_is_committed_later,
    d4_events_of_one_instant_come_in_the_order_in_which_they_happened,
);

async fn d4_events_of_one_instant_come_in_the_order_in_which_they_happened(
    Fresh { store, .. }: &Fresh,
) {
    let sandbox = row("one");
    let mut txn = store.begin().await.unwrap();
    sandbox_insert_in_txn(&mut txn, &sandbox).await.unwrap();
    for n in 0..9 {
        let payload = serde_json::json!({ "n": n });
        event_insert_of_sandbox_in_txn(&mut txn, sandbox.id, sandbox.created_at, &payload)
            .await
            .unwrap();
    }
    let listed = event_list(&mut txn, sandbox.id, 0, 20).await.unwrap();
    let order: Vec<_> = listed.iter().map(|event| event.payload["n"].as_i64().unwrap()).collect();
    assert_eq!(order, (0..9).collect::<Vec<_>>());
}

const WRITERS: usize = 4;
const EVENTS: usize = 25;

async fn who_reads_on_after_an_id_misses_nothing_that_is_committed_later(
    Fresh { store, .. }: &Fresh,
) {
    let sandbox = row("one");
    let (id, at) = (sandbox.id, sandbox.created_at);
    let mut txn = store.begin().await.unwrap();
    sandbox_insert_in_txn(&mut txn, &sandbox).await.unwrap();
    txn.commit().await.unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            for n in 0..EVENTS {
                let mut txn = store.begin().await.unwrap();
                let payload = serde_json::json!({ "writer": writer, "n": n });
                event_insert_of_sandbox_in_txn(&mut txn, id, at, &payload).await.unwrap();
                // One that is taken back leaves a gap, and nothing that comes later into it.
                if n % 5 == 0 {
                    drop(txn);
                } else {
                    tokio::task::yield_now().await;
                    txn.commit().await.unwrap();
                }
            }
        });
    }
    let is_done = AtomicBool::new(false);
    let read = async {
        let (mut seen, mut after) = (Vec::new(), 0);
        loop {
            let was_done = is_done.load(Ordering::SeqCst);
            let mut conn = store.read().await.unwrap();
            let page = event_list(&mut conn, id, after, 3).await.unwrap();
            after = page.last().map_or(after, |event| event.id);
            let is_last = was_done && page.is_empty();
            seen.extend(page.into_iter().map(|event| event.id));
            if is_last {
                return seen;
            }
        }
    };
    let write = async {
        while let Some(written) = writers.join_next().await {
            written.unwrap();
        }
        is_done.store(true, Ordering::SeqCst);
    };
    let (seen, ()) = tokio::join!(read, write);
    assert_eq!(seen.len(), WRITERS * EVENTS * 4 / 5);
    assert!(seen.is_sorted(), "{seen:?}");
    let mut txn = store.begin().await.unwrap();
    assert_eq!(event_prune_in_txn(&mut txn, at).await.unwrap(), 0);
}
