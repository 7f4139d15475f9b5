//! Waking what sleeps, and connecting to what an app serves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sandbar_runtime::DialError;
use sandbar_types::{ProcessState, ProcessStatus, SandboxId, SandboxState, StopReason};
use tokio::{net::TcpStream, time::Instant};

use super::{AppStatus, ManifestState, apply, refusal};
use crate::{
    Engine, Error, Result,
    actor::{ActorHandle, Ordinary},
    lifecycle::{Request, admit},
    source,
    trace::TRACES,
};

/// How often a port is tried again whose process is on its way.
const DIAL_AGAIN: Duration = Duration::from_millis(25);
/// Lines of a log that are shown to who waits.
const LINES: usize = 12;

/// Why nobody could be reached behind a port.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// The sandbox cannot be woken, or does not answer.
    #[error("the sandbox cannot be reached")]
    Sandbox(#[source] Error),
    /// A person stopped it or paused it.
    #[error("the sandbox is stopped")]
    Stopped,
    /// It was on its way when the time was over.
    #[error("the app is starting")]
    Starting {
        /// What is being waited for, for people.
        step: String,
        /// What it wrote last, oldest first.
        last_lines: Vec<String>,
    },
    /// It does not serve until somebody does something about it.
    #[error("the app does not serve: {reason}")]
    Failed {
        /// Why.
        reason: String,
        /// What it wrote last, oldest first.
        last_lines: Vec<String>,
    },
    /// The app has workers alone.
    #[error("the app serves nothing")]
    NoPreview,
    /// Nobody listens on the port.
    #[error("nobody listens on port {port}")]
    NotListening {
        /// The port that was asked for.
        port: u16,
        /// Ports on which somebody listens, sorted.
        listening: Vec<u16>,
    },
}

/// Somebody looks at a preview: as long as one lives, the sandbox is used.
#[derive(Debug)]
pub struct PreviewViewer(Arc<AtomicUsize>);

impl PreviewViewer {
    pub(super) fn of(viewers: &Arc<AtomicUsize>) -> Self {
        viewers.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(viewers))
    }
}

impl Drop for PreviewViewer {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Engine {
    /// Says that somebody looks at a preview of a sandbox, for as long as the answer lives.
    ///
    /// # Errors
    /// `sandbox_not_found`.
    pub fn preview_viewer(&self, id: SandboxId) -> Result<PreviewViewer> {
        let handle = self.inner.actor(id)?;
        // A full mailbox is a busy sandbox: it knows that it is used.
        drop(handle.send(Ordinary::Touch));
        Ok(handle.app.viewer())
    }

    /// Wakes a sandbox that sleeps, and returns when it runs. However many ask at once, it is started once.
    ///
    /// # Errors
    /// `sandbox_not_found`; `state_conflict` for one that was stopped by a person, or is paused; as [`Engine::sandbox_start`].
    #[tracing::instrument(target = TRACES, name = "sandbox wake", skip_all, fields(sandbox.id = %id))]
    pub async fn sandbox_wake(&self, id: SandboxId) -> Result<()> {
        let handle = self.inner.actor(id)?;
        if handle.row().state == SandboxState::Running {
            return Ok(());
        }
        let _waking = handle.app.waking.lock().await;
        let mut published = handle.published.clone();
        // What is being stopped is waited for: it may be on its way to sleep.
        let is_settled =
            published.wait_for(|row| row.state != SandboxState::Stopping).await.map(|row| {
                let sleeps = row.stop_reason.is_some_and(StopReason::is_sleep);
                (Arc::clone(&row), sleeps)
            });
        let (row, sleeps) = is_settled.map_err(Error::internal)?;
        match row.state {
            SandboxState::Running => return Ok(()),
            // A start that is under way is joined.
            SandboxState::Creating => {}
            SandboxState::Stopped if sleeps => source::check(&row).await?,
            SandboxState::Stopping
            | SandboxState::Paused
            | SandboxState::Stopped
            | SandboxState::Failed { .. }
            | SandboxState::Deleting => {
                admit(&row.state, Request::Exec)?;
            }
        }
        let started = Instant::now();
        let woken = handle.ask(|reply| Ordinary::Start { reply }).await;
        match &woken {
            Ok(()) => self.inner.metrics.wakes.add(started.elapsed()),
            Err(_) => self.inner.metrics.wake_failures.add_one(),
        }
        woken
    }

    /// Connects to a port inside: wakes the sandbox where it sleeps, and waits until `deadline` for somebody to serve.
    /// A wake that is under way then goes on.
    ///
    /// # Errors
    /// See [`PreviewError`].
    pub async fn preview_connect(
        &self,
        id: SandboxId,
        port: u16,
        deadline: Instant,
    ) -> Result<TcpStream, PreviewError> {
        let handle = self.inner.actor(id).map_err(PreviewError::Sandbox)?;
        self.wake_until(&handle, id, deadline).await?;
        let dir = self.inner.layout.sandbox(id);
        loop {
            let seen = handle.app.app();
            let listening = match self.inner.config.runtime.dial(&dir, port).await {
                Ok(stream) => return Ok(stream),
                Err(DialError::Refused { listening, .. }) => listening,
                Err(DialError::Supervisor(err)) => return Err(PreviewError::Sandbox(refusal(err))),
            };
            match verdict(&seen, port, listening) {
                Verdict::Never(why) => return Err(why),
                Verdict::Wait { step } if Instant::now() >= deadline => {
                    let last_lines = self.last_lines(id, &seen, port).await;
                    return Err(PreviewError::Starting { step, last_lines });
                }
                Verdict::Wait { .. } => wait(&handle, &seen).await,
            }
        }
    }

