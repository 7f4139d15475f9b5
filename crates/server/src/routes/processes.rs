//! The app of a sandbox: how it is, its processes, their logs; and what a manifest would mean.

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::HeaderMap;
use sandbar_api::{
    AppCheck, AppCheckOutput, AppCheckRequest, AppStatus as Body, ErrorCode, KeepaliveRequest,
    LIMIT_TAIL_DEFAULT, LIMIT_TAIL_MAX, Manifest, ManifestCheck, ManifestCheckRequest,
    ManifestFinding, ManifestStatus, OutputQuery, Preview, PreviewLink, PreviewLinkRequest,
    PreviewStatus, ProcessLog, ProcessLogLine, ProcessLogQuery, RestartedProcess,
    Sandbox as SandboxBody, ServerSentEvent,
};
use sandbar_engine::{
    AfterCheck, AppStatus, Check, LogLine, LogTail, ManifestFinding as Finding, ManifestState,
    PreviewStatus as Status, ProcessAction,
};
use sandbar_types::{ExitStatus, ProcessName, ProcessStatus, SandboxId, Scope};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    asker::{AskedBy, Until},
    error::ApiError,
    extract::{Json, OptionalJson, Process, Query, Sandbox},
    idempotency::NO_STORE,
    routes::{output, sandboxes},
    sse::{last_event_id, respond},
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(app_status))
        .routes(routes!(app_apply))
        .routes(routes!(app_check))
        .routes(routes!(process_start))
        .routes(routes!(process_stop))
        .routes(routes!(process_restart))
        .routes(routes!(process_log))
        .routes(routes!(process_output))
        .routes(routes!(preview_link))
        .routes(routes!(keepalive))
        .routes(routes!(manifest_check))
}

/// How the app of a sandbox is; of one that does not run, as it was last.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/app", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path)), responses((status = 200, body = Body)))]
async fn app_status(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
) -> Result<Answer<Body>, ApiError> {
    Ok(Answer(body(&state, id)?))
}

/// Reads `sandbox.yaml` again and makes the app what it says: only what changed is restarted.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/app/apply", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "manifest.applied"}))),
    params(("sandbox" = String, Path)), responses((status = 200, body = Body)))]
async fn app_apply(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
) -> Result<Answer<Body>, ApiError> {
    state.engine.app_apply(id).await?;
    Ok(Answer(body(&state, id)?))
}

/// Builds the app in a throw-away copy of the sandbox, as `build` of its `sandbox.yaml` says; what runs is not touched.
///
/// The answer comes when the build has ended. Whoever hangs up before gives the check up.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/app/check", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "build.checked"}))),
    params(("sandbox" = String, Path)), request_body = Option<AppCheckRequest>,
    responses((status = 200, body = AppCheck)))]
async fn app_check(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    OptionalJson(request): OptionalJson<AppCheckRequest>,
) -> Result<Answer<AppCheck>, ApiError> {
    let after = if request.restart { AfterCheck::Restart } else { AfterCheck::Nothing };
    Ok(Answer(check_body(state.engine.app_check(id, after).await?)))
}

fn check_body(check: Check) -> AppCheck {
    let restarted = check.restarted.into_iter().map(|restarted| RestartedProcess {
        is_ready: restarted.is_ready,
        process: restarted.process,
    });
    AppCheck {
        status: check.status,
        exit: check.exit,
        timed_out: check.exit == Some(ExitStatus::TimedOut),
        out_of_memory: check.is_out_of_memory,
        out_of_disk: check.is_out_of_disk,
        duration_ms: u64::try_from(check.duration.as_millis()).unwrap_or(u64::MAX),
        output: AppCheckOutput { lines: check.lines, is_truncated: check.is_truncated },
        restarted: restarted.collect(),
    }
}

/// Starts a process that was stopped, has exited or has given up.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/app/processes/{process}/start", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "process.started"}))),
    params(("sandbox" = String, Path), ("process" = String, Path)),
    responses((status = 200, body = ProcessStatus)))]
