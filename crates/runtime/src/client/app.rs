//! Asking about the processes of an app.

use std::{io, os::fd::OwnedFd};

use sandbar_protocol::{AppStatus, Control, ControlReply, FrameDecoder, Open};
use sandbar_types::{AppSpec, ProcessName, ProcessStatus};
use tokio::{io::AsyncReadExt, net::UnixStream};

use super::{SupervisorClient, broken, done, reply, stream::ExecStream, within_deadline};

/// What is done to one process of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessAction {
    /// Starts it, where it does not run.
    Start,
    /// Ends it, and keeps it ended.
    Stop,
    /// Ends it, where it runs, and starts it.
    Restart,
}

impl SupervisorClient {
    /// Gives a process of the app its log: a regular file open for reading and writing, empty or a log of earlier runs.
    ///
    /// # Errors
    /// See the table of this module. `InvalidInput`: it is no log.
    pub async fn process_log(&self, name: &ProcessName, log: OwnedFd) -> io::Result<()> {
        let mut stream = self.open(&Open::ProcessLog { name: name.clone() }, Some(log)).await?;
        done(within_deadline(reply(&mut stream)).await?)
    }

    /// Makes the app what `app` says. Each process must have been given its log.
    ///
    /// # Errors
    /// See the table of this module.
    pub async fn apply(&self, app: &AppSpec) -> io::Result<()> {
        done(self.control(Control::Apply { app: app.clone() }).await?)
    }

    /// Returns how the processes are, in the order in which the app names them.
    ///
    /// # Errors
    /// See the table of this module.
    pub async fn processes(&self) -> io::Result<Vec<ProcessStatus>> {
        match self.control(Control::Processes).await? {
            ControlReply::Processes { processes } => checked(processes),
            ControlReply::Pong { .. }
            | ControlReply::Execs { .. }
            | ControlReply::Done
            | ControlReply::Refused { .. } => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Starts a process that was stopped, has given up or has exited.
    ///
    /// # Errors
    /// See the table of this module. `NotFound`: the app has no such process.
    pub async fn process_start(&self, name: &ProcessName) -> io::Result<()> {
        done(self.control(Control::ProcessStart { name: name.clone() }).await?)
    }

    /// Ends a process and keeps it ended; it may still be ending when this returns.
    ///
    /// # Errors
    /// See the table of this module. `NotFound`: the app has no such process.
    pub async fn process_stop(&self, name: &ProcessName) -> io::Result<()> {
        done(self.control(Control::ProcessStop { name: name.clone() }).await?)
    }

    /// Ends a process, where it runs, and starts it; it may still be ending when this returns.
    ///
    /// # Errors
    /// See the table of this module. `NotFound`: the app has no such process.
    pub async fn process_restart(&self, name: &ProcessName) -> io::Result<()> {
        done(self.control(Control::ProcessRestart { name: name.clone() }).await?)
    }

    /// Does `action` to a process.
    ///
    /// # Errors
    /// See the table of this module. `NotFound`: the app has no such process.
    pub async fn process(&self, name: &ProcessName, action: ProcessAction) -> io::Result<()> {
        match action {
            ProcessAction::Start => self.process_start(name).await,
            ProcessAction::Stop => self.process_stop(name).await,
            ProcessAction::Restart => self.process_restart(name).await,
        }
    }

    /// Follows the log of a process from the first record at or after `offset`; 0 is the oldest that is left.
    ///
    /// Restarts of the process do not end it. It ends with an error when the app has the process no more, or the
    /// sandbox ends. It takes no input.
    ///
    /// # Errors
    /// See the table of this module. `NotFound`: the app has no such process.
    pub async fn follow(&self, name: &ProcessName, offset: u64) -> io::Result<ExecStream> {
        let stream = self.open(&Open::Follow { name: name.clone(), offset }, None).await?;
        within_deadline(ExecStream::opened(stream)).await
    }

    /// Watches how the processes are.
    ///
    /// # Errors
    /// See the table of this module.
    pub async fn watch(&self) -> io::Result<AppWatch> {
        Ok(AppWatch::new(self.open(&Open::Watch {}, None).await?))
    }
}

/// How an app is, again after each change.
#[derive(Debug)]
pub struct AppWatch {
    stream: UnixStream,
    frames: FrameDecoder,
    piece: Box<[u8]>,
}

impl AppWatch {
    /// Reads from a connection on which the request was sent; a fake may give one end of a pair.
    #[must_use]
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, frames: FrameDecoder::default(), piece: vec![0; 4096].into_boxed_slice() }
    }

    /// Returns how the app is: at once the first time, and then when it has changed. Who comes late gets the latest
    /// only. Cancel safe.
    ///
    /// # Errors
    /// `UnexpectedEof` when the supervisor hung up, `InvalidData` when it broke the protocol.
    pub async fn next(&mut self) -> io::Result<AppStatus> {
        loop {
            if let Some(payload) = self.frames.next_frame().map_err(broken)? {
                let AppStatus { processes } = AppStatus::from_payload(payload).map_err(broken)?;
                return Ok(AppStatus { processes: checked(processes)? });
            }
            match self.stream.read(&mut self.piece).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.frames.push(&self.piece[..read]),
            }
        }
    }
}

/// No app has more, whatever a supervisor says.
fn checked(processes: Vec<ProcessStatus>) -> io::Result<Vec<ProcessStatus>> {
    let is_possible = processes.len() <= AppSpec::PROCESSES_MAX;
    is_possible.then_some(processes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