    async fn wake_until(
        &self,
        handle: &ActorHandle,
        id: SandboxId,
        deadline: Instant,
    ) -> Result<(), PreviewError> {
        let row = handle.row();
        match row.state {
            SandboxState::Running => return Ok(()),
            SandboxState::Paused => return Err(PreviewError::Stopped),
            SandboxState::Stopped if !row.stop_reason.is_some_and(StopReason::is_sleep) => {
                return Err(PreviewError::Stopped);
            }
            SandboxState::Failed { .. } => {
                let reason = "the sandbox failed; its files are kept".to_owned();
                return Err(PreviewError::Failed { reason, last_lines: Vec::new() });
            }
            SandboxState::Creating
            | SandboxState::Stopping
            | SandboxState::Stopped
            | SandboxState::Deleting => {}
        }
        let _held = self.inner.metrics.previews_held.hold();
        // A task of its own: who does not wait any longer does not undo it.
        let engine = self.clone();
        let waking = self.inner.tasks.spawn(async move { engine.sandbox_wake(id).await });
        match tokio::time::timeout_at(deadline, waking).await {
            Ok(woken) => woken
                .unwrap_or_else(|panicked| Err(Error::internal(panicked)))
                .map_err(PreviewError::Sandbox),
            Err(_late) => Err(PreviewError::Starting {
                step: "the sandbox wakes".to_owned(),
                last_lines: Vec::new(),
            }),
        }
    }

    async fn last_lines(&self, id: SandboxId, app: &AppStatus, port: u16) -> Vec<String> {
        let Some(name) = app.serving(port).or_else(|| app.processes.first()).map(|p| &p.name)
        else {
            return Vec::new();
        };
        let tail = self.process_log_tail(id, name.clone(), LINES).await.unwrap_or_default();
        tail.lines.into_iter().map(|line| line.text).collect()
    }
}

/// Waits for the app to change, or for the time after which a port is worth another look.
async fn wait(handle: &ActorHandle, seen: &Arc<AppStatus>) {
    let mut app = handle.app.subscribe();
    let changed = app.wait_for(|app| app != seen);
    // Late, or gone: both mean to look again.
    drop(tokio::time::timeout(DIAL_AGAIN, changed).await);
}

/// What a refused connection means.
#[derive(Debug)]
enum Verdict {
    /// It may still come.
    Wait {
        /// What is being waited for.
        step: String,
    },
    /// It does not come by itself.
    Never(PreviewError),
}

impl AppStatus {
    /// The process that is to serve `port`.
    fn serving(&self, port: u16) -> Option<&ProcessStatus> {
        let spec = self.spec.as_ref()?.processes.iter().find(|spec| spec.ports.contains(&port))?;
        self.processes.iter().find(|process| process.name == spec.name)
    }
}

fn verdict(app: &AppStatus, port: u16, listening: Vec<u16>) -> Verdict {
    let failed = |reason: String, last_lines: &[String]| {
        Verdict::Never(PreviewError::Failed { reason, last_lines: last_lines.to_vec() })
    };
    let not_listening = || Verdict::Never(PreviewError::NotListening { port, listening });
    let Some(process) = app.serving(port) else {
        if let (ManifestState::Invalid { findings }, []) = (&app.manifest, &app.processes[..]) {
            return failed(apply::invalid(findings).message().to_owned(), &[]);
        }
        let is_starting = |process: &ProcessStatus| {
            matches!(process.state, ProcessState::Waiting { .. } | ProcessState::Starting)
        };
        return match (&app.spec, app.processes.iter().find(|process| is_starting(process))) {
            (_, Some(process)) => Verdict::Wait { step: format!("`{}` starts", process.name) },
            (Some(spec), None) if spec.web().is_none() => Verdict::Never(PreviewError::NoPreview),
            (Some(_) | None, None) => not_listening(),
        };
    };
    let name = &process.name;
    match &process.state {
        ProcessState::Waiting { after } if after.is_empty() => {
            Verdict::Wait { step: format!("`{name}` starts") }
        }
        ProcessState::Waiting { after } => {
            let names: Vec<_> = after.iter().map(|name| format!("`{name}`")).collect();
            Verdict::Wait { step: format!("`{name}` waits for {}", names.join(", ")) }
        }
        ProcessState::Starting => {
            let hint = process.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            Verdict::Wait { step: format!("`{name}` starts{hint}") }
        }
        ProcessState::BackingOff { reason, .. } => {
            Verdict::Wait { step: format!("`{name}` {reason}, and starts again") }
        }
        ProcessState::Running | ProcessState::Ready | ProcessState::Unhealthy { .. } => {
            not_listening()
        }
        ProcessState::GivenUp { reason, last_lines } => {
            failed(format!("`{name}` was given up: {reason}"), last_lines)
        }
        ProcessState::Stopping | ProcessState::Stopped => {
            failed(format!("`{name}` was stopped"), &[])
        }
        ProcessState::Exited => failed(format!("`{name}` has exited"), &[]),
    }
}
