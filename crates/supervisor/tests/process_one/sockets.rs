//! Sockets that come from inside.

use std::{io, net::SocketAddrV4};

use sandbar_runtime::client::DialError;
use sandbar_types::EGRESS_PORT;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    harness::eventually,
    rig::{Rig, process, server},
};

const ECONNREFUSED: i32 = 111;

fn get(rig: &Rig, port: u16) -> String {
    rig.wait(async {
        let mut socket = rig.client.dial(port).await.unwrap();
        socket.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    })
}

#[test]
fn a_port_inside_is_dialed_by_either_address() {
    let Some(rig) = Rig::start() else {
        return;
    };
    let six = process("six", "exec python3 -m http.server 3001 --bind ::1");
    rig.keep(&[server("four", 3000), six]);
    rig.until_ready("four");
    eventually("the other listens, too", || rig.wait(rig.client.dial(3001)).is_ok());
    for port in [3000, 3001] {
        assert!(get(&rig, port).starts_with("HTTP/1.0 200"), "{port}");
    }
    let refused = rig.wait(rig.client.dial(3002)).unwrap_err();
    let DialError::Refused { errno, listening } = refused else { panic!("{refused:?}") };
    assert_eq!((errno, listening), (ECONNREFUSED, vec![3000, 3001]));
    // A hundred at once are a hundred connections.
    rig.wait(async {
        let mut all = Vec::new();
        for _ in 0..100 {
            all.push(rig.client.dial(3000).await.unwrap());
        }
    });
}

#[test]
fn the_listener_of_the_proxy_is_one_and_handed_over_again() {
    let Some(rig) = Rig::start() else {
        return;
    };
    let ask = format!("exec 3<>/dev/tcp/127.0.0.1/{EGRESS_PORT}; echo hello >&3; cat <&3");
    let refused = rig.sandbox.exec(&["bash", "-c", &ask]).finish();
    assert_ne!(refused.end.status.shell_code(), 0, "nobody listens before somebody asked");
    for greeting in ["first", "second"] {
        // As by a server, and the one after it.
        let listener = rig.wait(rig.client.egress()).unwrap();
        let asking = rig.sandbox.exec(&["bash", "-c", &ask]);
        rig.wait(async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut said = [0; 6];
            socket.read_exact(&mut said).await.unwrap();
            assert_eq!(&said, b"hello\n");
            socket.write_all(greeting.as_bytes()).await.unwrap();
        });
        assert_eq!(asking.finish().text(), greeting);
    }
}

#[test]
fn a_port_that_is_taken_is_no_proxy() {
    let Some(rig) = Rig::start() else {
        return;
    };
    rig.keep(&[server("web", EGRESS_PORT)]);
    rig.until_ready("web");
    let err = rig.wait(rig.client.egress()).unwrap_err();
    assert_eq!(err.kind(), io::ErrorKind::Other, "{err}");
}

#[test]
fn a_socket_at_any_address_of_the_loopback_is_made_on_request() {
    let Some(rig) = Rig::start() else {
        return;
    };
    let at = |text: &str| text.parse::<SocketAddrV4>().unwrap();
    let stand_in = rig.wait(rig.client.listen(at("127.64.0.7:4443"))).unwrap();
    let ask = "exec 3<>/dev/tcp/127.64.0.7/4443; cat <&3";
    let asking = rig.sandbox.exec(&["bash", "-c", ask]);
    rig.wait(async {
        let (mut socket, _) = stand_in.accept().await.unwrap();
        socket.write_all(b"instead").await.unwrap();
    });
    assert_eq!(asking.finish().text(), "instead");
    // It is not one of the ports of an app.
    let refused = rig.wait(rig.client.dial(3002)).unwrap_err();
    assert!(matches!(refused, DialError::Refused { listening, .. } if listening.is_empty()));
    // Let go of, the place is free again.
    rig.wait(rig.client.listen(at("127.64.0.7:4443"))).unwrap_err();
    drop(stand_in);
    rig.wait(rig.client.listen(at("127.64.0.7:4443"))).unwrap();
    let names = rig.wait(rig.client.bind(at("127.0.0.1:5353"))).unwrap();
    let asking = rig.sandbox.exec(&["bash", "-c", "echo -n name > /dev/udp/127.0.0.1/5353"]);
    rig.wait(async {
        let mut said = [0; 16];
        let (len, _) = names.recv_from(&mut said).await.unwrap();
        assert_eq!(&said[..len], b"name");
    });
    assert_eq!(asking.finish().end.status.shell_code(), 0);
    // Nowhere else, whoever asks.
    for outside in ["0.0.0.0:80", "10.0.0.1:80", "127.0.0.1:0"] {
        rig.wait(rig.client.listen(at(outside))).unwrap_err();
    }
}
