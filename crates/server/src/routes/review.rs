//! What changed, and the decision about it.

use std::sync::Arc;

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, header};
use sandbar_api::{
    ApproveRequest, ChangesPage, ChangesQuery, Declined, DeclinedList, DiffQuery, ErrorCode,
    FileHunks, FileQuery, Hunk, HunkLine, LineKind, MergeState, RefreshOutcome, RefreshRequest,
    RejectOutcome, RejectRequest,
};
use sandbar_engine::{ApproveParams, Changes, RefreshParams, RejectParams, Resolutions};
use sandbar_types::{
    AcceptOutcome, ApproveOutcome, Confirmed, DiffId, Generation, SandboxId, Selection,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    asker::AskedBy,
    error::ApiError,
    extract::{Json, Query, Sandbox, if_match, workspace_path, workspace_path_required},
    page::{foreign_cursor, page_limit},
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(change_list))
        .routes(routes!(change_hunks))
        .routes(routes!(diff))
        .routes(routes!(approve))
        .routes(routes!(accept))
        .routes(routes!(reject))
        .routes(routes!(refresh))
        .routes(routes!(declined_list))
}

/// Lists the changes of one instant, ordered by path.
///
/// The pages of one list are of the same instant. The `ETag` is for `If-Match` of approve and reject.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/changes", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), ChangesQuery), responses((status = 200, body = ChangesPage)))]
async fn change_list(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Query(query): Query<ChangesQuery>,
) -> Result<Response, ApiError> {
    let limit = page_limit(query.limit)? as usize;
    let (changes, first) = match query.cursor.as_deref() {
        None => (Arc::new(state.engine.changes(id).await?), 0),
        Some(cursor) => continued(&state, id, cursor).await?,
    };
    let all = &changes.set.changes;
    let page: Vec<_> = all.iter().skip(first).take(limit).cloned().collect();
    let next = first + page.len();
    let has_more = next < all.len();
    let diff_id = changes.set.diff_id;
    let etag = format!("\"{}.{diff_id}\"", changes.generation);
    let answer = ChangesPage {
        diff_id,
        total: all.len() as u64,
        items: page,
        next_cursor: has_more.then(|| format!("{diff_id}.{next}")),
    };
    if has_more {
        state.listed.keep(id, changes);
    }
    Ok(([(header::ETAG, etag)], Answer(answer)).into_response())
}

async fn continued(
    state: &AppState,
    id: SandboxId,
    cursor: &str,
) -> Result<(Arc<Changes>, usize), ApiError> {
    let (diff_id, first) = cursor
        .split_once('.')
        .and_then(|(diff_id, first)| Some((DiffId(diff_id.parse().ok()?), first.parse().ok()?)))
        .ok_or_else(foreign_cursor)?;
    if let Some(kept) = state.listed.find(id, diff_id) {
        return Ok((kept, first));
    }
    let changes = state.engine.changes(id).await?;
    if changes.set.diff_id == diff_id { Ok((Arc::new(changes), first)) } else { Err(stale()) }
}

fn stale() -> ApiError {
    ApiError::new(ErrorCode::DiffChanged, "the changes are no longer those that you saw")
        .hint("list them again")
}

/// Shows one changed text file as hunks.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/changes/hunks", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), FileQuery), responses((status = 200, body = FileHunks)))]
async fn change_hunks(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Query(query): Query<FileQuery>,
) -> Result<Answer<FileHunks>, ApiError> {
    let path = workspace_path_required(query.path.as_deref(), query.path_b64.as_deref())?;
    let found = state.engine.hunks(id, path).await?;
    Ok(Answer(FileHunks {
        diff_id: found.diff_id,
        path: found.path,
        hunks: found.hunks.into_iter().map(hunk).collect(),
        merge: match found.merge {
            sandbar_engine::MergeState::None => MergeState::None,
            sandbar_engine::MergeState::Clean => MergeState::Clean,
            sandbar_engine::MergeState::Conflict => MergeState::Conflict,
            sandbar_engine::MergeState::NoBase => MergeState::NoBase,
        },
        conflicts: found.conflicts,
    }))
}

fn hunk(found: sandbar_types::Hunk) -> Hunk {
    Hunk {
        id: found.id,
        old_start: found.old_start,
        old_lines: found.old_lines,
        new_start: found.new_start,
        new_lines: found.new_lines,
        lines: found.lines.into_iter().map(line).collect(),
    }
}

fn line(found: sandbar_types::HunkLine) -> HunkLine {
    let (kind, bytes) = match found {
        sandbar_types::HunkLine::Context(text) => (LineKind::Context, text.0),
        sandbar_types::HunkLine::Added(text) => (LineKind::Added, text.0),
        sandbar_types::HunkLine::Removed(text) => (LineKind::Removed, text.0),
    };
    let shown = bytes.strip_suffix(b"\n");
    HunkLine {
        kind,
        text: String::from_utf8_lossy(shown.unwrap_or(&bytes)).into_owned(),
        has_newline: shown.is_some(),
    }
}

