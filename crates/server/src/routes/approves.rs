//! What was approved, and taking it back.

use std::ffi::OsStr;

use axum::{Json as Answer, extract::State};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sandbar_api::{Approve as Body, ApproveListQuery, ErrorCode, Page};
use sandbar_engine::{ApproveListParams, ApproveRecord};
use sandbar_types::{HostPath, UndoOutcome};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    asker::AskedBy,
    error::ApiError,
    extract::{Approve, Query, workspace_path},
    page::{page, page_cursor, page_limit},
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(approve_list))
        .routes(routes!(approve_fetch))
        .routes(routes!(approve_undo))
}

/// Lists what was approved and what was undone, newest first; also of sandboxes that are gone.
#[utoipa::path(get, path = "/v1/approves", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "read"}))), params(ApproveListQuery),
    responses((status = 200, body = Page<Body>)))]
async fn approve_list(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Query(query): Query<ApproveListQuery>,
) -> Result<Answer<Page<Body>>, ApiError> {
    let limit = page_limit(query.limit)?;
    let params = ApproveListParams {
        source: source(query.source.as_deref(), query.source_b64.as_deref())?,
        path: workspace_path(query.path.as_deref(), query.path_b64.as_deref())?,
        sandbox: query.sandbox,
        before: page_cursor(query.cursor.as_deref())?,
        // One more, which says whether there is another page.
        limit: limit + 1,
    };
    let records = state.engine.approve_list(principal.tenant, params).await?;
    Ok(Answer(page(records, limit, |last| last.position.to_string(), body)))
}

/// Looks at one approve, with every path.
#[utoipa::path(get, path = "/v1/approves/{approve}", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("approve" = String, Path)), responses((status = 200, body = Body)))]
async fn approve_fetch(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Approve(id): Approve,
) -> Result<Answer<Body>, ApiError> {
    Ok(Answer(body(state.engine.approve_fetch(principal.tenant, id).await?)))
}

/// Takes the last approve of a directory back, all or nothing. The same undo again has the same result.
///
/// What was changed there since is merged where it is text and does not overlap; else the answer is 409 with the
/// conflicts, and nothing is written.
#[utoipa::path(post, path = "/v1/approves/{approve}/undo", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "review", "audit": "approve.undone"}))),
    params(("approve" = String, Path)), responses((status = 200, body = UndoOutcome)))]
async fn approve_undo(
    State(state): State<AppState>,
    Approve(id): Approve,
    AskedBy(principal): AskedBy,
) -> Result<Answer<UndoOutcome>, ApiError> {
    Ok(Answer(state.engine.undo(principal.tenant, id, principal.who).await?))
}

fn source(text: Option<&str>, encoded: Option<&str>) -> Result<Option<HostPath>, ApiError> {
    let bytes = match (text, encoded) {
        (None, None) => return Ok(None),
        (Some(text), None) => text.as_bytes().to_vec(),
        (None, Some(encoded)) => BASE64_STANDARD
            .decode(encoded)
            .map_err(|_| ApiError::new(ErrorCode::InvalidPath, "`source_b64` is not base64"))?,
        (Some(_), Some(_)) => {
            return Err(ApiError::new(
                ErrorCode::InvalidRequest,
                "`source` and `source_b64` exclude each other",
            ));
        }
    };
    let path = <OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&bytes);
    HostPath::parse(path)
        .map(Some)
        .map_err(|error| ApiError::new(ErrorCode::InvalidPath, format!("`source`: {error}")))
}

fn body(record: ApproveRecord) -> Body {
    Body {
        id: record.id,
        source: record.source,
        sandbox_id: record.sandbox_id,
        sandbox_name: record.sandbox_name,
        actor: record.actor,
        at: record.at,
        commit: record.commit_id,
        undoes: record.undoes,
        undone_by: record.undone_by,
        is_undoable: record.is_undoable,
        paths_total: record.paths_total,
        paths: record.paths,
    }
}
