//! What comes after `101 Switching Protocols`: bytes, both ways, until one side ends.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional_with_sizes;
use tokio_util::sync::CancellationToken;

use super::{link::Link, upstreams::Route};

/// Bytes that are in flight in each direction.
const BUFFER: usize = 16 << 10;

/// Both ends of a tunnel that is about to be.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) client: OnUpgrade,
    pub(crate) app: OnUpgrade,
    pub(crate) link: Link,
    pub(crate) route: Route,
}

/// Runs until one side ends, or until we do.
pub(crate) async fn run(tunnel: Tunnel, stop: CancellationToken) {
    let Tunnel { client, app, link, route } = tunnel;
    let copying = async {
        let (client, app, ()) = tokio::join!(client, app, link.finish());
        let (Ok(client), Ok(app)) = (client, app) else { return };
        let (mut client, mut app) = (TokioIo::new(client), TokioIo::new(app));
        if let Err(error) =
            copy_bidirectional_with_sizes(&mut client, &mut app, BUFFER, BUFFER).await
        {
            // One of them went away.
            tracing::trace!(error = &error as &dyn std::error::Error, "tunnel ended");
        }
    };
    tokio::select! {
        () = copying => {}
        () = stop.cancelled() => {}
    }
    drop(route);
}
