//! What a supervisor may say about an app, and hand over, and what of that is believed.

use std::{
    net::{TcpListener as StdListener, UdpSocket},
    os::unix::net::UnixStream as StdUnixStream,
};

use sandbar_protocol::{AppStatus, Dialed};
use sandbar_types::{AppSpec, ProcessKind, ProcessState, ProcessStatus};

use super::{
    tests::{answer_once, sandbox},
    *,
};

/// Takes one connection, reads the request, and answers with a descriptor.
async fn hand_over(
    listener: &tokio::net::UnixListener,
    frame: &[u8],
    descriptor: impl Into<OwnedFd>,
) {
    let (mut peer, _) = listener.accept().await.unwrap();
    let mut request = [0; 4096];
    assert_ne!(peer.read(&mut request).await.unwrap(), 0);
    let descriptor = descriptor.into();
    let sent = send_with_descriptor(&peer, frame, &descriptor).await.unwrap();
    peer.write_all(&frame[sent..]).await.unwrap();
}

async fn dial_against(descriptor: impl Into<OwnedFd>) -> Result<tokio::net::TcpStream, DialError> {
    let (_temp, dir, listener) = sandbox();
    let client = SupervisorClient::connect(&dir).unwrap();
    let frame = Dialed::Connected {}.to_frame().unwrap();
    tokio::join!(client.dial(80), hand_over(&listener, &frame, descriptor)).0
}

async fn egress_against(descriptor: impl Into<OwnedFd>) -> io::Result<tokio::net::TcpListener> {
    let (_temp, dir, listener) = sandbox();
    let client = SupervisorClient::connect(&dir).unwrap();
    let frame = ControlReply::Done.to_frame().unwrap();
    tokio::join!(client.egress(), hand_over(&listener, &frame, descriptor)).0
}

fn lied(err: &io::Error) -> bool {
    err.kind() == io::ErrorKind::InvalidData
}

#[tokio::test]
async fn a_connection_is_taken_and_anything_else_is_not() {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let connected = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut stream = dial_against(connected).await.unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    std::io::Write::write_all(&mut peer, b"hello").unwrap();
    drop(peer);
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "hello");

    let unconnected = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        None,
    );
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.connect("127.0.0.1:9").unwrap();
    let lies: [OwnedFd; 5] = [
        listener.into(),
        udp.into(),
        unconnected.unwrap(),
        StdUnixStream::pair().unwrap().0.into(),
        std::fs::File::open("/dev/null").unwrap().into(),
    ];
    for lie in lies {
        let DialError::Supervisor(err) = dial_against(lie).await.unwrap_err() else { panic!() };
        assert!(lied(&err) || err.raw_os_error().is_some(), "{err:?}");
    }
}

#[tokio::test]
async fn a_listener_is_taken_and_a_connection_is_not() {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connected = std::net::TcpStream::connect(address).unwrap();
    assert!(lied(&egress_against(connected).await.unwrap_err()));
    let taken = egress_against(listener).await.unwrap();
    assert_eq!(taken.local_addr().unwrap(), address);
}

#[tokio::test]
async fn without_a_descriptor_a_yes_is_a_lie_and_a_no_says_what_listens() {
    let (_temp, dir, listener) = sandbox();
    let client = SupervisorClient::connect(&dir).unwrap();
    let frame = Dialed::Connected {}.to_frame().unwrap();
    let (dialed, _) = tokio::join!(client.dial(80), answer_once(&listener, &frame));
    assert!(matches!(dialed, Err(DialError::Supervisor(err)) if lied(&err)));
    let listening = (1..1000).collect();
    let frame = Dialed::Refused { errno: 111, listening }.to_frame().unwrap();
    let (dialed, open) = tokio::join!(client.dial(80), answer_once(&listener, &frame));
    assert_eq!(open, Open::Dial { port: 80 });
    let Err(DialError::Refused { errno: 111, listening }) = dialed else { panic!("{dialed:?}") };
    assert_eq!(listening, (1..=16).collect::<Vec<u16>>());
}

fn status(n: usize) -> ProcessStatus {
    ProcessStatus {
        name: format!("p{n}").parse().unwrap(),
        kind: ProcessKind::Worker,
        state: ProcessState::Running,
        pid: None,
        restarts: 0,
        started_us: None,
        last_exit: None,
        hint: None,
    }
}

#[tokio::test]
async fn a_watch_gives_one_status_after_the_other_and_believes_no_more_than_an_app_has() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let mut watch = AppWatch::new(ours);
    let app = |count| AppStatus { processes: (0..count).map(status).collect() };
    for count in [0, 1, AppSpec::PROCESSES_MAX] {
        theirs.write_all(&app(count).to_frame().unwrap()).await.unwrap();
        assert_eq!(watch.next().await.unwrap(), app(count));
    }
    theirs.write_all(&app(AppSpec::PROCESSES_MAX + 1).to_frame().unwrap()).await.unwrap();
    assert!(lied(&watch.next().await.unwrap_err()));
    drop(theirs);
    assert_eq!(watch.next().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

async fn bind_against(descriptor: impl Into<OwnedFd>) -> io::Result<tokio::net::UdpSocket> {
    let (_temp, dir, listener) = sandbox();
    let client = SupervisorClient::connect(&dir).unwrap();
    let frame = ControlReply::Done.to_frame().unwrap();
    let at = "127.0.0.1:53".parse().unwrap();
    tokio::join!(client.bind(at), hand_over(&listener, &frame, descriptor)).0
}

#[tokio::test]
async fn a_socket_for_datagrams_is_taken_and_one_of_connections_is_not() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = udp.local_addr().unwrap();
    assert_eq!(bind_against(udp).await.unwrap().local_addr().unwrap(), address);
    // One that sends somewhere already would answer there.
    let connected = UdpSocket::bind("127.0.0.1:0").unwrap();
    connected.connect("127.0.0.1:9").unwrap();
    assert!(lied(&bind_against(connected).await.unwrap_err()));
    assert!(lied(&bind_against(StdListener::bind("127.0.0.1:0").unwrap()).await.unwrap_err()));
}

#[tokio::test]
async fn a_supervisor_that_does_not_know_the_request_has_no_such_door() {
    let (_temp, dir, listener) = sandbox();
    let client = SupervisorClient::connect(&dir).unwrap();
    let closes = async {
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert_ne!(peer.read(&mut request).await.unwrap(), 0);
    };
    let (listened, ()) = tokio::join!(client.listen("127.0.0.1:1080".parse().unwrap()), closes);
    assert_eq!(listened.unwrap_err().kind(), io::ErrorKind::NotConnected);
}
