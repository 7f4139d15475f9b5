//! Tunnels that are open while what is bound to their host changes.

use std::sync::Arc;

use sandbar_proxy::egress::{ConnectionEnd, CredentialSet};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use super::world::{SECRET, World, bearer, credential, head, remembering, rule};
use crate::fixture::SOON;

/// One request of a connection that is kept, and its answer.
async fn ask(world: &World, stream: &mut TlsStream<TcpStream>) {
    let request = format!("GET /v1 HTTP/1.1\r\nHost: {}\r\n\r\n", world.target());
    stream.write_all(request.as_bytes()).await.unwrap();
    let said = head(stream).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    stream.read_exact(&mut [0; 4]).await.unwrap();
}

/// Waits until the proxy ends the connection, however that looks inside.
async fn ended(stream: &mut TlsStream<TcpStream>) {
    let mut rest = Vec::new();
    drop(timeout(SOON, stream.read_to_end(&mut rest)).await.unwrap());
}

#[tokio::test]
async fn an_opaque_tunnel_ends_when_a_credential_is_bound_to_its_host() {
    let (upstream, heads) = remembering().await;
    let (port, roots) = (upstream.address().port(), upstream.roots.clone());
    let world = World::with(upstream, Vec::new()).await;
    // It goes to the upstream itself, which has a certificate of its own.
    let mut opaque = world.connect_with(super::world::HOST, roots).await.unwrap();
    ask(&world, &mut opaque).await;
    let bound = credential(vec![rule(port, "/v1", bearer())]);
    world.credentials.send_replace(Arc::new(CredentialSet::new(vec![bound])));
    ended(&mut opaque).await;
    assert_eq!(world.fixture.closed(1).await[0].end, ConnectionEnd::Revoked);
    ask(&world, &mut world.connect().await).await;
    let heads = heads.lock().unwrap().clone();
    assert!(!heads[0].contains(SECRET) && heads[1].contains(SECRET));
}

#[tokio::test]
async fn an_intercepted_tunnel_ends_when_the_last_credential_of_its_host_goes() {
    let (upstream, heads) = remembering().await;
    let roots = upstream.roots.clone();
    let world = World::new(upstream).await;
    let mut intercepted = world.connect().await;
    ask(&world, &mut intercepted).await;
    world.credentials.send_replace(Arc::new(CredentialSet::default()));
    ended(&mut intercepted).await;
    assert_eq!(world.fixture.closed(1).await[0].end, ConnectionEnd::Revoked);
    let mut opaque = world.connect_with(super::world::HOST, roots).await.unwrap();
    ask(&world, &mut opaque).await;
    let heads = heads.lock().unwrap().clone();
    assert!(heads[0].contains(SECRET) && !heads[1].contains(SECRET));
}

#[tokio::test]
async fn what_is_bound_to_another_host_ends_no_tunnel() {
    let (upstream, heads) = remembering().await;
    let port = upstream.address().port();
    let world = World::new(upstream).await;
    let mut stream = world.connect().await;
    ask(&world, &mut stream).await;
    let other = sandbar_types::InjectionRule {
        host: "other.example".to_owned(),
        ..rule(port, "/v1", bearer())
    };
    let bound = credential(vec![rule(port, "/v1", bearer()), other]);
    world.credentials.send_replace(Arc::new(CredentialSet::new(vec![bound])));
    ask(&world, &mut stream).await;
    assert_eq!(world.upstream.server.accepted(), 1);
    assert!(heads.lock().unwrap().iter().all(|head| head.contains(SECRET)));
}
