//! Sockets that come from inside: connections to a port of the loopback there, and the sockets of the egress proxy.
//!
//! SECURITY: a descriptor that a supervisor hands over may be anything, so it is asked what it is. What cannot be asked
//! away: the supervisor keeps the same open file, and may read from it, write to it, and switch its non-blocking mode
//! off again. Only a supervisor that was taken over does; whoever must not even then be held up reads and writes with
//! `MSG_DONTWAIT`.

use std::{
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    net::SocketAddrV4,
    os::fd::OwnedFd,
};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketType, getpeername,
    ipproto, recvmsg, sockopt,
};
use sandbar_protocol::{ControlReply, Dialed, FrameDecoder, Open, Transport};
use tokio::{
    io::Interest,
    net::{TcpListener, TcpStream, UdpSocket, UnixStream},
};

use super::{SupervisorClient, broken, done, within_deadline};

/// LIMIT: ports named in an answer, as the protocol says.
const LISTENING_MAX: usize = 16;

/// Why there is no connection to a port inside.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Nobody listens there, or the kernel inside refused.
    #[error("nobody answers there (errno {errno})")]
    Refused {
        /// What the kernel said.
        errno: i32,
        /// Ports on which somebody listens, sorted, at most 16.
        listening: Vec<u16>,
    },
    /// The supervisor could not be asked; see the table of [`crate::client`].
    #[error("the supervisor did not connect")]
    Supervisor(#[from] io::Error),
}

/// What a socket from inside must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Connected,
    Listening,
    Datagrams,
}

impl SupervisorClient {
    /// Connects to a port of the loopback inside: 127.0.0.1, or ::1 where nobody listens there.
    ///
    /// # Errors
    /// Nobody listens, or the supervisor cannot be asked.
    pub async fn dial(&self, port: u16) -> Result<TcpStream, DialError> {
        let stream = self.open(&Open::Dial { port }, None).await?;
        let (payload, socket) = within_deadline(answer(&stream)).await?;
        match Dialed::from_payload(&payload).map_err(broken)? {
            Dialed::Connected {} => {
                let socket = checked(socket, Role::Connected)?;
                Ok(TcpStream::from_std(socket.into())?)
            }
            Dialed::Refused { errno, mut listening } => {
                listening.truncate(LISTENING_MAX);
                Err(DialError::Refused { errno, listening })
            }
        }
    }

    /// Returns the listening socket of the egress proxy, at [`sandbar_types::EGRESS_PORT`] inside.
    ///
    /// # Errors
    /// See the table of this module.
    pub async fn egress(&self) -> io::Result<TcpListener> {
        let stream = self.open(&Open::Egress {}, None).await?;
        let (payload, socket) = within_deadline(answer(&stream)).await?;
        done(ControlReply::from_payload(&payload).map_err(broken)?)?;
        TcpListener::from_std(checked(socket, Role::Listening)?.into())
    }
}

impl SupervisorClient {
    /// Returns a new socket that listens at an address of the loopback inside.
    ///
    /// # Errors
    /// See the table of this module. `NotConnected` also from a supervisor that is too old for the request.
    pub async fn listen(&self, at: SocketAddrV4) -> io::Result<TcpListener> {
        let socket = self.socket(at, Transport::Tcp).await?;
        TcpListener::from_std(checked(socket, Role::Listening)?.into())
    }

    /// Returns a new socket for datagrams at an address of the loopback inside.
    ///
    /// # Errors
    /// As [`SupervisorClient::listen`].
    pub async fn bind(&self, at: SocketAddrV4) -> io::Result<UdpSocket> {
        let socket = self.socket(at, Transport::Udp).await?;
        UdpSocket::from_std(checked(socket, Role::Datagrams)?.into())
    }

    async fn socket(&self, at: SocketAddrV4, transport: Transport) -> io::Result<Option<OwnedFd>> {
        let asked = Open::Listen { address: *at.ip(), port: at.port(), transport };
        let stream = self.open(&asked, None).await?;
        let (payload, socket) = within_deadline(answer(&stream)).await?;
        done(ControlReply::from_payload(&payload).map_err(broken)?)?;
        Ok(socket)
    }
}

/// Reads one frame, and the descriptor that came along.
async fn answer(stream: &UnixStream) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
    let mut frames = FrameDecoder::default();
    let mut socket = None;
    let mut piece = vec![0; 4096];
    loop {
        if let Some(payload) = frames.next_frame().map_err(broken)? {
            return Ok((payload.to_vec(), socket));
        }
        let (read, descriptor) =
            stream.async_io(Interest::READABLE, || receive(stream, &mut piece)).await?;
        if read == 0 {
            return Err(io::ErrorKind::NotConnected.into());
        }
        socket = descriptor.or(socket);
        frames.push(&piece[..read]);
    }
}

fn receive(stream: &UnixStream, piece: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    // Room for one: the kernel closes what else a message brings.
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message = recvmsg(stream, &mut [IoSliceMut::new(piece)], &mut control, flags)?;
    let descriptors = control.drain().filter_map(|message| {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            Some(descriptors)
        } else {
            None
        }
    });
    Ok((message.bytes, descriptors.flatten().last()))
}

/// Lets only a socket of this role through, and makes it ready for the runtime.
fn checked(socket: Option<OwnedFd>, role: Role) -> io::Result<OwnedFd> {
    let lied = || io::Error::from(io::ErrorKind::InvalidData);
    let socket = socket.ok_or_else(lied)?;
    let is_internet =
        matches!(sockopt::socket_domain(&socket)?, AddressFamily::INET | AddressFamily::INET6);
    let (kind, protocol) = match role {
        Role::Connected | Role::Listening => (SocketType::STREAM, ipproto::TCP),
        Role::Datagrams => (SocketType::DGRAM, ipproto::UDP),
    };
    let is_of_kind = sockopt::socket_type(&socket)? == kind
        && sockopt::socket_protocol(&socket)?.is_none_or(|spoken| spoken == protocol);
    let is_listening = sockopt::socket_acceptconn(&socket)?;
    let is_in_role = match role {
        Role::Connected => !is_listening && getpeername(&socket).is_ok(),
        Role::Listening => is_listening,
        Role::Datagrams => getpeername(&socket).is_err(),
    };
    if !(is_internet && is_of_kind && is_in_role) {
        return Err(lied());
    }
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}
