//! Execs: start, wait for, list, signal.

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderValue, StatusCode, header};
use sandbar_api::{
    CapturedOutput, ErrorCode, Exec as Body, ExecCreateRequest, ExecResult,
    LIMIT_OUTPUT_BYTES_DEFAULT, LIMIT_OUTPUT_BYTES_MAX, Page, SignalRequest, paths,
};
use sandbar_engine::{Captured, Exec as Record};
use sandbar_types::{ExecState, SandboxId};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiError,
    extract::{Exec, Json, Sandbox},
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(exec_list, exec_create))
        .routes(routes!(exec_fetch))
        .routes(routes!(exec_signal))
}

/// Starts a command; with `wait`, answers with its output and status when it has ended.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/execs", tag = "execs",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "exec.started"}))),
    params(("sandbox" = String, Path)), request_body = ExecCreateRequest,
    responses((status = 201, body = Body), (status = 200, body = ExecResult, description = "It was waited for.")))]
async fn exec_create(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Json(request): Json<ExecCreateRequest>,
) -> Result<Response, ApiError> {
    let output_bytes_max = request.output_bytes_max.unwrap_or(LIMIT_OUTPUT_BYTES_DEFAULT);
    if output_bytes_max > LIMIT_OUTPUT_BYTES_MAX {
        let message = format!("`output_bytes_max` must be at most {LIMIT_OUTPUT_BYTES_MAX}");
        return Err(ApiError::new(ErrorCode::InvalidValue, message));
    }
    if request.wait && request.stdin {
        let message = "`wait` and `stdin` exclude each other";
        return Err(ApiError::new(ErrorCode::InvalidValue, message)
            .hint("start it without `wait`, then attach to send standard input"));
    }
    if request.wait {
        let result = state.engine.exec_run(id, request.into_spec(), output_bytes_max).await?;
        return Ok(Answer(waited(result)?).into_response());
    }
    let session = state.engine.exec_start_attended(id, request.into_spec()).await?;
    Ok(created(id, session.exec))
}

fn created(id: SandboxId, record: Record) -> Response {
    let location = paths::exec(&id.to_string(), record.id);
    let location = HeaderValue::try_from(location).expect("ids are plain text");
    let headers = [(header::LOCATION, location)];
    (StatusCode::CREATED, headers, Answer(body(record))).into_response()
}

fn waited(result: sandbar_engine::ExecResult) -> Result<ExecResult, ApiError> {
    let id = result.exec.id;
    match result.exec.state {
        ExecState::Ended { end } => Ok(ExecResult {
            id,
            end,
            exit_code: end.status.shell_code(),
            stdout: captured(result.stdout),
            stderr: captured(result.stderr),
        }),
        ExecState::Running | ExecState::Lost => Err(ApiError::new(
            ErrorCode::ExecLost,
            format!("the sandbox ended before `{id}` did, and nobody saw its status"),
        )
        .hint("its output up to then is at `output`")
        .details(serde_json::json!({ "exec_id": id }))),
    }
}

fn captured(output: Captured) -> CapturedOutput {
    let (text, b64) = text_or_b64(output.bytes);
    CapturedOutput { text, b64, truncated_bytes: output.truncated_bytes }
}

/// Shows bytes as text where they are UTF-8, else in base64: never lossy.
pub(crate) fn text_or_b64(bytes: Vec<u8>) -> (Option<String>, Option<String>) {
    match String::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(BASE64_STANDARD.encode(error.as_bytes()))),
    }
}

/// Lists the execs of a sandbox, newest first; the last 200.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/execs", tag = "execs",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path)), responses((status = 200, body = Page<Body>)))]
async fn exec_list(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
) -> Result<Answer<Page<Body>>, ApiError> {
    let records = state.engine.exec_list(id).await?;
    Ok(Answer(Page { items: records.into_iter().map(body).collect(), next_cursor: None }))
}

/// Looks at an exec.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/execs/{exec}", tag = "execs",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), ("exec" = String, Path)), responses((status = 200, body = Body)))]
async fn exec_fetch(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Exec(exec): Exec,
) -> Result<Answer<Body>, ApiError> {
    Ok(Answer(body(state.engine.exec_fetch(id, exec).await?)))
}

/// Signals the process group of an exec. One that has ended is left alone, and that is no error.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/execs/{exec}/signal", tag = "execs",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "exec.signaled"}))),
    params(("sandbox" = String, Path), ("exec" = String, Path)), request_body = SignalRequest,
    responses((status = 204)))]
async fn exec_signal(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Exec(exec): Exec,
    Json(request): Json<SignalRequest>,
) -> Result<StatusCode, ApiError> {
    if !(1..=64).contains(&request.signal) {
        let message = "`signal` must be 1 to 64";
        return Err(ApiError::new(ErrorCode::InvalidValue, message));
    }
    state.engine.exec_signal(id, exec, request.signal).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn body(record: Record) -> Body {
    Body {
        id: record.id,
        sandbox_id: record.sandbox_id,
        terminal: record.spec.terminal.is_some(),
        argv: record.spec.argv,
        state: record.state,
        started_at: record.started_at,
        ended_at: record.ended_at,
    }
}
