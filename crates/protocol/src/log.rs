//! The log of an exec, or of a process of an app: one file, addressed by file offsets that never change their meaning.
//!
//! ```text
//! 0      magic "sbexelog" · version u32 · 0 u32 · start u64 · dropped u64      (little endian; the rest of the block is 0)
//! 4096   records: kind u8 · length u32 · time_us u64 · payload of `length` bytes
//! ```
//!
//! `start` is the offset of the oldest record that is left. When the log is full the oldest whole records are given
//! back to the file system (a hole), and `start` and `dropped` are written *before* the hole is made, so a reader that
//! finds zeros reads the header again and goes on at `start`. The last record is [`Kind::End`]; a log without one
//! belongs to an exec that runs, or whose sandbox ended first. The log of a process has no end at all: run after run goes
//! on in the same file, and a [`Kind::Note`] between them says how one ended.
//!
//! A stream to a viewer is the same records. [`Kind::Gap`] exists in streams only: it says that the viewer was too slow
//! and at which offset the stream goes on.

use sandbar_types::ExecEnd;

use crate::message;

/// First bytes of every log.
pub const MAGIC: [u8; 8] = *b"sbexelog";
/// Version of the format.
pub const VERSION: u32 = 1;
/// Offset of the first record: the header has a block of its own, so that holes never touch it.
pub const HEADER_BYTES: u64 = 4096;
/// Offset of `start` in the header; `dropped` follows.
pub const START_OFFSET: u64 = 16;
/// Bytes before the payload of a record.
pub const RECORD_HEADER_BYTES: usize = 13;
/// Bytes of payload of one record at the most.
pub const PAYLOAD_BYTES_MAX: usize = 32 << 10;

/// What a record carries, as its first byte says. 0 is not a kind: it is what a hole reads as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Bytes of standard output, or of a terminal.
    Stdout = 1,
    /// Bytes of standard error.
    Stderr = 2,
    /// An [`ExecEnd`] as JSON; the last record.
    End = 3,
    /// An offset of eight bytes, little endian: records before it were dropped. In streams only.
    Gap = 4,
    /// A sentence of the supervisor about the process, as UTF-8. In logs of processes only.
    Note = 5,
}

impl Kind {
    /// Reads the byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Stdout),
            2 => Some(Self::Stderr),
            3 => Some(Self::End),
            4 => Some(Self::Gap),
            5 => Some(Self::Note),
            _ => None,
        }
    }
}

/// Which of an exec's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Output {
    /// Standard output; everything of a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Offset at which the next record begins: from here a reader goes on after a break.
    pub next_offset: u64,
    /// When it was written, in microseconds since 1970, by the clock of the sandbox's host.
    pub time_us: u64,
    /// What it says.
    pub body: Body,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Bytes that the command wrote; never empty.
    Output {
        /// Where it wrote them.
        output: Output,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Records were dropped between the one before and this offset (which is `next_offset`).
    Gap,
    /// The command ended; nothing follows.
    End(ExecEnd),
    /// What the supervisor has to say about the process, for example that it ended and starts again.
    Note(String),
}

/// Bytes that are not a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The first block is not that of a log of this version.
    #[error("not the header of an exec's log")]
    Header,
    /// A record breaks the rules.
    #[error("a record at offset {offset} that is none")]
    Record {
        /// Where.
        offset: u64,
    },
    /// Bytes after the record that ends a log.
    #[error("bytes after the end of the exec")]
    AfterEnd,
}

/// The first block of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Offset of the oldest record that is left.
    pub start: u64,
    /// Bytes of output that were dropped.
    pub dropped_bytes: u64,
}

impl Header {
    /// Bytes of a header that mean something.
    pub const ENCODED_BYTES: usize = 32;

    /// The header of a log that dropped nothing.
    pub const NEW: Self = Self { start: HEADER_BYTES, dropped_bytes: 0 };

    /// Encodes what goes to offset 0.
    #[must_use]
    pub fn encode(self) -> [u8; Self::ENCODED_BYTES] {
        let mut out = [0; Self::ENCODED_BYTES];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[16..].copy_from_slice(&self.encode_start());
        out
    }

    /// Encodes what goes to [`START_OFFSET`] when the oldest records are dropped.
    #[must_use]
    pub fn encode_start(self) -> [u8; 16] {
        let mut out = [0; 16];
        out[..8].copy_from_slice(&self.start.to_le_bytes());
        out[8..].copy_from_slice(&self.dropped_bytes.to_le_bytes());
        out
    }

    /// Decodes what is at offset 0.
    ///
    /// # Errors
    /// It is not the header of a log of this version.
    pub fn decode(bytes: &[u8]) -> Result<Self, LogError> {
        let bytes: &[u8; Self::ENCODED_BYTES] = bytes.first_chunk().ok_or(LogError::Header)?;
        let word = |at: usize| {
            u64::from_le_bytes(
                *bytes[at..].first_chunk().expect("both words end within the header"),
            )
        };
        let known = bytes[..8] == MAGIC && bytes[8..12] == VERSION.to_le_bytes();
        let header = Self { start: word(16), dropped_bytes: word(24) };
        (known && header.start >= HEADER_BYTES).then_some(header).ok_or(LogError::Header)
    }
}

/// The fixed bytes before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// What follows.
    pub kind: Kind,
    /// Bytes of payload.
    pub length: u32,
    /// Microseconds since 1970.
    pub time_us: u64,
}

