//! A log of earlier runs, which goes on at its end.

use std::{collections::VecDeque, fs::File, io, os::unix::fs::FileExt};

use sandbar_protocol::log::{
    HEADER_BYTES, Header, Kind, PAYLOAD_BYTES_MAX, RECORD_HEADER_BYTES, RecordHeader,
};

use super::{LogFile, Mark, SEGMENTS};

/// How much is read at once: at least one record.
const PIECE_BYTES: usize = PAYLOAD_BYTES_MAX + RECORD_HEADER_BYTES;

impl LogFile {
    /// Opens the log of a process: a new one in an empty file, or one that earlier runs wrote.
    ///
    /// What is no record any more is cut off: whoever wrote it was killed while it did, or the machine was.
    ///
    /// # Errors
    /// The file is no log, is one that has an end, or cannot be read or written.
    pub(crate) fn go_on(file: File, bytes_max: u64) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if metadata.len() == 0 {
            return Self::create(file, bytes_max);
        }
        let mut first = [0; Header::ENCODED_BYTES];
        file.read_exact_at(&mut first, 0)?;
        let header = Header::decode(&first).map_err(io::Error::other)?;
        // Nothing was written yet, or what was has all been lost.
        let length = metadata.len().max(HEADER_BYTES);
        if header.start > length {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let walked = walk(&file, header, bytes_max / SEGMENTS)?;
        if walked.end < metadata.len() {
            file.set_len(walked.end)?;
        }
        Ok(Self {
            file,
            header,
            end: walked.end,
            bytes_max,
            marks: walked.marks,
            written: walked.written,
            unwritten: 0,
            unwritten_end: Vec::new(),
            is_ended: false,
            can_drop: true,
        })
    }
}

struct Walked {
    end: u64,
    marks: VecDeque<Mark>,
    written: u64,
}

/// Goes from record to record until there is none, by their headers alone.
fn walk(file: &File, header: Header, segment: u64) -> io::Result<Walked> {
    let mut at = header.start;
    let mut written = header.dropped_bytes;
    let mut marks = VecDeque::from([Mark { offset: at, written_before: written }]);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = read_full(file, &mut piece, at)?;
        let begin = at;
        let mut rest = &piece[..read];
        while let Some(record) = rest.first_chunk().and_then(RecordHeader::decode) {
            let Some(after) = rest.get(record.record_bytes()..) else {
                break;
            };
            match record.kind {
                Kind::Stdout | Kind::Stderr => written += u64::from(record.length),
                Kind::Note => {}
                // That of an exec.
                Kind::End => return Err(io::ErrorKind::InvalidInput.into()),
                Kind::Gap => return Ok(Walked { end: at, marks, written }),
            }
            at += record.record_bytes() as u64;
            if marks.back().is_none_or(|mark| at - mark.offset >= segment) {
                marks.push_back(Mark { offset: at, written_before: written });
            }
            rest = after;
        }
        // A whole piece holds at least one record, if there is one.
        if at == begin {
            return Ok(Walked { end: at, marks, written });
        }
    }
}

