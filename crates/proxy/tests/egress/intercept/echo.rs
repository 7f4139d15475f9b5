//! What comes back.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokio::io::AsyncWriteExt as _;

use super::world::{Certificate, PLACEHOLDER, SECRET, Upstream, World, head, mirror};

#[tokio::test]
async fn case_68_an_upstream_that_says_back_what_it_got_is_not_believed() {
    let world = World::new(Upstream::new(Certificate::Good, mirror).await).await;
    let said = world.fetch("/v1", "").await;
    assert!(!said.contains(SECRET), "{said}");
    assert!(said.contains(&format!("authorization: Bearer {}", &PLACEHOLDER[..SECRET.len()])));
    assert_eq!(*world.told.echoed.lock().unwrap(), ["model"]);
}

#[tokio::test]
async fn case_68_headers_base64_chunk_borders_and_trailers_are_looked_at() {
    let upstream = Upstream::new(Certificate::Good, |mut stream| async move {
        head(&mut stream).await;
        let encoded = BASE64_STANDARD.encode(format!("ab{SECRET}cd"));
        let body = format!("first {SECRET} then {encoded}!");
        let start = format!(
            "HTTP/1.1 200 OK\r\nX-Echo: a {SECRET} b\r\nTransfer-Encoding: chunked\r\nTrailer: x-end\r\n\r\n"
        );
        stream.write_all(start.as_bytes()).await.unwrap();
        for piece in body.as_bytes().chunks(7) {
            let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            stream.write_all(&chunk).await.unwrap();
            stream.flush().await.unwrap();
        }
        let end = format!("0\r\nx-end: {SECRET}\r\n\r\n");
        stream.write_all(end.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        head(&mut stream).await;
    })
    .await;
    let world = World::new(upstream).await;
    let said = world.fetch("/v1", "TE: trailers\r\n").await;
    // Framed in chunks on the way in as well; what matters is what they say together.
    let joined = said.replace("\r\n", "");
    assert!(!said.contains(SECRET) && !joined.contains(SECRET), "{said}");
    let middle = &BASE64_STANDARD.encode(format!("ab{SECRET}cd"))[4..32];
    assert!(!joined.contains(middle), "{said}");
    assert!(said.contains("x-echo: a sbx-placeholder"), "{said}");
    assert!(said.contains("x-end: sbx-placeholder"), "{said}");
}

#[tokio::test]
async fn what_is_compressed_unasked_is_refused() {
    let upstream = Upstream::new(Certificate::Good, |mut stream| async move {
        head(&mut stream).await;
        super::world::answer(&mut stream, "Content-Encoding: gzip\r\n", b"\x1f\x8b").await;
    })
    .await;
    let said = World::new(upstream).await.fetch("/v1", "").await;
    assert!(said.starts_with("HTTP/1.1 502 ") && said.contains("upstream_encoding"), "{said}");
}

#[tokio::test]
async fn case_68_the_words_beside_a_status_are_not_passed_on_nor_what_is_packed() {
    for (head_of_answer, wanted) in [
        (format!("HTTP/1.1 401 bad key {SECRET}\r\nContent-Length: 0\r\n\r\n"), "HTTP/1.1 401 "),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".to_owned(),
            "HTTP/1.1 502 ",
        ),
    ] {
        let upstream = Upstream::new(Certificate::Good, move |mut stream| {
            let answer = head_of_answer.clone();
            async move {
                head(&mut stream).await;
                drop(stream.write_all(answer.as_bytes()).await);
                drop(stream.flush().await);
                head(&mut stream).await;
            }
        })
        .await;
        let world = World::new(upstream).await;
        let said = world.fetch("/v1", "").await;
        assert!(said.starts_with(wanted), "{said}");
        assert!(!said.contains(SECRET), "{said}");
    }
}