async fn process_start(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Process(name): Process,
) -> Result<Answer<ProcessStatus>, ApiError> {
    act(&state, id, name, ProcessAction::Start).await
}

/// Ends a process and keeps it ended until it is started, or the app is applied again.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/app/processes/{process}/stop", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "process.stopped"}))),
    params(("sandbox" = String, Path), ("process" = String, Path)),
    responses((status = 200, body = ProcessStatus)))]
async fn process_stop(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Process(name): Process,
) -> Result<Answer<ProcessStatus>, ApiError> {
    act(&state, id, name, ProcessAction::Stop).await
}

/// Ends a process, where it runs, and starts it.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/app/processes/{process}/restart", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "process.restarted"}))),
    params(("sandbox" = String, Path), ("process" = String, Path)),
    responses((status = 200, body = ProcessStatus)))]
async fn process_restart(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Process(name): Process,
) -> Result<Answer<ProcessStatus>, ApiError> {
    act(&state, id, name, ProcessAction::Restart).await
}

async fn act(
    state: &AppState,
    id: SandboxId,
    name: ProcessName,
    action: ProcessAction,
) -> Result<Answer<ProcessStatus>, ApiError> {
    Ok(Answer(state.engine.process_act(id, name, action).await?))
}

/// The last lines of a process's log, whether or not it runs.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/app/processes/{process}/logs", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), ("process" = String, Path), ProcessLogQuery),
    responses((status = 200, body = ProcessLog)))]
async fn process_log(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Process(name): Process,
    Query(query): Query<ProcessLogQuery>,
) -> Result<Answer<ProcessLog>, ApiError> {
    let lines = query.tail.unwrap_or(LIMIT_TAIL_DEFAULT);
    if !(1..=LIMIT_TAIL_MAX).contains(&lines) {
        let message = format!("`tail` must be from 1 to {LIMIT_TAIL_MAX}");
        return Err(ApiError::new(ErrorCode::InvalidQuery, message));
    }
    let tail = state.engine.process_log_tail(id, name.clone(), lines as usize).await?;
    Ok(Answer(log_body(name, tail)))
}

fn log_body(process: ProcessName, tail: LogTail) -> ProcessLog {
    let line = |line: LogLine| ProcessLogLine { at: line.at, text: line.text };
    ProcessLog {
        process,
        lines: tail.lines.into_iter().map(line).collect(),
        next_offset: tail.next_offset,
        is_truncated: tail.is_truncated,
    }
}

/// Streams a process's log: events `stdout` and `stderr` (`OutputChunk`), `note` where the supervisor says something, and `gap`.
///
/// `Last-Event-ID` resumes exactly after that event. Restarts of the process do not end the stream.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/app/processes/{process}/output", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), ("process" = String, Path), OutputQuery,
        ("Last-Event-ID" = Option<u64>, Header)),
    responses((status = 200, body = ServerSentEvent, content_type = "text/event-stream")))]
async fn process_output(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Process(name): Process,
    Query(query): Query<OutputQuery>,
    until: Until,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let offset = last_event_id(&headers)?.or(query.offset).unwrap_or(0);
    let reader = if query.follow.unwrap_or(true) {
        state.engine.process_log_follow(id, name, offset).await?
    } else {
        state.engine.process_log_read(id, name, offset).await?
    };
    Ok(respond(output::events(reader), until))
}

/// Makes a link to a port of a sandbox: for one visit within 30 seconds, or for everybody who has it until a time.
///
/// Nobody needs one for a public preview.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/app/link", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "read", "audit": "preview_link.created"}))),
    params(("sandbox" = String, Path)), request_body = PreviewLinkRequest,
    responses((status = 200, body = PreviewLink)))]
