//! The stream of one exec: records come, input goes.

use std::{io, time::Duration};

use sandbar_protocol::{Input, STDIN_BYTES_MAX, StreamDecoder, StreamEvent, log, log::Record};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time,
};

use super::{broken, refused};

/// How long input may wait for a command that does not read. LIMIT: a relay must not hold a client's bytes for ever.
const INPUT_DEADLINE: Duration = Duration::from_secs(60);

/// A running exec: its records in order, and its input.
///
/// Dropping it leaves the exec running; come back with `attach` and [`ExecStream::offset`].
#[derive(Debug)]
pub struct ExecStream {
    reader: ExecReader,
    writer: ExecWriter,
}

/// The records of an exec.
#[derive(Debug)]
pub struct ExecReader {
    stream: OwnedReadHalf,
    decoder: StreamDecoder,
    piece: Box<[u8]>,
    offset: u64,
}

/// The input of an exec. Dropping it does not end the exec's standard input; [`Input::StdinEnd`] does.
#[derive(Debug)]
pub struct ExecWriter {
    stream: OwnedWriteHalf,
}

impl ExecStream {
    /// Reads the supervisor's answer from a connection on which the request was sent; a fake may give one end of a pair.
    ///
    /// # Errors
    /// It refused, broke the protocol, or hung up.
    pub async fn opened(stream: UnixStream) -> io::Result<Self> {
        let (read, write) = stream.into_split();
        let mut reader = ExecReader {
            stream: read,
            decoder: StreamDecoder::default(),
            piece: vec![0; log::PAYLOAD_BYTES_MAX].into_boxed_slice(),
            offset: 0,
        };
        match reader.event().await? {
            Some(StreamEvent::Streaming { offset }) => reader.offset = offset,
            Some(StreamEvent::Refused(refusal)) => return Err(refused(refusal)),
            Some(StreamEvent::Record(_)) | None => {
                return Err(io::ErrorKind::NotConnected.into());
            }
        }
        Ok(Self { reader, writer: ExecWriter { stream: write } })
    }

    /// See [`ExecReader::next`].
    ///
    /// # Errors
    /// See [`ExecReader::next`].
    pub async fn next(&mut self) -> io::Result<Option<Record>> {
        self.reader.next().await
    }

    /// See [`ExecWriter::send`].
    ///
    /// # Errors
    /// See [`ExecWriter::send`].
    pub async fn send(&mut self, input: Input) -> io::Result<()> {
        self.writer.send(input).await
    }

    /// See [`ExecReader::offset`].
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.reader.offset()
    }

    /// Parts the two directions, for a relay that serves both at once.
    #[must_use]
    pub fn into_split(self) -> (ExecReader, ExecWriter) {
        (self.reader, self.writer)
    }
}

impl ExecReader {
    /// Returns the next record; `None` after the one that ends the exec. Cancel safe.
    ///
    /// # Errors
    /// `UnexpectedEof` when the supervisor hung up before the end, `InvalidData` when it broke the protocol.
    pub async fn next(&mut self) -> io::Result<Option<Record>> {
        match self.event().await? {
            Some(StreamEvent::Record(record)) => {
                self.offset = record.next_offset;
                Ok(Some(record))
            }
            None => Ok(None),
            Some(StreamEvent::Streaming { .. } | StreamEvent::Refused(_)) => {
                Err(io::ErrorKind::InvalidData.into())
            }
        }
    }

    /// Offset after the last record returned; a later attach from here misses nothing and repeats nothing.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    async fn event(&mut self) -> io::Result<Option<StreamEvent>> {
        loop {
            if let Some(event) = self.decoder.next_event().map_err(broken)? {
                return Ok(Some(event));
            }
            if self.decoder.is_complete() {
                return Ok(None);
            }
            match self.stream.read(&mut self.piece).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.decoder.push(&self.piece[..read]),
            }
        }
    }
}

impl ExecWriter {
    /// Sends input; longer standard input is cut into frames. Waits while the command does not read.
    ///
    /// # Errors
    /// The exec ended (`BrokenPipe`), or does not read (`TimedOut`). After an error nothing more can be sent.
    pub async fn send(&mut self, input: Input) -> io::Result<()> {
        match input {
            Input::Stdin(bytes) => {
                for piece in bytes.chunks(STDIN_BYTES_MAX) {
                    self.send_frame(&Input::Stdin(piece.to_vec())).await?;
                }
                Ok(())
            }
            Input::StdinEnd | Input::Resize(_) | Input::Signal(_) => self.send_frame(&input).await,
        }
    }

    async fn send_frame(&mut self, input: &Input) -> io::Result<()> {
        let frame = input.to_frame().map_err(broken)?;
        time::timeout(INPUT_DEADLINE, self.stream.write_all(&frame))
            .await
            .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
    }
}
