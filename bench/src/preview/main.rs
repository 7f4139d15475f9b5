//! The parts of `bench/preview`: our proxy before one app, an echo of WebSocket messages, and a client that times it.
//!
//! usage: `sandbar-bench-preview proxy <listen> <app>` | `echo <listen>` | `rtt <address> <host> <rounds>`

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{env, error::Error, net::SocketAddr, sync::Arc, time::Instant};

use async_trait::async_trait;
use futures_util::{SinkExt as _, StreamExt as _};
use sandbar_proxy::preview::{
    AccessKey, Activity, ConnectError, PreviewConfig, PreviewDomain, PreviewHost, PreviewProxy,
    Route, RouteError, Upstreams, Visibility,
};
use sandbar_types::SandboxId;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_tungstenite::{
    accept_async, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};
use tokio_util::sync::CancellationToken;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match args[..] {
            ["proxy", listen, app] => proxy(listen, app.parse()?).await,
            ["echo", listen] => echo(listen).await,
            ["rtt", address, host, rounds] => rtt(address, host, rounds.parse()?).await,
            _ => Err("usage: proxy <listen> <app> | echo <listen> | rtt <address> <host> <rounds>"
                .into()),
        }
    })
}

/// Every preview is the same app.
#[derive(Debug)]
struct OneApp {
    id: SandboxId,
    address: SocketAddr,
}

#[async_trait]
impl Upstreams for OneApp {
    async fn route(&self, host: &PreviewHost) -> std::result::Result<Route, RouteError> {
        Ok(Route {
            sandbox: self.id,
            port: host.port,
            visibility: Visibility::Public,
            activity: Activity::new(self.id),
        })
    }

    async fn connect(
        &self,
        _: &Route,
        _: tokio::time::Instant,
    ) -> std::result::Result<TcpStream, ConnectError> {
        let connected = TcpStream::connect(self.address).await;
        connected.map_err(|error| ConnectError::Failed(Box::new(error)))
    }
}

async fn proxy(listen: &str, address: SocketAddr) -> Result<()> {
    let config = PreviewConfig::new(PreviewDomain::default(), AccessKey::generate());
    let app = OneApp { id: SandboxId::generate(), address };
    let proxy = PreviewProxy::new(config, Arc::new(app), CancellationToken::new());
    let listener = TcpListener::bind(listen).await?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, peer) = accepted?;
                stream.set_nodelay(true)?;
                let proxy = proxy.clone();
                connections.spawn(async move { proxy.serve_connection(stream, peer.ip()).await });
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn echo(listen: &str) -> Result<()> {
    let listener = TcpListener::bind(listen).await?;
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        connections.spawn(async move {
            let Ok(mut socket) = accept_async(stream).await else { return };
            while let Some(Ok(message)) = socket.next().await {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Prints the median time of a message there and back, in microseconds.
async fn rtt(address: &str, host: &str, rounds: usize) -> Result<()> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut request = format!("ws://{address}/").into_client_request()?;
    request.headers_mut().insert("host", host.parse()?);
    let (mut socket, _) = client_async(request, stream).await?;
    let mut took = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let started = Instant::now();
        socket.send(Message::text("hello")).await?;
        socket.next().await.ok_or("the echo ended")??;
        took.push(started.elapsed());
    }
    took.sort_unstable();
    println!("{}", took[took.len() / 2].as_micros());
    Ok(())
}
