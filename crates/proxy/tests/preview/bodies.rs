//! Bodies of every size and pace.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{
    body::{Body, Frame, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
    task::JoinSet,
};

use crate::{
    apps::{AppBody, accepting, app, full, mirror, read_head, saying},
    world::{World, eventually},
};

/// A body that is fed piece by piece.
struct Fed(mpsc::Receiver<Bytes>);

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

fn fed() -> (mpsc::Sender<Bytes>, AppBody) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Fed(receiver).boxed())
}

async fn sha_of(mut body: Incoming) -> (usize, Vec<u8>) {
    use sha2::Digest as _;
    let (mut length, mut sha) = (0, sha2::Sha256::new());
    while let Some(frame) = body.frame().await {
        let chunk = frame.unwrap().into_data().unwrap_or_default();
        length += chunk.len();
        sha.update(&chunk);
    }
    (length, sha.finalize().to_vec())
}

#[tokio::test]
async fn large_bodies_pass_whole_both_ways() {
    const BYTES: usize = 40 << 20;
    let app = app(async |request: Request<Incoming>| {
        let (length, sha) = sha_of(request.into_body()).await;
        let mut answer = vec![b'x'; length];
        answer[..sha.len()].copy_from_slice(&sha);
        Response::new(full(answer))
    })
    .await;
    let world = World::with_app(app.address).await;
    let sent = vec![b'y'; BYTES];
    let sha = {
        use sha2::Digest as _;
        sha2::Sha256::digest(&sent).to_vec()
    };
    let request = world.request(Method::POST, "/").body(Full::from(sent)).unwrap();
    let answer = world.ask(request).await;
    assert_eq!((answer.body.len(), &answer.body[..32]), (BYTES, &*sha));
    assert_eq!(answer.headers["content-length"], BYTES.to_string());
    world.stop().await;
}

#[tokio::test]
async fn each_event_arrives_before_the_next_is_written() {
    let (feed, body) = fed();
    let body = std::sync::Mutex::new(Some(body));
    let app = app(move |_| {
        let body = body.lock().unwrap().take().unwrap();
        async move {
            Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
        }
    })
    .await;
    let world = World::with_app(app.address).await;
    let mut client = world.client().await;
    let request = world.request(Method::GET, "/events").body(Full::default()).unwrap();
    let mut answer = client.sender.send_request(request).await.unwrap().into_body();
    for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
        feed.send(event.into()).await.unwrap();
        let frame = answer.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), event);
        assert!(world.is_active("shop"));
    }
    drop((answer, client));
    eventually(|| !world.is_active("shop")).await;
    // The app learns that nobody listens any more.
    while feed.send("more".into()).await.is_ok() {
        tokio::task::yield_now().await;
    }
    world.stop().await;
}

#[tokio::test]
async fn an_app_is_not_read_faster_than_its_client_reads() {
    static WRITTEN: AtomicUsize = AtomicUsize::new(0);
    let app = accepting(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let chunk = vec![0; 64 << 10];
        while let Ok(wrote) = stream.write(&chunk).await {
            WRITTEN.fetch_add(wrote, Ordering::Relaxed);
        }
    })
    .await;
    let world = World::with_app(app.address).await;
    let mut client = world.connect().await;
    let head = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", world.host("shop"));
    client.write_all(head.as_bytes()).await.unwrap();
    client.readable().await.unwrap();
    // What is written settles at what sockets hold: megabytes, not all that the app has.
    let mut before = usize::MAX;
    let settled = async {
        while before != WRITTEN.load(Ordering::Relaxed) {
            before = WRITTEN.load(Ordering::Relaxed);
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(crate::world::DEADLINE, settled).await.unwrap();
    assert!(before < 64 << 20, "{before}");
    world.stop().await;
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let app = app(async |request: Request<Incoming>| {
        let said = request.into_body().collect().await.unwrap();
        let sum = said.trailers().unwrap()["x-sum"].clone();
        let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), sum)]);
        // Of unknown length, or it would not be sent in chunks.
        let frames = [Ok(Frame::data("hello".into())), Ok(Frame::trailers(trailers))];
        let body = BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames)));
        Response::builder().header("trailer", "x-sum").body(body).unwrap()
    })
    .await;
    let world = World::with_app(app.address).await;
    let answer = world
        .raw(&format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nTE: trailers\r\nConnection: close, te\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 42\r\n\r\n",
            world.host("shop")
        ))
        .await;
    assert!(answer.ends_with("0\r\nx-sum: 42\r\n\r\n"), "{answer}");
    world.stop().await;
}

#[tokio::test]
async fn a_head_request_and_a_range_pass_as_they_are() {
    let app = app(async |request: Request<Incoming>| {
        let range = request.headers().get("range").map(|range| range.to_str().unwrap().to_owned());
        match range.as_deref() {
            Some("bytes=1-2") => Response::builder()
                .status(StatusCode::PARTIAL_CONTENT)
                .header("content-range", "bytes 1-2/5")
                .body(full("el"))
                .unwrap(),
            _ => Response::new(full("hello")),
        }
    })
    .await;
    let world = World::with_app(app.address).await;
    let mut client = world.client().await;
    let head = world.request(Method::HEAD, "/").body(Full::default()).unwrap();
    let answer = client.ask(head).await;
    assert_eq!((answer.headers["content-length"].as_bytes(), answer.body.len()), (&b"5"[..], 0));
    let range = world.request(Method::GET, "/").header("range", "bytes=1-2");
    let answer = client.ask(range.body(Full::default()).unwrap()).await;
    assert_eq!((answer.status, answer.text()), (StatusCode::PARTIAL_CONTENT, "el"));
    assert_eq!(answer.headers["content-range"], "bytes 1-2/5");
    world.stop().await;
}

