//! Waking what sleeps, waiting for an app to serve, and connecting to it.

use std::{sync::Arc, time::Duration};

use sandbar_runtime::DialError;
use sandbar_types::{SandboxId, SandboxState, StopReason};
use tokio::net::TcpStream;

use super::{App, PreviewStatus, refusal};
use crate::{
    Engine, Error, Result,
    actor::{ActorHandle, Ordinary},
    source,
};

/// How often the supervisor is asked whether a port that belongs to no process is there.
const DIAL_AGAIN: Duration = Duration::from_millis(50);

/// Why nobody could be reached behind a port.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// The sandbox cannot be woken, or does not answer.
    #[error("the sandbox cannot be reached")]
    Sandbox(#[source] Error),
    /// The app, or its sandbox, is in no state to serve.
    #[error("the app does not serve")]
    NotServing {
        /// Why.
        status: PreviewStatus,
    },
    /// Nobody listens on the port.
    #[error("nobody listens on port {port}")]
    NotListening {
        /// The port that was asked for.
        port: u16,
        /// Ports on which somebody listens, sorted.
        listening: Vec<u16>,
    },
}

impl Engine {
    /// Says that somebody uses a sandbox, so that it does not sleep.
    ///
    /// # Errors
    /// `sandbox_not_found`.
    pub fn sandbox_touch(&self, id: SandboxId) -> Result<()> {
        // A full mailbox is a busy sandbox: it knows that it is used.
        drop(self.inner.actor(id)?.send(Ordinary::Touch));
        Ok(())
    }

    /// Wakes a sandbox that sleeps, and returns when it runs. However many ask at once, it is started once.
    ///
    /// # Errors
    /// `sandbox_not_found`; `state_conflict` for one that was stopped by a person, or is paused; as [`Engine::sandbox_start`].
    pub async fn sandbox_wake(&self, id: SandboxId) -> Result<()> {
        let handle = self.inner.actor(id)?;
        let _waking = handle.app.waking.lock().await;
        let mut published = handle.published.clone();
        loop {
            let row = published.borrow_and_update().clone();
            let sleeps = row.stop_reason.is_some_and(StopReason::is_sleep);
            match row.state {
                SandboxState::Running => return Ok(()),
                // A start that is under way is joined.
                SandboxState::Creating => {}
                SandboxState::Stopped if sleeps => source::check(&row).await?,
                SandboxState::Stopping => {
                    if published.changed().await.is_err() {
                        return Err(Error::internal("the sandbox's actor is gone"));
                    }
                    continue;
                }
                SandboxState::Paused
                | SandboxState::Stopped
                | SandboxState::Failed { .. }
                | SandboxState::Deleting => {
                    crate::lifecycle::admit(&row.state, crate::lifecycle::Request::Exec)?;
                }
            }
            return handle.ask(|reply| Ordinary::Start { reply }).await;
        }
    }

    /// Connects to a port inside: wakes the sandbox where it sleeps, and waits at most `patience` until somebody serves.
    ///
    /// # Errors
    /// See [`PreviewError`].
    pub async fn preview_connect(
        &self,
        id: SandboxId,
        port: u16,
        patience: Duration,
    ) -> Result<TcpStream, PreviewError> {
        let until = tokio::time::Instant::now() + patience;
        let woken = tokio::time::timeout_at(until, self.sandbox_wake(id)).await;
        woken.map_err(|_late| late(PreviewStatus::Starting))?.map_err(PreviewError::Sandbox)?;
        let handle = self.inner.actor(id).map_err(PreviewError::Sandbox)?;
        let dir = self.inner.layout.sandbox(id);
        loop {
            let listening = match self.inner.config.runtime.dial(&dir, port).await {
                Ok(stream) => return Ok(stream),
                Err(DialError::Refused { listening, .. }) => listening,
                Err(DialError::Supervisor(err)) => {
                    return Err(PreviewError::Sandbox(refusal(err)));
                }
            };
            let app = handle.app.app();
            let preview = app.preview(&handle.row().state, None);
            let is_coming = preview.status == PreviewStatus::Starting
                && app
                    .spec
                    .iter()
                    .flat_map(|spec| &spec.processes)
                    .any(|p| p.ports.contains(&port));
            if !is_coming && preview.port == Some(port) && preview.status != PreviewStatus::Ready {
                return Err(late(preview.status));
            }
            if !is_coming || tokio::time::Instant::now() >= until {
                return Err(PreviewError::NotListening { port, listening });
            }
            wait(&handle, &app).await;
        }
    }
}

/// Waits for the app to change, or for the time after which a port is worth another look.
async fn wait(handle: &ActorHandle, seen: &Arc<App>) {
    let mut app = handle.app.subscribe();
    let changed = app.wait_for(|app| app != seen);
    // Late, or gone: both mean to look again.
    drop(tokio::time::timeout(DIAL_AGAIN, changed).await);
}

const fn late(status: PreviewStatus) -> PreviewError {
    PreviewError::NotServing { status }
}