fn read_full(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], at + read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use sandbar_protocol::log::{Body, LogDecoder, Output, encode_gap};
    use sandbar_types::ExitStatus;

    use super::*;

    const BYTES_MAX: u64 = 256 << 10;

    fn memfd() -> File {
        rustix::fs::memfd_create("log", rustix::fs::MemfdFlags::CLOEXEC).unwrap().into()
    }

    fn texts(file: &File) -> Vec<String> {
        let mut first = [0; Header::ENCODED_BYTES];
        file.read_exact_at(&mut first, 0).unwrap();
        let start = Header::decode(&first).unwrap().start;
        let length = usize::try_from(file.metadata().unwrap().len() - start).unwrap();
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, start).unwrap();
        let mut decoder = LogDecoder::new(start);
        decoder.push(&bytes);
        let records = std::iter::from_fn(|| decoder.next_record().unwrap());
        let texts = records.map(|record| match record.body {
            Body::Output { bytes, .. } => String::from_utf8(bytes).unwrap(),
            Body::Note(text) => text,
            Body::Gap | Body::End(_) => panic!("not in the log of a process"),
        });
        texts.collect()
    }

    #[test]
    fn a6_a_log_goes_on_where_the_run_before_was_killed() {
        let file = memfd();
        let mut log = LogFile::go_on(file.try_clone().unwrap(), BYTES_MAX).unwrap();
        log.append(Output::Stdout, 1, b"why it crashed");
        log.note("exited with code 1", 2);
        let whole = log.end();
        log.append(Output::Stdout, 3, b"half of this is on disk");
        for cut in whole + 1..log.end() {
            file.set_len(log.end()).unwrap();
            file.set_len(cut).unwrap();
            let mut again = LogFile::go_on(file.try_clone().unwrap(), BYTES_MAX).unwrap();
            assert_eq!(again.end(), whole, "{cut}");
            again.append(Output::Stdout, 4, b"more");
            assert_eq!(texts(&file), ["why it crashed", "exited with code 1", "more"], "{cut}");
            file.set_len(whole).unwrap();
        }
    }

    #[test]
    fn a_log_stays_bounded_across_runs_and_counts_what_it_dropped() {
        let file = memfd();
        let mut total = 0;
        for round in 0..40_u64 {
            let mut log = LogFile::go_on(file.try_clone().unwrap(), BYTES_MAX).unwrap();
            for n in 0..200_u64 {
                let line = vec![b'a'; usize::try_from(1 + (n * 7 + round) % 300).unwrap()];
                log.append(Output::Stdout, n, &line);
                total += line.len() as u64;
            }
            assert!(log.end - log.header.start <= BYTES_MAX);
        }
        let mut first = [0; Header::ENCODED_BYTES];
        file.read_exact_at(&mut first, 0).unwrap();
        let header = Header::decode(&first).unwrap();
        let left: usize = texts(&file).iter().map(String::len).sum();
        assert!(header.dropped_bytes > 0);
        assert_eq!(header.dropped_bytes + left as u64, total);
    }

    #[test]
    fn a_header_alone_is_a_log_and_what_follows_a_hole_is_too() {
        let file = memfd();
        file.write_all_at(&Header::NEW.encode(), 0).unwrap();
        let log = LogFile::go_on(file.try_clone().unwrap(), BYTES_MAX).unwrap();
        assert_eq!(log.end(), HEADER_BYTES);
        // As after a power cut that lost the data and kept the length.
        file.set_len(HEADER_BYTES + 5000).unwrap();
        let log = LogFile::go_on(file.try_clone().unwrap(), BYTES_MAX).unwrap();
        assert_eq!(log.end(), HEADER_BYTES);
        file.write_all_at(&encode_gap(1 << 20, 1), HEADER_BYTES).unwrap();
        assert_eq!(LogFile::go_on(file, BYTES_MAX).unwrap().end(), HEADER_BYTES);
    }

    #[test]
    fn a_file_that_is_no_log_is_refused_and_left_alone() {
        let other = memfd();
        other.write_all_at(b"dear diary, this is not a log of anything at all", 0).unwrap();
        let length = other.metadata().unwrap().len();
        assert!(LogFile::go_on(other.try_clone().unwrap(), BYTES_MAX).is_err());
        assert_eq!(other.metadata().unwrap().len(), length);
        let short = memfd();
        short.write_all_at(b"x", 0).unwrap();
        assert!(LogFile::go_on(short, BYTES_MAX).is_err());
        let of_exec = memfd();
        let mut log = LogFile::create(of_exec.try_clone().unwrap(), BYTES_MAX).unwrap();
        log.finish(ExitStatus::Exited { code: 0 }, 1);
        assert!(LogFile::go_on(of_exec, BYTES_MAX).is_err());
        let beyond = memfd();
        let header = Header { start: 1 << 30, dropped_bytes: 0 };
        beyond.write_all_at(&header.encode(), 0).unwrap();
        assert!(LogFile::go_on(beyond, BYTES_MAX).is_err());
        assert!(LogFile::go_on(File::open("/dev/null").unwrap(), BYTES_MAX).is_err());
    }
}
