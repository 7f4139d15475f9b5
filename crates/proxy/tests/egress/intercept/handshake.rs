//! What a program may say while it shakes hands.

use std::sync::Arc;

use rustls::HandshakeKind;
use tokio::{io::AsyncWriteExt as _, time::timeout};
use tokio_rustls::TlsConnector;

use super::world::{HOST, World, read_all, remembering, speaking};
use crate::fixture::SOON;

#[tokio::test]
async fn case_69_a_handshake_without_a_name_is_misdirected() {
    let (upstream, heads) = remembering().await;
    let world = World::new(upstream).await;
    let mut config = speaking(world.roots_inside());
    config.enable_sni = false;
    let how = (HOST, Arc::new(config));
    let mut stream = world.connect_to(&world.target(), how).await.unwrap();
    let request =
        format!("GET /v1 HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", world.target());
    stream.write_all(request.as_bytes()).await.unwrap();
    let said = read_all(&mut stream).await;
    assert!(said.starts_with("HTTP/1.1 421 "), "{said}");
    assert!(heads.lock().unwrap().is_empty());
    assert_eq!(*world.told.refused.lock().unwrap(), [(421, "misdirected")]);
}

#[tokio::test]
async fn case_69_nothing_is_taken_before_the_handshake_is_over() {
    let (upstream, heads) = remembering().await;
    let world = World::new(upstream).await;
    let mut config = speaking(world.roots_inside());
    config.enable_early_data = true;
    let config = Arc::new(config);
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let (stream, _) = world.fixture.tunnel(&world.target()).await;
        let connector = TlsConnector::from(Arc::clone(&config));
        let mut may_be_early = false;
        let connected = connector.connect_with(HOST.try_into().unwrap(), stream, |connection| {
            // The ticket of an earlier connection says whether it would be taken.
            may_be_early = connection.early_data().is_some();
        });
        let mut stream = timeout(SOON, connected).await.unwrap().unwrap();
        assert!(!may_be_early);
        let request =
            format!("GET /v1 HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", world.target());
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(read_all(&mut stream).await.ends_with("fine"));
        kinds.push(stream.get_ref().1.handshake_kind());
    }
    // The second goes on with the session of the first, and so could have.
    assert_eq!(kinds, [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)]);
    assert_eq!(heads.lock().unwrap().len(), 2);
}
