//! The log of a sandbox's network, on disk: hosts, ports, rules and numbers, and nothing of what passed.
//!
//! Two files, each at most [`FILE_BYTES_MAX`]: when the newer is full it takes the place of the older.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use sandbar_types::NetworkEntry;

/// LIMIT: bytes of one of the two files.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// LIMIT: bytes at the end of a file among which its last line is.
const LAST_LINE_BYTES: u64 = 4 << 10;

const NEWER: &str = "network.jsonl";
const OLDER: &str = "network.1.jsonl";

/// The log in one directory.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    dir: PathBuf,
    /// The last line's number, once somebody looked.
    last: Option<u64>,
}

impl Journal {
    pub(super) fn of(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), last: None }
    }

    /// Writes `entries` behind what is there, numbered.
    pub(super) async fn append(&mut self, entries: Vec<NetworkEntry>) -> io::Result<()> {
        let (dir, last) = (self.dir.clone(), self.last);
        let written = tokio::task::spawn_blocking(move || append(&dir, last, entries));
        self.last = Some(written.await.map_err(io::Error::other)??);
        Ok(())
    }

    /// Returns at most `count` entries with numbers below `before`, the newest first.
    pub(super) async fn newest(
        &self,
        before: Option<u64>,
        count: usize,
    ) -> io::Result<Vec<NetworkEntry>> {
        let dir = self.dir.clone();
        tokio::task::spawn_blocking(move || newest(&dir, before, count))
            .await
            .map_err(io::Error::other)?
    }
}

fn append(dir: &Path, last: Option<u64>, entries: Vec<NetworkEntry>) -> io::Result<u64> {
    let newer = dir.join(NEWER);
    let mut last = match last {
        Some(last) => last,
        None => match last_id(&newer)? {
            Some(last) => last,
            None => last_id(&dir.join(OLDER))?.unwrap_or(0),
        },
    };
    if fs::metadata(&newer).is_ok_and(|found| found.len() >= FILE_BYTES_MAX) {
        fs::rename(&newer, dir.join(OLDER))?;
    }
    let mut text = Vec::new();
    for entry in entries {
        last += 1;
        serde_json::to_writer(&mut text, &NetworkEntry { id: last, ..entry })?;
        text.push(b'\n');
    }
    let mut file =
        OpenOptions::new().append(true).read(true).create(true).mode(0o600).open(newer)?;
    // What a crash left of a line is made one of its own, which no reader takes.
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut end = [0];
        file.read_exact(&mut end)?;
        if end != *b"\n" {
            text.insert(0, b'\n');
        }
    }
    file.write_all(&text)?;
    Ok(last)
}

fn last_id(path: &Path) -> io::Result<Option<u64>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(err),
    };
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(LAST_LINE_BYTES)))?;
    let mut tail = Vec::new();
    file.take(LAST_LINE_BYTES).read_to_end(&mut tail)?;
    Ok(tail.split(|byte| *byte == b'\n').rev().find_map(parsed).map(|entry| entry.id))
}

fn newest(dir: &Path, before: Option<u64>, count: usize) -> io::Result<Vec<NetworkEntry>> {
    let mut found = Vec::new();
    for name in [NEWER, OLDER] {
        let text = match fs::read(dir.join(name)) {
            Ok(text) => text,
            Err(err) if err.kind() == io::ErrorKind::NotFound => continue,
            Err(err) => return Err(err),
        };
        let wanted = text
            .split(|byte| *byte == b'\n')
            .rev()
            .filter_map(parsed)
            .filter(|entry| before.is_none_or(|before| entry.id < before));
        found.extend(wanted.take(count - found.len()));
        if found.len() >= count {
            break;
        }
    }
    Ok(found)
}

fn parsed(line: &[u8]) -> Option<NetworkEntry> {
    serde_json::from_slice(line).ok()
}

#[cfg(test)]
mod tests {
    use sandbar_types::NetworkEntryKind;

    use super::*;

    fn entry(host: &str) -> NetworkEntry {
        NetworkEntry {
            id: 0,
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
            what: NetworkEntryKind::Denied,
            host: host.to_owned(),
            port: 443,
            reason: Some("host_not_allowed".to_owned()),
            rule: None,
            sent_bytes: None,
            received_bytes: None,
            duration_ms: None,
            end: None,
        }
    }

    fn ids(found: &[NetworkEntry]) -> Vec<u64> {
        found.iter().map(|entry| entry.id).collect()
    }

    #[tokio::test]
    async fn lines_are_counted_over_a_restart_and_read_from_the_newest() {
        let temp = tempfile::tempdir().unwrap();
        assert_eq!(Journal::of(temp.path()).newest(None, 5).await.unwrap(), []);
        let mut journal = Journal::of(temp.path());
        journal.append(vec![entry("a.example"), entry("b.example")]).await.unwrap();
        // A crash in the middle of a line.
        let mut torn = OpenOptions::new().append(true).open(temp.path().join(NEWER)).unwrap();
        torn.write_all(b"{\"id\":3,\"at").unwrap();
        let mut journal = Journal::of(temp.path());
        journal.append(vec![entry("c.example")]).await.unwrap();
        let found = journal.newest(None, 5).await.unwrap();
        assert_eq!(ids(&found), [3, 2, 1]);
        assert_eq!(found[0].host, "c.example");
        assert_eq!(ids(&journal.newest(Some(3), 1).await.unwrap()), [2]);
    }

    #[tokio::test]
    async fn a_full_log_forgets_its_older_half_and_no_number_comes_twice() {
        let temp = tempfile::tempdir().unwrap();
        let mut journal = Journal::of(temp.path());
        let long = "a".repeat(200);
        for _ in 0..3 {
            let many = (0..30_000).map(|_| entry(&long)).collect();
            journal.append(many).await.unwrap();
        }
        let mut journal = Journal::of(temp.path());
        journal.append(vec![entry("z.example")]).await.unwrap();
        let found = journal.newest(None, 100_000).await.unwrap();
        assert_eq!(found[0].id, 90_001);
        assert!(found.windows(2).all(|pair| pair[0].id == pair[1].id + 1));
        assert!(found.len() < 90_001);
    }
}
