use sandbar_proxy::egress::{ConnectionEnd, Mode, Policy, Way};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::fixture::{Fixture, echo, policy_for, read_all, read_head, server};

#[tokio::test]
async fn an_allowed_tunnel_carries_bytes_both_ways_and_is_told() {
    let echo = server(echo).await;
    let port = echo.address.port();
    let fixture = Fixture::new(policy_for("ok.example", echo.address)).await;
    fixture.names.answer("ok.example", &[&["127.0.0.1"]]);
    let (mut tunnel, head) = fixture.tunnel(&format!("OK.example.:{port}")).await;
    assert_eq!(head, "HTTP/1.1 200 Connection established\r\n\r\n");
    tunnel.write_all(b"hello").await.unwrap();
    let mut back = [0; 5];
    tunnel.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"hello");
    // The other side hears that there is no more, and can still answer.
    tunnel.write_all(b" and bye").await.unwrap();
    tunnel.shutdown().await.unwrap();
    assert_eq!(read_all(&mut tunnel).await, " and bye");
    let closed = fixture.closed(1).await.remove(0);
    assert_eq!(
        (closed.sent_bytes, closed.received_bytes, closed.end),
        (13, 13, ConnectionEnd::Done)
    );
    assert_eq!(closed.passage.rule, format!("ok.example:{port}"));
    assert_eq!(closed.passage.way, Way::Tunnel);
    let connected = fixture.heard.connected.lock().unwrap().clone();
    assert_eq!(connected[0].address, echo.address);
    assert_eq!(connected[0].passage, closed.passage);
}

#[tokio::test]
async fn what_a_client_sends_before_the_answer_is_not_lost() {
    let echo = server(echo).await;
    let fixture = Fixture::new(policy_for("ok.example", echo.address)).await;
    fixture.names.answer("ok.example", &[&["127.0.0.1"]]);
    let port = echo.address.port();
    let mut tunnel =
        fixture.send(&format!("CONNECT ok.example:{port} HTTP/1.1\r\n\r\nearly")).await;
    read_head(&mut tunnel).await;
    tunnel.shutdown().await.unwrap();
    assert_eq!(read_all(&mut tunnel).await, "early");
}

#[tokio::test]
async fn a_megabyte_arrives_whole_in_both_directions() {
    let echo = server(echo).await;
    let fixture = Fixture::new(policy_for("ok.example", echo.address)).await;
    fixture.names.answer("ok.example", &[&["127.0.0.1"]]);
    let (tunnel, _) = fixture.tunnel(&format!("ok.example:{}", echo.address.port())).await;
    let sent: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let (mut reading, mut writing) = tunnel.into_split();
    let mut back = Vec::new();
    let (written, read) = tokio::join!(
        async {
            writing.write_all(&sent).await?;
            writing.shutdown().await
        },
        reading.read_to_end(&mut back)
    );
    written.unwrap();
    read.unwrap();
    assert!(back == sent, "{} of {} bytes", back.len(), sent.len());
}

#[tokio::test]
async fn an_address_that_does_not_answer_leaves_the_next_its_turn() {
    let echo = server(echo).await;
    let fixture = Fixture::new(policy_for("ok.example", echo.address)).await;
    // Nobody listens at the first.
    fixture.names.answer("ok.example", &[&["127.9.9.9", "127.0.0.1"]]);
    let (_tunnel, head) = fixture.tunnel(&format!("ok.example:{}", echo.address.port())).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    fixture.names.answer("ok.example", &[&["127.9.9.9"]]);
    let (_tunnel, head) = fixture.tunnel(&format!("ok.example:{}", echo.address.port())).await;
    assert!(
        head.starts_with("HTTP/1.1 502 ") && head.contains("X-Sandbar-Error: unreachable"),
        "{head}"
    );
}

#[tokio::test]
async fn a_tunnel_ends_when_the_policy_no_longer_allows_it() {
    let echo = server(echo).await;
    let fixture = Fixture::new(policy_for("ok.example", echo.address)).await;
    fixture.names.answer("ok.example", &[&["127.0.0.1"]]);
    let (mut tunnel, _) = fixture.tunnel(&format!("ok.example:{}", echo.address.port())).await;
    fixture.proxy.set_policy(policy_for("ok.example", echo.address));
    tunnel.write_all(b"x").await.unwrap();
    assert_eq!(tunnel.read_u8().await.unwrap(), b'x');
    fixture.proxy.set_policy(Policy::new(Mode::None));
    assert_eq!(read_all(&mut tunnel).await, "");
    assert_eq!(fixture.closed(1).await[0].end, ConnectionEnd::Revoked);
}

#[tokio::test]
async fn whoever_stops_the_proxy_ends_its_connections() {
    let echo = server(echo).await;
    let mut fixture = Fixture::new(policy_for("ok.example", echo.address)).await;
    fixture.names.answer("ok.example", &[&["127.0.0.1"]]);
    let (mut tunnel, _) = fixture.tunnel(&format!("ok.example:{}", echo.address.port())).await;
    fixture.cancel.cancel();
    fixture.tasks.join_next().await.unwrap().unwrap();
    assert_eq!(read_all(&mut tunnel).await, "");
    assert_eq!(fixture.closed(1).await[0].end, ConnectionEnd::Cancelled);
}
