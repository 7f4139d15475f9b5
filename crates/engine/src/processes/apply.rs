//! From the manifest of a workspace to processes that run.

use std::{io::Read, sync::Arc};

use sandbar_manifest::{FILE_NAME, Severity, TEXT_BYTES_MAX};
use sandbar_types::{AppSpec, ProcessState, ProcessStatus, SandboxId, WorkspacePath};
use serde::{Deserialize, Serialize};

use super::{AppStatus, ManifestState, follow, refusal};
use crate::{
    Error, ErrorKind, Result, actor::ActorHandle, engine::Inner, event::EventPayload,
    workspace_view::blocking,
};

/// What is kept of an app beside its sandbox, for the next server.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) manifest: ManifestState,
    pub(super) spec: Option<AppSpec>,
}

/// Makes the app of a running sandbox what its manifest says, and follows it from then on.
///
/// A manifest that cannot be used changes nothing: what runs, runs on.
pub(super) async fn apply(
    inner: &Arc<Inner>,
    handle: &ActorHandle,
    id: SandboxId,
) -> Result<Arc<AppStatus>> {
    let _applying = handle.app.applying.lock().await;
    let Some(bytes) = read(inner, id).await? else {
        return enter(inner, handle, id, ManifestState::Absent, None).await;
    };
    let reading = sandbar_manifest::read_bytes(&bytes);
    let warnings = reading.of(Severity::Warning).cloned().collect();
    let Some(spec) = reading.spec else {
        let payload = EventPayload::ManifestInvalid { findings: reading.findings.clone() };
        inner.event_append(id, &payload).await;
        let manifest = ManifestState::Invalid { findings: reading.findings };
        return enter(inner, handle, id, manifest, None).await;
    };
    run(inner, handle, id, &spec).await?;
    let manifest = ManifestState::Applied { warnings };
    enter(inner, handle, id, manifest, Some(spec)).await
}

/// What the manifest of a workspace says now, whatever the app is made of.
///
/// # Errors
/// `manifest_not_found`, `manifest_invalid`.
pub(super) async fn manifest(inner: &Arc<Inner>, id: SandboxId) -> Result<AppSpec> {
    let bytes = read(inner, id).await?.ok_or_else(absent)?;
    let reading = sandbar_manifest::read_bytes(&bytes);
    reading.spec.ok_or_else(|| invalid(&reading.findings))
}

/// Reads the manifest as the sandbox sees it; `None`: there is none.
async fn read(inner: &Arc<Inner>, id: SandboxId) -> Result<Option<Vec<u8>>> {
    let engine = crate::Engine { inner: Arc::clone(inner) };
    let path = WorkspacePath::parse(FILE_NAME).expect("a plain name");
    let content = match engine.file_read(id, path).await {
        Ok(content) => content,
        Err(err) if err.code() == "file_not_found" => return Ok(None),
        Err(err) => return Err(err),
    };
    blocking(move || {
        let mut bytes = Vec::new();
        // One byte more than may be: the validator says that it is too long.
        content
            .file
            .take(TEXT_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(Error::internal)?;
        Ok(Some(bytes))
    })
    .await?
}

/// Gives the processes of a running app the settings and secrets that there are now: those that differ are restarted.
pub(crate) async fn renew(inner: &Arc<Inner>, handle: &ActorHandle, id: SandboxId) -> Result<()> {
    let _applying = handle.app.applying.lock().await;
    match &handle.app.app().spec {
        Some(spec) => run(inner, handle, id, spec).await,
        None => Ok(()),
    }
}

async fn run(
    inner: &Arc<Inner>,
    handle: &ActorHandle,
    id: SandboxId,
    spec: &AppSpec,
) -> Result<()> {
    let dir = inner.layout.sandbox(id);
    let runtime = &inner.config.runtime;
    for process in &spec.processes {
        let log = inner.layout.process_log_open(id, &process.name).map_err(Error::internal)?;
        runtime.app_log(&dir, &process.name, log.into()).await.map_err(refusal)?;
    }
    let tenant = handle.row().tenant_id;
    let told = crate::secret::of_runtime(inner, (tenant, id), spec).await?;
    runtime.app_apply(&dir, &told).await.map_err(refusal)
}

async fn enter(
    inner: &Arc<Inner>,
    handle: &ActorHandle,
    id: SandboxId,
    manifest: ManifestState,
    spec: Option<AppSpec>,
) -> Result<Arc<AppStatus>> {
    handle.app.update(|app| {
        app.manifest = manifest;
        app.spec = spec.or(app.spec.take());
        let is_unknown = |process: &ProcessStatus| {
            matches!(&process.state, ProcessState::Waiting { after } if after.is_empty())
        };
        // A start that came to nothing: what was said to be on its way is not.
        let came_to_nothing = !matches!(app.manifest, ManifestState::Applied { .. });
        if came_to_nothing && app.processes.iter().all(is_unknown) {
            *app = app.at_rest();
        }
    });
    let app = handle.app.app();
    let kept = Kept { manifest: app.manifest.clone(), spec: app.spec.clone() };
    inner.layout.app_write(id, &kept).map_err(Error::internal)?;
    if matches!(app.manifest, ManifestState::Applied { .. }) {
        follow::begin(inner, handle, id).await?;
    }
    Ok(handle.app.app())
}

/// The refusal of what needs a manifest, where there is none.
pub(super) fn absent() -> Error {
    Error::new(ErrorKind::NotFound, "manifest_not_found", "the workspace has no sandbox.yaml")
        .hint("`sandbar app init` writes one for the project")
}

/// The refusal of a manifest that cannot be used, with everything that is wrong with it.
pub(super) fn invalid(findings: &[sandbar_manifest::Finding]) -> Error {
    let first = findings.iter().find(|finding| finding.severity == Severity::Error);
    let message = match first {
        Some(finding) => {
            format!("{FILE_NAME}:{}:{}: {}", finding.line, finding.column, finding.message)
        }
        None => format!("{FILE_NAME} cannot be used"),
    };
    Error::new(ErrorKind::Invalid, "manifest_invalid", message)
        .hint("`sandbar manifest check` shows everything that is wrong with it")
        .details(&serde_json::json!({ "findings": findings }))
}
