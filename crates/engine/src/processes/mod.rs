//! The app of a sandbox: the processes that its `sandbox.yaml` declares, kept by its supervisor.
//!
//! The manifest is read by the server, from the workspace as the sandbox sees it; the supervisor gets values. What the
//! supervisor says of the processes is published on a [`Board`], so everybody who asks gets the last word without asking it.

mod apply;
mod board;
mod check;
mod follow;
mod log;
mod model;
mod wake;

use std::{io, sync::Arc};

use sandbar_runtime::{ProcessAction, client};
use sandbar_types::{AppStart, ProcessName, ProcessStatus, SandboxId, SandboxState};

pub(crate) use self::{
    apply::renew,
    board::Board,
    check::{Turns, discard_fork, sweep as sweep_checks},
};
pub use self::{
    check::{AfterCheck, Check, Restarted},
    log::{LogLine, LogTail},
    model::{AppStatus, ManifestState, Preview, PreviewStatus},
    wake::{PreviewError, PreviewViewer},
};
use crate::{
    Engine, Error, ErrorKind, Result,
    actor::{ActorHandle, Ordinary},
    engine::Inner,
    lifecycle::{Request, admit},
};

impl Engine {
    /// How the app of a sandbox is.
    ///
    /// # Errors
    /// `sandbox_not_found`.
    pub fn app_status(&self, id: SandboxId) -> Result<Arc<AppStatus>> {
        Ok(self.inner.actor(id)?.app.app())
    }

    /// Reads the manifest again and makes the app what it says: only what changed is restarted.
    ///
    /// # Errors
    /// `sandbox_not_found`, `state_conflict` (it must run), `manifest_invalid` (with every finding), `manifest_not_found`.
    pub async fn app_apply(&self, id: SandboxId) -> Result<Arc<AppStatus>> {
        let handle = self.app_of_running(id)?;
        handle.send(Ordinary::Touch)?;
        let app = apply::apply(&self.inner, &handle, id).await?;
        match &app.manifest {
            ManifestState::Applied { .. } => Ok(app),
            ManifestState::Invalid { findings } => Err(apply::invalid(findings)),
            ManifestState::Absent | ManifestState::Unread => Err(apply::absent()),
        }
    }

    /// Starts, stops or restarts one process of a running sandbox.
    ///
    /// # Errors
    /// `sandbox_not_found`, `state_conflict`, `process_not_found`.
    pub async fn process_act(
        &self,
        id: SandboxId,
        name: ProcessName,
        action: ProcessAction,
    ) -> Result<ProcessStatus> {
        let handle = self.app_of_running(id)?;
        handle.send(Ordinary::Touch)?;
        let dir = self.inner.layout.sandbox(id);
        let runtime = &self.inner.config.runtime;
        let before = handle.app.app();
        runtime.app_process(&dir, &name, action).await.map_err(|err| {
            if err.kind() == io::ErrorKind::NotFound { unknown(&name) } else { refusal(err) }
        })?;
        let processes = runtime.app_processes(&dir).await.map_err(refusal)?;
        handle.app.update(|app| {
            // What was heard meanwhile is newer than what was asked for: it may be the last that is heard for long.
            if app.processes == before.processes {
                app.processes.clone_from(&processes);
            }
        });
        processes.into_iter().find(|process| process.name == name).ok_or_else(|| unknown(&name))
    }

    pub(crate) fn app_of_running(&self, id: SandboxId) -> Result<ActorHandle> {
        let handle = self.inner.actor(id)?;
        admit(&handle.row().state, Request::Exec)?;
        Ok(handle)
    }
}

impl Inner {
    /// Starts the app of a sandbox that was just launched, where it is to be started by itself.
    pub(crate) fn app_start(self: &Arc<Self>, handle: ActorHandle, id: SandboxId) {
        if handle.row().spec.app == AppStart::Manual {
            return;
        }
        let inner = Arc::clone(self);
        self.tasks.spawn(async move {
            if let Err(err) = apply::apply(&inner, &handle, id).await {
                handle.app.rest();
                let is_over = handle.row().state != SandboxState::Running;
                if !is_over {
                    tracing::warn!(sandbox.id = %id, error = &err as &dyn std::error::Error, "an app could not be started");
                }
            }
        });
    }

    /// Knows the app again that an earlier server started, as one whose processes do not run.
    pub(crate) fn app_recall(&self, board: &Board, id: SandboxId) {
        let Some(apply::Kept { manifest, spec }) = self.layout.app_read(id) else {
            return;
        };
        board.update(|app| *app = AppStatus::recalled(manifest, spec));
    }

    /// Goes on following the app of a sandbox that runs; also where a later manifest was refused, and the earlier one's runs on.
    pub(crate) fn app_adopt(self: &Arc<Self>, handle: ActorHandle, id: SandboxId) {
        if handle.app.app().spec.is_none() {
            return;
        }
        let inner = Arc::clone(self);
        self.tasks.spawn(async move {
            if let Err(err) = follow::begin(&inner, &handle, id).await {
                tracing::warn!(sandbox.id = %id, error = &err as &dyn std::error::Error, "an app could not be adopted");
            }
        });
    }
}

/// What a manifest means, and everything that is wrong with it or odd about it.
#[must_use]
pub fn manifest_check(
    text: &str,
) -> (Option<sandbar_types::AppSpec>, Vec<sandbar_manifest::Finding>) {
    let reading = sandbar_manifest::read(text);
    (reading.spec, reading.findings)
}

fn unknown(name: &ProcessName) -> Error {
    Error::new(ErrorKind::NotFound, "process_not_found", format!("the app has no process `{name}`"))
        .hint("`sandbar app status` lists its processes")
}

/// What a client is told when the supervisor did not do it.
fn refusal(err: io::Error) -> Error {
    if let Some(refusal) = client::refusal(&err) {
        return Error::new(ErrorKind::Denied, "state_conflict", refusal.to_string());
    }
    Error::new(ErrorKind::Unavailable, "unavailable", "the sandbox does not answer").because(err)
}
