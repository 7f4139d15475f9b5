//! Something on this host's network that a sandbox may be let to.

#![expect(clippy::print_stderr, reason = "a test says what it skips")]

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, TcpListener, TcpStream, ToSocketAddrs as _},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{Project, Server};

/// A server of this host's network, and the name that it has there.
#[derive(Debug)]
pub struct Service {
    /// The name.
    pub name: String,
    /// Its address, as that name is resolved.
    pub ip: IpAddr,
    /// Its port.
    pub port: u16,
    /// How many connections came.
    pub asked: Arc<AtomicUsize>,
}

impl Service {
    /// `None` where this host does not know its own name: nothing else is a name without the internet.
    ///
    /// # Panics
    /// If nobody may listen.
    #[must_use]
    pub fn start() -> Option<Self> {
        let name = Command::new("hostname").output().expect("hostname runs").stdout;
        let name = String::from_utf8(name).expect("a name is text").trim().to_ascii_lowercase();
        let Some(address) =
            (name.as_str(), 0).to_socket_addrs().ok().and_then(|mut all| all.next())
        else {
            eprintln!("SKIPPED: this host does not resolve its own name, {name}");
            return None;
        };
        let listener = TcpListener::bind((address.ip(), 0)).expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || answer(stream));
            }
        });
        Some(Self { name, ip: address.ip(), port, asked })
    }

    /// A server of ours whose sandboxes may reach it, with a sandbox.
    #[must_use]
    pub fn sandbox(&self) -> (Server, String, Project) {
        let mut server = Server::start();
        server.kill();
        let named = format!("[\"{}:{}\"]", self.name, self.port);
        server.set_env("SANDBAR_NETWORK_ALLOW_PRIVATE", &named);
        server.restart();
        let project = Project::new();
        let sandbox = server.create(&project);
        (server, sandbox, project)
    }

    /// Where it is, for a client of HTTP.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}:{}/", self.name, self.port)
    }
}

/// Answers one request, and holds what is held until the other side goes.
fn answer(mut stream: TcpStream) {
    let mut head = [0; 4096];
    let read = stream.read(&mut head).unwrap_or(0);
    let is_held = head[..read].starts_with(b"HOLD");
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";
    // Whoever went away needs no answer.
    drop(stream.write_all(if is_held { b"held\n" } else { answer.as_bytes() }));
    if is_held {
        drop(stream.read(&mut head));
    }
}
