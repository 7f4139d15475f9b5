//! `CONNECT`: bytes in both directions until both sides are done.

use std::{io, sync::Arc};

use bytes::{Buf as _, BytesMut};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{Meter, Metered, Received, Stream, rewound};

/// LIMIT: bytes on their way, in each direction of a tunnel.
const BUFFER_BYTES: usize = 32 << 10;

/// Copies, `read` from the client first. When one side has nothing more to say the other is told, and may go on.
pub(crate) async fn tunnel(
    client: TcpStream,
    read: BytesMut,
    mut upstream: Stream,
    meter: &Arc<Meter>,
) -> io::Result<()> {
    let mut client = Metered::new(rewound(client, read), Arc::clone(meter));
    tokio::io::copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER_BYTES, BUFFER_BYTES)
        .await
        .map(|_| ())
}

/// Says that the tunnel is there, and returns what is in it already: a client may send its first words before it knows
/// that somebody listens.
pub(crate) async fn opened(client: &mut TcpStream, received: Received) -> io::Result<BytesMut> {
    let Received { mut bytes, head_len, established, .. } = received;
    client.write_all(established).await?;
    bytes.advance(head_len);
    Ok(bytes)
}
