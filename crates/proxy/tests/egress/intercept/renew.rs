//! Values that end: a request waits for the next one, an upstream's refusal leads to it, and nobody inside asks for it.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use sandbar_proxy::egress::{Credential, CredentialRenewer, CredentialSet, Renewal, Target};
use tokio::{io::AsyncWriteExt as _, sync::watch};

use super::world::{
    Certificate, Upstream, World, answer, bearer, credential, head, remembering, rule,
};

const NEW: &str = "sk-next-7Hq2bXv0Kd3Lm9";

/// Has one new value, for the first who asks; the others find it there.
#[derive(Debug)]
struct Renewing {
    credentials: watch::Sender<Arc<CredentialSet>>,
    next: Option<Credential>,
    asked: AtomicUsize,
    seen: Mutex<Vec<String>>,
}

#[async_trait]
impl CredentialRenewer for Renewing {
    async fn renew(&self, credential: &str, seen: &str) -> bool {
        assert_eq!(credential, "model");
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.seen.lock().unwrap().push(seen.to_owned());
        // What is told is told by another task, a little later.
        tokio::task::yield_now().await;
        let Some(next) = self.next.clone() else { return false };
        self.credentials.send_replace(Arc::new(CredentialSet::new(vec![next])));
        true
    }
}

/// A world whose credential ends in `left` seconds, with what renews it.
async fn world(
    upstream: Upstream,
    left: i64,
    next: impl FnOnce(Credential) -> Option<Credential>,
) -> (World, Arc<Renewing>) {
    let port = upstream.address().port();
    let expires_at = Timestamp::now().checked_add(SignedDuration::from_secs(left)).ok();
    let endpoint = Target { host: super::world::HOST.parse().unwrap(), port };
    let renewal = Renewal { endpoint, path: "/oauth/token".to_owned(), expires_at };
    let old = Credential {
        renewal: Some(renewal.clone()),
        ..credential(vec![rule(port, "/v1", bearer())])
    };
    let later = Timestamp::now().checked_add(SignedDuration::from_hours(1)).ok();
    let new = Credential {
        secret: Some(NEW.to_owned().into()),
        renewal: Some(Renewal { expires_at: later, ..renewal }),
        ..old.clone()
    };
    let credentials = watch::Sender::new(Arc::new(CredentialSet::new(vec![old])));
    let renewing = Arc::new(Renewing {
        credentials: credentials.clone(),
        next: next(new),
        asked: AtomicUsize::default(),
        seen: Mutex::default(),
    });
    let renewer = Arc::clone(&renewing) as Arc<dyn CredentialRenewer>;
    (World::renewing(upstream, credentials, Some(renewer)).await, renewing)
}

#[tokio::test]
async fn a_value_that_ended_is_renewed_before_it_is_put_in() {
    for left in [-5, 30] {
        let (upstream, heads) = remembering().await;
        let (world, renewing) = world(upstream, left, Some).await;
        assert!(world.fetch("/v1/x", "").await.ends_with("fine"));
        assert!(heads.lock().unwrap()[0].contains(&format!("Bearer {NEW}\r\n")));
        assert!(world.fetch("/v1/y", "").await.ends_with("fine"));
        assert_eq!(renewing.asked.load(Ordering::SeqCst), 1);
        assert_eq!(*renewing.seen.lock().unwrap(), [super::world::SECRET]);
        // Who gets nothing waits for nothing.
        assert!(world.fetch("/other", "").await.ends_with("fine"));
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_renewed_is_used_until_it_has_ended_and_never_after() {
    let (upstream, heads) = remembering().await;
    let (ended, _) = world(upstream, -1, |_| None).await;
    let said = ended.fetch("/v1/x", "").await;
    assert!(said.starts_with("HTTP/1.1 401 ") && said.contains("credential_expired"), "{said}");
    assert!(heads.lock().unwrap().is_empty());
    let (upstream, heads) = remembering().await;
    let (world, _) = world(upstream, 60, |_| None).await;
    assert!(world.fetch("/v1/x", "").await.ends_with("fine"));
    assert!(heads.lock().unwrap()[0].contains(super::world::SECRET));
}

#[tokio::test]
async fn a_value_that_an_upstream_refuses_is_renewed_and_the_program_is_to_ask_again() {
    let upstream = Upstream::new(Certificate::Good, |mut stream| async move {
        let head = head(&mut stream).await;
        if head.contains(NEW) {
            answer(&mut stream, "", b"fine").await;
        } else {
            let refused = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno";
            drop(stream.write_all(refused).await);
            drop(stream.flush().await);
        }
    })
    .await;
    let (world, renewing) = world(upstream, 3600, Some).await;
    let said = world.fetch("/v1/x", "").await;
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("x-should-retry: true"), "{said}");
    assert!(world.fetch("/v1/x", "").await.ends_with("fine"));
    assert_eq!(renewing.asked.load(Ordering::SeqCst), 1);
    // What got no credential of ours is refused as the upstream does it.
    assert!(world.fetch("/other", "").await.starts_with("HTTP/1.1 401 "));
}

#[tokio::test]
async fn the_token_endpoint_is_the_servers_alone() {
    let (upstream, heads) = remembering().await;
    let (world, _) = world(upstream, 3600, Some).await;
    let target = world.target();
    let said = world
        .ask(&format!(
            "POST /oauth/token HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}"
        ))
        .await;
    assert!(said.starts_with("HTTP/1.1 403 ") && said.contains("renewed_by_server"), "{said}");
    assert!(heads.lock().unwrap().is_empty());
}
