//! Upgrades: WebSocket, and anything else that an app agrees to.

use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, Response, StatusCode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream, accept_async, client_async,
    tungstenite::{Message, handshake::client::generate_key},
};

use crate::{
    apps::{App, accepting, app, full, read_head},
    world::{World, eventually},
};

async fn echo() -> App {
    accepting(|stream| async move {
        let Ok(mut socket) = accept_async(stream).await else { return };
        while let Some(Ok(message)) = socket.next().await {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    })
    .await
}

async fn open(world: &World) -> WebSocketStream<TcpStream> {
    let request = Request::get(format!("ws://{}/socket", world.host("shop")))
        .header("host", world.host("shop"))
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key())
        .header("origin", world.origin());
    client_async(request.body(()).unwrap(), world.connect().await).await.unwrap().0
}

#[tokio::test]
async fn a_web_socket_passes_every_message() {
    let app = echo().await;
    let world = World::with_app(app.address).await;
    let mut socket = open(&world).await;
    for message in [
        Message::text("hello"),
        Message::binary(vec![7; 3 << 20]),
        Message::text(""),
        Message::Ping("?".into()),
    ] {
        socket.send(message.clone()).await.unwrap();
        match (message, socket.next().await.unwrap().unwrap()) {
            (Message::Ping(asked), Message::Pong(answered)) => assert_eq!(asked, answered),
            (sent, received) => assert_eq!(sent, received),
        }
    }
    assert!(world.is_active("shop"));
    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}
    drop(socket);
    eventually(|| !world.is_active("shop")).await;
    world.stop().await;
}

#[tokio::test]
async fn what_is_sent_right_behind_the_head_gets_through() {
    let app = accepting(|mut stream| async move {
        let mut read = read_head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: mine\r\n\r\nearly")
            .await
            .unwrap();
        while !read.ends_with("behind") {
            let mut more = [0; 64];
            let got = stream.read(&mut more).await.unwrap();
            assert_ne!(got, 0, "{read}");
            read.push_str(std::str::from_utf8(&more[..got]).unwrap());
        }
        stream.write_all(b" got it").await.unwrap();
    })
    .await;
    let world = World::with_app(app.address).await;
    let answer = world
        .raw(&format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nConnection: upgrade\r\nUpgrade: mine\r\n\r\nbehind",
            world.host("shop")
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{answer}");
    assert!(answer.to_lowercase().contains("upgrade: mine\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nearly got it"), "{answer}");
    world.stop().await;
}

#[tokio::test]
async fn there_is_no_tunnel_when_the_app_declines() {
    let app = app(async |_| {
        Response::builder().status(StatusCode::UPGRADE_REQUIRED).body(full("no")).unwrap()
    })
    .await;
    let world = World::with_app(app.address).await;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nGET /2 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
        host = world.host("shop")
    );
    let answer = world.raw(&request).await;
    // The second request is a request, not bytes in a tunnel.
    assert_eq!(answer.matches("HTTP/1.1 426").count(), 2, "{answer}");
    world.stop().await;
}

#[tokio::test]
async fn an_open_web_socket_ends_with_the_proxy() {
    let app = echo().await;
    let world = World::with_app(app.address).await;
    let mut socket = open(&world).await;
    world.stop().await;
    assert!(socket.next().await.is_none_or(|ended| ended.is_err()));
}
