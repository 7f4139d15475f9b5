//! Reading a history: one open file for as long as somebody reads, and a place that is found without reading what is
//! before it.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use sandbar_types::TaskEvent;

use super::history::parse;

/// LIMIT: bytes of the events of one page, so that it fits into memory whatever an agent says.
const PAGE_BYTES_MAX: usize = 4 << 20;
/// Bytes that are read at once.
const BUFFER_BYTES: usize = 16 << 10;
/// Bytes in which a place is looked for line by line.
const COUNTED_BYTES: u64 = 64 << 10;
/// How each line begins; its number follows.
const BEGINNING: &[u8] = br#"{"seq":"#;
/// Bytes in which the number of a line ends: its beginning, twenty digits and a comma.
const NUMBER_BYTES_MAX: u64 = 32;

/// Stands in a history, behind one of its events.
#[derive(Debug)]
pub(super) struct Reader {
    path: PathBuf,
    /// `None`: nothing happened yet, or it is forgotten.
    file: Option<BufReader<File>>,
    /// The event that it stands behind, and where that one ends.
    seq: u64,
    position: u64,
}

impl Reader {
    /// Behind the event `seq`; behind the last one where there are fewer.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn behind(path: PathBuf, seq: u64) -> io::Result<Self> {
        let mut file = open(&path)?;
        let (seq, position) = file.as_mut().map_or(Ok((0, 0)), |file| behind(file, seq))?;
        Ok(Self { path, file, seq, position })
    }

    /// The next events, at most `limit` and not too many bytes of them.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub(super) fn next(&mut self, limit: usize) -> io::Result<Vec<TaskEvent>> {
        let mut events = Vec::new();
        if self.file.is_none() {
            self.file = open(&self.path)?;
        }
        let Some(file) = &mut self.file else { return Ok(events) };
        let (mut line, mut bytes) = (Vec::new(), 0);
        while events.len() < limit && bytes < PAGE_BYTES_MAX {
            line.clear();
            let length = file.read_until(b'\n', &mut line)?;
            if length == 0 {
                break;
            }
            if !line.ends_with(b"\n") {
                // Half a line is being written just now, or is taken back: it is read again from its beginning.
                file.seek(SeekFrom::Start(self.position))?;
                break;
            }
            events.push(parse(&line, self.seq + 1)?);
            bytes += length;
            (self.seq, self.position) = (self.seq + 1, self.position + length as u64);
        }
        Ok(events)
    }
}

fn open(path: &Path) -> io::Result<Option<BufReader<File>>> {
    match File::open(path) {
        Ok(file) => Ok(Some(BufReader::with_capacity(BUFFER_BYTES, file))),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}

/// Moves behind the event `seq`, or the last one; returns its number and where it ends.
///
/// Lines are numbered in order, so the place is between two halves as often as its bounds are far apart; what is
/// left is counted.
fn behind(file: &mut BufReader<File>, seq: u64) -> io::Result<(u64, u64)> {
    let mut low = (0, 0);
    let mut high = if seq == 0 { 0 } else { file.get_ref().metadata()?.len() };
    while high.saturating_sub(low.1) > COUNTED_BYTES {
        let middle = low.1.midpoint(high);
        match line_behind(file, middle)? {
            Some((number, start)) if number <= seq + 1 => low = (number - 1, start),
            // There is none, it is half written, or it is too far.
            Some(_) | None => high = middle,
        }
    }
    file.seek(SeekFrom::Start(low.1))?;
    while low.0 < seq {
        let (length, is_whole) = skip_line(file)?;
        if !is_whole {
            file.seek(SeekFrom::Start(low.1))?;
            break;
        }
        low = (low.0 + 1, low.1 + length);
    }
    Ok(low)
}

/// The number of the first line that begins behind `position`, and where it begins.
fn line_behind(file: &mut BufReader<File>, position: u64) -> io::Result<Option<(u64, u64)>> {
    file.seek(SeekFrom::Start(position))?;
    let (length, is_whole) = skip_line(file)?;
    let mut beginning = Vec::new();
    if is_whole {
        file.by_ref().take(NUMBER_BYTES_MAX).read_to_end(&mut beginning)?;
    }
    Ok(number(&beginning).map(|number| (number, position + length)))
}

fn number(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(BEGINNING)?;
    let digits = rest.split_at_checked(rest.iter().position(|byte| *byte == b',')?)?.0;
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|number| *number > 0)
}

