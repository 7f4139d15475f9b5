//! Both directions of an exec, while it runs and afterwards.

use std::{
    io,
    sync::{Arc, Weak},
};

use sandbar_runtime::client::{self, Body, Input, LogReader, Output, Record};
use sandbar_types::{ExecEnd, ExecId, ExecState, SandboxId, TerminalSize};
use tokio::sync::mpsc;

use crate::{
    Error, ErrorKind, Result,
    actor::Ordinary,
    engine::Inner,
    exec::{Exec, ExecItem, MemoryKills},
};

/// An exec and both directions of it.
#[derive(Debug)]
pub struct ExecSession {
    /// The exec.
    pub exec: Exec,
    /// What comes out.
    pub reader: ExecReader,
    /// What goes in; an exec that has ended takes nothing.
    pub writer: ExecWriter,
}

/// Tells the actor how an exec ended, or that nobody reads it any more.
#[derive(Debug)]
pub(crate) struct Reporter {
    id: ExecId,
    offset: u64,
    actor: Option<mpsc::WeakSender<Ordinary>>,
    sandbox: SandboxId,
    memory_kills: Arc<MemoryKills>,
    /// A session that somebody holds does not keep the engine alive.
    inner: Weak<Inner>,
}

/// Reads what comes out of an exec. Dropping it does not end the exec.
#[derive(Debug)]
pub struct ExecReader {
    from: From,
    reporter: Option<Reporter>,
}

#[derive(Debug)]
enum From {
    Stream(client::ExecReader),
    Log { reader: Box<LogReader>, after: AfterLog, end: Option<ExecEnd> },
    Nothing,
}

/// What follows the last record of a log that has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterLog {
    /// Nobody saw how it ended.
    Lost,
    /// More may come; it was asked what is there now.
    Nothing,
}

/// Writes what goes into an exec.
#[derive(Debug)]
pub struct ExecWriter(Option<client::ExecWriter>);

impl ExecSession {
    pub(crate) fn live(exec: Exec, stream: client::ExecStream, reporter: Reporter) -> Self {
        let (read, write) = stream.into_split();
        let reader = ExecReader { from: From::Stream(read), reporter: Some(reporter) };
        Self { exec, reader, writer: ExecWriter(Some(write)) }
    }

    pub(crate) fn recorded(exec: Exec, reader: ExecReader) -> Self {
        Self { exec, reader, writer: ExecWriter(None) }
    }
}

impl Reporter {
    pub(crate) fn new(
        inner: &Arc<Inner>,
        actor: mpsc::WeakSender<Ordinary>,
        memory_kills: Arc<MemoryKills>,
        (sandbox, id): (SandboxId, ExecId),
    ) -> Self {
        let (actor, inner) = (Some(actor), Arc::downgrade(inner));
        Self { id, offset: 0, actor, sandbox, memory_kills, inner }
    }

    async fn judge(&self, end: ExecEnd) -> ExecEnd {
        match self.inner.upgrade() {
            Some(inner) => self.memory_kills.judge(&inner, self.sandbox, self.id, end).await,
            None => end,
        }
    }

    /// A full mailbox or a dead actor loses the report; the actor looks at the log by itself then.
    fn send(&mut self, request: Ordinary) {
        if let Some(actor) = self.actor.take().and_then(|actor| actor.upgrade()) {
            drop(actor.try_send(request));
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        let (id, offset) = (self.id, self.offset);
        self.send(Ordinary::ExecLeft { id, offset });
    }
}

impl ExecReader {
    /// Reads a log; its end is as it was recorded, which knows more than who wrote the log.
    pub(crate) fn log(reader: LogReader, after: AfterLog, state: &ExecState) -> Self {
        let end = match state {
            ExecState::Ended { end } => Some(*end),
            ExecState::Running | ExecState::Lost => None,
        };
        Self { from: From::Log { reader: Box::new(reader), after, end }, reporter: None }
    }

    /// What a process of the app writes from now on; it has no end of its own.
    pub(crate) fn live(stream: client::ExecStream) -> Self {
        Self { from: From::Stream(stream.into_split().0), reporter: None }
    }

    /// The log of a process that has written nothing.
    pub(crate) fn empty() -> Self {
        Self { from: From::Nothing, reporter: None }
    }

    /// A log that was never begun: its exec was lost before it wrote anything.
    pub(crate) fn lost() -> Self {
        Self { from: From::Nothing, reporter: None }
    }

