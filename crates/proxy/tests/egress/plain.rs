use sandbar_proxy::egress::Way;

use super::fixture::{Fixture, Server, mirror, policy_for, read_all, server};

async fn with_mirror() -> (Fixture, Server) {
    let mirror = server(mirror).await;
    let fixture = Fixture::new(policy_for("ok.example", mirror.address)).await;
    fixture.names.answer("ok.example", &[&["127.0.0.1"]]);
    (fixture, mirror)
}

#[tokio::test]
async fn a_plain_request_is_sent_on_without_what_is_for_the_proxy() {
    let (fixture, mirror) = with_mirror().await;
    let port = mirror.address.port();
    let answer = fixture
        .ask(&format!(
            "GET http://ok.example:{port}/a/b?c=d HTTP/1.1\r\nHost: ok.example:{port}\r\nProxy-Authorization: Basic c2VjcmV0\r\n\
             Proxy-Connection: keep-alive\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nUpgrade: websocket\r\nTE: trailers\r\nAccept: */*\r\n\r\n"
        ))
        .await;
    let (head, seen) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let head = head.to_lowercase();
    assert!(head.contains("x-kept: 1") && head.contains("connection: close"), "{head}");
    assert!(!head.contains("keep-alive") && !head.contains("proxy-"), "{head}");
    assert_eq!(
        seen,
        format!("GET /a/b?c=d HTTP/1.1\r\nhost: ok.example:{port}\r\naccept: */*\r\n\r\n")
    );
    assert_eq!(fixture.closed(1).await[0].passage.way, Way::Plain);
}

#[tokio::test]
async fn bodies_are_sent_on_in_either_framing() {
    let (fixture, mirror) = with_mirror().await;
    let port = mirror.address.port();
    let post = format!("POST http://ok.example:{port}/ HTTP/1.1\r\nHost: ok.example:{port}\r\n");
    let answer = fixture.ask(&format!("{post}Content-Length: 5\r\n\r\nhello")).await;
    assert!(answer.ends_with("content-length: 5\r\n\r\nhello"), "{answer}");
    let answer = fixture
        .ask(&format!("{post}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))
        .await;
    assert!(
        answer.ends_with("transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn nothing_is_smuggled() {
    let (fixture, mirror) = with_mirror().await;
    let port = mirror.address.port();
    let post = format!("POST http://ok.example:{port}/ HTTP/1.1\r\nHost: ok.example:{port}\r\n");
    let smuggled = format!(
        "GET http://ok.example:{port}/smuggled HTTP/1.1\r\nHost: ok.example:{port}\r\n\r\n"
    );
    for lengths in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Content-Length: 4\r\nContent-Length: 5",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding:\u{b}chunked",
        "Transfer-Encoding : chunked",
        "X: y\nTransfer-Encoding: chunked",
    ] {
        let answer = fixture.ask(&format!("{post}{lengths}\r\n\r\n0\r\n\r\n{smuggled}")).await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{lengths:?}: {answer}");
    }
    assert_eq!(mirror.accepted(), 0);
    // A second request of a connection is not read.
    let answer = fixture.ask(&format!("{post}Content-Length: 0\r\n\r\n{smuggled}")).await;
    assert!(!answer.contains("smuggled"), "{answer}");
    assert_eq!(mirror.accepted(), 1);
}

#[tokio::test]
async fn another_host_in_the_header_is_refused() {
    let (fixture, mirror) = with_mirror().await;
    let port = mirror.address.port();
    let answer = fixture
        .ask(&format!("GET http://ok.example:{port}/ HTTP/1.1\r\nHost: evil.example\r\n\r\n"))
        .await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    let answer = fixture.ask("GET / HTTP/1.1\r\nHost: ok.example\r\n\r\n").await;
    assert!(answer.contains("this is a proxy"), "{answer}");
    assert_eq!(mirror.accepted(), 0);
}

#[tokio::test]
async fn a_client_that_is_done_sending_gets_its_answer() {
    let (fixture, mirror) = with_mirror().await;
    let port = mirror.address.port();
    let mut stream = fixture.send(&format!("GET http://ok.example:{port}/ HTTP/1.0\r\n\r\n")).await;
    tokio::io::AsyncWriteExt::shutdown(&mut stream).await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(
        answer.contains(" 200 OK\r\n") && answer.contains(&format!("host: ok.example:{port}")),
        "{answer}"
    );
}

#[tokio::test]
async fn an_upstream_that_talks_nonsense_is_told_as_such() {
    let nonsense = server(|mut stream| async move {
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 mail.example ESMTP\r\n")
            .await
            .unwrap();
    })
    .await;
    let fixture = Fixture::new(policy_for("ok.example", nonsense.address)).await;
    fixture.names.answer("ok.example", &[&["127.0.0.1"]]);
    let port = nonsense.address.port();
    let answer = fixture.ask(&format!("GET http://ok.example:{port}/ HTTP/1.0\r\n\r\n")).await;
    assert!(answer.contains(" 502 Bad Gateway\r\n"), "{answer}");
}
