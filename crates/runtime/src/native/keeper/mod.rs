//! The keeper: the launcher after the launch. Holds what a sandbox is made of, answers for it, and buries it.

mod record;
mod stop;

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    process::ExitCode,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{WaitId, WaitIdOptions, waitid},
};
use sandbar_types::ExitStatus;
use serde::{Deserialize, Serialize};

pub(super) use self::record::{End, Record};
use self::stop::Stopping;
use super::{
    launcher::{Running, release_cgroup, remove},
    wire,
};
use crate::Usage;

/// The keeper's socket, in `run`.
pub(super) const KEEPER_SOCKET: &str = "keeper.sock";
/// The supervisor's socket, in `run`.
pub(super) const SUPERVISOR_SOCKET: &str = "supervisor.sock";

/// LIMIT: how long a freeze may take.
const FREEZE_PATIENCE: Duration = Duration::from_secs(5);
/// LIMIT: how long a client may take to say what it wants, and to take the answer.
const CLIENT_PATIENCE: Duration = Duration::from_secs(2);

/// What a keeper is asked; one request for each connection.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    /// Answered by [`Reply::Status`].
    Status,
    /// Answered by [`Reply::View`] with the descriptors merged, upper, and where there is one, lower.
    View,
    /// Answered by [`Reply::Done`] when every process is frozen.
    Freeze,
    /// Answered by [`Reply::Done`] when what frozen processes can do without was given back.
    Reclaim,
    /// Answered by [`Reply::Done`].
    Thaw,
    /// Answered by [`Reply::Usage`].
    Usage,
    /// Answered by [`Reply::Ended`] when the supervisor ended.
    Wait,
    /// Answered by [`Reply::Stopped`].
    Stop { grace_ms: u64 },
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    Status { nonce: String, is_paused: bool },
    View { owner: (u32, u32) },
    Done,
    Usage(Usage),
    Ended { status: Option<ExitStatus> },
    Stopped(Stopped),
    Failed { errno: Option<i32>, message: String },
}

/// What became of a stop, see [`crate::StopOutcome`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stopped {
    Exited,
    Killed,
    Stuck,
}

/// Keeps `running` until its supervisor ended.
pub(super) fn keep(running: Running) -> ExitCode {
    let mut keeper = Keeper { running, waiting: Vec::new(), stopping: None };
    // Late, because in user mode the kernel lets only a dumpable process write the maps of its children.
    if let Err(err) = sandbar_linux::capabilities::forbid_dumps() {
        tracing::warn!(error = &err as &dyn std::error::Error, "the keeper can be dumped");
    }
    match keeper.serve() {
        Ok(status) => keeper.bury(status),
        Err(err) => {
            // Nothing can be answered for any more. Ending kills init with us, which is better than an orphan.
            tracing::error!(error = &err as &dyn std::error::Error, "the keeper cannot go on");
            ExitCode::FAILURE
        }
    }
}

struct Keeper {
    running: Running,
    /// Clients that wait for the end.
    waiting: Vec<UnixStream>,
    stopping: Option<Stopping>,
}

impl Keeper {
    /// Answers until the supervisor ended; returns how.
    fn serve(&mut self) -> io::Result<Option<ExitStatus>> {
        loop {
            let timeout = self.stopping.as_ref().and_then(Stopping::time_left);
            let (has_client, has_ended) = self.poll(timeout)?;
            if has_ended {
                return self.reap();
            }
            if has_client && let Ok((client, _)) = self.running.listener.accept() {
                self.answer(client);
            }
            if let Some(stopping) = &mut self.stopping {
                stopping.proceed(&self.running, Instant::now());
            }
            if self.stopping.as_ref().is_some_and(Stopping::is_over) {
                self.stopping = None;
            }
        }
    }

