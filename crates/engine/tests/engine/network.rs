//! What a sandbox may reach, changed while it runs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use sandbar_engine::{
    Egress, EgressClosed, EgressDenied, EgressEntry, Engine, EngineConfig, Network, NetworkReader,
};
use sandbar_types::{
    EnvName, Generation, NetworkChange, NetworkEntryKind, NetworkMode, NetworkSpec, SandboxId,
};
use tokio::sync::mpsc;

use crate::support::{House, create, events, eventually};

/// A way out that serves nobody, and remembers by what rules it would.
#[derive(Debug, Default)]
pub(crate) struct Way {
    served: Mutex<Vec<(NetworkReader, mpsc::Sender<EgressEntry>)>>,
    refreshed: Mutex<Vec<NetworkSpec>>,
}

#[async_trait]
impl Network for Way {
    fn check(&self, spec: &NetworkSpec) -> Result<(), String> {
        match spec.allow.iter().chain(&spec.deny).find(|rule| rule.contains('/')) {
            Some(rule) => Err(format!("`{rule}` is no rule")),
            None => Ok(()),
        }
    }

    fn environment(&self) -> BTreeMap<EnvName, String> {
        BTreeMap::new()
    }

    async fn serve(&self, egress: Egress) {
        self.served.lock().unwrap().push((egress.rules, egress.told));
        std::future::pending::<()>().await;
    }

    async fn refresh(&self, _sandbox: SandboxId) {
        let rules = self.served.lock().unwrap().last().map(|(rules, _)| rules.now());
        self.refreshed.lock().unwrap().extend(rules);
    }
}

impl Way {
    /// Where it is told what happens in the sandbox that was served last.
    pub(crate) fn told(&self) -> Option<mpsc::Sender<EgressEntry>> {
        self.served.lock().unwrap().last().map(|(_, told)| told.clone())
    }
}

pub(crate) async fn engine(house: &House, way: &Arc<Way>) -> Engine {
    let network = Arc::clone(way) as Arc<dyn Network>;
    house.start(EngineConfig { network, ..house.config() }).await
}

fn rules(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn a_change_holds_when_it_is_answered_and_after_a_restart() {
    let (house, way) = (House::new(), Arc::<Way>::default());
    let first = engine(&house, &way).await;
    let sandbox = create(&first, house.spec()).await.unwrap();
    let id = sandbox.id;
    eventually("it is served", async || !way.served.lock().unwrap().is_empty()).await;
    let changed = first.network_allow(id, "a.example").await.unwrap();
    assert_eq!(changed.spec.network.allow, rules(&["a.example"]));
    // What serves it was told before the answer came, and reads what holds.
    assert_eq!(way.refreshed.lock().unwrap().last(), Some(&changed.spec.network));
    // The same again is no new generation.
    let again = first.network_allow(id, "a.example").await.unwrap();
    assert_eq!(again.generation, changed.generation);
    let wrong = NetworkChange {
        mode: Some(NetworkMode::Open),
        add_deny: rules(&["https://b.example/"]),
        ..NetworkChange::default()
    };
    let refused = first.network_change(id, None, wrong).await.unwrap_err();
    assert_eq!(refused.code(), "invalid_value");
    let many = NetworkChange {
        allow: Some((0..257).map(|n| format!("n{n}.example")).collect()),
        ..NetworkChange::default()
    };
    assert_eq!(first.network_change(id, None, many).await.unwrap_err().code(), "invalid_value");
    let late = NetworkChange::allowing("c.example");
    let refused = first.network_change(id, Some(Generation(0)), late.clone()).await.unwrap_err();
    assert_eq!(refused.code(), "stale_generation");
    assert_eq!(first.sandbox_fetch(id).unwrap().spec.network, changed.spec.network);
    first.network_change(id, Some(changed.generation), late).await.unwrap();
    first.drain(Duration::from_secs(5)).await;
    drop(first);
    let second = engine(&house, &way).await;
    let found = second.sandbox_fetch(id).unwrap().spec.network;
    assert_eq!(found.allow, rules(&["a.example", "c.example"]));
    second.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_happens_is_logged_and_a_refusal_is_told_to_who_follows() {
    let (house, way) = (House::new(), Arc::<Way>::default());
    let engine = engine(&house, &way).await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    let mut denials = engine.network_denials(id).unwrap();
    eventually("it is served", async || !way.served.lock().unwrap().is_empty()).await;
    let told = way.served.lock().unwrap()[0].1.clone();
    let denied = EgressDenied {
        host: "evil.example".to_owned(),
        port: 443,
        reason: "host_not_allowed".to_owned(),
    };
    let closed = EgressClosed {
        host: "ok.example".to_owned(),
        port: 443,
        rule: "*.example".to_owned(),
        sent_bytes: 1,
        received_bytes: 2,
        duration: Duration::from_millis(3),
        end: "done",
    };
    told.send(EgressEntry::Denied(denied.clone())).await.unwrap();
    told.send(EgressEntry::Closed(closed)).await.unwrap();
    let heard = tokio::time::timeout(Duration::from_secs(10), denials.next()).await.unwrap();
    assert_eq!(heard, denied);
    eventually("both are in the log", async || {
        engine.network_log(id, None, 10).await.unwrap().len() == 2
    })
    .await;
    let log = engine.network_log(id, None, 10).await.unwrap();
    assert_eq!(
        (log[0].id, log[0].what, &log[0].host[..]),
        (2, NetworkEntryKind::Closed, "ok.example")
    );
    assert_eq!(
        (log[0].sent_bytes, log[0].received_bytes, log[0].duration_ms),
        (Some(1), Some(2), Some(3))
    );
    assert_eq!(
        (log[1].what, log[1].reason.as_deref()),
        (NetworkEntryKind::Denied, Some("host_not_allowed"))
    );
    assert_eq!(engine.network_log(id, Some(2), 10).await.unwrap(), log[1..]);
    // What is told when the sandbox ends is written as well.
    let last = EgressDenied { host: "last.example".to_owned(), ..denied };
    told.send(EgressEntry::Denied(last)).await.unwrap();
    way.served.lock().unwrap().clear();
    drop(told);
    engine.sandbox_stop(id, None).await.unwrap();
    eventually("the last is there", async || {
        engine.network_log(id, None, 1).await.unwrap()[0].host == "last.example"
    })
    .await;
    eventually("it is in the history", async || {
        let history = events(&engine, id).await;
        history.iter().any(|event| format!("{event:?}").contains("evil.example"))
    })
    .await;
    engine.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_sandbox_without_a_network_is_served_once_it_has_one() {
    let (house, way) = (House::new(), Arc::<Way>::default());
    let engine = engine(&house, &way).await;
    let mut spec = house.spec();
    spec.network.mode = NetworkMode::None;
    let id = create(&engine, spec).await.unwrap().id;
    assert!(way.served.lock().unwrap().is_empty());
    let change = NetworkChange { mode: Some(NetworkMode::AllowList), ..NetworkChange::default() };
    engine.network_change(id, None, change).await.unwrap();
    eventually("it is served", async || !way.served.lock().unwrap().is_empty()).await;
    engine.drain(Duration::from_secs(5)).await;
}