impl RecordHeader {
    /// Encodes it.
    #[must_use]
    pub fn encode(self) -> [u8; RECORD_HEADER_BYTES] {
        let mut out = [0; RECORD_HEADER_BYTES];
        out[0] = self.kind as u8;
        out[1..5].copy_from_slice(&self.length.to_le_bytes());
        out[5..].copy_from_slice(&self.time_us.to_le_bytes());
        out
    }

    /// Decodes it; `None` when the bytes are no header of a record, for example zeros from a hole.
    #[must_use]
    pub fn decode(bytes: &[u8; RECORD_HEADER_BYTES]) -> Option<Self> {
        let kind = Kind::from_byte(bytes[0])?;
        let length = u32::from_le_bytes(*bytes[1..].first_chunk()?);
        let time_us = u64::from_le_bytes(*bytes[5..].first_chunk()?);
        (1..=PAYLOAD_BYTES_MAX).contains(&(length as usize)).then_some(Self {
            kind,
            length,
            time_us,
        })
    }

    /// Bytes of the whole record.
    #[must_use]
    pub fn record_bytes(self) -> usize {
        RECORD_HEADER_BYTES + self.length as usize
    }
}

/// Encodes an output record.
///
/// # Panics
/// `bytes` is empty or longer than [`PAYLOAD_BYTES_MAX`]: our own bug.
#[must_use]
pub fn encode_output(output: Output, time_us: u64, bytes: &[u8]) -> Vec<u8> {
    let kind = match output {
        Output::Stdout => Kind::Stdout,
        Output::Stderr => Kind::Stderr,
    };
    encode(kind, time_us, bytes)
}

/// Encodes the record that ends a log.
#[must_use]
pub fn encode_end(end: &ExecEnd, time_us: u64) -> Vec<u8> {
    encode(Kind::End, time_us, &message::json(end))
}

/// Encodes what the supervisor says about a process; longer text than a record holds is cut.
///
/// # Panics
/// `text` is empty: our own bug.
#[must_use]
pub fn encode_note(text: &str, time_us: u64) -> Vec<u8> {
    encode(Kind::Note, time_us, &text.as_bytes()[..text.floor_char_boundary(PAYLOAD_BYTES_MAX)])
}

/// Encodes the record that tells a viewer where the stream goes on.
#[must_use]
pub fn encode_gap(next_offset: u64, time_us: u64) -> Vec<u8> {
    encode(Kind::Gap, time_us, &next_offset.to_le_bytes())
}

fn encode(kind: Kind, time_us: u64, payload: &[u8]) -> Vec<u8> {
    assert!((1..=PAYLOAD_BYTES_MAX).contains(&payload.len()), "a payload that no reader accepts");
    let length = u32::try_from(payload.len()).expect("the cap is far below 4 GiB");
    let mut record = Vec::with_capacity(RECORD_HEADER_BYTES + payload.len());
    record.extend_from_slice(&RecordHeader { kind, length, time_us }.encode());
    record.extend_from_slice(payload);
    record
}

/// Finds records in bytes that come in pieces of any size, and counts the offset.
#[derive(Debug)]
pub struct LogDecoder {
    bytes: Vec<u8>,
    read: usize,
    offset: u64,
    ended: bool,
}

impl LogDecoder {
    /// A decoder of bytes whose first is at `offset` of the log, where a record begins.
    #[must_use]
    pub const fn new(offset: u64) -> Self {
        Self { bytes: Vec::new(), read: 0, offset, ended: false }
    }

    /// Adds bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.read);
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Offset of the record that is next.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the record that ends a log was returned.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Bytes that wait and are no whole record yet, or were not asked for.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.bytes.len() - self.read
    }

    /// Returns the next whole record, or `None` until more bytes come.
    ///
    /// # Errors
    /// The bytes are no record, go back, or come after the end. It fails again at every further call.
    pub fn next_record(&mut self) -> Result<Option<Record>, LogError> {
        let bytes = &self.bytes[self.read..];
        if self.ended && !bytes.is_empty() {
            return Err(LogError::AfterEnd);
        }
        let Some((header, rest)) = bytes.split_first_chunk::<RECORD_HEADER_BYTES>() else {
            return Ok(None);
        };
        let invalid = LogError::Record { offset: self.offset };
        let header = RecordHeader::decode(header).ok_or(invalid)?;
        let Some(payload) = rest.get(..header.length as usize) else {
            return Ok(None);
        };
        let after = self.offset.checked_add(header.record_bytes() as u64).ok_or(invalid)?;
        let output = |output| Body::Output { output, bytes: payload.to_vec() };
        let (next_offset, body) = match header.kind {
            Kind::Stdout => (after, output(Output::Stdout)),
            Kind::Stderr => (after, output(Output::Stderr)),
            Kind::End => (after, Body::End(message::parse(payload).map_err(|_| invalid)?)),
            Kind::Note => {
                let text = std::str::from_utf8(payload).map_err(|_| invalid)?;
                (after, Body::Note(text.to_owned()))
            }
            Kind::Gap => {
                let to = u64::from_le_bytes(payload.try_into().map_err(|_| invalid)?);
                // A stream only goes forward: a viewer that follows offsets must not be sent in a circle.
                (Some(to).filter(|&to| to > self.offset).ok_or(invalid)?, Body::Gap)
            }
        };
        self.read += header.record_bytes();
        self.offset = next_offset;
        self.ended = header.kind == Kind::End;
        Ok(Some(Record { next_offset, time_us: header.time_us, body }))
    }
}

#[cfg(test)]
mod tests;
