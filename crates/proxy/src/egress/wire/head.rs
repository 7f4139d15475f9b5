//! The head of a request, read and checked before anything is decided.
//!
//! It is parsed by the parser that hyper has, and the same bytes are parsed by hyper once more when a plain request is
//! forwarded. What is refused here is what hyper would repair: a length beside a transfer encoding, a bare line feed.

use bytes::BytesMut;
use http::{Uri, uri::Scheme};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::egress::{
    log::Way,
    policy::{InvalidTarget, Target},
};

/// LIMIT: bytes of a head.
pub(crate) const HEAD_BYTES_MAX: usize = 16 << 10;

/// LIMIT: headers of a request.
const HEADERS_MAX: usize = 100;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) way: Way,
    pub(crate) target: Target,
}

/// A head with every byte that was read: the head's own, then what came after.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) head: Head,
    pub(crate) bytes: BytesMut,
    pub(crate) head_len: usize,
    /// What says to the client that the tunnel is there.
    pub(crate) established: &'static [u8],
}

/// The answer to `CONNECT`.
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Why a request is not understood, or not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadHead {
    #[error("the head of the request is not HTTP/1")]
    Malformed,
    #[error("the head of the request has more than 16 KiB or 100 headers")]
    TooLarge,
    #[error(
        "the length of the body is said twice, or in a way that two readers could read differently"
    )]
    AmbiguousLength,
    #[error("`Host` is missing, there twice, or another host than the one asked for")]
    Host,
    #[error(
        "this is a proxy: ask with `CONNECT host:port`, or with a whole address that begins with `http://`"
    )]
    NotForProxy,
    #[error("a proxy takes `https://` only as `CONNECT host:443`")]
    TlsWithoutTunnel,
    #[error("the method is not taken")]
    Method,
    #[error("what is asked for is not a host and a port")]
    Target(#[source] InvalidTarget),
}

/// Reads a head; `None` where the connection ended before the first byte.
///
/// # Errors
/// The connection ended within the head, or the head is refused.
pub(crate) async fn receive(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<Option<Received>, BadHead> {
    let mut bytes = BytesMut::with_capacity(1024);
    loop {
        let read = from.read_buf(&mut bytes).await.unwrap_or(0);
        if read == 0 {
            return if bytes.is_empty() { Ok(None) } else { Err(BadHead::Malformed) };
        }
        if let Some((head, head_len)) = parse(&bytes)? {
            return Ok(Some(Received { head, bytes, head_len, established: ESTABLISHED }));
        }
    }
}

/// Parses a head at the start of `bytes`; `None` where it is not whole yet.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, BadHead> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let len = match request.parse(bytes) {
        Ok(httparse::Status::Complete(len)) if len <= HEAD_BYTES_MAX => len,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(BadHead::TooLarge),
        Err(_) => return Err(BadHead::Malformed),
    };
    let is_bare = |pair: &[u8]| pair[1] == b'\n' && pair[0] != b'\r';
    if bytes[..len].windows(2).any(is_bare) {
        return Err(BadHead::Malformed);
    }
    let method = request.method.ok_or(BadHead::Malformed)?;
    let asked = request.path.ok_or(BadHead::Malformed)?;
    let has_body = check_length(request.headers, request.version == Some(1))?;
    let head = if method == "CONNECT" {
        if has_body {
            return Err(BadHead::AmbiguousLength);
        }
        Head { way: Way::Tunnel, target: Target::parse(asked, None).map_err(BadHead::Target)? }
    } else {
        // It asks the proxy to say back what it was sent, credentials included.
        if method == "TRACE" {
            return Err(BadHead::Method);
        }
        let target = absolute_form(asked)?;
        check_host(request.headers, &target, request.version == Some(1))?;
        Head { way: Way::Plain, target }
    };
    Ok(Some((head, len)))
}

/// Returns whether there is a body. Its length must be said once, in one of the two ways.
fn check_length(headers: &[httparse::Header<'_>], is_http_11: bool) -> Result<bool, BadHead> {
    let lengths = values(headers, "content-length");
    let encodings = values(headers, "transfer-encoding");
    match (lengths.as_slice(), encodings.as_slice()) {
        ([], []) => Ok(false),
        ([length], []) if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
            Ok(length.iter().any(|digit| *digit != b'0'))
        }
        ([], [encoding]) if is_http_11 && encoding.eq_ignore_ascii_case(b"chunked") => Ok(true),
        (_, _) => Err(BadHead::AmbiguousLength),
    }
}

fn absolute_form(asked: &str) -> Result<Target, BadHead> {
    let uri: Uri = asked.parse().map_err(|_| BadHead::Target(InvalidTarget::Name))?;
    match (uri.scheme(), uri.authority()) {
        (Some(scheme), Some(authority)) if *scheme == Scheme::HTTP => {
            Target::parse(authority.as_str(), Some(80)).map_err(BadHead::Target)
        }
        (Some(scheme), Some(_)) if *scheme == Scheme::HTTPS => Err(BadHead::TlsWithoutTunnel),
        (_, _) => Err(BadHead::NotForProxy),
    }
}

