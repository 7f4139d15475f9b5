//! Events reach an endpoint, signed, in order and at least once; one that is slow or gone delays nobody else.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{Method, StatusCode};
use http_body_util::Full;
use sandbar_api::ErrorCode;
use sandbar_runtime::fake::Fake;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
    time,
};

use crate::server::{Answer, TestServer, request};

const DEADLINE: Duration = Duration::from_secs(20);

/// What an endpoint was sent.
#[derive(Debug, Clone)]
struct Received {
    head: String,
    body: String,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }

    /// Computed from the specification alone.
    fn is_signed_with(&self, secret: &str) -> bool {
        let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        let (id, at) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        mac.update(format!("{id}.{at}.{}", self.body).as_bytes());
        let expected = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
        self.header("webhook-signature").split(' ').any(|signature| signature == expected)
    }
}

/// An endpoint that answers with `statuses`, and with 204 from then on; 0 is no answer.
struct Endpoint {
    url: String,
    received: Arc<Mutex<Vec<Received>>>,
    _tasks: JoinSet<()>,
}

impl Endpoint {
    async fn open(statuses: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let (kept, mut statuses) = (Arc::clone(&received), VecDeque::from(statuses.to_vec()));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut silent = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = Vec::new();
                let (head, body) = loop {
                    stream.read_buf(&mut bytes).await.unwrap();
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
                    if body.len() == length.unwrap().parse::<usize>().unwrap() {
                        break (head.to_owned(), body.to_owned());
                    }
                };
                kept.lock().unwrap().push(Received { head, body });
                let status = statuses.pop_front().unwrap_or(204);
                if status == 0 {
                    silent.push(stream);
                    continue;
                }
                let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.ok();
            }
        });
        Self { url, received, _tasks: tasks }
    }

    /// Waits until it was sent so many messages.
    async fn has(&self, count: usize) -> Vec<Received> {
        let deadline = time::Instant::now() + DEADLINE;
        loop {
            let received = self.received.lock().unwrap().clone();
            if received.len() >= count {
                return received;
            }
            assert!(time::Instant::now() < deadline, "{count} of {received:?}");
            time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn hook(server: &TestServer, endpoint: &Endpoint) -> (String, String) {
    let body = json!({ "url": endpoint.url, "event_types": ["created"] }).to_string();
    let made = server.post("/v1/webhooks", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let made = made.json();
    (text(&made["webhook"]["id"]), text(&made["secret"]))
}

async fn sandbox(server: &TestServer, name: &str) -> String {
    let body = json!({ "source": { "kind": "empty" }, "name": name }).to_string();
    let made = server.post("/v1/sandboxes", body).await;
    made.json()["id"].as_str().unwrap().to_owned()
}

fn about(received: &Received) -> Value {
    let body: Value = serde_json::from_str(&received.body).unwrap();
    assert_eq!(body["type"], "created");
    body["sandbox_id"].clone()
}

async fn send(server: &TestServer, method: Method, path: &str, etag: &str, body: Value) -> Answer {
    let ask = request(method, path).header("content-type", "application/json");
    let ask = ask.header("if-match", etag).body(Full::from(body.to_string()));
    server.ask(ask.unwrap()).await
}

#[tokio::test]
async fn case_125_messages_are_signed_and_a_rotated_secret_signs_beside_the_new_one() {
    let server = TestServer::start_on(Arc::new(Fake::new())).await;
    let endpoint = Endpoint::open(&[]).await;
    let (id, secret) = hook(&server, &endpoint).await;
    let one = sandbox(&server, "one").await;
    let received = endpoint.has(1).await;
    assert_eq!(about(&received[0]), one);
    assert!(received[0].is_signed_with(&secret));
    let path = format!("/v1/webhooks/{id}/rotate");
    let renewed = server.post(&path, "").await.json()["secret"].as_str().unwrap().to_owned();
    let tested = server.post(&format!("/v1/webhooks/{id}/test"), "").await.json();
    assert_eq!((&tested["status"], &tested["is_delivered"]), (&json!(204), &json!(true)));
    let received = endpoint.has(2).await;
    assert!(received[1].is_signed_with(&secret) && received[1].is_signed_with(&renewed));
    assert!(!received[0].is_signed_with(&renewed));
    let shown = server.get(&format!("/v1/webhooks/{id}")).await;
    let list = server.get("/v1/webhooks").await;
    for answer in [shown, list] {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains("whsec_") && text.contains(&id), "{text}");
    }
    server.stop().await;
}

#[tokio::test]
async fn case_125_what_was_not_taken_is_sent_again_also_by_the_next_server() {
    let fake = Arc::new(Fake::new());
    let server = TestServer::start_on(Arc::<Fake>::clone(&fake)).await;
    let endpoint = Endpoint::open(&[500]).await;
    let (id, _) = hook(&server, &endpoint).await;
    let one = sandbox(&server, "one").await;
    endpoint.has(1).await;
    let two = sandbox(&server, "two").await;
    let server = server.restart_on(fake).await;
    let received = endpoint.has(3).await;
    let order: Vec<_> = received.iter().map(about).collect();
    assert_eq!(order, [one.clone(), one, two]);
    assert_eq!(received[0].header("webhook-id"), received[1].header("webhook-id"));
    let path = format!("/v1/webhooks/{id}/deliveries");
    let deadline = time::Instant::now() + DEADLINE;
    let lines = loop {
        let lines = server.get(&path).await.json()["items"].as_array().unwrap().clone();
        if lines.len() >= 3 {
            break lines;
        }
        assert!(time::Instant::now() < deadline, "{lines:?}");
        time::sleep(Duration::from_millis(10)).await;
    };
    let seen: Vec<_> = lines.iter().map(|l| (l["status"].clone(), l["attempt"].clone())).collect();
    assert_eq!(seen, [(json!(204), json!(1)), (json!(204), json!(2)), (json!(500), json!(1))]);
    server.stop().await;
}

#[tokio::test]
async fn case_125_an_endpoint_that_does_not_answer_delays_no_other() {
    let server = TestServer::start_on(Arc::new(Fake::new())).await;
    let (slow, quick) = (Endpoint::open(&[0, 0]).await, Endpoint::open(&[]).await);
    hook(&server, &slow).await;
    hook(&server, &quick).await;
    let one = sandbox(&server, "one").await;
    slow.has(1).await;
    let two = sandbox(&server, "two").await;
    let order: Vec<_> = quick.has(2).await.iter().map(about).collect();
    assert_eq!(order, [one, two]);
    // The one that is slow has not given up yet.
    assert_eq!(slow.has(1).await.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_webhook_is_changed_by_who_saw_it_last() {
    let server = TestServer::start_on(Arc::new(Fake::new())).await;
    let endpoint = Endpoint::open(&[]).await;
    let (id, _) = hook(&server, &endpoint).await;
    let path = format!("/v1/webhooks/{id}");
    let etag = server.get(&path).await.headers["etag"].to_str().unwrap().to_owned();
    let off = send(&server, Method::PATCH, &path, &etag, json!({ "is_active": false })).await;
    assert_eq!((off.status, &off.json()["is_active"]), (StatusCode::OK, &json!(false)));
    let late = send(&server, Method::PATCH, &path, &etag, json!({ "description": "x" })).await;
    assert_eq!(late.problem().code, ErrorCode::StaleGeneration);
    // What happens meanwhile is not lost: it is sent when somebody turns it on again.
    let one = sandbox(&server, "one").await;
    let now = off.headers["etag"].to_str().unwrap();
    send(&server, Method::PATCH, &path, now, json!({ "is_active": true })).await;
    assert_eq!(about(&endpoint.has(1).await[0]), one);
    for url in
        ["http://10.0.0.1/", "https://169.254.169.254/", "https://[::1]/", "file:///etc", "x"]
    {
        let refused = server.post("/v1/webhooks", json!({ "url": url }).to_string()).await;
        assert_eq!(refused.problem().code, ErrorCode::WebhookUrlRefused, "{url}");
    }
    let gone = send(&server, Method::DELETE, &path, "*", json!({})).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(server.get(&path).await.problem().code, ErrorCode::WebhookNotFound);
    server.stop().await;
}
