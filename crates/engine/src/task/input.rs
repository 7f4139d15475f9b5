//! What an agent is told: in order, by a task of its own, and written down so that nothing is said twice.
//!
//! The journal is a file that grows by a byte before each message and by another one behind it. Its length says how many
//! were sent, and whether one was on its way when the server was killed: nobody knows then how much of it came through.
//! It is not synced: when the host fails, the agent is gone, too.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use tokio::{sync::mpsc, task::JoinSet};

use crate::exec::ExecWriter;

/// LIMIT: messages that wait for an agent that does not read.
const WAITING_MAX: usize = 1024;

/// What was sent before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    /// Whole messages.
    pub(super) count: u64,
    /// Whether one more was on its way.
    pub(super) is_in_doubt: bool,
}

#[derive(Debug)]
enum Message {
    Text(String),
    End,
}

/// Sends messages to an agent. Dropped, what waits is not sent any more.
#[derive(Debug)]
pub(super) struct Input {
    queue: mpsc::Sender<Message>,
    _writing: JoinSet<()>,
}

/// Opens the journal in `dir`, and says what it holds.
///
/// # Errors
/// It cannot be made.
pub(super) fn journal(dir: &Path) -> io::Result<(File, Sent)> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(dir.join("sent"))?;
    let bytes = file.metadata()?.len();
    Ok((file, Sent { count: bytes / 2, is_in_doubt: bytes % 2 == 1 }))
}

impl Input {
    pub(super) fn begin(writer: ExecWriter, journal: File) -> Self {
        let (queue, messages) = mpsc::channel(WAITING_MAX);
        let mut writing = JoinSet::new();
        writing.spawn(write(writer, messages, journal));
        Self { queue, _writing: writing }
    }

    /// Sends a text; `false`: too many wait already.
    pub(super) fn send(&self, text: String) -> bool {
        self.push(Message::Text(text))
    }

    /// Ends the input. To say it twice does no harm, so it is in no journal.
    pub(super) fn end(&self) -> bool {
        self.push(Message::End)
    }

    fn push(&self, message: Message) -> bool {
        match self.queue.try_send(message) {
            // It does not listen any more, or has ended: its output will say so.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => true,
            Err(mpsc::error::TrySendError::Full(_)) => false,
        }
    }
}

async fn write(mut writer: ExecWriter, mut messages: mpsc::Receiver<Message>, mut journal: File) {
    while let Some(message) = messages.recv().await {
        let sent = match message {
            Message::End => writer.stdin_end().await,
            Message::Text(text) => {
                // A journal that cannot be written leaves a doubt where there need be none.
                journal.write_all(b"<").ok();
                let sent = writer.stdin(text.as_bytes()).await;
                if sent.is_ok() {
                    journal.write_all(b">").ok();
                }
                sent
            }
        };
        if let Err(err) = sent {
            // It closed its input, or reads nothing for long: what it does without is its own matter.
            tracing::debug!(error = &err as &dyn std::error::Error, "an agent takes no more input");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_knows_what_was_sent_and_what_was_on_its_way() {
        let dir = tempfile::tempdir().unwrap();
        for length in 0..5_u64 {
            let (mut file, sent) = journal(dir.path()).unwrap();
            assert_eq!(sent, Sent { count: length / 2, is_in_doubt: length % 2 == 1 });
            file.write_all(b".").unwrap();
        }
    }
}
