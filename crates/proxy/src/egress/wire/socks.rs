//! The head of a connection by SOCKS: version 5 (RFC 1928) without authentication, and 4 and 4a.
//!
//! Only `CONNECT` is taken, as a tunnel is. A name is read by the parser that everybody else's goes through.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Head, Received};
use crate::egress::{
    log::Way,
    policy::{Host, Target},
};

/// LIMIT: bytes of a name, and of the user name of version 4.
const TEXT_BYTES_MAX: usize = 255;

/// Which of them is spoken; who answers must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    Four,
    Five,
}

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadSocks {
    #[error("not a request of SOCKS")]
    Malformed,
    #[error("only `CONNECT` is taken")]
    Command(Version),
    #[error("what is asked for is not a host and a port")]
    Target(Version),
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Connected,
    Failed,
    Denied,
    Unresolved,
    Unreachable,
    Command,
}

/// Returns the answer as it is sent.
pub(crate) const fn answer(version: Version, answer: Answer) -> &'static [u8] {
    match (version, answer) {
        (Version::Four, Answer::Connected) => &[0, 90, 0, 0, 0, 0, 0, 0],
        (
            Version::Four,
            Answer::Failed
            | Answer::Denied
            | Answer::Unresolved
            | Answer::Unreachable
            | Answer::Command,
        ) => &[0, 91, 0, 0, 0, 0, 0, 0],
        (Version::Five, Answer::Connected) => &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        (Version::Five, Answer::Failed) => &[5, 1, 0, 1, 0, 0, 0, 0, 0, 0],
        (Version::Five, Answer::Denied) => &[5, 2, 0, 1, 0, 0, 0, 0, 0, 0],
        (Version::Five, Answer::Unresolved) => &[5, 4, 0, 1, 0, 0, 0, 0, 0, 0],
        (Version::Five, Answer::Unreachable) => &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0],
        (Version::Five, Answer::Command) => &[5, 7, 0, 1, 0, 0, 0, 0, 0, 0],
    }
}

