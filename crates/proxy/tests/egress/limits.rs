use std::time::Duration;

use sandbar_proxy::egress::{ConnectionEnd, EgressLimits, Policy};
use tokio::io::AsyncWriteExt as _;

use super::fixture::{Fixture, echo, policy_for, read_all, server};

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let fixture = Fixture::new(Policy::with_defaults()).await;
    let padding = "a".repeat(17 << 10);
    let answer =
        fixture.ask(&format!("CONNECT ok.example:443 HTTP/1.1\r\nX: {padding}\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let many = "X: a\r\n".repeat(101);
    let answer = fixture.ask(&format!("CONNECT ok.example:443 HTTP/1.1\r\n{many}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let limits =
        EgressLimits { head_timeout: Duration::from_millis(50), ..EgressLimits::default() };
    let fixture = Fixture::with(Policy::with_defaults(), limits, |proxy| proxy).await;
    let answer = fixture.ask("CONNECT ok.example:443 HT").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let mut gone = fixture.send("CONN").await;
    gone.shutdown().await.unwrap();
    assert!(read_all(&mut gone).await.starts_with("HTTP/1.1 400 "));
    let mut silent = fixture.send("").await;
    silent.shutdown().await.unwrap();
    assert_eq!(read_all(&mut silent).await, "");
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_a_closed_one_makes_room() {
    let echo = server(echo).await;
    let limits = EgressLimits { connections_max: 2, ..EgressLimits::default() };
    let fixture =
        Fixture::with(policy_for("ok.example", echo.address), limits, |proxy| proxy).await;
    fixture.names.answer("ok.example", &[&["127.0.0.1"]]);
    let name = format!("ok.example:{}", echo.address.port());
    let (first, _) = fixture.tunnel(&name).await;
    let (_second, head) = fixture.tunnel(&name).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let (_third, head) = fixture.tunnel(&name).await;
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("too_many_connections"), "{head}");
    drop(first);
    fixture.closed(1).await;
    // The place is given back after the end was told.
    let mut head = String::new();
    for _ in 0..100 {
        let (_fourth, answer) = fixture.tunnel(&name).await;
        head = answer;
        if head.starts_with("HTTP/1.1 200 ") {
            break;
        }
    }
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

#[tokio::test]
async fn a_tunnel_through_which_nothing_passes_is_ended() {
    let echo = server(echo).await;
    let limits =
        EgressLimits { idle_timeout: Duration::from_millis(50), ..EgressLimits::default() };
    let fixture =
        Fixture::with(policy_for("ok.example", echo.address), limits, |proxy| proxy).await;
    fixture.names.answer("ok.example", &[&["127.0.0.1"]]);
    let (mut tunnel, _) = fixture.tunnel(&format!("ok.example:{}", echo.address.port())).await;
    assert_eq!(read_all(&mut tunnel).await, "");
    assert_eq!(fixture.closed(1).await[0].end, ConnectionEnd::Idle);
}
