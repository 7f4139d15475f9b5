//! The first message of TLS in a tunnel: to which host it says that it goes.
//!
//! It is read by the parser of rustls and passed on as it came. Where its content is encrypted (ECH), the name outside
//! is the one of whoever can decrypt it, which is not the name that was asked for.

use std::io::{self, Cursor};

use bytes::BytesMut;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::egress::{
    denial::Reason,
    policy::{Host, HostName},
};

/// LIMIT: bytes in which the first message must be whole; the largest of TLS is 64 KiB, in records of their own.
const HELLO_BYTES_MAX: usize = 80 << 10;

/// A fatal alert of TLS, `access_denied` (RFC 8446, 6.2): what a refused client shows instead of a broken connection.
const ACCESS_DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];

/// What a tunnel begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hello {
    /// TLS, to this name.
    Tls(Option<HostName>),
    NotTls,
    /// Nothing: the client closed.
    Nothing,
}

impl Hello {
    /// Returns why it may not go to `host`.
    pub(crate) fn refusal(&self, host: &Host) -> Option<Reason> {
        match (self, host) {
            (Self::Nothing, _) | (Self::Tls(None), Host::Address(_)) => None,
            (Self::Tls(Some(name)), Host::Name(asked)) if name == asked => None,
            (Self::Tls(Some(_)), _) => Some(Reason::OtherName),
            (Self::Tls(None), Host::Name(_)) => Some(Reason::NoName),
            (Self::NotTls, _) => Some(Reason::NotTls),
        }
    }
}

/// Reads the first message from `client`, behind what is in `bytes` already; everything that was read is in `bytes`.
pub(crate) async fn hello(
    client: &mut (impl AsyncRead + Unpin),
    bytes: &mut BytesMut,
) -> io::Result<Hello> {
    let mut acceptor = Acceptor::default();
    let mut seen = 0;
    loop {
        while seen < bytes.len() {
            let mut unread = Cursor::new(&bytes[seen..]);
            // It takes what it has room for, which is no more than one record.
            let taken = match acceptor.read_tls(&mut unread) {
                Ok(taken) if taken > 0 => taken,
                Ok(_) | Err(_) => return Ok(Hello::NotTls),
            };
            seen += taken;
            match acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let hello = accepted.client_hello();
                    return Ok(match hello.server_name().map(str::parse) {
                        None => Hello::Tls(None),
                        Some(Ok(name)) => Hello::Tls(Some(name)),
                        Some(Err(_)) => Hello::NotTls,
                    });
                }
                Err(_) => return Ok(Hello::NotTls),
            }
        }
        if bytes.len() >= HELLO_BYTES_MAX {
            return Ok(Hello::NotTls);
        }
        if client.read_buf(bytes).await? == 0 {
            return Ok(if bytes.is_empty() { Hello::Nothing } else { Hello::NotTls });
        }
    }
}

/// Tells a client of TLS that it was refused, and closes.
pub(crate) async fn refuse(client: &mut (impl AsyncWrite + Unpin)) {
    // Whoever does not listen any more need not be told.
    if client.write_all(&ACCESS_DENIED).await.is_ok() {
        drop(client.shutdown().await);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(mut bytes: &[u8]) -> Hello {
        let mut buffer = BytesMut::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(hello(&mut bytes, &mut buffer)).unwrap()
    }

    /// A first message of TLS 1.2 with one cipher, and `name` in it.
    fn client_hello(name: Option<&str>) -> Vec<u8> {
        let sized =
            |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
        let extension = |kind: u16, body: &[u8]| [&kind.to_be_bytes()[..], &sized(body)].concat();
        let mut extensions = extension(13, &sized(&[4, 1]));
        if let Some(name) = name {
            extensions.extend(extension(0, &sized(&[&[0], &sized(name.as_bytes())[..]].concat())));
        }
        let body =
            [&[3, 3][..], &[7; 32], &[0], &sized(&[0xc0, 0x2f]), &[1, 0], &sized(&extensions)]
                .concat();
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let message = [&[1], &length[1..], &body].concat();
        [&[22, 3, 1][..], &sized(&message)].concat()
    }

    #[test]
    fn case_69_the_name_must_be_the_one_that_was_asked_for() {
        let asked: Host = "ok.example".parse().unwrap();
        let address: Host = "198.41.0.4".parse().unwrap();
        let named = |name| read(&client_hello(name));
        assert_eq!(named(Some("OK.example")).refusal(&asked), None);
        assert_eq!(named(Some("evil.example")).refusal(&asked), Some(Reason::OtherName));
        assert_eq!(named(Some("a.ok.example")).refusal(&asked), Some(Reason::OtherName));
        assert_eq!(named(None).refusal(&asked), Some(Reason::NoName));
        assert_eq!(named(None).refusal(&address), None);
        assert_eq!(named(Some("ok.example")).refusal(&address), Some(Reason::OtherName));
        assert_eq!(read(b"GET / HTTP/1.1\r\n\r\n").refusal(&asked), Some(Reason::NotTls));
        assert_eq!(read(b"SSH-2.0-x\r\n").refusal(&asked), Some(Reason::NotTls));
        assert_eq!(read(b"").refusal(&asked), None);
    }

    #[test]
    fn a_first_message_that_is_cut_or_never_ends_is_refused() {
        let whole = client_hello(Some("ok.example"));
        assert_eq!(read(&whole[..whole.len() - 1]), Hello::NotTls);
        // Records of one byte each: the message begins and does not end.
        let dribble: Vec<u8> = [22, 3, 1, 0, 1, 1].into_iter().cycle().take(200 << 10).collect();
        assert_eq!(read(&dribble), Hello::NotTls);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            // Whatever comes of it, it ends.
            drop(read(&bytes));
        }
    }
}
