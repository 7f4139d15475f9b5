//! Reading an exec's log from disk, while it runs or after it ended.

use std::{fs::File, io, os::unix::fs::FileExt};

use sandbar_protocol::log::{
    Body, Header, LogDecoder, LogError, PAYLOAD_BYTES_MAX, RECORD_HEADER_BYTES, Record,
    RecordHeader,
};

use super::broken;

/// How much is read at once to find the next record.
const SKIP_BYTES: usize = 4096;

/// Reads records from a log file, in order. Synchronous: meant for a blocking task.
///
/// The file was written by a supervisor, so its content is as untrusted as a stream.
#[derive(Debug)]
pub struct LogReader {
    file: File,
    header: Header,
    decoder: LogDecoder,
    /// Offset of the first byte that was not read from the file yet.
    position: u64,
    piece: Box<[u8]>,
}

impl LogReader {
    /// Begins at the first record at or after `offset`; 0 is the oldest record that is left.
    ///
    /// # Errors
    /// The file cannot be read, or is no log (`InvalidData`). An empty file is one whose exec was never started.
    pub fn open(file: File, offset: u64) -> io::Result<Self> {
        let mut first = [0; Header::ENCODED_BYTES];
        file.read_exact_at(&mut first, 0).map_err(short)?;
        let header = Header::decode(&first).map_err(broken)?;
        let mut reader = Self {
            file,
            header,
            decoder: LogDecoder::new(header.start),
            position: header.start,
            piece: vec![0; RECORD_HEADER_BYTES + PAYLOAD_BYTES_MAX].into_boxed_slice(),
        };
        reader.skip_to(offset)?;
        Ok(reader)
    }

    /// Returns the next record, or `None` at the end of what is written so far; later calls may find more.
    ///
    /// # Errors
    /// The file cannot be read, or is no log (`InvalidData`).
    pub fn next_record(&mut self) -> io::Result<Option<Record>> {
        loop {
            match self.decoder.next_record() {
                Ok(Some(record)) => return Ok(Some(record)),
                Ok(None) => {}
                // A hole reads as zeros: perhaps the oldest records went away while we read them.
                Err(err) => return self.jump()?.map(Some).ok_or_else(|| broken(err)),
            }
            if self.decoder.has_ended() {
                return Ok(None);
            }
            match self.file.read_at(&mut self.piece, self.position)? {
                0 => return Ok(None),
                read => {
                    self.position += read as u64;
                    self.decoder.push(&self.piece[..read]);
                }
            }
        }
    }

    /// Offset of the next record.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.decoder.offset()
    }

    /// What the header said when it was last read.
    #[must_use]
    pub fn header(&self) -> Header {
        self.header
    }

    /// Returns how the exec ended, by the log alone; `None` when the log has no end: it runs, or nobody saw it end.
    ///
    /// # Errors
    /// As [`LogReader::open`].
    pub fn find_end(file: File) -> io::Result<Option<sandbar_types::ExecEnd>> {
        let size = file.metadata()?.len();
        let mut reader = Self::open(file, 0)?;
        reader.skip_to_last(size)?;
        while let Some(record) = reader.next_record()? {
            if let Body::End(end) = record.body {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    fn jump(&mut self) -> io::Result<Option<Record>> {
        let mut first = [0; Header::ENCODED_BYTES];
        self.file.read_exact_at(&mut first, 0).map_err(short)?;
        self.header = Header::decode(&first).map_err(broken)?;
        let (start, here) = (self.header.start, self.decoder.offset());
        if start <= here {
            return Ok(None);
        }
        self.decoder = LogDecoder::new(start);
        self.position = start;
        Ok(Some(Record { next_offset: start, time_us: 0, body: Body::Gap }))
    }

    /// Walks from record to record by their headers alone, so that an offset in the middle of one is never trusted.
    fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        self.skip_while(|at, _header| at < offset)
    }

    fn skip_to_last(&mut self, size: u64) -> io::Result<()> {
        self.skip_while(|at, header| at + (header.record_bytes() as u64) < size)
    }

    fn skip_while(&mut self, is_skipped: impl Fn(u64, RecordHeader) -> bool) -> io::Result<()> {
        let mut at = self.decoder.offset();
        // Small pieces: long records are jumped over unread, and many short ones fit in one.
        let mut piece = [0; SKIP_BYTES];
        'pieces: loop {
            let read = self.file.read_at(&mut piece, at)?;
            let mut rest = &piece[..read];
            if rest.len() < RECORD_HEADER_BYTES {
                break;
            }
            while let Some(bytes) = rest.first_chunk::<RECORD_HEADER_BYTES>() {
                match RecordHeader::decode(bytes) {
                    Some(header) if is_skipped(at, header) => {
                        at += header.record_bytes() as u64;
                        rest = rest.get(header.record_bytes()..).unwrap_or_default();
                    }
                    // Where no record is, `next_record` finds out why.
                    Some(_) | None => break 'pieces,
                }
            }
        }
        self.position = at;
        self.decoder = LogDecoder::new(at);
        Ok(())
    }
}

/// A file that is shorter than a header is no log.
fn short(err: io::Error) -> io::Error {
    if err.kind() == io::ErrorKind::UnexpectedEof { broken(LogError::Header) } else { err }
}
