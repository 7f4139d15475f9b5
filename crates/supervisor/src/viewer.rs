//! One who watches an exec or a process: a socket and a position in its log.
//!
//! A viewer that does not read costs at most [`PIECE_BYTES`] of memory and nobody's time.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    rc::Rc,
};

use rustix::{
    io::Errno,
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, send, sendmsg},
};
use sandbar_protocol::log::{PAYLOAD_BYTES_MAX, RECORD_HEADER_BYTES, encode_gap};

use crate::log::{LogFile, Piece};

/// How much of a log is read at once: at least one record.
pub(crate) const PIECE_BYTES: usize = PAYLOAD_BYTES_MAX + 4096;
const _: () = assert!(PIECE_BYTES >= PAYLOAD_BYTES_MAX + RECORD_HEADER_BYTES);

/// LIMIT: pieces sent in one turn, so that one who reads fast does not keep the others waiting.
const PIECES_AT_ONCE: usize = 16;

/// A log that its exec or process and its viewers share.
pub(crate) type SharedLog = Rc<RefCell<LogFile>>;

/// Bytes on their way to a socket, which takes them when it can.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
    /// Goes with the first byte.
    descriptor: Option<OwnedFd>,
}

/// What became of an attempt to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Everything there is was sent.
    Idle,
    /// The socket is full.
    Blocked,
    /// Everything was sent that will ever be.
    Complete,
}

impl Outbox {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self::with_descriptor(bytes, None)
    }

    pub(crate) fn with_descriptor(bytes: Vec<u8>, descriptor: Option<OwnedFd>) -> Self {
        Self { bytes, sent: 0, descriptor }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// Sends what waits. Returns whether nothing waits any more.
    pub(crate) fn flush(&mut self, socket: BorrowedFd<'_>) -> io::Result<bool> {
        if let Some(descriptor) = &self.descriptor {
            self.sent += send_with(socket, &self.bytes, descriptor)?;
            if self.sent == 0 {
                return Ok(false);
            }
            self.descriptor = None;
        }
        self.sent += send_some(socket, &self.bytes[self.sent..])?;
        let is_empty = self.is_empty();
        if is_empty {
            // The memory goes back as well: most viewers never wait.
            *self = Self::default();
        }
        Ok(is_empty)
    }

    /// Sends `bytes` behind what waits, and keeps what the socket does not take.
    fn send(&mut self, socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<bool> {
        let sent = send_some(socket, bytes)?;
        if sent == bytes.len() {
            return Ok(true);
        }
        *self = Self::new(bytes[sent..].to_vec());
        Ok(false)
    }
}

/// Where a viewer is.
#[derive(Debug)]
pub(crate) struct Viewer {
    pub(crate) log: SharedLog,
    position: u64,
    outbox: Outbox,
}

impl Viewer {
    /// A viewer that is sent `answer`, and then the log from `position` on.
    pub(crate) fn new(log: SharedLog, position: u64, answer: Vec<u8>) -> Self {
        Self { log, position, outbox: Outbox::new(answer) }
    }

    /// Sends what the socket takes, but only so much at once that others get their turn.
    pub(crate) fn advance(
        &mut self,
        socket: BorrowedFd<'_>,
        buffer: &mut [u8],
        now_us: u64,
    ) -> io::Result<Progress> {
        for _ in 0..PIECES_AT_ONCE {
            if !self.outbox.flush(socket)? {
                return Ok(Progress::Blocked);
            }
            let log = self.log.borrow();
            if self.position >= log.end() {
                return Ok(if log.is_ended() { Progress::Complete } else { Progress::Idle });
            }
            match log.read(self.position, buffer)? {
                Piece::Records(length) => {
                    self.position += length as u64;
                    self.outbox.send(socket, &buffer[..length])?;
                }
                Piece::Gap(to) => {
                    self.position = to;
                    self.outbox.send(socket, &encode_gap(to, now_us))?;
                }
            }
        }
        // The socket can take more, so poll comes back at once, after everybody else's turn.
        Ok(Progress::Blocked)
    }
}

fn send_with(socket: BorrowedFd<'_>, bytes: &[u8], descriptor: &OwnedFd) -> io::Result<usize> {
    let descriptors = [descriptor.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(
        control.push(SendAncillaryMessage::ScmRights(&descriptors)),
        "the space was made for one descriptor"
    );
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    match sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags) {
        Ok(sent) => Ok(sent),
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        Err(err) => Err(err.into()),
    }
}

fn send_some(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    match send(socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
        Ok(sent) => Ok(sent),
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        Err(err) => Err(err.into()),
    }
}
