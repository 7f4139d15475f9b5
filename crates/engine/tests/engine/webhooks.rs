//! A webhook that nobody takes anything from is given up, and told of. The endpoint is not there, the clock is set.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sandbar_engine::{
    Courier, Engine, EventFilter, EventOrder, EventPayload, WebhookAnswer, WebhookCreateParams,
    WebhookMessage,
};
use sandbar_types::{EventType, TenantId};

use crate::support::{House, create, eventually};

/// Fails, and counts.
#[derive(Debug, Default)]
struct Broken(AtomicUsize);

#[async_trait::async_trait]
impl Courier for Broken {
    fn check(&self, _url: &str) -> Result<(), String> {
        Ok(())
    }

    async fn send(&self, _message: WebhookMessage) -> Result<WebhookAnswer, String> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(WebhookAnswer { status: 503, body: String::new() })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_125_a_webhook_that_fails_for_three_days_is_disabled_and_told_of() {
    let house = House::new();
    let broken = Arc::new(Broken::default());
    let mut config = house.config();
    config.courier = Arc::<Broken>::clone(&broken);
    let engine = Engine::start(config).await.unwrap();
    let params = WebhookCreateParams {
        url: "https://hook.example/".to_owned(),
        description: String::new(),
        event_types: vec![EventType::Created],
        app: None,
        is_active: true,
    };
    let made = engine.webhook_create(TenantId::DEFAULT, params).await.unwrap();
    let id = made.webhook.id;
    create(&engine, house.spec()).await.unwrap();
    let mut tried = 0;
    let is_active = async || engine.webhook_fetch(TenantId::DEFAULT, id).await.unwrap().is_active;
    // The longest wait is seven hours and some.
    for _ in 0..40 {
        tried += 1;
        eventually("it is tried", async || {
            broken.0.load(Ordering::SeqCst) >= tried || !is_active().await
        })
        .await;
        eventually("that is recorded", async || {
            let hook = engine.webhook_fetch(TenantId::DEFAULT, id).await.unwrap();
            !hook.is_active || hook.next_attempt_at.is_some_and(|at| at > engine.now())
        })
        .await;
        if !is_active().await {
            break;
        }
        house.clock.advance(Duration::from_hours(8));
    }
    assert!(!is_active().await);
    assert_eq!(broken.0.load(Ordering::SeqCst), 10);
    let filter = EventFilter {
        tenant: TenantId::DEFAULT,
        app: None,
        sandbox: None,
        types: vec![EventType::WebhookDisabled],
    };
    let told = engine.event_list(&filter, EventOrder::OldestFirst(0), 10).await.unwrap();
    assert!(matches!(&told[..], [event] if matches!(
        &event.payload, EventPayload::WebhookDisabled { webhook_id, .. } if *webhook_id == id
    )));
    engine.drain(Duration::from_secs(5)).await;
}
