//! Points of a sandbox's past: making, comparing, going back, taking one piece of work back.

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sandbar_api::{
    Checkpoint as Body, CheckpointChanges, CheckpointCreateRequest, CheckpointDiffQuery,
    CheckpointRestored, ErrorCode, Page, PageQuery, RevertRequest, Reverted,
};
use sandbar_engine::{CheckpointMakeParams, CheckpointPoint};
use sandbar_types::{CheckpointId, CheckpointKind};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiError,
    extract::{Checkpoint, Json, OptionalJson, Query, Sandbox, if_match},
    page::{page, page_cursor, page_limit},
    state::AppState,
};

/// A checkpoint never changes.
const TAG: &str = "1";

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(checkpoint_list, checkpoint_create))
        .routes(routes!(checkpoint_fetch, checkpoint_delete))
        .routes(routes!(checkpoint_changes))
        .routes(routes!(checkpoint_diff))
        .routes(routes!(checkpoint_restore))
        .routes(routes!(revert))
}

/// Lists the checkpoints of a sandbox, newest first.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/checkpoints", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), PageQuery), responses((status = 200, body = Page<Body>)))]
async fn checkpoint_list(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Query(query): Query<PageQuery>,
) -> Result<Answer<Page<Body>>, ApiError> {
    let limit = page_limit(query.limit)?;
    let before: Option<CheckpointId> = page_cursor(query.cursor.as_deref())?;
    let found = state.engine.checkpoint_list(id).await?.into_iter();
    let found = found.filter(|one| before.is_none_or(|before| one.id < before));
    let found = found.take(limit as usize + 1).collect();
    Ok(Answer(page(found, limit, |last| last.id.to_string(), body)))
}

/// Keeps the workspace as it is now. What runs is frozen only while it is copied.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/checkpoints", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "checkpoint.created"}))),
    params(("sandbox" = String, Path)), request_body = Option<CheckpointCreateRequest>,
    responses((status = 201, body = Body)))]
async fn checkpoint_create(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    OptionalJson(request): OptionalJson<CheckpointCreateRequest>,
) -> Result<Response, ApiError> {
    let CheckpointCreateRequest { label } = request;
    let params = CheckpointMakeParams { kind: CheckpointKind::Manual, task_id: None, label };
    let made = state.engine.checkpoint_make(id, params).await?;
    Ok((StatusCode::CREATED, Answer(body(made))).into_response())
}

/// Looks at one checkpoint.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/checkpoints/{checkpoint}", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), ("checkpoint" = String, Path)),
    responses((status = 200, body = Body)))]
async fn checkpoint_fetch(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Checkpoint(checkpoint): Checkpoint,
) -> Result<Response, ApiError> {
    let found = state.engine.checkpoint_fetch(id, checkpoint).await?;
    Ok(([(header::ETAG, format!("\"{TAG}\""))], Answer(body(found))).into_response())
}

/// Removes a checkpoint. Others that share files with it keep them.
#[utoipa::path(delete, path = "/v1/sandboxes/{sandbox}/checkpoints/{checkpoint}", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "checkpoint.deleted"}))),
    params(("sandbox" = String, Path), ("checkpoint" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204)))]
async fn checkpoint_delete(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Checkpoint(checkpoint): Checkpoint,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    if if_match(&headers)?.is_some_and(|tag| tag != TAG) {
        let message = "`If-Match` is not the `ETag` of the checkpoint";
        return Err(ApiError::new(ErrorCode::StaleGeneration, message).hint("look at it again"));
    }
    state.engine.checkpoint_delete(id, checkpoint).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists everything that differs between a checkpoint and another point, ordered by path.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/checkpoints/{checkpoint}/changes", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), ("checkpoint" = String, Path), CheckpointDiffQuery),
    responses((status = 200, body = CheckpointChanges)))]
async fn checkpoint_changes(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Checkpoint(from): Checkpoint,
    Query(query): Query<CheckpointDiffQuery>,
) -> Result<Answer<CheckpointChanges>, ApiError> {
    let to = point(query.to.as_deref())?;
    let set = state.engine.checkpoint_changes(id, CheckpointPoint::Checkpoint(from), to).await?;
    let to = query.to.unwrap_or_else(|| "now".to_owned());
    Ok(Answer(CheckpointChanges { from, to, set }))
}

/// Shows the same as a patch that `git apply` accepts.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/checkpoints/{checkpoint}/diff", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), ("checkpoint" = String, Path), CheckpointDiffQuery),
    responses((status = 200, body = String, content_type = "text/x-diff")))]
async fn checkpoint_diff(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Checkpoint(from): Checkpoint,
    Query(query): Query<CheckpointDiffQuery>,
) -> Result<Response, ApiError> {
    const PATCH: HeaderValue = HeaderValue::from_static("text/x-diff");
    let to = point(query.to.as_deref())?;
    let patch = state.engine.checkpoint_diff(id, CheckpointPoint::Checkpoint(from), to).await?;
    Ok(([(header::CONTENT_TYPE, PATCH)], patch).into_response())
}

/// Makes the workspace what a checkpoint has. What is there now is kept as a checkpoint first.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/checkpoints/{checkpoint}/restore", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "checkpoint.restored"}))),
    params(("sandbox" = String, Path), ("checkpoint" = String, Path)),
    responses((status = 200, body = CheckpointRestored)))]
async fn checkpoint_restore(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Checkpoint(checkpoint): Checkpoint,
) -> Result<Answer<CheckpointRestored>, ApiError> {
    let done = state.engine.checkpoint_restore(id, checkpoint).await?;
    let (restored, kept, paths) = (done.restored, done.kept, done.paths);
    Ok(Answer(CheckpointRestored { restored, kept, paths }))
}

/// Takes back exactly what differs between two checkpoints, all or nothing, and nothing that came later.
///
/// Later edits of the same texts are merged where they lie apart; else the answer is 409 with the paths.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/revert", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "checkpoint.reverted"}))),
    params(("sandbox" = String, Path)), request_body = RevertRequest,
    responses((status = 200, body = Reverted)))]
async fn revert(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Json(request): Json<RevertRequest>,
) -> Result<Answer<Reverted>, ApiError> {
    let done = state.engine.checkpoint_revert(id, request.before, request.after).await?;
    Ok(Answer(Reverted { kept: done.kept, paths: done.paths, merged: done.merged }))
}

fn point(text: Option<&str>) -> Result<CheckpointPoint, ApiError> {
    match text {
        None | Some("now") => Ok(CheckpointPoint::Now),
        Some("source") => Ok(CheckpointPoint::Source),
        Some(id) => id.parse().map(CheckpointPoint::Checkpoint).map_err(|_| {
            let message = "`to` is neither `now` nor `source` nor a checkpoint";
            ApiError::new(ErrorCode::CheckpointNotFound, message)
                .hint("`GET …/checkpoints` lists them")
        }),
    }
}

fn body(found: sandbar_engine::Checkpoint) -> Body {
    Body {
        id: found.id,
        sandbox_id: found.sandbox_id,
        task_id: found.task_id,
        kind: found.kind,
        label: found.label,
        bytes: found.bytes,
        left_out: found.left_out,
        created_at: found.created_at,
    }
}