/// Reads a request; `None` where the connection ended before the first byte.
///
/// # Errors
/// It is not one, or not one that is taken.
pub(crate) async fn receive(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<Option<(Version, Received)>, BadSocks> {
    let (version, target) = match stream.read_u8().await {
        Err(_) => return Ok(None),
        Ok(4) => (Version::Four, four(stream).await?),
        Ok(5) => (Version::Five, five(stream).await?),
        Ok(_) => return Err(BadSocks::Malformed),
    };
    let received = Received {
        head: Head { way: Way::Tunnel, target },
        bytes: BytesMut::new(),
        head_len: 0,
        established: answer(version, Answer::Connected),
    };
    Ok(Some((version, received)))
}

async fn four(stream: &mut (impl AsyncRead + Unpin)) -> Result<Target, BadSocks> {
    let [command, high, low, ip @ ..] = bytes::<7>(stream).await?;
    // Who it says that it is does not matter.
    text(stream).await?;
    let host = match ip {
        // 4a: the name follows.
        [0, 0, 0, 1..=u8::MAX] => {
            let name = text(stream).await?;
            name.parse().map_err(|_| BadSocks::Target(Version::Four))?
        }
        ip => Host::Address(IpAddr::V4(Ipv4Addr::from(ip))),
    };
    target(Version::Four, command, host, [high, low])
}

async fn five(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<Target, BadSocks> {
    let [methods] = bytes::<1>(stream).await?;
    let mut offered = vec![0; usize::from(methods)];
    stream.read_exact(&mut offered).await.map_err(|_| BadSocks::Malformed)?;
    let is_taken = offered.contains(&0);
    let chosen = if is_taken { [5, 0] } else { [5, 0xff] };
    stream.write_all(&chosen).await.map_err(|_| BadSocks::Malformed)?;
    if !is_taken {
        return Err(BadSocks::Malformed);
    }
    let [5, command, 0, kind] = bytes::<4>(stream).await? else {
        return Err(BadSocks::Malformed);
    };
    let host = match kind {
        1 => Host::Address(IpAddr::V4(Ipv4Addr::from(bytes::<4>(stream).await?))),
        3 => {
            let [len] = bytes::<1>(stream).await?;
            let mut name = vec![0; usize::from(len)];
            stream.read_exact(&mut name).await.map_err(|_| BadSocks::Malformed)?;
            let name = String::from_utf8(name).map_err(|_| BadSocks::Target(Version::Five))?;
            name.parse().map_err(|_| BadSocks::Target(Version::Five))?
        }
        4 => {
            let ip = Ipv6Addr::from(bytes::<16>(stream).await?);
            Host::Address(IpAddr::V6(ip).to_canonical())
        }
        _ => return Err(BadSocks::Malformed),
    };
    let port = bytes::<2>(stream).await?;
    target(Version::Five, command, host, port)
}

fn target(version: Version, command: u8, host: Host, port: [u8; 2]) -> Result<Target, BadSocks> {
    match (command, u16::from_be_bytes(port)) {
        (1, 0) => Err(BadSocks::Target(version)),
        (1, port) => Ok(Target { host, port }),
        (_, _) => Err(BadSocks::Command(version)),
    }
}

async fn bytes<const N: usize>(stream: &mut (impl AsyncRead + Unpin)) -> Result<[u8; N], BadSocks> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(|_| BadSocks::Malformed)?;
    Ok(bytes)
}

/// Reads up to a NUL. What the host parser refuses is refused there.
async fn text(stream: &mut (impl AsyncRead + Unpin)) -> Result<String, BadSocks> {
    let mut text = Vec::new();
    loop {
        match stream.read_u8().await {
            Ok(0) => return String::from_utf8(text).map_err(|_| BadSocks::Target(Version::Four)),
            Ok(byte) if text.len() < TEXT_BYTES_MAX => text.push(byte),
            Ok(_) | Err(_) => return Err(BadSocks::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::join;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<String>, BadSocks> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut stream = join(bytes, tokio::io::sink());
        let received = runtime.block_on(receive(&mut stream))?;
        Ok(received.map(|(_, received)| received.head.target.to_string()))
    }

    fn five(host: &[u8], port: u16) -> Vec<u8> {
        [&[5, 1, 0, 5, 1, 0][..], host, &port.to_be_bytes()].concat()
    }

    fn named(name: &[u8]) -> Vec<u8> {
        [&[3, u8::try_from(name.len()).unwrap()][..], name].concat()
    }

    #[test]
    fn every_form_of_a_host_is_the_target_that_it_is_elsewhere() {
        let asked = |bytes: &[u8]| read(bytes).unwrap().unwrap();
        assert_eq!(asked(&five(&named(b"OK.example."), 443)), "ok.example:443");
        assert_eq!(asked(&five(&[1, 10, 0, 0, 1], 80)), "10.0.0.1:80");
        let mapped = "::ffff:10.0.0.1".parse::<Ipv6Addr>().unwrap().octets();
        assert_eq!(asked(&five(&[&[4][..], &mapped].concat(), 80)), "10.0.0.1:80");
        assert_eq!(asked(b"\x04\x01\x00\x50\x0a\x00\x00\x01me\x00"), "10.0.0.1:80");
        assert_eq!(asked(b"\x04\x01\x01\xbb\x00\x00\x00\x01\x00ok.example\x00"), "ok.example:443");
        assert_eq!(read(b""), Ok(None));
    }

    #[test]
    fn what_is_no_host_or_no_connect_is_refused() {
        let bad = Err(BadSocks::Target(Version::Five));
        for name in [
            &b"evil.example\0.ok.example"[..],
            b"ok.example%00",
            b"a@ok.example",
            b"2130706433",
            b"",
            b"\xff",
        ] {
            assert_eq!(read(&five(&named(name), 443)), bad, "{name:?}");
        }
        assert_eq!(read(&five(&named(b"ok.example"), 0)), bad);
        for command in [2, 3, 0xf0] {
            let mut asked = five(&named(b"ok.example"), 443);
            asked[4] = command;
            assert_eq!(read(&asked), Err(BadSocks::Command(Version::Five)));
        }
        assert_eq!(read(b"\x05\x01\x02"), Err(BadSocks::Malformed));
        assert_eq!(read(b"GET / HTTP/1.1"), Err(BadSocks::Malformed));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            // Whatever comes of it, it ends.
            drop(read(&bytes));
        }
    }
}