async fn preview_link(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    AskedBy(principal): AskedBy,
    Json(request): Json<PreviewLinkRequest>,
) -> Result<Response, ApiError> {
    let record = state.engine.sandbox_fetch(id)?;
    let previews = state.previews.as_ref().ok_or_else(|| {
        ApiError::new(ErrorCode::StateConflict, "the server has no listener for previews")
            .hint("start it without `--listen none`")
    })?;
    let own = state.engine.app_status(id)?.preview(&record.state, record.stop_reason).port;
    let port = request.port.or(own).filter(|port| *port != 0).ok_or_else(|| {
        ApiError::new(ErrorCode::InvalidValue, "the app has no preview of its own: say the `port`")
    })?;
    let Some(expires_at) = request.share_until else {
        return Ok(link(previews.url_for_once(&record, port)));
    };
    // Who may only look lets nobody else look.
    if !principal.scopes.has(Scope::Write) {
        let message = "a link for others needs the scope `write`";
        return Err(ApiError::new(ErrorCode::Forbidden, message));
    }
    if expires_at <= state.engine.now() {
        let message = "`share_until` must be in the future";
        return Err(ApiError::new(ErrorCode::InvalidValue, message));
    }
    Ok(link(previews.url_to_share(&record, port, expires_at)))
}

/// Whoever has a link is let in, so it is kept nowhere.
fn link(url: String) -> Response {
    (NO_STORE, Answer(PreviewLink { url })).into_response()
}

/// Keeps a sandbox from sleeping until a time. A later request replaces an earlier one.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/keepalive", tag = "sandboxes",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "keepalive.updated"}))),
    params(("sandbox" = String, Path)), request_body = KeepaliveRequest,
    responses((status = 200, body = SandboxBody)))]
async fn keepalive(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Json(request): Json<KeepaliveRequest>,
) -> Result<Response, ApiError> {
    Ok(sandboxes::tagged(state.engine.sandbox_keepalive(id, request.until).await?))
}

/// Says what a `sandbox.yaml` means, or everything that is wrong with it. Nothing is started.
#[utoipa::path(post, path = "/v1/manifest/check", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "read", "audit": "none"}))), request_body = ManifestCheckRequest,
    responses((status = 200, body = ManifestCheck)))]
async fn manifest_check(Json(request): Json<ManifestCheckRequest>) -> Answer<ManifestCheck> {
    let (app, findings) = sandbar_engine::manifest_check(&request.manifest);
    Answer(ManifestCheck { is_valid: app.is_some(), findings: findings_body(&findings), app })
}

fn body(state: &AppState, id: SandboxId) -> Result<Body, ApiError> {
    let app = state.engine.app_status(id)?;
    let record = state.engine.sandbox_fetch(id)?;
    let preview = app.preview(&record.state, record.stop_reason);
    Ok(Body {
        manifest: manifest(&app),
        preview: Preview {
            status: status(preview.status),
            port: preview.port,
            url: state
                .previews
                .as_ref()
                .zip(preview.port)
                .map(|(previews, port)| previews.url(&record, port)),
        },
        processes: app.processes.clone(),
    })
}

fn manifest(app: &AppStatus) -> Manifest {
    let (status, findings) = match &app.manifest {
        ManifestState::Unread => (ManifestStatus::Unread, Vec::new()),
        ManifestState::Absent => (ManifestStatus::Absent, Vec::new()),
        ManifestState::Invalid { findings } => (ManifestStatus::Invalid, findings_body(findings)),
        ManifestState::Applied { warnings } => (ManifestStatus::Applied, findings_body(warnings)),
    };
    Manifest { status, findings }
}

fn findings_body(findings: &[Finding]) -> Vec<ManifestFinding> {
    let body = |finding: &Finding| ManifestFinding {
        severity: finding.severity.as_str().to_owned(),
        code: finding.code.as_str().to_owned(),
        line: finding.line,
        column: finding.column,
        message: finding.message.clone(),
        hint: finding.hint.clone(),
    };
    findings.iter().map(body).collect()
}

const fn status(status: Status) -> PreviewStatus {
    match status {
        Status::None => PreviewStatus::None,
        Status::Starting => PreviewStatus::Starting,
        Status::Ready => PreviewStatus::Ready,
        Status::Down => PreviewStatus::Down,
        Status::Error => PreviewStatus::Error,
        Status::Asleep => PreviewStatus::Asleep,
        Status::Stopped => PreviewStatus::Stopped,
    }
}
