//! Process 1 of a sandbox: reaps everything, runs execs and terminals, keeps the processes of the app running, and keeps
//! what they all write in logs.
//!
//! One thread, one poll(2), no timers that tick: it sleeps until a descriptor or a deadline needs it. It believes the
//! host and nothing that runs below it, and the host does not believe it either.
//!
//! ```text
//! boot ── config read, Hello sent ──► waiting ── GO ──► running ◄──► frozen (only where the host has no freezer)
//!                                        │                 │ SIGTERM from outside: TERM to all; keeper gone: KILL to all
//!                                        ▼ keeper gone     ▼
//!                                       exit            stopping ── nobody is left ──► exit
//! ```
//!
//! An exec ends when its main process has ended and its output has: either every writer closed it, or 100 ms passed
//! since the main process ended. A background child that still holds the output then writes into nothing, and lives on
//! until the sandbox stops. What a terminal's session leaves behind is hung up, as every terminal does.
//!
//! A process of the app lives by the state machine in `app/life.rs`, whose diagram is that of
//! [`sandbar_types::ProcessState`]. It ends with its main process, what else is of its session is ended with it, and run
//! after run is written into the same log.
//!
//! It must not: run anything before [`sandbar_protocol::GO`], write anywhere but to logs that the host passed in, or
//! wait for anybody. Tests: `tests/`, which drive it in a fresh pid namespace.

mod app;
mod boot;
mod command;
mod connection;
mod control;
mod exec;
mod freezer;
mod log;
mod ports;
mod processes;
mod requests;
mod settings;
mod sockets;
mod start;
mod supervisor;
mod viewer;

use std::process::ExitCode;

/// Runs the role `sandbar __supervise`; see [`sandbar_protocol::fd`] for what it must be started with.
///
/// It returns when every other process of the sandbox has ended, and its own end makes the kernel kill what may be left.
#[must_use]
pub fn main() -> ExitCode {
    // Nobody reads what it would print: its 0, 1 and 2 are /dev/null. The exit code tells the keeper how far it came.
    let Ok(booted) = boot::boot() else {
        return ExitCode::from(70);
    };
    match booted {
        boot::Boot::Go(supervisor) => match supervisor.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(71),
        },
        boot::Boot::Abandoned => ExitCode::SUCCESS,
    }
}
