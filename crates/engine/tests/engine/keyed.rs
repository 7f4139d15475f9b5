//! Requests with a key: which is the first, and what the others are told.

use std::time::Duration;

use sandbar_engine::{Engine, KeyGuard, Keyed, KeyedRequest};
use sandbar_types::{Sha256, TenantId};
use serde_json::{Value, json};

use crate::support::House;

fn request(principal: &str, body: u8) -> KeyedRequest {
    KeyedRequest {
        tenant: TenantId::DEFAULT,
        principal: principal.to_owned(),
        route: "POST /v1/users".to_owned(),
        key: "k".to_owned(),
        request_hash: Sha256([body; 32]),
    }
}

async fn first(engine: &Engine, principal: &str, body: u8) -> KeyGuard {
    match engine.keyed_begin(request(principal, body)).await.unwrap() {
        Keyed::First(guard) => guard,
        Keyed::Again(answer) => panic!("it was answered before: {answer}"),
    }
}

async fn again(engine: &Engine, body: u8) -> Value {
    match engine.keyed_begin(request("us_1", body)).await.unwrap() {
        Keyed::Again(answer) => answer,
        Keyed::First(guard) => panic!("it was not answered before: {guard:?}"),
    }
}

async fn refusal(engine: &Engine, body: u8) -> String {
    engine.keyed_begin(request("us_1", body)).await.unwrap_err().code().to_owned()
}

#[tokio::test]
async fn b3_of_two_requests_at_once_the_second_is_told_to_come_back() {
    let house = House::new();
    let engine = house.engine().await;
    let guard = first(&engine, "us_1", 1).await;
    let refused = engine.keyed_begin(request("us_1", 1)).await.unwrap_err();
    assert_eq!(refused.code(), "idempotency_in_progress");
    assert_eq!(refused.details_value(), Some(&json!({ "retry_after_s": 1 })));
    assert_eq!(refusal(&engine, 2).await, "idempotency_in_progress");
    // Somebody else's key is another one.
    drop(first(&engine, "us_2", 1).await);
    // It was refused, or its task ended: whoever comes next is the first.
    drop(guard);
    let guard = first(&engine, "us_1", 2).await;
    guard.remember(json!({ "done": 2 })).await.unwrap();
    assert_eq!(again(&engine, 2).await, json!({ "done": 2 }));
    assert_eq!(refusal(&engine, 1).await, "idempotency_key_reused");
    drop(first(&engine, "us_2", 1).await);
    engine.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn v11_an_answer_outlives_the_server_and_not_its_day() {
    let house = House::new();
    let engine = house.engine().await;
    first(&engine, "us_1", 1).await.remember(json!("text with nul \0")).await.unwrap();
    engine.drain(Duration::from_secs(5)).await;
    drop(engine);
    let engine = house.engine().await;
    assert_eq!(again(&engine, 1).await, json!("text with nul \0"));
    assert_eq!(engine.idempotency_replay_count().await.unwrap(), 1);
    house.clock.advance(Duration::from_hours(24));
    drop(first(&engine, "us_1", 2).await);
    engine.drain(Duration::from_secs(5)).await;
}
