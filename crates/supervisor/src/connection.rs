//! One connection of the server: it says what it is for, and then is that.
//!
//! ```text
//! opening ──Exec──► starting ──► viewing ──► closed
//!    ├──Attach────────────────────►│
//!    ├──Follow─────────────────► following ──► closed
//!    ├──Watch──────────────────► watching
//!    ├──Dial───► dialing ────────►│
//!    └──all else, or a refusal──► answering ──► closed
//! ```

use std::{
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
};
use sandbar_protocol::{FrameDecoder, Input, Open};

use crate::{
    sockets::Connecting,
    viewer::{Outbox, Progress, Viewer},
};

/// How long a connection may take to say what it is for.
const OPENING: Duration = Duration::from_secs(10);

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: OwnedFd,
    pub(crate) phase: Phase,
    /// Nothing more comes from the other side.
    is_deaf: bool,
    /// The socket took no more at the last attempt.
    pub(crate) is_blocked: bool,
    frames: FrameDecoder,
}

/// What a connection is, and so which messages it may bring.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Its first frame has not come yet.
    Opening { log: Option<OwnedFd>, until: Instant },
    /// Its exec has been forked, and has not said yet whether it became the program.
    Starting { exec: u64 },
    /// It watches an exec, and may send input to it.
    Viewing { exec: u64, viewer: Viewer },
    /// It watches the log of a process, across its runs.
    Following { viewer: Viewer },
    /// It is told how the app is, `seen` being what it was told last.
    Watching { seen: Option<u64>, outbox: Outbox },
    /// It waits for a connection inside; `connecting` is always there between turns.
    Dialing { connecting: Option<Connecting>, until: Instant },
    /// It gets one answer.
    Answering { outbox: Outbox },
}

/// A connection that is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

/// What a connection brought.
#[derive(Debug)]
pub(crate) enum Brought {
    /// What it is for, and the descriptor that came along.
    Open(Open, Option<OwnedFd>),
    /// Input for its exec.
    Input(u64, Input),
}

impl Connection {
    pub(crate) fn new(socket: OwnedFd, now: Instant) -> Self {
        Self {
            socket,
            phase: Phase::Opening { log: None, until: now + OPENING },
            is_deaf: false,
            is_blocked: false,
            frames: FrameDecoder::default(),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Opening { until, .. } | Phase::Dialing { until, .. } => Some(*until),
            Phase::Starting { .. }
            | Phase::Viewing { .. }
            | Phase::Following { .. }
            | Phase::Watching { .. }
            | Phase::Answering { .. } => None,
        }
    }

    /// Whether it took too long to say what it is for.
    pub(crate) fn is_late(&self, now: Instant) -> bool {
        matches!(&self.phase, Phase::Opening { until, .. } if now >= *until)
    }

    /// Whether a connection inside must be looked at, though nothing was heard of it.
    pub(crate) fn is_dialing_late(&self, now: Instant) -> bool {
        matches!(&self.phase, Phase::Dialing { until, .. } if now >= *until)
    }

    /// Gives one that watches the latest, where it has not been given it. Returns whether there is something to send.
    pub(crate) fn tell(&mut self, version: u64, frame: impl FnOnce() -> Vec<u8>) -> bool {
        match &mut self.phase {
            Phase::Watching { seen, outbox } if outbox.is_empty() && *seen != Some(version) => {
                *seen = Some(version);
                *outbox = Outbox::new(frame());
                true
            }
            Phase::Watching { .. }
            | Phase::Opening { .. }
            | Phase::Starting { .. }
            | Phase::Viewing { .. }
            | Phase::Following { .. }
            | Phase::Dialing { .. }
            | Phase::Answering { .. } => false,
        }
    }

    /// The exec that it belongs to.
    pub(crate) fn exec(&self) -> Option<u64> {
        match &self.phase {
            Phase::Starting { exec } | Phase::Viewing { exec, .. } => Some(*exec),
            Phase::Opening { .. }
            | Phase::Following { .. }
            | Phase::Watching { .. }
            | Phase::Dialing { .. }
            | Phase::Answering { .. } => None,
        }
    }

    /// Whether it may bring something that is wanted.
    pub(crate) fn is_listened_to(&self) -> bool {
        !self.is_deaf && !matches!(self.phase, Phase::Answering { .. })
    }

    /// Reads what came.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Result<(), Closed> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let received =
            match recvmsg(&self.socket, &mut [IoSliceMut::new(buffer)], &mut control, flags) {
                Ok(message) => message.bytes,
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                Err(_) => return Err(Closed),
            };
        // Descriptors that nobody asked for are closed right here.
        let descriptors = control.drain().filter_map(|message| {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                Some(descriptors)
            } else {
                None
            }
        });
        if let (Phase::Opening { log, .. }, Some(descriptor)) =
            (&mut self.phase, descriptors.flatten().last())
        {
            *log = Some(descriptor);
        }
        self.frames.push(&buffer[..received]);
        if received == 0 {
            self.is_deaf = true;
            // One that only listens may have shut its own side; others have nothing to wait for.
            return match &self.phase {
                Phase::Starting { .. }
                | Phase::Viewing { .. }
                | Phase::Following { .. }
                | Phase::Watching { .. } => Ok(()),
                Phase::Opening { .. } | Phase::Dialing { .. } | Phase::Answering { .. } => {
                    Err(Closed)
                }
            };
        }
        Ok(())
    }

    /// Takes the next message that came; which ones may come depends on the phase.
    pub(crate) fn next_message(&mut self) -> Result<Option<Brought>, Closed> {
        let Some(payload) = self.frames.next_frame().map_err(|_| Closed)? else {
            return Ok(None);
        };
        match &mut self.phase {
            Phase::Opening { log, .. } => {
                let open = Open::from_payload(payload).map_err(|_| Closed)?;
                Ok(Some(Brought::Open(open, log.take())))
            }
            Phase::Starting { exec } | Phase::Viewing { exec, .. } => {
                let input = Input::from_payload(payload).map_err(|_| Closed)?;
                Ok(Some(Brought::Input(*exec, input)))
            }
            // It asked one thing already.
            Phase::Following { .. }
            | Phase::Watching { .. }
            | Phase::Dialing { .. }
            | Phase::Answering { .. } => Err(Closed),
        }
    }

    /// Sends what there is for it. Returns whether it is still of use.
    pub(crate) fn advance(&mut self, buffer: &mut [u8], now_us: u64) -> Result<(), Closed> {
        let socket = self.socket.as_fd();
        let progress = match &mut self.phase {
            Phase::Opening { .. } | Phase::Starting { .. } | Phase::Dialing { .. } => {
                Ok(Progress::Idle)
            }
            Phase::Watching { outbox, .. } => outbox.flush(socket).map(told),
            Phase::Viewing { viewer, .. } | Phase::Following { viewer } => {
                viewer.advance(socket, buffer, now_us)
            }
            Phase::Answering { outbox } => outbox.flush(socket).map(answered),
        };
        match progress.map_err(|_: io::Error| Closed)? {
            Progress::Complete => Err(Closed),
            progress @ (Progress::Idle | Progress::Blocked) => {
                self.is_blocked = progress == Progress::Blocked;
                Ok(())
            }
        }
    }
}

fn told(is_sent: bool) -> Progress {
    if is_sent { Progress::Idle } else { Progress::Blocked }
}

fn answered(is_sent: bool) -> Progress {
    if is_sent { Progress::Complete } else { Progress::Blocked }
}
