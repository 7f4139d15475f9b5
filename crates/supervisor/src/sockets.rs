//! Sockets on the loopback inside: connections to its ports, and the listener of the egress proxy.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4},
    os::fd::OwnedFd,
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketFlags, SocketType, bind, connect, getpeername, getsockname, listen,
        socket_with, sockopt,
    },
};
use sandbar_protocol::Transport;
use sandbar_types::EGRESS_PORT;

/// LIMIT: connections that wait for the proxy.
const BACKLOG: i32 = 256;

/// A connection on its way to a port of the loopback.
#[derive(Debug)]
pub(crate) struct Connecting {
    pub(crate) socket: OwnedFd,
    port: u16,
    /// What the first address said, while the second is tried.
    refused: Option<Errno>,
}

/// What became of it so far.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// Look again when the socket can be written to.
    Pending(Connecting),
    Connected(OwnedFd),
    /// Nobody listens at either address.
    Refused(Errno),
}

impl Connecting {
    /// Begins with 127.0.0.1.
    pub(crate) fn begin(port: u16) -> Attempt {
        Self::attempt((Ipv4Addr::LOCALHOST, port).into(), None)
    }

    /// Goes on where the kernel said that there is news.
    pub(crate) fn advance(self) -> Attempt {
        let failed = match sockopt::socket_error(&self.socket) {
            Ok(Err(errno)) | Err(errno) => errno,
            Ok(Ok(())) => match getpeername(&self.socket) {
                Ok(_) => return self.connected(),
                Err(Errno::NOTCONN) => return Attempt::Pending(self),
                Err(errno) => errno,
            },
        };
        self.or_next(failed)
    }

    fn attempt(address: SocketAddr, refused: Option<Errno>) -> Attempt {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = match socket_with(family, SocketType::STREAM, flags, None) {
            Ok(socket) => socket,
            Err(errno) => return Attempt::Refused(refused.unwrap_or(errno)),
        };
        let connecting = Self { socket, port: address.port(), refused };
        match connect(&connecting.socket, &address) {
            Ok(()) => connecting.connected(),
            Err(Errno::INPROGRESS | Errno::INTR) => Attempt::Pending(connecting),
            Err(errno) => connecting.or_next(errno),
        }
    }

    fn connected(self) -> Attempt {
        // A port that nobody listens on may have been given to this very socket, which then meets itself.
        let is_itself = match (getsockname(&self.socket), getpeername(&self.socket)) {
            (Ok(ours), Ok(theirs)) => Some(ours) == theirs,
            (Ok(_) | Err(_), _) => false,
        };
        if is_itself { self.or_next(Errno::CONNREFUSED) } else { Attempt::Connected(self.socket) }
    }

    /// Tries ::1 where 127.0.0.1 failed.
    fn or_next(self, errno: Errno) -> Attempt {
        match self.refused {
            Some(first) => Attempt::Refused(first),
            None => Self::attempt((Ipv6Addr::LOCALHOST, self.port).into(), Some(errno)),
        }
    }
}

/// Listens where programs inside look for their proxy.
pub(crate) fn listen_for_egress() -> io::Result<OwnedFd> {
    open_at(SocketAddrV4::new(Ipv4Addr::LOCALHOST, EGRESS_PORT), Transport::Tcp)
}

/// Makes a socket at an address of the loopback. Nobody here keeps it: when whoever asked lets go of it, it is closed.
pub(crate) fn open_at(at: SocketAddrV4, transport: Transport) -> io::Result<OwnedFd> {
    if !at.ip().is_loopback() || at.port() == 0 {
        return Err(Errno::ADDRNOTAVAIL.into());
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let kind = match transport {
        Transport::Tcp => SocketType::STREAM,
        Transport::Udp => SocketType::DGRAM,
    };
    let socket = socket_with(AddressFamily::INET, kind, flags, None)?;
    match transport {
        Transport::Tcp => {
            // Connections of the one before, which may be in their last state, are not in the way.
            sockopt::set_socket_reuseaddr(&socket, true)?;
            bind(&socket, &SocketAddr::from(at))?;
            listen(&socket, BACKLOG)?;
        }
        // Not so here: with it, two could be bound.
        Transport::Udp => bind(&socket, &SocketAddr::from(at))?,
    }
    Ok(socket)
}
