//! What happened in a task, as a file: one event a line, the line's number is the event's. Written by one, read by many.
//!
//! Each event is one write at the end, so a server that is killed leaves whole lines and perhaps half a one, which the
//! next one cuts. What must not be lost when the host fails, too, is synced.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use sandbar_types::{TaskEvent, TaskEventPayload};

/// LIMIT: bytes of the events of one page, so that it fits into memory whatever an agent says.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// The file of events.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("events.jsonl")
}

/// Writes the history of one task.
#[derive(Debug)]
pub(super) struct History {
    file: Arc<File>,
    seq: u64,
    bytes: u64,
}

impl History {
    /// Opens the history in `dir` to go on with it; returns what it holds, too.
    ///
    /// # Errors
    /// It cannot be read or written, or holds something else.
    pub(super) fn open(dir: &Path) -> io::Result<(Self, Vec<TaskEvent>)> {
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path(dir))?;
        let mut reader = BufReader::new(&mut file);
        let (mut events, mut line, mut whole) = (Vec::new(), Vec::new(), 0);
        while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            events.push(read(&line, events.len() as u64 + 1)?);
            whole += line.len() as u64;
            line.clear();
        }
        // Half a line of a server that was killed: nobody was told of it.
        file.set_len(whole)?;
        let seq = events.len() as u64;
        Ok((Self { file: Arc::new(file), seq, bytes: whole }, events))
    }

    /// Appends an event.
    ///
    /// # Errors
    /// There is no room for it.
    pub(super) fn append(
        &mut self,
        at: jiff::Timestamp,
        payload: TaskEventPayload,
    ) -> io::Result<()> {
        let event = TaskEvent { seq: self.seq + 1, at, payload };
        let mut line = serde_json::to_vec(&event)?;
        line.push(b'\n');
        if let Err(err) = (&*self.file).write_all(&line) {
            // Half a line would be taken for a part of the next one.
            self.file.set_len(self.bytes)?;
            return Err(err);
        }
        self.seq += 1;
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// The file, to be synced by who waits for it.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// How long it is.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn read(line: &[u8], seq: u64) -> io::Result<TaskEvent> {
    let event: TaskEvent = serde_json::from_slice(line)?;
    if event.seq != seq {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "an event is out of its place"));
    }
    Ok(event)
}

/// A place in a history: behind the event of this number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    seq: u64,
    position: u64,
}

impl Place {
    /// Behind the event `seq`, found by counting lines; behind the last one where there are fewer.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn behind(path: &Path, seq: u64) -> io::Result<Self> {
        let mut place = Self::default();
        let Some(file) = open(path)? else { return Ok(place) };
        let mut reader = BufReader::with_capacity(64 << 10, file);
        while place.seq < seq {
            let piece = reader.fill_buf()?;
            let Some(end) = piece.iter().position(|byte| *byte == b'\n') else {
                if piece.is_empty() {
                    break;
                }
                let length = piece.len();
                reader.consume(length);
                continue;
            };
            reader.consume(end + 1);
            place = Self { seq: place.seq + 1, position: reader.stream_position()? };
        }
        Ok(place)
    }

    /// The next events, at most `limit` and not too many bytes of them, and the place behind the last one.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub(super) fn next(self, path: &Path, limit: usize) -> io::Result<(Vec<TaskEvent>, Self)> {
        let (mut events, mut place) = (Vec::new(), self);
        let Some(mut file) = open(path)? else { return Ok((events, place)) };
        file.seek(SeekFrom::Start(self.position))?;
        let mut reader = BufReader::with_capacity(64 << 10, file);
        let (mut line, mut bytes) = (Vec::new(), 0);
        while events.len() < limit && bytes < PAGE_BYTES_MAX {
            line.clear();
            let length = reader.by_ref().read_until(b'\n', &mut line)?;
            // Half a line is being written just now.
            if length == 0 || !line.ends_with(b"\n") {
                break;
            }
            events.push(read(&line, place.seq + 1)?);
            bytes += length;
            place = Self { seq: place.seq + 1, position: place.position + length as u64 };
        }
        Ok((events, place))
    }
}

/// `None`: nothing happened yet, or it is forgotten.
fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::Timestamp;
    use sandbar_types::AgentEvent;

    use super::*;

    fn said(text: &str) -> TaskEventPayload {
        TaskEventPayload::Agent { agent: AgentEvent::Message { text: text.to_owned() } }
    }

    #[test]
    fn half_a_line_of_a_server_that_was_killed_is_cut_at_every_byte() {
        let dir = tempfile::tempdir().unwrap();
        let (mut history, events) = History::open(dir.path()).unwrap();
        assert!(events.is_empty());
        for text in ["one", "t\nwo", "thr\u{e9}e"] {
            history.append(Timestamp::UNIX_EPOCH, said(text)).unwrap();
        }
        let whole = fs::read(path(dir.path())).unwrap();
        for length in 0..=whole.len() {
            fs::write(path(dir.path()), &whole[..length]).unwrap();
            let lines = whole[..length].iter().filter(|byte| **byte == b'\n').count();
            let (mut history, events) = History::open(dir.path()).unwrap();
            assert_eq!(events.len(), lines, "{length}");
            history.append(Timestamp::UNIX_EPOCH, said("more")).unwrap();
            let (read, _) = Place::default().next(&path(dir.path()), 9).unwrap();
            assert_eq!(read.len(), lines + 1);
            assert_eq!(read.last().unwrap().payload, said("more"));
        }
    }

    #[test]
    fn a8_a_place_is_found_again_by_its_number_and_a_page_has_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let file = path(dir.path());
        assert_eq!(Place::behind(&file, 7).unwrap(), Place::default());
        let (mut history, _) = History::open(dir.path()).unwrap();
        for number in 0..10_000 {
            history.append(Timestamp::UNIX_EPOCH, said(&number.to_string())).unwrap();
        }
        let (mut place, mut seqs) = (Place::default(), Vec::new());
        loop {
            let (events, next) = place.next(&file, 999).unwrap();
            let Some(last) = events.last() else { break };
            assert_eq!(Place::behind(&file, last.seq).unwrap(), next);
            seqs.extend(events.iter().map(|event| event.seq));
            place = next;
        }
        assert_eq!(seqs, (1..=10_000).collect::<Vec<_>>());
        history.append(Timestamp::UNIX_EPOCH, said(&"x".repeat(PAGE_BYTES_MAX))).unwrap();
        history.append(Timestamp::UNIX_EPOCH, said("end")).unwrap();
        let (events, place) = place.next(&file, 999).unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(place.next(&file, 999).unwrap().0.len(), 1);
        assert!(Place::behind(&file, u64::MAX).unwrap().next(&file, 9).unwrap().0.is_empty());
    }
}