#[tokio::test]
async fn a_client_keeps_one_connection_to_its_app_and_shares_it_with_nobody() {
    static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
    let app = accepting(|mut stream| async move {
        CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        while read_head(&mut stream).await.ends_with("\r\n\r\n") {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        }
    })
    .await;
    let world = World::with_app(app.address).await;
    let (mut one, mut other) = (world.client().await, world.client().await);
    for _ in 0..5 {
        for client in [&mut one, &mut other] {
            let request = world.request(Method::GET, "/").body(Full::default()).unwrap();
            assert_eq!(client.ask(request).await.text(), "ok");
        }
    }
    assert_eq!(CONNECTIONS.load(Ordering::Relaxed), 2);
    world.stop().await;
}

#[tokio::test]
async fn an_app_that_closes_its_connection_is_asked_on_another() {
    let app = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let world = World::with_app(app.address).await;
    let mut client = world.client().await;
    for method in [Method::GET, Method::DELETE, Method::GET, Method::GET] {
        let request = world.request(method, "/").body(Full::default()).unwrap();
        assert_eq!(client.ask(request).await.text(), "ok");
    }
    world.stop().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_taken_for_a_whole_one() {
    for (said, status) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi"[..], Some(200)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", Some(200)),
        (b"HTTP/1.1 200", None),
        (b"", None),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", None),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", None),
    ] {
        let app = saying(said).await;
        let world = World::with_app(app.address).await;
        let mut client = world.client().await;
        let request = world.request(Method::GET, "/").body(Full::default()).unwrap();
        let answer = client.sender.send_request(request).await;
        match status {
            // Broken off before or after its head has gone out.
            Some(status) => {
                if let Ok(answer) = answer {
                    assert_eq!(answer.status(), status);
                    assert!(answer.into_body().collect().await.is_err());
                }
            }
            None => {
                let answer = answer.unwrap();
                assert_eq!(answer.status(), StatusCode::BAD_GATEWAY, "{}", said.escape_ascii());
                let body = answer.into_body().collect().await.unwrap().to_bytes();
                assert!(body.escape_ascii().to_string().contains("preview_app_error"));
            }
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn a_body_is_asked_for_when_the_app_wants_it_and_not_before() {
    for wants in [true, false] {
        let app = accepting(move |mut stream| async move {
            let head = read_head(&mut stream).await;
            assert!(head.contains("expect: 100-continue") && head.ends_with("\r\n\r\n"), "{head}");
            if wants {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
                let mut body = [0; 5];
                stream.read_exact(&mut body).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").await.unwrap();
                stream.write_all(&body).await.unwrap();
            } else {
                stream
                    .write_all(b"HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno")
                    .await
                    .unwrap();
                // Nothing of the body ever comes: the connection is closed when the answer is through.
                assert_eq!(stream.read(&mut [0; 5]).await.unwrap(), 0);
            }
        })
        .await;
        let world = World::with_app(app.address).await;
        let mut stream = world.connect().await;
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
            world.host("shop")
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = read_head(&mut stream).await;
        if wants {
            assert!(answer.starts_with("HTTP/1.1 100 Continue"), "{answer}");
            stream.write_all(b"hello").await.unwrap();
            let answer = read_head(&mut stream).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        } else {
            assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn an_answer_may_come_while_the_request_is_still_sent() {
    let app = app(async |request: Request<Incoming>| {
        Response::new(request.into_body().map_err(|_| unreachable!()).boxed())
    })
    .await;
    let world = World::with_app(app.address).await;
    let (sender, connection) =
        http1::handshake::<_, AppBody>(TokioIo::new(world.connect().await)).await.unwrap();
    let mut sender = sender;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { connection.await.unwrap() });
    let (feed, body) = fed();
    feed.send("0".into()).await.unwrap();
    let request = world.request(Method::POST, "/echo").body(body).unwrap();
    let mut answer = sender.send_request(request).await.unwrap().into_body();
    assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), "0");
    for n in 1..20 {
        let said = n.to_string();
        feed.send(said.clone().into()).await.unwrap();
        assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), said);
    }
    drop(feed);
    assert!(answer.frame().await.is_none());
    world.stop().await;
}

#[tokio::test]
async fn many_requests_at_once_on_http2() {
    let app = mirror().await;
    let world = World::with_app(app.address).await;
    let io = TokioIo::new(world.connect().await);
    let (sender, connection) =
        http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), io).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { connection.await.unwrap() });
    let asking = (0..300).map(|n| {
        let mut sender = sender.clone();
        let uri = format!("{}/{n}", world.origin());
        async move {
            let request = Request::get(uri).header("cookie", "a=1").header("cookie", "b=2");
            let answer = sender.send_request(request.body(Full::default()).unwrap()).await.unwrap();
            let text = answer.into_body().collect().await.unwrap().to_bytes();
            let text = String::from_utf8(text.to_vec()).unwrap();
            assert!(text.starts_with(&format!("GET /{n}\n")), "{text}");
            assert!(
                text.contains("host: localhost:3000\n") && text.contains("cookie: a=1; b=2\n"),
                "{text}"
            );
        }
    });
    futures_util::stream::iter(asking).buffer_unordered(100).collect::<Vec<()>>().await;
    world.stop().await;
}
