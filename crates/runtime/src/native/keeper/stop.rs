//! A stop: asked, waited for, killed, and never called done when it is not.

use std::{
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use rustix::process::{Signal, pidfd_send_signal};

use super::{Reply, Stopped};
use crate::native::{launcher::Running, wire};

/// LIMIT: how long processes may take to die of SIGKILL before they are called stuck.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// A stop that is under way.
#[derive(Debug)]
pub(super) struct Stopping {
    clients: Vec<UnixStream>,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Asked; killed at the deadline.
    Asked { until: Instant },
    /// Killed; stuck at the deadline.
    Killed { until: Instant },
    /// Told that it is stuck.
    Stuck,
}

impl Stopping {
    /// Asks the supervisor, who asks everybody.
    pub(super) fn begin(running: &Running, client: UnixStream, grace: Duration) -> Self {
        // What is frozen cannot hear.
        if let Some(cgroup) = &running.warm.cgroup
            && let Err(err) = cgroup.thaw()
        {
            tracing::warn!(error = &err as &dyn std::error::Error, "failed to thaw before a stop");
        }
        if let Err(err) = pidfd_send_signal(&running.warm.pidfd, Signal::TERM) {
            tracing::warn!(error = &err as &dyn std::error::Error, "failed to ask the supervisor");
        }
        Self { clients: vec![client], phase: Phase::Asked { until: Instant::now() + grace } }
    }

    /// One more who wants it stopped; the shorter grace wins.
    pub(super) fn join(&mut self, client: UnixStream, grace: Duration) {
        self.clients.push(client);
        if let Phase::Asked { until } = &mut self.phase {
            *until = (*until).min(Instant::now() + grace);
        }
    }

    /// When to look again.
    pub(super) fn time_left(&self) -> Option<Duration> {
        match self.phase {
            Phase::Asked { until } | Phase::Killed { until } => {
                Some(until.saturating_duration_since(Instant::now()))
            }
            Phase::Stuck => None,
        }
    }

    /// Does what is due.
    pub(super) fn proceed(&mut self, running: &Running, now: Instant) {
        match self.phase {
            Phase::Asked { until } if until <= now => {
                kill(running);
                self.phase = Phase::Killed { until: Instant::now() + KILL_PATIENCE };
            }
            Phase::Killed { until } if until <= now => {
                self.phase = Phase::Stuck;
                self.tell(Stopped::Stuck);
            }
            Phase::Asked { .. } | Phase::Killed { .. } | Phase::Stuck => {}
        }
    }

    /// Whether everybody was told.
    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Stuck
    }

    /// The supervisor ended.
    pub(super) fn ended(mut self) {
        let stopped = match self.phase {
            Phase::Asked { .. } => Stopped::Exited,
            Phase::Killed { .. } | Phase::Stuck => Stopped::Killed,
        };
        self.tell(stopped);
    }

    fn tell(&mut self, stopped: Stopped) {
        for client in self.clients.drain(..) {
            // Whoever is gone needs no answer.
            let _told = wire::send(&client, &Reply::Stopped(stopped), &[]);
        }
    }
}

/// Kills init, and with it its namespace; the control group as well, for whoever might have got out of the one but not the other.
fn kill(running: &Running) {
    if let Err(err) = pidfd_send_signal(&running.warm.pidfd, Signal::KILL) {
        tracing::warn!(error = &err as &dyn std::error::Error, "failed to kill the supervisor");
    }
    if let Some(cgroup) = &running.warm.cgroup
        && let Err(err) = cgroup.kill(Instant::now() + Duration::from_secs(1))
    {
        tracing::warn!(error = &err as &dyn std::error::Error, "failed to kill the control group");
    }
}