    /// Where it reads in the log.
    pub(crate) fn offset(&self) -> u64 {
        match &self.from {
            From::Stream(stream) => stream.offset(),
            From::Log { reader, .. } => reader.offset(),
            From::Nothing => 0,
        }
    }

    /// Waits for what comes next; `None` after the end.
    ///
    /// # Errors
    /// `unavailable` when the connection broke: attach again at the last offset.
    pub async fn next(&mut self) -> Result<Option<ExecItem>> {
        match &mut self.from {
            From::Nothing => Ok(None),
            From::Stream(stream) => {
                let record = stream.next().await.map_err(broken)?;
                let mut item = record.map(item);
                if let (Some(ExecItem::End { end, .. }), Some(reporter)) =
                    (&mut item, &self.reporter)
                {
                    *end = reporter.judge(*end).await;
                }
                self.report(item.as_ref());
                Ok(item)
            }
            From::Log { .. } => self.next_of_log().await,
        }
    }

    async fn next_of_log(&mut self) -> Result<Option<ExecItem>> {
        let From::Log { mut reader, after, end: recorded } =
            std::mem::replace(&mut self.from, From::Nothing)
        else {
            return Ok(None);
        };
        let read = tokio::task::spawn_blocking(move || {
            let record = reader.next_record();
            (reader, record)
        });
        let (reader, record) = read.await.map_err(Error::internal)?;
        match record.map_err(Error::internal)? {
            Some(record) => {
                let mut item = item(record);
                match (&mut item, recorded) {
                    (ExecItem::End { end, .. }, Some(recorded)) => *end = recorded,
                    (ExecItem::End { .. }, None) => {}
                    (
                        ExecItem::Stdout { .. }
                        | ExecItem::Stderr { .. }
                        | ExecItem::Note { .. }
                        | ExecItem::Gap { .. }
                        | ExecItem::Lost,
                        _,
                    ) => self.from = From::Log { reader, after, end: recorded },
                }
                Ok(Some(item))
            }
            None => Ok((after == AfterLog::Lost).then_some(ExecItem::Lost)),
        }
    }

    fn report(&mut self, item: Option<&ExecItem>) {
        let Some(reporter) = &mut self.reporter else {
            return;
        };
        match item {
            Some(
                ExecItem::Stdout { next_offset, .. }
                | ExecItem::Stderr { next_offset, .. }
                | ExecItem::Note { next_offset, .. }
                | ExecItem::Gap { next_offset },
            ) => {
                reporter.offset = *next_offset;
            }
            Some(ExecItem::End { end, .. }) => {
                let (id, end) = (reporter.id, *end);
                reporter.send(Ordinary::ExecEnded { id, end });
            }
            Some(ExecItem::Lost) | None => {}
        }
    }
}

fn item(record: Record) -> ExecItem {
    let next_offset = record.next_offset;
    match record.body {
        Body::Output { output: Output::Stdout, bytes } => ExecItem::Stdout { bytes, next_offset },
        Body::Output { output: Output::Stderr, bytes } => ExecItem::Stderr { bytes, next_offset },
        Body::Gap => ExecItem::Gap { next_offset },
        Body::End(end) => ExecItem::End { end, next_offset },
        Body::Note(text) => ExecItem::Note { text, next_offset },
    }
}

fn broken(err: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "unavailable", "the connection to the exec broke")
        .hint("attach again at the last offset that was seen")
        .because(err)
}

impl ExecWriter {
    /// Sends standard input.
    ///
    /// # Errors
    /// `exec_ended`.
    pub async fn stdin(&mut self, bytes: &[u8]) -> Result<()> {
        self.send(Input::Stdin(bytes.to_vec())).await
    }

    /// Ends standard input.
    ///
    /// # Errors
    /// `exec_ended`.
    pub async fn stdin_end(&mut self) -> Result<()> {
        self.send(Input::StdinEnd).await
    }

    /// Says that the terminal has another size.
    ///
    /// # Errors
    /// `exec_ended`.
    pub async fn resize(&mut self, size: TerminalSize) -> Result<()> {
        self.send(Input::Resize(size)).await
    }

    /// Signals the exec's process group.
    ///
    /// # Errors
    /// `exec_ended`.
    pub async fn signal(&mut self, signal: u8) -> Result<()> {
        self.send(Input::Signal(signal)).await
    }

    async fn send(&mut self, input: Input) -> Result<()> {
        let ended = || Error::new(ErrorKind::Denied, "state_conflict", "the exec has ended");
        let writer = self.0.as_mut().ok_or_else(ended)?;
        writer.send(input).await.map_err(|err| {
            self.0 = None;
            ended().because(err)
        })
    }
}
