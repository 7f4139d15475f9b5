//! A connection to an upstream: to addresses that were decided about, or through the operator's proxy.

use std::{
    io,
    io::Cursor,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bytes::{Buf as _, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt as _, Chain, Join},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{Instant, timeout_at},
};

use super::head::HEAD_BYTES_MAX;
use crate::egress::{host::Upstream, policy::Target};

/// A connection of which some bytes were read already; they come first.
pub(crate) type Stream = Join<Chain<Cursor<BytesMut>, OwnedReadHalf>, OwnedWriteHalf>;

/// Puts bytes that were read back before what is still to be read.
pub(crate) fn rewound(stream: TcpStream, read: BytesMut) -> Stream {
    let (reading, writing) = stream.into_split();
    tokio::io::join(AsyncReadExt::chain(Cursor::new(read), reading), writing)
}

/// A connection that was made, and to whom.
#[derive(Debug)]
pub(crate) struct Dialed {
    pub(crate) stream: Stream,
    pub(crate) address: SocketAddr,
}

/// No connection was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("no connection could be made in time")]
    Timeout,
    #[error("no connection could be made")]
    Refused(#[source] io::Error),
    #[error("the network's proxy cannot be resolved")]
    UpstreamUnresolved,
    #[error("the network's proxy answered {status}")]
    UpstreamRefused { status: u16 },
    #[error("the network's proxy gave no answer that could be understood")]
    UpstreamMalformed,
}

/// Connects to the first of `addresses` that answers; a dead one costs the others no more than their share of `limit`.
pub(crate) async fn dial(
    addresses: &[IpAddr],
    port: u16,
    limit: Duration,
) -> Result<Dialed, DialError> {
    let (stream, address) = connect(addresses, port, Instant::now() + limit).await?;
    Ok(Dialed { stream: rewound(stream, BytesMut::new()), address })
}

async fn connect(
    addresses: &[IpAddr],
    port: u16,
    deadline: Instant,
) -> Result<(TcpStream, SocketAddr), DialError> {
    let mut last = DialError::Timeout;
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for ip in addresses {
        let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        let address = SocketAddr::new(*ip, port);
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Small writes of a handshake must not wait for each other; a socket that refuses works as well.
                drop(stream.set_nodelay(true));
                return Ok((stream, address));
            }
            Ok(Err(error)) => last = DialError::Refused(error),
            Err(_) => last = DialError::Timeout,
        }
    }
    Err(last)
}

/// Connects to the operator's proxy at one of `addresses`; with `tunnel_to`, has it connect there.
pub(crate) async fn dial_through(
    upstream: &Upstream,
    addresses: &[IpAddr],
    tunnel_to: Option<&Target>,
    limit: Duration,
) -> Result<Dialed, DialError> {
    let deadline = Instant::now() + limit;
    let (mut stream, address) = connect(addresses, upstream.target().port, deadline).await?;
    let Some(target) = tunnel_to else {
        return Ok(Dialed { stream: rewound(stream, BytesMut::new()), address });
    };
    let asked = timeout_at(deadline, ask(&mut stream, upstream, target)).await;
    let rest = asked.map_err(|_| DialError::Timeout)??;
    Ok(Dialed { stream: rewound(stream, rest), address })
}

/// Asks for a tunnel, and returns what the other end sent right after the answer.
async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    upstream: &Upstream,
    target: &Target,
) -> Result<BytesMut, DialError> {
    let authorization = upstream
        .authorization()
        .map(|value| ["Proxy-Authorization: ", value, "\r\n"].concat())
        .unwrap_or_default();
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await.map_err(DialError::Refused)?;
    let mut bytes = BytesMut::with_capacity(1024);
    loop {
        if stream.read_buf(&mut bytes).await.map_err(DialError::Refused)? == 0 {
            return Err(DialError::UpstreamMalformed);
        }
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&bytes) {
            Ok(httparse::Status::Complete(len)) => {
                let status = response.code.unwrap_or_default();
                if !(200..300).contains(&status) {
                    return Err(DialError::UpstreamRefused { status });
                }
                bytes.advance(len);
                return Ok(bytes);
            }
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => {}
            Ok(httparse::Status::Partial) | Err(_) => return Err(DialError::UpstreamMalformed),
        }
    }
}
