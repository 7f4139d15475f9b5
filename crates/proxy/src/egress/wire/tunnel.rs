//! `CONNECT`: bytes in both directions until both sides are done.

use std::{io, sync::Arc};

use bytes::Buf as _;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{Meter, Metered, Received, Stream, rewound};

/// LIMIT: bytes on their way, in each direction of a tunnel.
const BUFFER_BYTES: usize = 32 << 10;

/// Says that the tunnel is there, and copies. When one side has nothing more to say the other is told, and may go on.
pub(crate) async fn tunnel(
    client: TcpStream,
    received: Received,
    mut upstream: Stream,
    meter: &Arc<Meter>,
) -> io::Result<()> {
    let mut client = opened(client, received, meter).await?;
    tokio::io::copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER_BYTES, BUFFER_BYTES)
        .await
        .map(|_| ())
}

/// Says that the tunnel is there, and returns what is in it.
pub(crate) async fn opened(
    mut client: TcpStream,
    received: Received,
    meter: &Arc<Meter>,
) -> io::Result<Metered<Stream>> {
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    // A client may send its first words before it knows that somebody listens.
    let Received { mut bytes, head_len, .. } = received;
    bytes.advance(head_len);
    Ok(Metered::new(rewound(client, bytes), Arc::clone(meter)))
}
