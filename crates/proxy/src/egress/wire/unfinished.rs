//! What a program inside is told when this process dies while it passes something on.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};

use rustix::net::sockopt::set_socket_linger;
use tokio::net::TcpStream;

/// A connection of which not everything was said.
///
/// A kernel that closes the sockets of a dead process says to the other side that this was all, as it does after the last
/// word. A plain answer that ends with its connection would be taken for whole, and agents that ask again after a broken
/// connection do not after one that ended. So until [`Unfinished::end`] the end of this process is a reset.
#[derive(Debug)]
pub(crate) struct Unfinished(Option<OwnedFd>);

impl Unfinished {
    /// Begins. Where a socket refuses, it ends as any other.
    pub(crate) fn begin(client: &TcpStream) -> Self {
        let socket = client.as_fd().try_clone_to_owned().ok();
        Self(socket.filter(|socket| set_socket_linger(socket, Some(Duration::ZERO)).is_ok()))
    }

    /// Whoever had the connection is done with it, however that went, and what was written goes out.
    pub(crate) fn end(self) {
        if let Some(socket) = self.0 {
            let _left_as_it_is = set_socket_linger(&socket, None);
        }
    }
}
