//! The logs of processes: their end from disk, whether or not anything runs, and what follows.

use std::collections::VecDeque;

use jiff::Timestamp;
use sandbar_runtime::client::{Body, LogReader, Output};
use sandbar_types::{ProcessName, SandboxId, SandboxState};

use super::unknown;
use crate::{
    Engine, Error, Result,
    exec::{AfterLog, ExecReader},
    workspace_view::blocking,
};

/// LIMIT: bytes of one line that are shown.
const LINE_BYTES_MAX: usize = 16 << 10;

/// A line of a process's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it began.
    pub at: Timestamp,
    /// The line without its end; what is not UTF-8 is replaced.
    pub text: String,
}

/// The end of a process's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogTail {
    /// Oldest first.
    pub lines: Vec<LogLine>,
    /// Where to go on reading.
    pub next_offset: u64,
    /// Whether there is more before.
    pub is_truncated: bool,
}

impl Engine {
    /// The last `lines` lines of a process's log, of a sandbox that does not run, too.
    ///
    /// # Errors
    /// `sandbox_not_found`, `process_not_found`.
    pub async fn process_log_tail(
        &self,
        id: SandboxId,
        name: ProcessName,
        lines: usize,
    ) -> Result<LogTail> {
        let reader = self.process_log(id, name, 0).await?;
        blocking(move || {
            reader.map_or_else(|| Ok(LogTail::default()), |reader| tail(reader, lines))
        })
        .await?
    }

    /// Follows a process's log from `offset` on (0: from the oldest that is left); one that does not run is read to its end.
    ///
    /// # Errors
    /// `sandbox_not_found`, `process_not_found`.
    pub async fn process_log_follow(
        &self,
        id: SandboxId,
        name: ProcessName,
        offset: u64,
    ) -> Result<ExecReader> {
        let row = self.inner.actor(id)?.row();
        if matches!(row.state, SandboxState::Running | SandboxState::Paused) {
            let dir = self.inner.layout.sandbox(id);
            // It may have ended just now; what is on disk is there all the same.
            if let Ok(stream) = self.inner.config.runtime.app_follow(&dir, &name, offset).await {
                return Ok(ExecReader::live(stream));
            }
        }
        self.process_log_read(id, name, offset).await
    }

    /// Reads what the log of a process holds now, from `offset` on, without following it.
    ///
    /// # Errors
    /// `sandbox_not_found`, `process_not_found`.
    pub async fn process_log_read(
        &self,
        id: SandboxId,
        name: ProcessName,
        offset: u64,
    ) -> Result<ExecReader> {
        let reader = self.process_log(id, name, offset).await?;
        Ok(reader.map_or_else(ExecReader::empty, |reader| {
            ExecReader::log(reader, AfterLog::Nothing, &sandbar_types::ExecState::Running)
        }))
    }

    /// `None`: it has never written anything.
    async fn process_log(
        &self,
        id: SandboxId,
        name: ProcessName,
        offset: u64,
    ) -> Result<Option<LogReader>> {
        let app = self.inner.actor(id)?.app.app();
        let layout = self.inner.layout.clone();
        let is_known = app.spec.iter().flat_map(|spec| &spec.processes).any(|p| p.name == name);
        blocking(move || match layout.process_log_read(id, &name) {
            Ok(file) if file.metadata().is_ok_and(|metadata| metadata.len() == 0) => Ok(None),
            Ok(file) => LogReader::open(file, offset).map(Some).map_err(Error::internal),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound && is_known => Ok(None),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => Err(unknown(&name)),
            Err(err) => Err(Error::internal(err)),
        })
        .await?
    }
}

/// Reads to the end and keeps the last lines, at most so many bytes of each.
pub(super) fn tail(mut reader: LogReader, lines: usize) -> Result<LogTail> {
    let mut kept: VecDeque<LogLine> = VecDeque::new();
    let mut is_truncated = false;
    // Both outputs have a line that is not over yet.
    let mut open: [Option<(u64, Vec<u8>)>; 2] = [None, None];
    let mut keep = |time_us, bytes: &[u8]| {
        if kept.len() == lines {
            kept.pop_front();
            is_truncated = true;
        }
        let text = String::from_utf8_lossy(bytes).trim_end_matches('\r').to_owned();
        let micros = i64::try_from(time_us).unwrap_or(i64::MAX);
        let at = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX);
        kept.push_back(LogLine { at, text });
    };
    while let Some(record) = reader.next_record().map_err(Error::internal)? {
        let (at, bytes) = match record.body {
            Body::Output { output: Output::Stdout, bytes } => (0, bytes),
            Body::Output { output: Output::Stderr, bytes } => (1, bytes),
            Body::Note(text) => {
                keep(record.time_us, text.as_bytes());
                continue;
            }
            Body::Gap | Body::End(_) => continue,
        };
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (time_us, line) = open[at].get_or_insert_with(|| (record.time_us, Vec::new()));
            let room = LINE_BYTES_MAX.saturating_sub(line.len());
            line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                keep(*time_us, line.strip_suffix(b"\n").unwrap_or(line));
                open[at] = None;
            }
        }
    }
    for (time_us, line) in open.into_iter().flatten() {
        keep(time_us, &line);
    }
    Ok(LogTail { lines: kept.into(), next_offset: reader.offset(), is_truncated })
}
