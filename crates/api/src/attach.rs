//! The messages of an attached exec: one frame in each binary WebSocket message.
//!
//! ```text
//! server → client:  kind u8 · offset after this record u64 LE · payload
//! client → server:  kind u8 · payload
//! ```
//!
//! Who reconnects with `offset=` the last offset seen gets exactly what follows, once.

use sandbar_types::{ExecEnd, TerminalSize};

/// LIMIT: bytes of one message in either direction.
pub const LIMIT_MESSAGE_BYTES: usize = 1 << 20;

const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const END: u8 = 3;
const LOST: u8 = 4;
const GAP: u8 = 5;
const STDIN: u8 = 16;
const STDIN_END: u8 = 17;
const RESIZE: u8 = 18;
const SIGNAL: u8 = 19;

const HEADER: usize = 1 + size_of::<u64>();

/// What the server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFrame<'a> {
    /// Where to go on after this frame.
    pub offset: u64,
    /// What it says.
    pub body: ServerBody<'a>,
}

/// The body of a [`ServerFrame`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerBody<'a> {
    /// Bytes of standard output, or of the terminal.
    Stdout(&'a [u8]),
    /// Bytes of standard error.
    Stderr(&'a [u8]),
    /// How it ended. The last frame.
    End(ExecEnd),
    /// The sandbox ended first, and nobody saw how the exec did. The last frame.
    Lost,
    /// Output before this frame's offset was dropped, because the log was full.
    Gap,
}

/// What the client says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientFrame<'a> {
    /// Bytes for standard input.
    Stdin(&'a [u8]),
    /// There is no more standard input.
    StdinEnd,
    /// The terminal has another size.
    Resize(TerminalSize),
    /// Sends this signal to the exec's process group.
    Signal(u8),
}

/// A message that is not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFrame {
    /// It is shorter than its header.
    #[error("the frame is cut short")]
    Short,
    /// Its kind is not one of ours.
    #[error("the frame has the unknown kind {0}")]
    Kind(u8),
    /// Its payload does not fit its kind.
    #[error("the payload does not fit the frame's kind")]
    Payload,
}

impl<'a> ServerFrame<'a> {
    /// Writes the frame as one message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let json;
        let (kind, payload): (u8, &[u8]) = match &self.body {
            ServerBody::Stdout(bytes) => (STDOUT, bytes),
            ServerBody::Stderr(bytes) => (STDERR, bytes),
            ServerBody::End(end) => {
                json = serde_json::to_vec(end).expect("a plain value can be written as JSON");
                (END, &json)
            }
            ServerBody::Lost => (LOST, &[]),
            ServerBody::Gap => (GAP, &[]),
        };
        let mut out = Vec::with_capacity(HEADER + payload.len());
        out.push(kind);
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(payload);
        out
    }

    /// Reads one message.
    ///
    /// # Errors
    /// The message is not a frame of the server.
    pub fn decode(message: &'a [u8]) -> Result<Self, InvalidFrame> {
        let (header, payload) = message.split_first_chunk::<HEADER>().ok_or(InvalidFrame::Short)?;
        let [kind, offset @ ..] = *header;
        let body = match kind {
            STDOUT => ServerBody::Stdout(payload),
            STDERR => ServerBody::Stderr(payload),
            END => {
                ServerBody::End(serde_json::from_slice(payload).map_err(|_| InvalidFrame::Payload)?)
            }
            LOST if payload.is_empty() => ServerBody::Lost,
            GAP if payload.is_empty() => ServerBody::Gap,
            LOST | GAP => return Err(InvalidFrame::Payload),
            other => return Err(InvalidFrame::Kind(other)),
        };
        Ok(Self { offset: u64::from_le_bytes(offset), body })
    }
}

impl<'a> ClientFrame<'a> {
    /// Writes the frame as one message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Stdin(bytes) => [&[STDIN], *bytes].concat(),
            Self::StdinEnd => vec![STDIN_END],
            Self::Resize(size) => {
                let json = serde_json::to_vec(size).expect("a plain value can be written as JSON");
                [&[RESIZE], json.as_slice()].concat()
            }
            Self::Signal(signal) => vec![SIGNAL, *signal],
        }
    }

    /// Reads one message.
    ///
    /// # Errors
    /// The message is not a frame of a client.
    pub fn decode(message: &'a [u8]) -> Result<Self, InvalidFrame> {
        let (kind, payload) = message.split_first().ok_or(InvalidFrame::Short)?;
        match (*kind, payload) {
            (STDIN, bytes) => Ok(Self::Stdin(bytes)),
            (STDIN_END, []) => Ok(Self::StdinEnd),
            (RESIZE, json) => {
                serde_json::from_slice(json).map(Self::Resize).map_err(|_| InvalidFrame::Payload)
            }
            (SIGNAL, [signal @ 1..=64]) => Ok(Self::Signal(*signal)),
            (STDIN_END | SIGNAL, _) => Err(InvalidFrame::Payload),
            (other, _) => Err(InvalidFrame::Kind(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use sandbar_types::ExitStatus;

    use super::*;

    #[test]
    fn what_the_server_says_reads_back() {
        let end =
            ExecEnd { status: ExitStatus::Exited { code: 3 }, oom_killed: true, dropped_bytes: 7 };
        for body in [
            ServerBody::Stdout(b"a\0b"),
            ServerBody::Stderr(b""),
            ServerBody::End(end),
            ServerBody::Lost,
            ServerBody::Gap,
        ] {
            let frame = ServerFrame { offset: u64::MAX - 1, body };
            assert_eq!(ServerFrame::decode(&frame.encode()), Ok(frame));
        }
    }

    #[test]
    fn what_the_client_says_reads_back() {
        for frame in [
            ClientFrame::Stdin(b"\x03"),
            ClientFrame::StdinEnd,
            ClientFrame::Resize(TerminalSize { rows: 24, cols: 80 }),
            ClientFrame::Signal(15),
        ] {
            assert_eq!(ClientFrame::decode(&frame.encode()), Ok(frame));
        }
    }

    #[test]
    fn odd_messages_are_refused() {
        assert_eq!(ClientFrame::decode(&[]), Err(InvalidFrame::Short));
        assert_eq!(ClientFrame::decode(&[0]), Err(InvalidFrame::Kind(0)));
        assert_eq!(ClientFrame::decode(&[SIGNAL, 0]), Err(InvalidFrame::Payload));
        assert_eq!(ClientFrame::decode(&[RESIZE, b'{']), Err(InvalidFrame::Payload));
        assert_eq!(ServerFrame::decode(&[STDOUT; 8]), Err(InvalidFrame::Short));
        assert_eq!(
            ServerFrame::decode(&[END, 0, 0, 0, 0, 0, 0, 0, 0, b'x']),
            Err(InvalidFrame::Payload)
        );
    }
}
