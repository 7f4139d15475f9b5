//! Answers of the proxy's own.

use std::time::Duration;

use http::StatusCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// How long an answer may take to be written, and how long what still comes in is read away after it.
const LINGER: Duration = Duration::from_secs(2);

/// LIMIT: bytes that are read away.
const LINGER_BYTES_MAX: u64 = 256 << 10;

/// An answer with a text for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) header: (&'static str, &'static str),
    pub(crate) body: String,
}

impl Reply {
    fn to_bytes(&self) -> Vec<u8> {
        let Self { status, header: (name, value), body } = self;
        format!(
            "HTTP/1.1 {code} {reason}\r\n{name}: {value}\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {len}\r\nConnection: close\r\n\r\n{body}",
            code = status.as_u16(),
            reason = status.canonical_reason().unwrap_or_default(),
            len = body.len(),
        )
        .into_bytes()
    }
}

/// Sends an answer and closes.
///
/// A connection that is closed with bytes unread is reset, and a reset can overtake the answer: what the client still
/// sends is read, for a moment.
pub(crate) async fn send(to: TcpStream, reply: &Reply) {
    send_bytes(to, &reply.to_bytes()).await;
}

/// As [`send`], what `bytes` say.
pub(crate) async fn send_bytes(mut to: TcpStream, bytes: &[u8]) {
    let sent = timeout(LINGER, async {
        to.write_all(bytes).await?;
        to.shutdown().await
    });
    if let Ok(Ok(())) = sent.await {
        let mut rest = to.take(LINGER_BYTES_MAX);
        let mut nowhere = tokio::io::sink();
        let read_away = tokio::io::copy(&mut rest, &mut nowhere);
        // Whether it ended, failed or took too long, the connection is dropped now.
        drop(timeout(LINGER, read_away).await);
    }
}
