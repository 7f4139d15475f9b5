//! Signals to `sandbar` itself while a command inside is in the foreground.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// What arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The person wants the command to get this signal: SIGINT, SIGTERM or SIGQUIT.
    Forward(u8),
    /// The terminal went away.
    HangUp,
    /// The terminal has another size.
    Resized,
}

/// Listens from its creation on: a signal between two waits is not lost.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
    hang_up: Signal,
    resized: Signal,
}

/// SIGHUP, the same on every Linux.
pub(crate) const SIGHUP: u8 = 1;
/// SIGPIPE.
pub(crate) const SIGPIPE: u8 = 13;
const SIGINT: u8 = 2;
const SIGQUIT: u8 = 3;
const SIGTERM: u8 = 15;
const SIGCONT: i32 = 18;
const SIGTSTP: i32 = 20;

impl Signals {
    /// # Errors
    /// The kernel refused a handler.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let all = || -> io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                quit: signal(SignalKind::quit())?,
                hang_up: signal(SignalKind::hangup())?,
                resized: signal(SignalKind::window_change())?,
            })
        };
        all().map_err(|error| Failure::unexpected("cannot listen for signals").caused_by(&error))
    }

    /// Waits for the next one. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.interrupt.recv() => Event::Forward(SIGINT),
            _ = self.terminate.recv() => Event::Forward(SIGTERM),
            _ = self.quit.recv() => Event::Forward(SIGQUIT),
            _ = self.hang_up.recv() => Event::HangUp,
            _ = self.resized.recv() => Event::Resized,
        }
    }

    /// Waits for one that asks us to end, and returns the exit code that says so.
    pub(crate) async fn end(&mut self) -> u8 {
        loop {
            match self.next().await {
                Event::Forward(number) => return 128 + number,
                Event::HangUp => return 128 + SIGHUP,
                Event::Resized => {}
            }
        }
    }
}

/// What a signal wants of a command that has the whole terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// End, with this exit code.
    End(u8),
    /// Give the terminal back and stop.
    Suspend,
    /// We were stopped by force, and go on.
    Continue,
}

/// Listens for signals that would leave the terminal as it is, if they were not caught.
#[derive(Debug)]
pub(crate) struct Stops {
    ends: Signals,
    suspend: Signal,
    proceed: Signal,
}

impl Stops {
    /// # Errors
    /// The kernel refused a handler.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |number| {
            signal(SignalKind::from_raw(number))
                .map_err(|error| Failure::unexpected("cannot listen for signals").caused_by(&error))
        };
        Ok(Self { ends: Signals::listen()?, suspend: listen(SIGTSTP)?, proceed: listen(SIGCONT)? })
    }

    /// Waits for the next one. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Stop {
        tokio::select! {
            code = self.ends.end() => Stop::End(code),
            _ = self.suspend.recv() => Stop::Suspend,
            _ = self.proceed.recv() => Stop::Continue,
        }
    }
}

/// Stops the whole job, as the terminal does on Ctrl-Z; returns when the shell lets it go on.
pub(crate) fn stop_here() {
    // Not SIGTSTP: we listen for that. Refused, we go on as if the shell had let us at once.
    rustix::process::kill_current_process_group(rustix::process::Signal::STOP).ok();
}