fn check_host(
    headers: &[httparse::Header<'_>],
    target: &Target,
    is_http_11: bool,
) -> Result<(), BadHead> {
    match values(headers, "host").as_slice() {
        [] if !is_http_11 => Ok(()),
        [host] => std::str::from_utf8(host)
            .ok()
            .and_then(|host| Target::parse(host, Some(80)).ok())
            .filter(|host| host == target)
            .map(|_| ())
            .ok_or(BadHead::Host),
        _ => Err(BadHead::Host),
    }
}

fn values<'a>(headers: &[httparse::Header<'a>], name: &str) -> Vec<&'a [u8]> {
    headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Result<Option<(Way, String)>, BadHead> {
        let parsed = parse(text.as_bytes())?;
        Ok(parsed.map(|(head, _)| (head.way, head.target.to_string())))
    }

    fn whole(first: &str, headers: &str) -> Result<Option<(Way, String)>, BadHead> {
        of(&format!("{first}\r\n{headers}\r\n"))
    }

    #[test]
    fn the_two_ways_to_ask() {
        assert_eq!(
            whole("CONNECT Ok.Example:443 HTTP/1.1", "Host: anything\r\n"),
            Ok(Some((Way::Tunnel, "ok.example:443".to_owned())))
        );
        assert_eq!(
            whole(
                "GET http://Ok.Example/a?b=http://evil.example HTTP/1.1",
                "Host: ok.example:80\r\n"
            ),
            Ok(Some((Way::Plain, "ok.example:80".to_owned())))
        );
        assert_eq!(
            whole("GET http://ok.example:8080 HTTP/1.0", ""),
            Ok(Some((Way::Plain, "ok.example:8080".to_owned())))
        );
        assert_eq!(of("GET http://ok.example/ HTTP/1.1\r\nHost: ok.exa"), Ok(None));
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        const HOST: &str = "Host: ok.example\r\n";
        let post =
            |headers: &str| whole("POST http://ok.example/ HTTP/1.1", &format!("{HOST}{headers}"));
        for headers in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\ncontent-length: 3\r\n",
            "Content-Length: 3\r\nContent-Length: 3\r\n",
            "Content-Length: 3, 3\r\n",
            "Content-Length: +3\r\n",
            "Content-Length: 0x3\r\n",
            "Content-Length: \r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
        ] {
            assert_eq!(post(headers), Err(BadHead::AmbiguousLength), "{headers:?}");
        }
        for headers in [
            "Transfer-Encoding : chunked\r\n",
            "X: a\nContent-Length: 3\r\n",
            "X: a\r\n folded\r\n",
            "X: a\0b\r\n",
            "\u{b}Content-Length: 3\r\n",
        ] {
            assert_eq!(post(headers), Err(BadHead::Malformed), "{headers:?}");
        }
        assert_eq!(
            whole("POST http://ok.example/ HTTP/1.0", "Transfer-Encoding: chunked\r\n"),
            Err(BadHead::AmbiguousLength)
        );
        assert_eq!(
            whole("CONNECT ok.example:443 HTTP/1.1", "Content-Length: 3\r\n"),
            Err(BadHead::AmbiguousLength)
        );
        assert!(whole("CONNECT ok.example:443 HTTP/1.1", "Content-Length: 0\r\n").is_ok());
        assert!(post("Content-Length: 3\r\n").is_ok());
        assert!(post("Transfer-Encoding: Chunked\r\n").is_ok());
    }

    #[test]
    fn the_host_must_be_the_one_that_is_asked_for() {
        let get = |headers| whole("GET http://ok.example/ HTTP/1.1", headers);
        for headers in [
            "",
            "Host: evil.example\r\n",
            "Host: ok.example:81\r\n",
            "Host: ok.example\r\nHost: ok.example\r\n",
            "Host: a@ok.example\r\n",
            "Host: \r\n",
        ] {
            assert_eq!(get(headers), Err(BadHead::Host), "{headers:?}");
        }
    }

    #[test]
    fn what_is_no_request_to_a_proxy_is_told_apart() {
        let get = |asked: &str| whole(&format!("GET {asked} HTTP/1.1"), "Host: ok.example\r\n");
        assert_eq!(get("/"), Err(BadHead::NotForProxy));
        assert_eq!(get("*"), Err(BadHead::NotForProxy));
        assert_eq!(get("ftp://ok.example/"), Err(BadHead::NotForProxy));
        assert_eq!(get("https://ok.example/"), Err(BadHead::TlsWithoutTunnel));
        assert_eq!(get("http://user:pw@ok.example/"), Err(BadHead::Target(InvalidTarget::User)));
        assert_eq!(
            whole("TRACE http://ok.example/ HTTP/1.1", "Host: ok.example\r\n"),
            Err(BadHead::Method)
        );
        assert_eq!(
            whole("CONNECT ok.example HTTP/1.1", ""),
            Err(BadHead::Target(InvalidTarget::Port))
        );
        assert_eq!(of("\x16\x03\x01\x02\x00\x01"), Err(BadHead::Malformed));
        let long = format!("X: {}\r\n", "a".repeat(HEAD_BYTES_MAX));
        assert_eq!(whole("CONNECT ok.example:443 HTTP/1.1", &long), Err(BadHead::TooLarge));
        let many = "X: a\r\n".repeat(HEADERS_MAX + 1);
        assert_eq!(whole("CONNECT ok.example:443 HTTP/1.1", &many), Err(BadHead::TooLarge));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            // Whatever comes of it, it ends.
            drop(parse(&bytes));
        }

        #[test]
        fn what_is_taken_has_one_length_and_one_host(
            headers in proptest::collection::vec(
                proptest::sample::select(vec![
                    "Host: ok.example", "Host: evil.example", "Content-Length: 3", "Content-Length: 4",
                    "Transfer-Encoding: chunked", "transfer-encoding: identity", "Accept: */*",
                ]),
                0..6,
            ),
        ) {
            let text: String = headers.iter().flat_map(|header| [header, "\r\n"]).collect();
            if whole("POST http://ok.example/ HTTP/1.1", &text).is_ok() {
                let count = |start: &str| headers.iter().filter(|header| header.to_lowercase().starts_with(start)).count();
                prop_assert_eq!(count("host: ok.example"), 1);
                prop_assert_eq!(count("host: evil"), 0);
                prop_assert!(count("content-length") + count("transfer-encoding") <= 1);
            }
        }
    }
}