/// Shows the changes as a patch that `git apply` accepts.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/diff", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), DiffQuery),
    responses((status = 200, body = String, content_type = "text/x-diff")))]
async fn diff(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Query(query): Query<DiffQuery>,
) -> Result<Response, ApiError> {
    const PATCH: HeaderValue = HeaderValue::from_static("text/x-diff");
    let path = workspace_path(query.path.as_deref(), query.path_b64.as_deref())?;
    let selection = path.map_or(Selection::All, |path| Selection::Paths(vec![path]));
    let patch = state.engine.diff(id, selection).await?;
    Ok(([(header::CONTENT_TYPE, PATCH)], patch).into_response())
}

/// Writes changes to the source, all or nothing. The same request again has the same result.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/approve", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "review", "audit": "approve.written"}))),
    params(("sandbox" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body = ApproveRequest, responses((status = 200, body = ApproveOutcome)))]
async fn approve(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    AskedBy(principal): AskedBy,
    headers: HeaderMap,
    Json(request): Json<ApproveRequest>,
) -> Result<Answer<ApproveOutcome>, ApiError> {
    let params = ApproveParams {
        generation: seen_generation(&headers, Some(request.diff_id))?,
        diff_id: request.diff_id,
        selection: request.selection,
        confirm: Confirmed { everywhere: request.confirm, paths: request.confirm_paths },
        resolutions: Resolutions { paths: request.resolutions, otherwise: request.otherwise },
        commit: request.commit,
    };
    Ok(Answer(state.engine.approve_by(id, params, principal.who).await?))
}

/// Approves what the rules of the sandbox let go without a person; the rest stays pending.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/accept", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "review", "audit": "accept.written"}))),
    params(("sandbox" = String, Path)), responses((status = 200, body = AcceptOutcome)))]
async fn accept(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
) -> Result<Answer<AcceptOutcome>, ApiError> {
    Ok(Answer(state.engine.accept(id).await?))
}

/// Drops changes: the workspace has again what the source has.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/reject", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "review", "audit": "changes.rejected"}))),
    params(("sandbox" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body = RejectRequest, responses((status = 200, body = RejectOutcome)))]
async fn reject(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    headers: HeaderMap,
    Json(request): Json<RejectRequest>,
) -> Result<Answer<RejectOutcome>, ApiError> {
    let params = RejectParams {
        generation: seen_generation(&headers, request.diff_id)?,
        diff_id: request.diff_id,
        selection: request.selection,
        reason: request.reason,
    };
    let outcome = state.engine.reject(id, params).await?;
    Ok(Answer(RejectOutcome { rejected: outcome.rejected, parts: outcome.parts }))
}

/// Brings the host's newer state into the workspace, by the merge that an approve would make. All or nothing.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/refresh", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "changes.refreshed"}))),
    params(("sandbox" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body = RefreshRequest, responses((status = 200, body = RefreshOutcome)))]
async fn refresh(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    headers: HeaderMap,
    Json(request): Json<RefreshRequest>,
) -> Result<Answer<RefreshOutcome>, ApiError> {
    let params = RefreshParams {
        selection: request.selection,
        resolutions: Resolutions { paths: request.resolutions, otherwise: request.otherwise },
        generation: seen_generation(&headers, None)?,
    };
    let outcome = state.engine.refresh(id, params).await?;
    Ok(Answer(RefreshOutcome {
        merged: outcome.merged,
        ours: outcome.ours,
        theirs: outcome.theirs,
    }))
}

/// Lists what was rejected, with what the person said about it.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/declined", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path)), responses((status = 200, body = DeclinedList)))]
async fn declined_list(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
) -> Result<Answer<DeclinedList>, ApiError> {
    let one = |found: sandbar_engine::Declined| Declined {
        at: found.at,
        reason: found.reason,
        paths: found.paths,
        patch: found.patch,
        is_truncated: found.is_truncated,
    };
    let items = state.engine.declined(id).await?.into_iter().map(one).collect();
    Ok(Answer(DeclinedList { items }))
}

/// Reads the generation from the `ETag` of the changes. Both halves must be those that the client saw.
fn seen_generation(
    headers: &HeaderMap,
    diff_id: Option<DiffId>,
) -> Result<Option<Generation>, ApiError> {
    let Some(tag) = if_match(headers)? else {
        return Ok(None);
    };
    let (generation, seen) = tag
        .split_once('.')
        .and_then(|(generation, seen)| Some((generation.parse().ok()?, DiffId(seen.parse().ok()?))))
        .ok_or_else(|| {
            // A tag that these changes never had does not match; it is not unreadable.
            let message = "`If-Match` is not the `ETag` of the changes";
            ApiError::new(ErrorCode::StaleGeneration, message).hint("list them again")
        })?;
    if diff_id.is_some_and(|diff_id| diff_id != seen) {
        let message = "`If-Match` names other changes than the `diff_id` of the body";
        return Err(ApiError::new(ErrorCode::StaleGeneration, message).hint("list them again"));
    }
    Ok(Some(Generation(generation)))
}
