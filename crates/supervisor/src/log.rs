//! The log of one exec or one process, as its writer sees it. Format and promises: [`sandbar_protocol::log`].

mod earlier;
mod tail;

use std::{
    collections::VecDeque,
    fs::File,
    io,
    os::unix::fs::{FileExt, MetadataExt},
};

use rustix::fs::{FallocateFlags, fallocate};
use sandbar_protocol::log::{
    HEADER_BYTES, Header, Output, PAYLOAD_BYTES_MAX, RECORD_HEADER_BYTES, RecordHeader,
    START_OFFSET, encode_end, encode_note, encode_output,
};
use sandbar_types::{ExecEnd, ExitStatus};

/// The full log is given back in this many parts: fewer make larger losses, more make a longer list.
const SEGMENTS: u64 = 32;

/// Appends records, and drops the oldest when there are too many bytes.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: File,
    header: Header,
    /// Offset after the last record.
    end: u64,
    bytes_max: u64,
    /// Where segments begin, oldest first; records never cross them.
    marks: VecDeque<Mark>,
    /// Payload bytes of all records, dropped ones included.
    written: u64,
    /// Payload bytes that never became a record.
    unwritten: u64,
    /// The last record, where the disk had no room even for that.
    unwritten_end: Vec<u8>,
    is_ended: bool,
    can_drop: bool,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    offset: u64,
    written_before: u64,
}

/// What a viewer at some position gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// So many bytes of whole records were read.
    Records(usize),
    /// The records at the position were dropped; it goes on at this offset.
    Gap(u64),
}

impl LogFile {
    /// Writes the header of a new log.
    pub(crate) fn create(file: File, bytes_max: u64) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() != 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        file.write_all_at(&Header::NEW.encode(), 0)?;
        Ok(Self {
            file,
            header: Header::NEW,
            end: HEADER_BYTES,
            bytes_max,
            marks: VecDeque::from([Mark { offset: HEADER_BYTES, written_before: 0 }]),
            written: 0,
            unwritten: 0,
            unwritten_end: Vec::new(),
            is_ended: false,
            can_drop: true,
        })
    }

    /// Appends output, however long. A full disk drops it, and counts it; an agent must not be stopped by its log.
    pub(crate) fn append(&mut self, output: Output, time_us: u64, bytes: &[u8]) {
        for payload in bytes.chunks(PAYLOAD_BYTES_MAX) {
            let length = payload.len() as u64;
            let is_written =
                self.has_room() && self.append_record(&encode_output(output, time_us, payload));
            if is_written {
                self.written += length;
            } else {
                self.unwritten += length;
            }
        }
    }

    /// Appends what there is to say about the process; on a full disk it is not said.
    pub(crate) fn note(&mut self, text: &str, time_us: u64) {
        let _is_written = self.has_room() && self.append_record(&encode_note(text, time_us));
    }

    /// Keeps so many bytes from now on.
    pub(crate) fn limit(&mut self, bytes_max: u64) {
        self.bytes_max = bytes_max;
    }

    /// Nothing more will be written, though nothing says so in it: who follows has seen all.
    pub(crate) fn close(&mut self) {
        self.is_ended = true;
    }

    /// Whether it is in this file.
    pub(crate) fn is_in(&self, other: &File) -> io::Result<bool> {
        let (ours, theirs) = (self.file.metadata()?, other.metadata()?);
        Ok((ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()))
    }

    /// Writes the last record; nothing may follow.
    pub(crate) fn finish(&mut self, status: ExitStatus, time_us: u64) {
        let dropped_bytes = self.header.dropped_bytes + self.unwritten;
        // Whether memory ran out is not to be seen from inside; the host's cgroup knows.
        let record = encode_end(&ExecEnd { status, oom_killed: false, dropped_bytes }, time_us);
        if !self.append_record(&record) {
            // Who watches still gets it. Who comes later finds a log without an end.
            self.unwritten_end = record;
        }
        self.is_ended = true;
    }

    /// Whether nothing more will be written.
    pub(crate) const fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Offset after everything that there is.
    pub(crate) fn end(&self) -> u64 {
        self.end + self.unwritten_end.len() as u64
    }

    /// Reads whole records from `position` on, at least one, into `buffer`; `position` must be before the end.
    pub(crate) fn read(&self, position: u64, buffer: &mut [u8]) -> io::Result<Piece> {
        if position < self.header.start {
            return Ok(Piece::Gap(self.header.start));
        }
        if position >= self.end {
            let length = self.unwritten_end.len();
            buffer[..length].copy_from_slice(&self.unwritten_end);
            return Ok(Piece::Records(length));
        }
        let left = usize::try_from(self.end - position).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        let read = self.file.read_at(&mut buffer[..length], position)?;
        match whole_records(&buffer[..read]) {
            0 => Err(io::ErrorKind::InvalidData.into()),
            whole => Ok(Piece::Records(whole)),
        }
    }

    /// Returns the offset of the first record at or after `offset`.
    pub(crate) fn align(&self, offset: u64) -> io::Result<u64> {
        if offset >= self.end {
            return Ok(self.end);
        }
        let marks = self.marks.iter().rev();
        let mut at =
            marks.map(|mark| mark.offset).find(|&mark| mark <= offset).unwrap_or(self.header.start);
        let mut bytes = [0; RECORD_HEADER_BYTES];
        while at < offset {
            self.file.read_exact_at(&mut bytes, at)?;
            let header = RecordHeader::decode(&bytes).ok_or(io::ErrorKind::InvalidData)?;
            at += header.record_bytes() as u64;
        }
        Ok(at)
    }

    /// Where nothing can be given back, the newest output is dropped instead of the oldest.
    fn has_room(&self) -> bool {
        self.can_drop || self.end - self.header.start < self.bytes_max
    }

    fn append_record(&mut self, record: &[u8]) -> bool {
        if self.file.write_all_at(record, self.end).is_err() {
            // Half a record may be there. What cannot be cut off now is written over by the next one.
            let _kept = self.file.set_len(self.end);
            return false;
        }
        let segment = self.bytes_max / SEGMENTS;
        if self.marks.back().is_none_or(|mark| self.end - mark.offset >= segment) {
            self.marks.push_back(Mark { offset: self.end, written_before: self.written });
        }
        self.end += record.len() as u64;
        if self.can_drop && self.end - self.header.start > self.bytes_max {
            self.drop_oldest();
        }
        true
    }

    fn drop_oldest(&mut self) {
        let is_kept = |mark: &Mark| self.end - mark.offset <= self.bytes_max;
        let Some(kept) = self.marks.iter().position(is_kept) else {
            return;
        };
        self.marks.drain(..kept);
        let Some(&Mark { offset, written_before }) = self.marks.front() else {
            return;
        };
        let before = self.header.start;
        let header = Header { start: offset, dropped_bytes: written_before };
        // INVARIANT: first the header, then the hole: a reader that meets zeros finds out where to go on.
        if self.file.write_all_at(&header.encode_start(), START_OFFSET).is_err() {
            return;
        }
        self.header = header;
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        self.can_drop = fallocate(&self.file, hole, before, offset - before).is_ok();
    }
}

