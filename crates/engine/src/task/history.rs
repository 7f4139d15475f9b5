//! What happened in a task, as a file: one event a line, the line's number is the event's. Written by one, read by many
//! ([`super::reader`]).
//!
//! Each event is one write at the end, so a server that is killed leaves whole lines and perhaps half a one, which the
//! next one cuts. What must not be lost when the host fails, too, is synced.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use sandbar_types::{TaskEvent, TaskEventPayload};

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
            events.push(parse(&line, events.len() as u64 + 1)?);
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

/// Reads the line of the event `seq`.
///
/// # Errors
/// It is none, or another.
pub(super) fn parse(line: &[u8], seq: u64) -> io::Result<TaskEvent> {
    let event: TaskEvent = serde_json::from_slice(line)?;
    if event.seq != seq {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "an event is out of its place"));
    }
    Ok(event)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::Timestamp;
    use sandbar_types::AgentEvent;

    use super::{super::reader::Reader, *};

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
            let read = Reader::behind(path(dir.path()), 0).unwrap().next(9).unwrap();
            assert_eq!(read.len(), lines + 1);
            assert_eq!(read.last().unwrap().payload, said("more"));
        }
    }
}
