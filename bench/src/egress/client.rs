//! A program inside: it asks for a tunnel, speaks TLS and asks one thing after the other.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{INTERCEPTED, OPAQUE, PORT, STREAM_BYTES, proxy::Proxy, upstream::Upstream};
use crate::Result;

/// How the server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Direct,
    Opaque,
    Intercepted,
}

pub(super) const WAYS: [Way; 3] = [Way::Direct, Way::Opaque, Way::Intercepted];

impl Way {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Opaque => "opaque",
            Self::Intercepted => "credential put in",
        }
    }

    fn host(self) -> &'static str {
        match self {
            Self::Direct | Self::Opaque => OPAQUE,
            Self::Intercepted => INTERCEPTED,
        }
    }
}

/// A connection of TLS, and who is spoken to.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    host: &'static str,
}

pub(super) struct Client {
    upstream: SocketAddr,
    proxy: SocketAddr,
    roots: RootCertStore,
    known: [Arc<ClientConfig>; 2],
}

impl Client {
    pub(super) fn new(upstream: &Upstream, proxy: &Proxy) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for pem in [&upstream.root, &proxy.authority] {
            roots.add(CertificateDer::from_pem_slice(pem.as_bytes())?)?;
        }
        let known = [Arc::new(config(roots.clone())), Arc::new(config(roots.clone()))];
        Ok(Self { upstream: upstream.address, proxy: proxy.address, roots, known })
    }

    /// What a program has that just started.
    pub(super) fn fresh(&self) -> Arc<ClientConfig> {
        let mut config = config(self.roots.clone());
        config.resumption = Resumption::disabled();
        Arc::new(config)
    }

    /// What a program has that was connected before.
    pub(super) fn known(&self, way: Way) -> &Arc<ClientConfig> {
        match way {
            Way::Direct | Way::Opaque => &self.known[0],
            Way::Intercepted => &self.known[1],
        }
    }

    pub(super) async fn connect(&self, way: Way, config: &Arc<ClientConfig>) -> Result<Connection> {
        let stream = match way {
            Way::Direct => TcpStream::connect(self.upstream).await?,
            Way::Opaque | Way::Intercepted => self.tunnel(way.host()).await?,
        };
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(way.host())?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
        Ok(Connection { stream, host: way.host() })
    }

    async fn tunnel(&self, host: &str) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(self.proxy).await?;
        let asked = format!("CONNECT {host}:{PORT} HTTP/1.1\r\nHost: {host}:{PORT}\r\n\r\n");
        stream.write_all(asked.as_bytes()).await?;
        let mut head = Vec::new();
        // The other side says nothing before it is spoken to.
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                return Err("the proxy closed".into());
            }
        }
        if head.starts_with(b"HTTP/1.1 200 ") {
            Ok(stream)
        } else {
            Err(String::from_utf8_lossy(&head).into())
        }
    }

    /// How long a connection and a small answer take.
    pub(super) async fn small(&self, way: Way, config: &Arc<ClientConfig>) -> Result<Duration> {
        let start = Instant::now();
        let mut connection = self.connect(way, config).await?;
        let is_injected = ask(&mut connection).await?;
        let took = start.elapsed();
        if is_injected == (way == Way::Intercepted) {
            Ok(took)
        } else {
            Err(format!("{}: the credential is where it should not be, or is not", way.name())
                .into())
        }
    }
}

fn config(roots: RootCertStore) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions();
    let mut config = builder
        .expect("the usual versions are there")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// Asks for little; whether the server saw the credential.
pub(super) async fn ask(connection: &mut Connection) -> Result<bool> {
    send(connection, "/v1/little").await?;
    let mut answer = Vec::new();
    until(connection, &mut answer, |answer| {
        answer.ends_with(b"true ") || answer.ends_with(b"false")
    })
    .await?;
    Ok(answer.ends_with(b"true "))
}

/// How long it takes from the request to the first byte of what is streamed.
pub(super) async fn first_byte(connection: &mut Connection) -> Result<Duration> {
    let start = Instant::now();
    send(connection, "/v1/events").await?;
    let mut answer = Vec::new();
    until(connection, &mut answer, |answer| contains(answer, b"data:")).await?;
    let took = start.elapsed();
    until(connection, &mut answer, |answer| answer.ends_with(b"0\r\n\r\n")).await?;
    Ok(took)
}

/// How long much takes.
pub(super) async fn much(connection: &mut Connection) -> Result<Duration> {
    let start = Instant::now();
    send(connection, "/v1/much").await?;
    let (mut buffer, mut left) = (vec![0; 64 << 10], STREAM_BYTES);
    // With its head it is a little more.
    while left > 0 {
        match connection.stream.read(&mut buffer).await? {
            0 => return Err("the stream was cut".into()),
            read => left = left.saturating_sub(read),
        }
    }
    Ok(start.elapsed())
}

/// Waits until a proxy has no connection to care for any more.
pub(super) async fn settled(proxy: &Proxy) -> Result<()> {
    let mut last = 0;
    loop {
        let kib = proxy.own_kib()?;
        if kib == last {
            return Ok(());
        }
        last = kib;
        // Not a wait for an effect, only the pace at which the condition is asked.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn send(connection: &mut Connection, path: &str) -> Result<()> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", connection.host);
    connection.stream.write_all(request.as_bytes()).await?;
    Ok(connection.stream.flush().await?)
}

async fn until(
    connection: &mut Connection,
    answer: &mut Vec<u8>,
    is_enough: impl Fn(&[u8]) -> bool,
) -> Result<()> {
    while !is_enough(answer) {
        if connection.stream.read_buf(answer).await? == 0 {
            return Err(format!("cut: {}", String::from_utf8_lossy(answer)).into());
        }
    }
    Ok(())
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
