use std::time::Duration;

use sandbar_engine::{ErrorKind, IdempotencyKey, SandboxCreated};
use sandbar_types::{SandboxId, Sha256, TenantId, WorkspacePath};

use crate::support::{House, create, params};

fn reserve(path: &str) -> Vec<WorkspacePath> {
    vec![WorkspacePath::parse(path).unwrap()]
}

#[tokio::test(flavor = "multi_thread")]
async fn b1_two_parallel_overlapping_creates_one_wins() {
    let house = House::new();
    let engine = house.engine().await;
    let (mut whole, mut part) = (house.spec(), house.spec());
    whole.reserve_all = true;
    part.reserve = reserve("src/app");
    let (one, other) = tokio::join!(create(&engine, whole), create(&engine, part));
    let (winner, loser) = match (one, other) {
        (Ok(winner), Err(loser)) | (Err(loser), Ok(winner)) => (winner, loser),
        both => panic!("{both:?}"),
    };
    assert_eq!((loser.kind(), loser.code()), (ErrorKind::Conflict, "reservation_conflict"));
    let details = loser.details_value().unwrap();
    assert_eq!(details["holder"], winner.id.to_string());
    assert!(details["kind"] == "contains" || details["kind"] == "inside", "{details}");
    assert_eq!(engine.sandbox_list(TenantId::DEFAULT).len(), 1);
    engine.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_reservation_ends_with_its_sandbox() {
    let house = House::new();
    let engine = house.engine().await;
    let mut spec = house.spec();
    spec.reserve = reserve("src");
    let first = create(&engine, spec.clone()).await.unwrap();
    assert!(create(&engine, spec.clone()).await.is_err());
    create(&engine, house.spec()).await.expect("without a reservation any number share a source");
    engine.sandbox_delete(first.id).await.unwrap();
    create(&engine, spec).await.unwrap();
    engine.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn b11_underscore_and_percent_do_not_overlap() {
    let house = House::new();
    let engine = house.engine().await;
    for path in ["a_b", "aXb", "100%", "100 and more", "x", "xy"] {
        let mut spec = house.spec();
        spec.reserve = reserve(path);
        create(&engine, spec).await.unwrap_or_else(|err| panic!("{path}: {err}"));
    }
    engine.drain(Duration::from_secs(5)).await;
}

fn key(request: u8) -> Option<IdempotencyKey> {
    Some(IdempotencyKey {
        principal: "instance".to_owned(),
        key: "k".to_owned(),
        request_hash: Sha256([request; 32]),
    })
}

async fn create_with(
    engine: &sandbar_engine::Engine,
    house: &House,
    request: u8,
) -> sandbar_engine::Result<SandboxCreated> {
    let mut params = params(house.spec());
    params.idempotency = key(request);
    engine.sandbox_create(params).await
}

fn id(created: SandboxCreated) -> SandboxId {
    match created {
        SandboxCreated::New(sandbox) | SandboxCreated::Replayed(sandbox) => sandbox.id,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b3_a_key_means_one_request_and_one_sandbox() {
    let house = House::new();
    let engine = house.engine().await;
    let (one, other) =
        tokio::join!(create_with(&engine, &house, 1), create_with(&engine, &house, 1));
    let (one, other) = (id(one.unwrap()), id(other.unwrap()));
    assert_eq!(one, other);
    assert!(matches!(create_with(&engine, &house, 1).await.unwrap(), SandboxCreated::Replayed(_)));
    assert_eq!(create_with(&engine, &house, 2).await.unwrap_err().code(), "idempotency_key_reused");
    engine.sandbox_delete(one).await.unwrap();
    let gone = create_with(&engine, &house, 1).await.unwrap_err();
    assert_eq!(gone.code(), "idempotency_key_reused", "a deleted sandbox was returned");
    assert!(engine.sandbox_list(TenantId::DEFAULT).is_empty());
    engine.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn v11_keys_expire_and_replays_are_counted() {
    let house = House::new();
    let engine = house.engine().await;
    let first = id(create_with(&engine, &house, 1).await.unwrap());
    for _ in 0..2 {
        assert_eq!(id(create_with(&engine, &house, 1).await.unwrap()), first);
    }
    assert_eq!(engine.idempotency_replay_count().await.unwrap(), 2);
    house.clock.advance(Duration::from_hours(24 * 8));
    let second = create_with(&engine, &house, 2).await.unwrap();
    assert!(matches!(second, SandboxCreated::New(_)), "an expired key still means its old request");
    assert_ne!(id(second), first);
    engine.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_create_that_failed_frees_its_name_its_key_and_its_reservation() {
    let house = House::new();
    let engine = house.engine().await;
    house.host.fail(sandbar_runtime::fake::Fault::LaunchFails);
    let attempt = || {
        let mut params = params(house.spec());
        params.spec.name = Some("shop".parse().unwrap());
        params.spec.reserve_all = true;
        params.idempotency = key(1);
        engine.sandbox_create(params)
    };
    assert_eq!(attempt().await.unwrap_err().code(), "launch_failed");
    assert!(engine.sandbox_list(TenantId::DEFAULT).is_empty());
    assert!(matches!(attempt().await.unwrap(), SandboxCreated::New(_)));
    engine.drain(Duration::from_secs(5)).await;
}
