//! Bodies as streams: neither kept nor delayed.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};

use super::world::{Certificate, PLACEHOLDER, SECRET, Upstream, World, answer, head};
use crate::fixture::SOON;

#[tokio::test]
async fn an_event_of_a_stream_is_there_before_the_next_one_is_sent() {
    let upstream = Upstream::new(Certificate::Good, |mut stream| async move {
        head(&mut stream).await;
        let start = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {\"n\":1}\n\n";
        stream.write_all(start.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        // The next one never comes.
        drop(stream.read_u8().await);
    })
    .await;
    let world = World::new(upstream).await;
    let mut stream = world.connect().await;
    let request = format!("GET /v1 HTTP/1.1\r\nHost: {}\r\n\r\n", world.target());
    stream.write_all(request.as_bytes()).await.unwrap();
    head(&mut stream).await;
    let mut seen = Vec::new();
    timeout(SOON, async {
        while !seen.ends_with(b"data: {\"n\":1}\n\n\r\n") {
            seen.push(stream.read_u8().await.unwrap());
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn case_69_a_hundred_megabytes_pass_both_ways() {
    const BYTES: usize = 100 << 20;
    let upstream = Upstream::new(Certificate::Good, |mut stream| async move {
        let asked = head(&mut stream).await;
        assert!(asked.contains(SECRET));
        let mut rest = BYTES;
        let mut buffer = vec![0; 256 << 10];
        while rest > 0 {
            rest -= stream.read(&mut buffer).await.unwrap();
        }
        let start = format!("HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n");
        stream.write_all(start.as_bytes()).await.unwrap();
        let block = vec![b'x'; 1 << 20];
        for _ in 0..100 {
            stream.write_all(&block).await.unwrap();
        }
        stream.flush().await.unwrap();
        drop(stream.read_u8().await);
    })
    .await;
    let world = World::new(upstream).await;
    let stream = world.connect().await;
    let (mut reading, mut writing) = tokio::io::split(stream);
    let request =
        format!("POST /v1 HTTP/1.1\r\nHost: {}\r\nContent-Length: {BYTES}\r\n\r\n", world.target());
    let sent = async {
        writing.write_all(request.as_bytes()).await.unwrap();
        let block = vec![b'y'; 1 << 20];
        for _ in 0..100 {
            writing.write_all(&block).await.unwrap();
        }
        writing.flush().await.unwrap();
    };
    let received = async {
        let said = head(&mut reading).await;
        assert!(said.contains(&format!("content-length: {BYTES}\r\n")), "{said}");
        let mut rest = BYTES;
        let mut buffer = vec![0; 256 << 10];
        while rest > 0 {
            let read = reading.read(&mut buffer).await.unwrap();
            assert!(read > 0 && buffer[..read].iter().all(|byte| *byte == b'x'));
            rest -= read;
        }
    };
    timeout(Duration::from_mins(2), async { tokio::join!(sent, received) }).await.unwrap();
}

#[tokio::test]
async fn case_69_who_expects_to_be_told_to_go_on_is() {
    let upstream = Upstream::new(Certificate::Good, |mut stream| async move {
        let asked = head(&mut stream).await;
        assert!(!asked.to_lowercase().contains("expect:"), "{asked}");
        let mut body = [0; 5];
        stream.read_exact(&mut body).await.unwrap();
        answer(&mut stream, "", &body).await;
    })
    .await;
    let world = World::new(upstream).await;
    let mut stream = world.connect().await;
    let request = format!(
        "POST /v1 HTTP/1.1\r\nHost: {}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        world.target()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 100 "));
    stream.write_all(b"hello").await.unwrap();
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 200 "));
    let mut body = [0; 5];
    stream.read_exact(&mut body).await.unwrap();
    assert_eq!(&body, b"hello");
}

#[tokio::test]
async fn case_69_a_websocket_passes_and_does_not_say_the_value_back() {
    let upstream = Upstream::new(Certificate::Good, |stream| async move {
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Text(text) = message {
                let said = format!("{text} {SECRET}");
                socket.send(Message::text(said)).await.unwrap();
            }
        }
    })
    .await;
    let world = World::new(upstream).await;
    let stream = world.connect().await;
    let request = format!("wss://{}/v1/live", world.target()).into_client_request().unwrap();
    let (mut socket, _) =
        timeout(SOON, tokio_tungstenite::client_async(request, stream)).await.unwrap().unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    let said = timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(said.to_text().unwrap(), format!("hello {}", &PLACEHOLDER[..SECRET.len()]));
    assert_eq!(*world.told.injected.lock().unwrap(), ["model"]);
    assert_eq!(*world.told.echoed.lock().unwrap(), ["model"]);
}
