//! The last lines of a log, to be shown where a process has failed.

use std::{collections::VecDeque, io};

use sandbar_protocol::log::{Body, LogDecoder};

use super::{LogFile, Piece};

/// LIMIT: lines that are kept.
pub(crate) const LINES_MAX: usize = 20;
/// LIMIT: bytes of one of them; longer ones are cut.
const LINE_BYTES_MAX: usize = 400;
/// LIMIT: bytes of the log that are looked at.
const LOOKED_AT_BYTES: u64 = 32 << 10;

impl LogFile {
    /// Returns the last lines that the process wrote at or after `since`, oldest first.
    pub(crate) fn last_lines(&self, since: u64, buffer: &mut [u8]) -> io::Result<Vec<String>> {
        let mut at = self.align(since.max(self.end.saturating_sub(LOOKED_AT_BYTES)))?;
        let mut lines = Lines::default();
        let mut decoder = LogDecoder::new(at);
        while at < self.end {
            match self.read(at, buffer)? {
                Piece::Gap(to) => {
                    at = to;
                    decoder = LogDecoder::new(at);
                }
                Piece::Records(length) => {
                    at += length as u64;
                    decoder.push(&buffer[..length]);
                }
            }
            while let Some(record) = decoder.next_record().map_err(io::Error::other)? {
                match record.body {
                    Body::Output { bytes, .. } => lines.push(&bytes),
                    Body::Gap | Body::End(_) | Body::Note(_) => {}
                }
            }
        }
        Ok(lines.finish())
    }
}

/// Lines out of bytes that come in pieces.
#[derive(Default)]
struct Lines {
    whole: VecDeque<String>,
    begun: Vec<u8>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        let mut pieces = bytes.split(|&byte| byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let room = LINE_BYTES_MAX.saturating_sub(self.begun.len());
            self.begun.extend_from_slice(&piece[..piece.len().min(room)]);
            if pieces.peek().is_some() {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.begun).trim_end().to_owned();
        self.begun.clear();
        self.whole.push_back(line);
        if self.whole.len() > LINES_MAX {
            self.whole.pop_front();
        }
    }

    fn finish(mut self) -> Vec<String> {
        if !self.begun.is_empty() {
            self.end_line();
        }
        self.whole.into()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use sandbar_protocol::log::Output;

    use super::*;

    #[test]
    fn the_last_lines_are_whole_however_they_were_written() {
        let fd = rustix::fs::memfd_create("log", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let mut log = LogFile::create(File::from(fd), 256 << 10).unwrap();
        let mut buffer = vec![0; 40 << 10];
        log.append(Output::Stdout, 1, b"of an earlier run\n");
        let since = log.end();
        assert!(log.last_lines(since, &mut buffer).unwrap().is_empty());
        log.append(Output::Stdout, 1, b"one\nt");
        log.note("not a line of the process", 2);
        log.append(Output::Stderr, 3, b"wo\r\nthree");
        assert_eq!(log.last_lines(since, &mut buffer).unwrap(), ["one", "two", "three"]);
        let many: String = (0..100_000).map(|n| format!("line {n}\n")).collect();
        log.append(Output::Stdout, 4, many.as_bytes());
        log.append(Output::Stdout, 4, &vec![b'x'; 10_000]);
        let lines = log.last_lines(since, &mut buffer).unwrap();
        assert_eq!(lines.len(), LINES_MAX);
        assert_eq!(lines[LINES_MAX - 2], "line 99999");
        assert_eq!(lines[LINES_MAX - 1].len(), LINE_BYTES_MAX);
    }
}
