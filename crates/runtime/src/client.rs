//! The server's end of the supervisor's socket: a new connection for each thing.
//!
//! Everything that comes back is untrusted: it is capped, has a deadline, and is decoded by a phase machine
//! ([`sandbar_protocol::StreamDecoder`]). A refusal is an [`io::Error`] of a telling kind that holds the
//! [`Refusal`], see [`refusal`].
//!
//! | Kind | Means |
//! |---|---|
//! | `NotConnected` | no supervisor answers, or it is being stopped |
//! | `NotFound` | it runs no such exec, or has no such process |
//! | `AlreadyExists` | it runs an exec of this id |
//! | `QuotaExceeded` | as many execs as allowed run |
//! | `InvalidInput` | the command, its directory or its log cannot be used |
//! | `TimedOut` | it did not answer in time |
//! | `InvalidData` | it broke the protocol |

mod app;
#[cfg(test)]
mod app_tests;
mod dial;
mod log_reader;
mod stream;
#[cfg(test)]
mod tests;

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    time::Duration,
};

use rustix::{
    fs::{Mode, OFlags},
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};
use sandbar_protocol::{Control, ControlReply, FRAME_BYTES_MAX, FrameDecoder, Open, Refusal};
pub use sandbar_protocol::{
    Input,
    log::{Body, Output, Record},
};
use sandbar_types::{ExecId, ExecSpec};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::UnixStream,
    time,
};

pub use self::{
    app::{AppWatch, ProcessAction},
    dial::DialError,
    log_reader::LogReader,
    stream::{ExecReader, ExecStream, ExecWriter},
};
use crate::SandboxDir;

/// How long a supervisor may take to answer. LIMIT: far beyond what a loaded machine needs; an agent that keeps its
/// supervisor from running must not keep a request of the server forever.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// Speaks to the supervisor of one sandbox.
#[derive(Debug)]
pub struct SupervisorClient {
    run: OwnedFd,
}

impl SupervisorClient {
    /// Opens the way to the supervisor of the sandbox with this directory; it need not answer yet.
    ///
    /// # Errors
    /// There is no `run` directory (`NotConnected`).
    pub fn connect(dir: &SandboxDir) -> io::Result<Self> {
        let run = rustix::fs::open(
            dir.0.join("run"),
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        );
        Ok(Self { run: run.map_err(|err| not_connected(err.into()))? })
    }

    /// Starts `spec`; returns when the kernel has started it, or could not.
    ///
    /// `log` is the exec's log file, empty, open for reading and writing. A command that is not there is no error:
    /// it is an exec that ends with [`sandbar_types::ExitStatus::NotStarted`].
    ///
    /// # Errors
    /// See the table of this module.
    pub async fn exec(&self, id: ExecId, spec: &ExecSpec, log: OwnedFd) -> io::Result<ExecStream> {
        let spec = spec.clone();
        let stream = self.open(&Open::Exec { id, spec }, Some(log)).await?;
        within_deadline(ExecStream::opened(stream)).await
    }

    /// Follows a running exec from the first record at or after `offset`; 0 is the oldest that is left.
    ///
    /// # Errors
    /// See the table of this module. `NotFound`: it has ended or never was; its log on disk tells.
    pub async fn attach(&self, id: ExecId, offset: u64) -> io::Result<ExecStream> {
        let stream = self.open(&Open::Attach { id, offset }, None).await?;
        within_deadline(ExecStream::opened(stream)).await
    }

    /// Asks one thing and waits for the answer.
    ///
    /// # Errors
    /// See the table of this module; a refusal is an error here, never an `Ok`.
    pub async fn control(&self, request: Control) -> io::Result<ControlReply> {
        let mut stream = self.open(&Open::Control { request }, None).await?;
        match within_deadline(reply(&mut stream)).await? {
            ControlReply::Refused { refusal } => Err(refused(refusal)),
            answer @ (ControlReply::Pong { .. }
            | ControlReply::Execs { .. }
            | ControlReply::Processes { .. }
            | ControlReply::Done) => Ok(answer),
        }
    }