/// Returns how many bytes at the beginning are whole records.
fn whole_records(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(header) = bytes[at..].first_chunk().and_then(RecordHeader::decode) {
        if bytes.len() - at < header.record_bytes() {
            break;
        }
        at += header.record_bytes();
    }
    at
}

#[cfg(test)]
mod tests {
    use sandbar_protocol::log::{Body, LogDecoder};

    use super::*;

    fn log(bytes_max: u64) -> LogFile {
        let fd = rustix::fs::memfd_create("log", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        LogFile::create(File::from(fd), bytes_max).unwrap()
    }

    fn read_all(log: &LogFile, mut position: u64) -> (LogDecoder, Vec<u8>) {
        let mut decoder = LogDecoder::new(position);
        let mut buffer = vec![0; 64 << 10];
        let mut output = Vec::new();
        while position < log.end() {
            let Piece::Records(length) = log.read(position, &mut buffer).unwrap() else {
                panic!("nothing was dropped after {position}");
            };
            decoder.push(&buffer[..length]);
            position += length as u64;
            while let Some(record) = decoder.next_record().unwrap() {
                if let Body::Output { bytes, .. } = record.body {
                    output.extend(bytes);
                }
            }
        }
        (decoder, output)
    }

    #[test]
    fn output_of_any_length_reads_back() {
        let mut log = log(1 << 20);
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        log.append(Output::Stdout, 1, &bytes);
        log.append(Output::Stderr, 2, b"x");
        log.finish(ExitStatus::Exited { code: 0 }, 3);
        let (decoder, output) = read_all(&log, HEADER_BYTES);
        assert!(decoder.has_ended());
        assert_eq!(output[..bytes.len()], bytes);
        assert_eq!(output.len(), bytes.len() + 1);
    }

    #[test]
    fn a_full_log_drops_the_oldest_and_counts_every_byte() {
        let bytes_max = 256 << 10;
        let mut log = log(bytes_max);
        let mut total = 0;
        for round in 0..2000_u64 {
            let line = vec![b'a'; 1 + usize::try_from(round % 900).unwrap()];
            total += line.len() as u64;
            log.append(Output::Stdout, round, &line);
            assert!(log.end - log.header.start <= bytes_max);
        }
        log.finish(ExitStatus::Exited { code: 0 }, 3);
        assert!(log.header.start > HEADER_BYTES, "something was dropped");
        assert_eq!(log.read(HEADER_BYTES, &mut [0; 99]).unwrap(), Piece::Gap(log.header.start));
        let (_, output) = read_all(&log, log.header.start);
        assert_eq!(output.len() as u64 + log.header.dropped_bytes, total);
        assert!(log.file.metadata().unwrap().len() > bytes_max, "offsets are never moved");
    }

    #[test]
    fn an_offset_within_a_record_means_the_next_one() {
        let mut log = log(1 << 20);
        let mut boundaries = vec![HEADER_BYTES];
        for round in 0..3000 {
            log.append(Output::Stdout, round, b"some output");
            boundaries.push(log.end);
        }
        for offset in (0..log.end + 50).step_by(97) {
            let expected = boundaries.iter().copied().find(|&at| at >= offset).unwrap_or(log.end);
            assert_eq!(log.align(offset).unwrap(), expected, "{offset}");
        }
    }

    #[test]
    fn a_file_with_something_in_it_is_refused() {
        let fd = rustix::fs::memfd_create("log", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let file = File::from(fd);
        file.write_all_at(b"x", 0).unwrap();
        assert!(LogFile::create(file, 1 << 20).is_err());
    }
}
