//! Frames between server, keeper and launcher: a length, JSON, and descriptors beside it. Private to this module's processes.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{io::Interest, net::UnixStream};

/// LIMIT: a plan holds the environment, which the kernel itself limits to about this.
const FRAME_MAX: usize = 4 << 20;
/// LIMIT: `SCM_MAX_FD` of the kernel.
const FDS_MAX: usize = 253;
const HEADER: usize = size_of::<u32>();

/// A frame that came in whole: its value, if it parses, and what came beside it.
type Received<T> = io::Result<(T, Vec<OwnedFd>)>;

/// Sends `value` with `fds`; blocks.
pub(super) fn send<T: Serialize>(
    socket: impl AsFd,
    value: &T,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let frame = encode(value)?;
    let mut sent = send_once(socket.as_fd(), &frame, fds)?;
    while sent < frame.len() {
        sent += send_once(socket.as_fd(), &frame[sent..], &[])?;
    }
    Ok(())
}

/// Receives a value and the descriptors sent with it; blocks. `UnexpectedEof` when the other side is gone.
pub(super) fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<(T, Vec<OwnedFd>)> {
    let mut receiver = Receiver::new();
    loop {
        if let Some(done) = receiver.step(socket.as_fd())? {
            return done;
        }
    }
}

/// As [`send`], without blocking the thread and without descriptors.
pub(super) async fn send_async<T: Serialize>(stream: &UnixStream, value: &T) -> io::Result<()> {
    send_async_with(stream, value, &[]).await
}

/// As [`send`], without blocking the thread.
pub(super) async fn send_async_with<T: Serialize>(
    stream: &UnixStream,
    value: &T,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let frame = encode(value)?;
    let mut sent = 0;
    while sent < frame.len() {
        // With the first bytes.
        let fds = if sent == 0 { fds } else { &[] };
        sent += stream
            .async_io(Interest::WRITABLE, || send_once(stream.as_fd(), &frame[sent..], fds))
            .await?;
    }
    Ok(())
}

/// As [`receive`], without blocking the thread.
pub(super) async fn receive_async<T: DeserializeOwned>(
    stream: &UnixStream,
) -> io::Result<(T, Vec<OwnedFd>)> {
    let mut receiver = Receiver::new();
    loop {
        if let Some(done) =
            stream.async_io(Interest::READABLE, || receiver.step(stream.as_fd())).await?
        {
            return done;
        }
    }
}

fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; HEADER];
    serde_json::to_writer(&mut frame, value)?;
    let len = frame.len() - HEADER;
    if len > FRAME_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "frame is too long"));
    }
    let len = u32::try_from(len).expect("FRAME_MAX fits");
    frame[..HEADER].copy_from_slice(&len.to_le_bytes());
    Ok(frame)
}

fn send_once(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "too many descriptors for a frame",
        ));
    }
    loop {
        match sendmsg(socket, &[io::IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// A frame on its way in.
struct Receiver {
    header: [u8; HEADER],
    body: Vec<u8>,
    filled: usize,
    fds: Vec<OwnedFd>,
}

impl Receiver {
    fn new() -> Self {
        Self { header: [0; HEADER], body: Vec::new(), filled: 0, fds: Vec::new() }
    }

    /// Takes one message; the inner result is whether the whole frame parses.
    fn step<T: DeserializeOwned>(
        &mut self,
        socket: BorrowedFd<'_>,
    ) -> io::Result<Option<Received<T>>> {
        let missing = match self.filled.checked_sub(HEADER) {
            None => &mut self.header[self.filled..],
            Some(done) => &mut self.body[done..],
        };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            socket,
            &mut [io::IoSliceMut::new(missing)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        );
        let received = match received {
            Err(Errno::INTR) => return Ok(None),
            other => other?,
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                self.fds.extend(fds);
            }
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "descriptors were lost"));
        }
        if received.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.filled += received.bytes;
        if self.filled == HEADER {
            let len = usize::try_from(u32::from_le_bytes(self.header)).unwrap_or(usize::MAX);
            if len > FRAME_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "frame is too long"));
            }
            self.body.resize(len, 0);
        }
        if self.filled < HEADER || self.filled < HEADER + self.body.len() {
            return Ok(None);
        }
        let fds = std::mem::take(&mut self.fds);
        Ok(Some(
            serde_json::from_slice(&self.body).map(|value| (value, fds)).map_err(io::Error::from),
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::net::UnixStream as StdStream};

    use super::*;

    #[test]
    fn a_frame_brings_its_value_and_its_descriptors() {
        let (a, b) = StdStream::pair().unwrap();
        let (mut read, write) = io::pipe().unwrap();
        send(&a, &"hello", &[write.as_fd()]).unwrap();
        drop(write);
        let (text, fds): (String, _) = receive(&b).unwrap();
        assert_eq!((text.as_str(), fds.len()), ("hello", 1));
        drop(fds);
        assert_eq!(read.read(&mut [0]).unwrap(), 0, "every copy of the write end is gone");
    }

    #[test]
    fn a_closed_socket_is_the_end_and_not_a_value() {
        let (a, b) = StdStream::pair().unwrap();
        drop(a);
        assert_eq!(receive::<String>(&b).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_frame_that_claims_too_much_is_refused_before_anything_is_allocated() {
        let (a, b) = StdStream::pair().unwrap();
        rustix::io::write(&a, &u32::MAX.to_le_bytes()).unwrap();
        assert_eq!(receive::<String>(&b).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
