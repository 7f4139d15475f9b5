//! The build check: whether the app of a sandbox builds, tried in a throw-away copy of the sandbox.
//!
//! ```text
//! manifest ─► turn ─► fork ─► build ─► what it wrote last ─► fork removed ─► event ─► restart, where it is asked for
//!               └───────┴───────┴─ given up: nobody waits, the sandbox ended, the server leaves ─► fork removed
//! ```
//!
//! A server that is killed leaves the copy; the next one finds its directory, and [`fork::sweep`] removes both.

mod build;
mod fork;
mod restart;
mod turns;

use std::{sync::Arc, time::Duration};

use sandbar_store::SandboxRow;
use sandbar_types::{CheckStatus, ExecEnd, ExitStatus, SandboxId, SandboxState};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::restart::Restarted;
use self::{
    build::{Build, Built},
    fork::Fork,
};
pub(crate) use self::{
    fork::{remove as discard_fork, sweep},
    turns::Turns,
};
use super::apply;
use crate::{
    Engine, Error, ErrorKind, Result,
    actor::{ActorHandle, Ordinary},
    engine::Inner,
    event::EventPayload,
};

/// What follows a check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AfterCheck {
    /// Nothing.
    #[default]
    Nothing,
    /// What the manifest wants restarted after a task is restarted, whether or not the app builds.
    Restart,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// How it came out.
    pub status: CheckStatus,
    /// How the build ended; `None` where nothing was built, or nobody saw it.
    pub exit: Option<ExitStatus>,
    /// Whether the kernel killed something of the build for memory.
    pub is_out_of_memory: bool,
    /// Whether the build wrote more than the sandbox may hold.
    pub is_out_of_disk: bool,
    /// How long the build took.
    pub duration: Duration,
    /// The last lines that it wrote, oldest first.
    pub lines: Vec<String>,
    /// Whether it wrote more than that.
    pub is_truncated: bool,
    /// What was restarted afterwards.
    pub restarted: Vec<Restarted>,
}

impl Check {
    /// One of a manifest that says that nothing is built.
    const fn skipped() -> Self {
        Self {
            status: CheckStatus::Skipped,
            exit: None,
            is_out_of_memory: false,
            is_out_of_disk: false,
            duration: Duration::ZERO,
            lines: Vec::new(),
            is_truncated: false,
            restarted: Vec::new(),
        }
    }

    fn of(built: Built, duration: Duration) -> Self {
        let status = status(built.end, built.is_out_of_disk);
        Self {
            status,
            exit: built.end.map(|end| end.status),
            is_out_of_memory: status == CheckStatus::Failed && built.is_out_of_memory,
            is_out_of_disk: built.is_out_of_disk,
            duration,
            lines: built.lines,
            is_truncated: built.is_truncated,
            restarted: Vec::new(),
        }
    }

