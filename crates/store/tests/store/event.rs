//! Events are seen in the order of their ids.

use std::sync::atomic::{AtomicBool, Ordering};

use sandbar_store::{
    EventFilter, EventPage, EventSubject, EventWriter, NewEvent, event_insert_in_txn,
    event_insert_of_sandbox_in_txn, event_list, event_prune_in_txn, sandbox_insert_in_txn,
};
use sandbar_types::{AppId, EventType, SandboxId, TenantId};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    sandbox::row,
    support::{Fresh, on_both},
};

on_both!(
    a_feed_is_of_one_tenant_and_of_what_was_asked_for,
    d4_who_reads_on_after_an_id_misses_nothing_that_is_committed_later,
    d4_events_of_one_instant_come_in_the_order_in_which_they_happened,
    what_is_told_at_once_is_written_together_and_one_that_cannot_be_costs_the_others_nothing,
);

fn of(id: SandboxId) -> EventFilter {
    EventFilter { tenant: TenantId::DEFAULT, app: None, sandbox: Some(id), types: Vec::new() }
}

async fn a_feed_is_of_one_tenant_and_of_what_was_asked_for(Fresh { store, .. }: &Fresh) {
    let (app, sandbox, other) = (AppId::generate(), SandboxId::generate(), TenantId::generate());
    let at = jiff::Timestamp::UNIX_EPOCH;
    let mut txn = store.begin().await.unwrap();
    let mut ids = Vec::new();
    for (tenant_id, app_id, sandbox_id, kind) in [
        (TenantId::DEFAULT, None, None, "created"),
        (TenantId::DEFAULT, Some(app), None, "running"),
        (TenantId::DEFAULT, Some(app), Some(sandbox), "exec_started"),
        (TenantId::DEFAULT, None, Some(sandbox), "exec_ended"),
        (other, Some(app), Some(sandbox), "created"),
    ] {
        let subject = EventSubject { tenant_id, app_id, sandbox_id };
        let payload = serde_json::json!({ "type": kind });
        ids.push(event_insert_in_txn(&mut txn, &subject, at, &payload).await.unwrap().id);
    }
    let every =
        EventFilter { tenant: TenantId::DEFAULT, app: None, sandbox: None, types: Vec::new() };
    let starts = vec![EventType::ExecStarted, EventType::Created];
    for (filter, expected) in [
        (every.clone(), vec![0, 1, 2, 3]),
        (EventFilter { app: Some(app), ..every.clone() }, vec![1, 2]),
        (of(sandbox), vec![2, 3]),
        (EventFilter { app: Some(app), ..of(sandbox) }, vec![2]),
        (EventFilter { types: starts.clone(), ..every.clone() }, vec![0, 2]),
        (EventFilter { types: starts, ..of(sandbox) }, vec![2]),
        (EventFilter { tenant: other, ..every }, vec![4]),
    ] {
        let mut expected: Vec<_> = expected.into_iter().map(|at: usize| ids[at]).collect();
        let listed = event_list(&mut txn, &filter, EventPage::After(0), 20).await.unwrap();
        let found: Vec<_> = listed.iter().map(|event| event.id).collect();
        assert_eq!(found, expected, "{filter:?}");
        let listed = event_list(&mut txn, &filter, EventPage::Before(i64::MAX), 20).await.unwrap();
        expected.reverse();
        let found: Vec<_> = listed.iter().map(|event| event.id).collect();
        assert_eq!(found, expected, "{filter:?}");
        let rest = event_list(&mut txn, &filter, EventPage::Before(expected[0]), 20).await.unwrap();
        assert_eq!(rest.len(), expected.len() - 1);
    }
}

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
    let listed = event_list(&mut txn, &of(sandbox.id), EventPage::After(0), 20).await.unwrap();
    let order: Vec<_> = listed.iter().map(|event| event.payload["n"].as_i64().unwrap()).collect();
    assert_eq!(order, (0..9).collect::<Vec<_>>());
}

const WRITERS: usize = 4;
const EVENTS: usize = 25;

async fn d4_who_reads_on_after_an_id_misses_nothing_that_is_committed_later(
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
            let page = event_list(&mut conn, &of(id), EventPage::After(after), 3).await.unwrap();
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

async fn what_is_told_at_once_is_written_together_and_one_that_cannot_be_costs_the_others_nothing(
    Fresh { store, .. }: &Fresh,
) {
    const TOLD: usize = 400;
    let sandbox = row("one");
    let mut txn = store.begin().await.unwrap();
    sandbox_insert_in_txn(&mut txn, &sandbox).await.unwrap();
    txn.commit().await.unwrap();
    let before = store.commit_times().count;
    let (writer, batches) = EventWriter::new();
    let leaving = CancellationToken::new();
    let mut writing = JoinSet::new();
    writing.spawn(batches.write(store.clone(), leaving.clone()));
    let mut told = JoinSet::new();
    for n in 0..TOLD {
        let (writer, at) = (writer.clone(), sandbox.created_at);
        // Every tenth is of a sandbox that nobody knows.
        let sandbox_id = if n % 10 == 0 { SandboxId::generate() } else { sandbox.id };
        let payload = serde_json::json!({ "n": n });
        told.spawn(async move { writer.append(NewEvent { sandbox_id, at, payload }).await });
    }
    let ids: Vec<_> = told.join_all().await.into_iter().filter_map(Result::ok).collect();
    assert_eq!(ids.len(), TOLD - TOLD / 10);
    let listed =
        event_list(&mut store.read().await.unwrap(), &of(sandbox.id), EventPage::After(0), 500)
            .await
            .unwrap();
    assert_eq!(listed.len(), ids.len());
    assert!(ids.iter().all(|id| listed.iter().any(|event| event.id == id.id)));
    assert!(store.commit_times().count - before < 20, "a commit holds many");
    leaving.cancel();
    writing.join_all().await;
    let (sandbox_id, at) = (sandbox.id, sandbox.created_at);
    let late = NewEvent { sandbox_id, at, payload: serde_json::json!({}) };
    writer.append(late).await.expect_err("nobody writes any more");
}