    async fn open(&self, open: &Open, log: Option<OwnedFd>) -> io::Result<UnixStream> {
        let frame =
            open.to_frame().map_err(|err| io::Error::new(io::ErrorKind::InvalidInput, err))?;
        within_deadline(async {
            // Through the descriptor: a socket's path has room for 107 bytes only (unix(7)), and data directories may
            // be deeper than that.
            let path = format!("/proc/self/fd/{}/supervisor.sock", self.run.as_raw_fd());
            let mut stream = UnixStream::connect(path).await.map_err(not_connected)?;
            let sent = match &log {
                Some(log) => send_with_descriptor(&stream, &frame, log).await?,
                None => 0,
            };
            stream.write_all(&frame[sent..]).await?;
            Ok(stream)
        })
        .await
    }
}

/// Returns why the supervisor refused, when that is what `err` is about.
#[must_use]
pub fn refusal(err: &io::Error) -> Option<&Refusal> {
    err.get_ref()?.downcast_ref()
}

pub(crate) fn refused(refusal: Refusal) -> io::Error {
    let kind = match &refusal {
        Refusal::LimitReached { .. } => io::ErrorKind::QuotaExceeded,
        Refusal::Stopping => io::ErrorKind::NotConnected,
        Refusal::NotFound => io::ErrorKind::NotFound,
        Refusal::Exists => io::ErrorKind::AlreadyExists,
        Refusal::Invalid { .. } | Refusal::Cwd { .. } => io::ErrorKind::InvalidInput,
        Refusal::Failed { .. } => io::ErrorKind::Other,
    };
    io::Error::new(kind, refusal)
}

pub(crate) fn broken(err: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, err)
}

/// Sends the beginning of `frame` with `descriptor`, and returns how much of it was sent.
async fn send_with_descriptor(
    stream: &UnixStream,
    frame: &[u8],
    descriptor: &OwnedFd,
) -> io::Result<usize> {
    stream
        .async_io(Interest::WRITABLE, || {
            let descriptors = [descriptor.as_fd()];
            let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            assert!(
                control.push(SendAncillaryMessage::ScmRights(&descriptors)),
                "the space was made for one descriptor"
            );
            let sent = sendmsg(
                stream,
                &[IoSlice::new(frame)],
                &mut control,
                SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
            );
            Ok(sent?)
        })
        .await
}

/// Takes an answer that is either done or refused.
fn done(answer: ControlReply) -> io::Result<()> {
    match answer {
        ControlReply::Done => Ok(()),
        ControlReply::Refused { refusal } => Err(refused(refusal)),
        ControlReply::Pong { .. } | ControlReply::Execs { .. } | ControlReply::Processes { .. } => {
            Err(io::ErrorKind::InvalidData.into())
        }
    }
}

async fn reply(stream: &mut UnixStream) -> io::Result<ControlReply> {
    let mut frames = FrameDecoder::default();
    let mut piece = vec![0; 4096];
    loop {
        if let Some(payload) = frames.next_frame().map_err(broken)? {
            return ControlReply::from_payload(payload).map_err(broken);
        }
        // LIMIT: the decoder refuses a longer frame by its length alone, so this much is held at the most.
        debug_assert!(frames.pending_bytes() <= FRAME_BYTES_MAX + 4);
        match stream.read(&mut piece).await? {
            0 => return Err(io::ErrorKind::NotConnected.into()),
            read => frames.push(&piece[..read]),
        }
    }
}

async fn within_deadline<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    time::timeout(ANSWER_DEADLINE, work)
        .await
        .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
}

/// No directory, no socket, nobody who listens: to callers all of that is a supervisor that is not there.
fn not_connected(err: io::Error) -> io::Error {
    let is_absent =
        matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
    if is_absent { io::Error::new(io::ErrorKind::NotConnected, err) } else { err }
}
