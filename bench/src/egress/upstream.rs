//! A server of HTTPS that answers at once: with little, with much, or with a stream of events.

use std::{net::SocketAddr, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{INTERCEPTED, OPAQUE, SECRET, STREAM_BYTES};
use crate::Result;

/// The first event of a stream, as a model's API writes one.
const EVENT: &str = "data: {\"type\":\"content_block_delta\",\"text\":\"he\"}\n\n";
/// What is written at once of much.
const BLOCK_BYTES: usize = 64 << 10;

/// A server that serves as long as it is kept.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    /// Whom a client trusts.
    pub(super) root: String,
    _serving: JoinSet<()>,
}

impl Upstream {
    pub(super) async fn start(address: SocketAddr) -> Result<Self> {
        let (config, root) = certified()?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(address).await?;
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    // Whoever goes away has measured what it wanted.
                    drop(serve(stream, acceptor).await);
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, root, _serving: serving })
    }
}

fn certified() -> Result<(ServerConfig, String)> {
    let key = KeyPair::generate()?;
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = ca.self_signed(&key)?.pem();
    let leaf = CertificateParams::new(vec![OPAQUE.to_owned(), INTERCEPTED.to_owned()])?;
    let leaf_key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&leaf_key, &Issuer::new(ca, key))?;
    let leaf_key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], leaf_key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((config, root))
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = acceptor.accept(stream).await?;
    let mut head = Vec::new();
    loop {
        head.clear();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        answer(&mut stream, std::str::from_utf8(&head)?).await?;
    }
}

async fn answer(stream: &mut TlsStream<TcpStream>, head: &str) -> Result<()> {
    if head.starts_with("GET /v1/much ") {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {STREAM_BYTES}\r\n\r\n");
        stream.write_all(answer.as_bytes()).await?;
        // Bytes that look like nothing, as what is compressed does.
        let noise = |at: usize| (at.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()[0];
        let block: Vec<u8> = (0..BLOCK_BYTES).map(noise).collect();
        for _ in 0..STREAM_BYTES / BLOCK_BYTES {
            stream.write_all(&block).await?;
        }
    } else if head.starts_with("GET /v1/events ") {
        let begin = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(begin.as_bytes()).await?;
        stream.flush().await?;
        // A model thinks before it speaks: the head is out by itself.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        stream.write_all(format!("{:x}\r\n{EVENT}\r\n", EVENT.len()).as_bytes()).await?;
        stream.flush().await?;
        stream.write_all(b"0\r\n\r\n").await?;
    } else {
        // Of an intercepted request, whether the value is in it.
        let is_injected = head.contains(SECRET);
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{is_injected:5}");
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(stream.flush().await?)
}
