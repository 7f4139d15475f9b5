//! Descriptors that run out. In a program of its own, because the limit is the process's.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sandbar_proxy::egress::{EgressProxy, Policy, Unheard};
use sandbar_types::SandboxId;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::test(start_paused = true)]
async fn case_71_a_proxy_outlives_any_time_without_a_descriptor() {
    let proxy = Arc::new(EgressProxy::new(Policy::with_defaults(), Arc::new(Unheard)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // The kernel makes the connection, whoever accepts it later.
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n").unwrap();
    let limits @ Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), maximum }).unwrap();
    let cancel = CancellationToken::new();
    let serving = proxy.serve(listener, SandboxId::generate(), cancel.clone());
    let mut serving = std::pin::pin!(serving);
    // An hour of the runtime's clock: a neighbor that takes all there is may do so for long.
    let hour = tokio::time::timeout(Duration::from_hours(1), &mut serving).await;
    setrlimit(Resource::Nofile, limits).unwrap();
    assert!(hour.is_err(), "it gave up");
    tokio::time::resume();
    let asking = tokio::task::spawn_blocking(move || {
        let mut said = [0; 12];
        stream.read_exact(&mut said).map(|()| said)
    });
    let said = tokio::select! {
        () = &mut serving => panic!("it gave up"),
        said = asking => said.unwrap().unwrap(),
    };
    assert_eq!(&said, b"HTTP/1.1 403");
    cancel.cancel();
    serving.await;
}
