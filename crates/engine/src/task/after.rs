//! What is looked at when an agent has worked: whether the app builds, and whether it is well.

use std::{sync::Arc, time::Duration};

use sandbar_types::{
    AppSpec, CheckStatus, ProcessKind, ProcessState, SandboxState, TaskEventPayload, TaskResult,
};

use super::run::Run;
use crate::{AfterCheck, AppStatus, Check, Error, PreviewStatus, Result};

/// LIMIT: bytes of what a failed build wrote last.
const BUILD_BYTES_MAX: usize = 2000;
/// How long an app that is on its way is waited for.
const PREVIEW_PATIENCE: Duration = Duration::from_secs(30);

/// Looks, where there is something to look at: a field of what nobody looked at stays absent.
pub(super) async fn look(run: &mut Run, result: &mut TaskResult) -> Result<()> {
    let build = match run.past.build.take() {
        Some(known) => Some(known),
        None => build(run).await?,
    };
    if let Some((status, message)) = build {
        result.build_status = Some(status);
        result.build_error_message = message;
    }
    let Some((app_healthy, preview_ok)) = health(run, result.build_status).await else {
        return Ok(());
    };
    (result.app_healthy, result.preview_ok) = (Some(app_healthy), preview_ok);
    run.tell(TaskEventPayload::Health { app_healthy, preview_ok })
}

/// Builds the app in a throw-away copy, and restarts what its manifest wants restarted after a task.
async fn build(run: &mut Run) -> Result<Option<(CheckStatus, Option<String>)>> {
    let checked = match run.engine.app_check(run.row.sandbox_id, AfterCheck::Restart).await {
        Ok(check) => of_check(&check),
        Err(err) => match of_refusal(&err) {
            Some(failed) => failed,
            None => return Ok(None),
        },
    };
    let (status, message) = checked.clone();
    run.tell(TaskEventPayload::Build { status, message })?;
    Ok(Some(checked))
}

fn of_check(check: &Check) -> (CheckStatus, Option<String>) {
    let message = match check.status {
        CheckStatus::Passed | CheckStatus::Skipped => None,
        CheckStatus::Failed => {
            let why = check.exit.map(|exit| exit.to_string());
            let lines = check.lines.join("\n");
            let text = if lines.is_empty() { why.unwrap_or_default() } else { lines };
            Some(end(&text)).filter(|text| !text.is_empty())
        }
    };
    (check.status, message)
}

/// An app whose manifest the agent broke does not build; whatever else stands in the way says nothing of the app.
fn of_refusal(err: &Error) -> Option<(CheckStatus, Option<String>)> {
    match err.code() {
        "manifest_invalid" => Some((CheckStatus::Failed, Some(end(err.message())))),
        "manifest_not_found" => None,
        other => {
            tracing::info!(code = other, error = %err, "the build after a task was not checked");
            None
        }
    }
}

/// The end of a text: of a build that failed, the reason is there.
fn end(text: &str) -> String {
    let from = text.ceil_char_boundary(text.len().saturating_sub(BUILD_BYTES_MAX));
    text.get(from..).unwrap_or_default().to_owned()
}

/// Whether the app is well, and its preview; `None` where no process is declared, or nobody can tell.
async fn health(run: &Run, build: Option<CheckStatus>) -> Option<(bool, Option<bool>)> {
    let handle = run.engine.inner.actor(run.row.sandbox_id).ok()?;
    let mut app = handle.app.subscribe();
    let is_settled = |app: &Arc<AppStatus>| {
        app.preview(&SandboxState::Running, None).status != PreviewStatus::Starting
    };
    // Late, or gone: what is known then is told.
    drop(tokio::time::timeout(PREVIEW_PATIENCE, app.wait_for(is_settled)).await);
    let row = handle.row();
    let app = handle.app.app();
    let status = app.preview(&row.state, row.stop_reason).status;
    well(&app, status, build == Some(CheckStatus::Failed))
}

fn well(app: &AppStatus, preview: PreviewStatus, has_failed: bool) -> Option<(bool, Option<bool>)> {
    let spec = app.spec.as_ref().filter(|spec| !spec.processes.is_empty())?;
    let preview_ok = spec.web().map(|_| preview == PreviewStatus::Ready);
    let serves = preview_ok.unwrap_or_else(|| a_worker_runs(spec, app));
    Some((!has_failed && serves, preview_ok))
}

fn a_worker_runs(spec: &AppSpec, app: &AppStatus) -> bool {
    let is_worker = |process: &sandbar_types::ProcessStatus| process.kind != ProcessKind::Web;
    debug_assert!(spec.web().is_none(), "asked of an app without a public face");
    app.processes.iter().filter(|process| is_worker(process)).any(|process| match process.state {
        ProcessState::Running | ProcessState::Ready => true,
        ProcessState::Waiting { .. }
        | ProcessState::Starting
        | ProcessState::Unhealthy { .. }
        | ProcessState::BackingOff { .. }
        | ProcessState::GivenUp { .. }
        | ProcessState::Stopping
        | ProcessState::Stopped
        | ProcessState::Exited => false,
    })
}

#[cfg(test)]
mod tests {
    use sandbar_types::ProcessStatus;

    use super::*;

    fn app(manifest: &str, state: &ProcessState) -> AppStatus {
        let spec = sandbar_manifest::read(manifest).spec.unwrap();
        let processes = spec.processes.iter().map(|process| ProcessStatus {
            name: process.name.clone(),
            kind: process.kind,
            state: state.clone(),
            pid: None,
            restarts: 0,
            started_us: None,
            last_exit: None,
            hint: None,
        });
        AppStatus { processes: processes.collect(), spec: Some(spec), ..AppStatus::default() }
    }

    #[test]
    fn d11_an_app_is_well_only_where_it_was_seen_to_be() {
        let web = app("version: 1\nweb: {command: serve, port: 4000}\n", &ProcessState::Ready);
        assert_eq!(well(&web, PreviewStatus::Ready, false), Some((true, Some(true))));
        assert_eq!(well(&web, PreviewStatus::Starting, false), Some((false, Some(false))));
        assert_eq!(well(&web, PreviewStatus::Ready, true), Some((false, Some(true))));
        let manifest = "version: 1\nworkers: [{name: mail, command: work}]\n";
        let (up, down) =
            (app(manifest, &ProcessState::Running), app(manifest, &ProcessState::Exited));
        assert_eq!(well(&up, PreviewStatus::None, false), Some((true, None)));
        assert_eq!(well(&down, PreviewStatus::None, false), Some((false, None)));
        assert_eq!(well(&AppStatus::default(), PreviewStatus::None, false), None);
    }

    #[test]
    fn of_what_a_build_wrote_the_end_is_kept() {
        let text = format!("{}\u{e9}end", "x".repeat(BUILD_BYTES_MAX));
        let kept = end(&text);
        assert!(kept.len() <= BUILD_BYTES_MAX && kept.ends_with("\u{e9}end"));
        assert_eq!(end("short"), "short");
    }
}