    fn event(&self) -> EventPayload {
        EventPayload::BuildChecked {
            status: self.status,
            exit: self.exit,
            duration_ms: u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// What the end of a build means; one whose end nobody saw has not been seen to pass.
fn status(end: Option<ExecEnd>, is_out_of_disk: bool) -> CheckStatus {
    match end.map(|end| end.status) {
        Some(ExitStatus::Exited { code: 0 }) if !is_out_of_disk => CheckStatus::Passed,
        Some(
            ExitStatus::Exited { .. }
            | ExitStatus::Signaled { .. }
            | ExitStatus::TimedOut
            | ExitStatus::NotStarted { .. },
        )
        | None => CheckStatus::Failed,
    }
}

impl Engine {
    /// Builds the app of a running sandbox in a throw-away copy of it, as its manifest says. What runs in the sandbox
    /// is not touched; a check waits until it is its turn.
    ///
    /// Dropping the future gives the check up. Nothing is left of the copy, however it ends.
    ///
    /// # Errors
    /// `sandbox_not_found`, `state_conflict` (it must run, and go on running), `manifest_not_found`, `manifest_invalid`,
    /// `check_running` (one at a time for each sandbox), and as a start: `host_unsupported`, `launch_failed`.
    pub async fn app_check(&self, id: SandboxId, after: AfterCheck) -> Result<Check> {
        let handle = self.app_of_running(id)?;
        handle.send(Ordinary::Touch)?;
        let wanted = CancellationToken::new();
        let _given_up = wanted.clone().drop_guard();
        let engine = self.clone();
        // A task of its own: who goes away meanwhile leaves somebody who cleans up.
        let checking = self.inner.tasks.spawn(async move {
            let watch = Watch { inner: &engine.inner, row: handle.row(), handle: &handle, wanted };
            engine.check(&watch, after).await
        });
        checking.await.unwrap_or_else(|panicked| Err(Error::internal(panicked)))
    }

    async fn check(&self, watch: &Watch<'_>, after: AfterCheck) -> Result<Check> {
        let id = watch.row.id;
        // Somebody waits for what it says of the app: it does not sleep meanwhile.
        let _viewer = watch.handle.app.viewer();
        let spec = apply::manifest(&self.inner, id).await?;
        let mut check = match Build::of(&spec.build) {
            None => Check::skipped(),
            Some(build) => in_a_fork(watch, &build).await?,
        };
        self.inner.event_append(id, &check.event()).await;
        if after == AfterCheck::Restart {
            check.restarted = tokio::select! {
                restarted = self.app_restart_after_task(id) => restarted?,
                given_up = watch.given_up() => return Err(given_up),
            };
        }
        Ok(check)
    }
}

async fn in_a_fork(watch: &Watch<'_>, build: &Build) -> Result<Check> {
    let inner = watch.inner;
    let turn = inner.turns.claim(watch.row.id)?;
    let turn = tokio::select! {
        turn = turn.wait() => turn,
        given_up = watch.given_up() => return Err(given_up),
    };
    // Never dropped half way: a launch is bounded, and who leaves one does not know what is left of it.
    let fork = Fork::make(inner, &watch.row, turn).await?;
    let begun = Instant::now();
    let built = tokio::select! {
        built = build::run(&fork, build) => built.map(|built| Check::of(built, begun.elapsed())),
        given_up = watch.given_up() => Err(given_up),
    };
    fork.remove().await;
    built
}

/// Sees when a check is worth nothing any more.
struct Watch<'a> {
    inner: &'a Arc<Inner>,
    handle: &'a ActorHandle,
    /// The sandbox as it was when the check began.
    row: Arc<SandboxRow>,
    /// Canceled when nobody waits.
    wanted: CancellationToken,
}

impl Watch<'_> {
    async fn given_up(&self) -> Error {
        let is_over = |row: &Arc<SandboxRow>| {
            row.state != SandboxState::Running || row.nonce != self.row.nonce
        };
        let mut published = self.handle.published.clone();
        tokio::select! {
            () = self.wanted.cancelled() => {
                Error::new(ErrorKind::Unavailable, "unavailable", "nobody waits for the check any more")
            }
            () = self.inner.leaving.cancelled() => {
                Error::new(ErrorKind::Unavailable, "unavailable", "the server is leaving")
            }
            // An actor that is gone is over as well.
            _ended = published.wait_for(is_over) => Error::new(
                ErrorKind::Denied,
                "state_conflict",
                "the sandbox was stopped while its build was checked",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_build_that_was_seen_to_end_well_has_passed() {
        let end = |status| Some(ExecEnd { status, oom_killed: false, dropped_bytes: 0 });
        assert_eq!(status(end(ExitStatus::Exited { code: 0 }), false), CheckStatus::Passed);
        assert_eq!(status(end(ExitStatus::Exited { code: 0 }), true), CheckStatus::Failed);
        assert_eq!(status(None, false), CheckStatus::Failed);
        for ended in [
            ExitStatus::Exited { code: 1 },
            ExitStatus::Signaled { signal: 9 },
            ExitStatus::TimedOut,
            ExitStatus::NotStarted { errno: 2 },
        ] {
            assert_eq!(status(end(ended), false), CheckStatus::Failed, "{ended:?}");
        }
    }
}