/// Skips to behind the next break; returns how far that was, and whether there was one.
fn skip_line(file: &mut BufReader<File>) -> io::Result<(u64, bool)> {
    let mut skipped = 0;
    loop {
        let piece = file.fill_buf()?;
        let end = piece.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(piece.len(), |end| end + 1);
        file.consume(length);
        skipped += length as u64;
        if end.is_some() || length == 0 {
            return Ok((skipped, end.is_some()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::Timestamp;
    use proptest::prelude::*;
    use sandbar_types::{AgentEvent, TaskEventPayload};

    use super::*;
    use crate::task::history::{History, path};

    fn said(text: &str) -> TaskEventPayload {
        TaskEventPayload::Agent { agent: AgentEvent::Message { text: text.to_owned() } }
    }

    fn told(history: &mut History, text: &str) {
        history.append(Timestamp::UNIX_EPOCH, said(text)).unwrap();
    }

    fn place(reader: &Reader) -> (u64, u64) {
        (reader.seq, reader.position)
    }

    #[test]
    fn a8_a_place_is_found_again_by_its_number_and_a_page_has_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let file = path(dir.path());
        assert_eq!(place(&Reader::behind(file.clone(), 7).unwrap()), (0, 0));
        let (mut history, _) = History::open(dir.path()).unwrap();
        for number in 0..10_000 {
            told(&mut history, &number.to_string());
        }
        let (mut reader, mut seqs) = (Reader::behind(file.clone(), 0).unwrap(), Vec::new());
        loop {
            let events = reader.next(999).unwrap();
            let Some(last) = events.last() else { break };
            assert_eq!(place(&Reader::behind(file.clone(), last.seq).unwrap()), place(&reader));
            seqs.extend(events.iter().map(|event| event.seq));
        }
        assert_eq!(seqs, (1..=10_000).collect::<Vec<_>>());
        told(&mut history, &"x".repeat(PAGE_BYTES_MAX));
        told(&mut history, "end");
        assert_eq!(reader.next(999).unwrap().len(), 1);
        assert_eq!(reader.next(999).unwrap().len(), 1);
        let mut end = Reader::behind(file, u64::MAX - 1).unwrap();
        assert_eq!(end.seq, 10_002);
        assert!(end.next(9).unwrap().is_empty());
    }

    #[test]
    fn half_a_line_is_read_once_it_is_whole_or_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let file = path(dir.path());
        let mut reader = Reader::behind(file.clone(), 0).unwrap();
        assert!(reader.next(9).unwrap().is_empty(), "there is no file yet");
        let (mut history, _) = History::open(dir.path()).unwrap();
        told(&mut history, "one");
        let first = fs::read(&file).unwrap();
        told(&mut history, "two");
        let whole = fs::read(&file).unwrap();
        for length in first.len()..whole.len() {
            fs::write(&file, &whole[..length]).unwrap();
            let mut reader = Reader::behind(file.clone(), 0).unwrap();
            assert_eq!(reader.next(9).unwrap().len(), 1, "{length}");
            assert!(reader.next(9).unwrap().is_empty());
            fs::write(&file, &first).unwrap();
            let (mut history, _) = History::open(dir.path()).unwrap();
            told(&mut history, "another");
            assert_eq!(reader.next(9).unwrap()[0].payload, said("another"));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a8_a_place_is_the_one_that_counting_finds(lengths in prop::collection::vec(prop_oneof![9 => 0..200_usize, 1 => 0..60_000_usize], 0..150), half: bool) {
            let dir = tempfile::tempdir().unwrap();
            let file = path(dir.path());
            let (mut history, _) = History::open(dir.path()).unwrap();
            let mut places = vec![(0, 0)];
            for (number, length) in (1..).zip(&lengths) {
                told(&mut history, &"y".repeat(*length));
                places.push((number, history.bytes()));
            }
            if half {
                let mut bytes = fs::read(&file).unwrap();
                bytes.extend(br#"{"seq":"#);
                fs::write(&file, bytes).unwrap();
            }
            for expected in &places {
                prop_assert_eq!(place(&Reader::behind(file.clone(), expected.0).unwrap()), *expected);
            }
            let last = places.last().copied().unwrap();
            prop_assert_eq!(place(&Reader::behind(file.clone(), 1000).unwrap()), last);
        }
    }
}
