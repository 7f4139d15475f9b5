//! A connection from outside: which HTTP it speaks, and for how long it may take nothing.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    time::{self, Sleep},
};

/// What a client of HTTP/2 sends first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Which HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    Http1,
    Http2,
}

/// A stream whose first bytes were read, and on which a write that makes no progress fails.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    io: S,
    read_before: Bytes,
    stall: Stall,
}

#[derive(Debug)]
struct Stall {
    limit: Duration,
    // Made when a write first has to wait: most never do.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    fn check<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.timer = None;
            return poll;
        }
        let limit = self.limit;
        ready!(self.timer.get_or_insert_with(|| Box::pin(time::sleep(limit))).as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

/// Reads until it is clear what is spoken. The deadline for this is the caller's.
pub(crate) async fn listen_to<S>(mut io: S, stall_limit: Duration) -> io::Result<(Spoken, Wire<S>)>
where
    S: AsyncRead + Unpin,
{
    let mut read = BytesMut::with_capacity(PREFACE.len());
    let spoken = loop {
        if read.len() >= PREFACE.len() {
            break Spoken::Http2;
        }
        let mut rest = (&mut io).take(u64::try_from(PREFACE.len() - read.len()).unwrap_or(0));
        let is_at_end = rest.read_buf(&mut read).await? == 0;
        if is_at_end || !PREFACE.starts_with(&read) {
            break Spoken::Http1;
        }
    };
    let stall = Stall { limit: stall_limit, timer: None };
    Ok((spoken, Wire { io, read_before: read.freeze(), stall }))
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read_before.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let take = self.read_before.len().min(buf.remaining());
        buf.put_slice(&self.read_before[..take]);
        self.read_before.advance(take);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.io).poll_write(cx, buf);
        self.stall.check(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.stall.check(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    async fn listened(sent: &[&[u8]]) -> (Spoken, Vec<u8>) {
        let (mut client, server) = tokio::io::duplex(64);
        let sending = async {
            for part in sent {
                client.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(client);
        };
        let reading = async {
            let (spoken, mut wire) = listen_to(server, Duration::from_secs(1)).await.unwrap();
            let mut all = Vec::new();
            wire.read_to_end(&mut all).await.unwrap();
            (spoken, all)
        };
        tokio::join!(sending, reading).1
    }

    #[tokio::test]
    async fn what_is_spoken_is_heard_and_no_byte_is_lost() {
        for (sent, expected) in [
            (vec![&b"GET / HTTP/1.1\r\n\r\n"[..]], Spoken::Http1),
            (vec![b"P", b"UT / HTTP/1.1\r\n\r\n"], Spoken::Http1),
            (vec![b"PRI * HTTP/2.0\r\n\r\nSM", b"\r\n\r\n", b"more"], Spoken::Http2),
            (vec![b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore"], Spoken::Http2),
            (vec![b"PRI"], Spoken::Http1),
            (vec![], Spoken::Http1),
        ] {
            assert_eq!(listened(&sent).await, (expected, sent.concat()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_given_up() {
        let (_client, server) = tokio::io::duplex(4);
        let stall = Stall { limit: Duration::from_secs(30), timer: None };
        let mut wire = Wire { io: server, read_before: Bytes::new(), stall };
        let error = wire.write_all(b"more than fits").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