    fn poll(&self, timeout: Option<Duration>) -> io::Result<(bool, bool)> {
        let mut fds = [
            PollFd::new(&self.running.listener, PollFlags::IN),
            PollFd::new(&self.running.warm.pidfd, PollFlags::IN),
        ];
        let timeout = timeout.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => Ok((!fds[0].revents().is_empty(), !fds[1].revents().is_empty())),
            Err(Errno::INTR) => Ok((false, false)),
            Err(err) => Err(err.into()),
        }
    }

    /// Takes one request. A client that is slow or gone costs `CLIENT_PATIENCE` at most, and only the server is one.
    fn answer(&mut self, client: UnixStream) {
        let patience = client
            .set_read_timeout(Some(CLIENT_PATIENCE))
            .and_then(|()| client.set_write_timeout(Some(CLIENT_PATIENCE)));
        let Ok((request, _)) = patience.and_then(|()| wire::receive::<Request>(&client)) else {
            return;
        };
        let reply = match request {
            Request::Wait => return self.waiting.push(client),
            Request::Stop { grace_ms } => {
                return self.stop(client, Duration::from_millis(grace_ms));
            }
            Request::View => {
                let layers = &self.running.layers;
                let fds: Vec<BorrowedFd<'_>> =
                    [Some(&layers.merged), Some(&layers.upper), layers.lower.as_ref()]
                        .into_iter()
                        .flatten()
                        .map(AsFd::as_fd)
                        .collect();
                let _told = wire::send(
                    &client,
                    &Reply::View { owner: self.running.plan.ids.agent_outside() },
                    &fds,
                );
                return;
            }
            Request::Status => self.status(),
            Request::Freeze => self.with_cgroup(|cgroup| {
                cgroup.freeze(Instant::now() + FREEZE_PATIENCE).map(|()| Reply::Done)
            }),
            Request::Reclaim => self.with_cgroup(|cgroup| {
                cgroup.reclaim();
                Ok(Reply::Done)
            }),
            Request::Thaw => self.with_cgroup(|cgroup| cgroup.thaw().map(|()| Reply::Done)),
            Request::Usage => self.with_cgroup(|cgroup| cgroup.usage().map(Reply::Usage)),
        };
        // Whoever is gone needs no answer.
        let _told = wire::send(&client, &reply, &[]);
    }

    fn status(&self) -> Reply {
        let is_paused = self
            .running
            .warm
            .cgroup
            .as_ref()
            .is_some_and(|cgroup| cgroup.is_frozen().unwrap_or(false));
        Reply::Status { nonce: self.running.plan.nonce.clone(), is_paused }
    }

    fn with_cgroup(
        &self,
        act: impl FnOnce(&super::cgroup::CgroupSlot) -> Result<Reply, super::cgroup::CgroupError>,
    ) -> Reply {
        let unsupported = Reply::Failed {
            errno: Some(Errno::OPNOTSUPP.raw_os_error()),
            message: "this sandbox has no control groups".to_owned(),
        };
        let Some(cgroup) = &self.running.warm.cgroup else {
            return unsupported;
        };
        act(cgroup).unwrap_or_else(|err| Reply::Failed {
            errno: None,
            message: super::launcher::chain(&err),
        })
    }

    fn stop(&mut self, client: UnixStream, grace: Duration) {
        match &mut self.stopping {
            Some(stopping) => stopping.join(client, grace),
            None => self.stopping = Some(Stopping::begin(&self.running, client, grace)),
        }
    }

    fn reap(&self) -> io::Result<Option<ExitStatus>> {
        loop {
            match waitid(WaitId::PidFd(self.running.warm.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Err(Errno::INTR) => {}
                Ok(status) => return Ok(status.and_then(|status| exit_status(&status))),
                Err(err) => return Err(err.into()),
            }
        }
    }

    /// Init ended, and with it, by the kernel's word, every process of its namespace. Writes it down, removes what is left, answers.
    fn bury(self, status: Option<ExitStatus>) -> ExitCode {
        let mut record = self.running.record;
        record.end = Some(End::now(status));
        if let Err(err) = record.write(self.running.state.as_fd()) {
            tracing::error!(
                error = &err as &dyn std::error::Error,
                "failed to write down how the sandbox ended"
            );
        }
        release_cgroup(self.running.warm.cgroup);
        for name in [KEEPER_SOCKET, SUPERVISOR_SOCKET] {
            let _removed = remove(self.running.run.as_fd(), name);
        }
        for client in self.waiting {
            let _told = wire::send(&client, &Reply::Ended { status }, &[]);
        }
        if let Some(stopping) = self.stopping {
            stopping.ended();
        }
        // Whoever connected and was not heard yet sees the connection close, and looks at the record.
        ExitCode::SUCCESS
    }
}

fn exit_status(status: &rustix::process::WaitIdStatus) -> Option<ExitStatus> {
    if let Some(code) = status.exit_status() {
        return Some(ExitStatus::Exited { code: u8::try_from(code & 0xff).unwrap_or(u8::MAX) });
    }
    let signal = status.terminating_signal()?;
    Some(ExitStatus::Signaled { signal: u8::try_from(signal).unwrap_or(u8::MAX) })
}
