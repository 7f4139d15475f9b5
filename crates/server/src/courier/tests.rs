//! What is reached, and what is not, over real sockets.

use std::sync::atomic::{AtomicUsize, Ordering};

use sandbar_proxy::egress::{HostName, ResolveError};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};

use super::*;
use crate::config::Text;

/// Answers with one address the first time, and with another one from then on.
#[derive(Debug)]
struct Fickle {
    first: IpAddr,
    then: IpAddr,
    asked: AtomicUsize,
}

impl Fickle {
    fn new(first: &str, then: &str) -> Arc<Self> {
        let ip = |text: &str| text.parse().unwrap();
        Arc::new(Self { first: ip(first), then: ip(then), asked: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Resolver for Fickle {
    async fn resolve(&self, _: &HostName) -> Result<Vec<Address>, ResolveError> {
        let is_first = self.asked.fetch_add(1, Ordering::SeqCst) == 0;
        let ip = if is_first { self.first } else { self.then };
        Ok(vec![Address { ip, is_this_host: false, is_pinned: false }])
    }
}

fn courier(private: &[&str], resolver: Arc<Fickle>) -> HttpCourier {
    let allow_private = private.iter().map(|text| Text(text.parse().unwrap())).collect();
    HttpCourier::with_resolver(Webhooks { allow_http: true, allow_private }, resolver)
}

fn message(url: &str) -> WebhookMessage {
    WebhookMessage {
        url: url.to_owned(),
        id: "evt_1".to_owned(),
        timestamp: 1,
        signature: "v1,x".to_owned(),
        body: "{}".to_owned(),
    }
}

/// Answers every connection with `answer`, and counts them.
async fn endpoint(answer: &'static str) -> (u16, Arc<AtomicUsize>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let mut head = [0; 1024];
            let _read = stream.read(&mut head).await;
            let _written = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, count, tasks)
}

#[tokio::test]
async fn case_125_what_is_not_public_is_refused_however_it_is_written() {
    let (port, count, _tasks) = endpoint("HTTP/1.1 200 OK\r\n\r\n").await;
    let courier = courier(&[], Fickle::new("127.0.0.1", "127.0.0.1"));
    for host in [
        "127.0.0.1",
        "10.0.0.5",
        "169.254.169.254",
        "192.168.1.1",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[fd00:ec2::254]",
    ] {
        let url = format!("http://{host}:{port}/");
        assert!(courier.check(&url).is_err(), "{host}");
        let refused = courier.send(message(&url)).await.unwrap_err();
        assert!(refused.contains("may not be reached"), "{host}: {refused}");
    }
    for odd in ["http://2130706433/", "http://127.1/", "http://a@b/", "ftp://a/", "/a", "http:///a"]
    {
        assert!(courier.check(odd).is_err(), "{odd}");
    }
    // A name says nothing when it is made; what it resolves to is refused when something is sent.
    let url = format!("http://hook.example:{port}/");
    assert_eq!(courier.check(&url), Ok(()));
    let refused = courier.send(message(&url)).await.unwrap_err();
    assert_eq!(refused, "it is at a loopback address, which may not be reached");
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn case_125_a_second_answer_of_the_name_server_changes_nothing() {
    let (port, count, _tasks) = endpoint("HTTP/1.1 204 No Content\r\n\r\n").await;
    let url = format!("http://hook.example:{port}/");
    // Decided about is what is connected to, and it is asked for once.
    let resolver = Fickle::new("127.0.0.1", "169.254.169.254");
    let allowed = courier(&["127.0.0.1/32"], Arc::clone(&resolver));
    assert_eq!(allowed.send(message(&url)).await.unwrap().status, 204);
    assert_eq!(resolver.asked.load(Ordering::SeqCst), 1);
    let refused = allowed.send(message(&url)).await.unwrap_err();
    assert!(refused.contains("metadata"), "{refused}");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn case_125_a_redirect_is_not_followed() {
    let (inner, reached, _inner) = endpoint("HTTP/1.1 200 OK\r\n\r\n").await;
    let answer = format!(
        "HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:{inner}/\r\nContent-Length: 0\r\n\r\n"
    );
    let (port, _count, _tasks) = endpoint(answer.leak()).await;
    let courier = courier(&["127.0.0.1"], Fickle::new("127.0.0.1", "127.0.0.1"));
    let answer = courier.send(message(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
    assert_eq!(answer.status, 307);
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_an_endpoint_answers_is_cut_and_obeyed_by_nothing() {
    let body = format!("\u{1b}[2J<b>\u{202e}{}", "x".repeat(100_000));
    let answer = format!("HTTP/1.1 500 No\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let (port, _count, _tasks) = endpoint(answer.leak()).await;
    let courier = courier(&["127.0.0.1"], Fickle::new("127.0.0.1", "127.0.0.1"));
    let answer = courier.send(message(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
    assert_eq!(answer.status, 500);
    assert!(answer.body.starts_with("\\u{1b}[2J<b>\\u{202e}xxx"), "{}", &answer.body[..40]);
    assert!(answer.body.len() < 5000);
}

#[tokio::test]
async fn http_is_taken_where_it_is_allowed_and_tls_is_never_given_up() {
    let plain = HttpCourier::with_resolver(Webhooks::default(), Fickle::new("::1", "::1"));
    assert!(plain.check("http://hook.example/").unwrap_err().contains("https"));
    assert_eq!(plain.check("https://hook.example/a?b=c"), Ok(()));
    let (port, _count, _tasks) = endpoint("HTTP/1.1 200 OK\r\n\r\n").await;
    let courier = courier(&["127.0.0.1"], Fickle::new("127.0.0.1", "127.0.0.1"));
    let refused = courier.send(message(&format!("https://127.0.0.1:{port}/"))).await.unwrap_err();
    assert!(refused.contains("secure") || refused.contains("certificates"), "{refused}");
}
