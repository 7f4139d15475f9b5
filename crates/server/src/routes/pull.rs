//! Commits of a sandbox, as a branch of the source's repository.

use axum::{Json as Answer, extract::State};
use sandbar_api::PullRequest;
use sandbar_engine::{BranchUpdate, PullParams};
use sandbar_types::PullOutcome;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiError,
    extract::{Json, Sandbox},
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(pull))
}

/// Brings the commits that were made in the sandbox to the source's repository, as a branch.
///
/// Objects only, each one checked; nothing is checked out. The sandbox must run.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/pull", tag = "review",
    extensions(("x-sandbar" = json!({"scope": "review", "audit": "pull.written"}))),
    params(("sandbox" = String, Path)),
    request_body = PullRequest, responses((status = 200, body = PullOutcome)))]
async fn pull(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Json(request): Json<PullRequest>,
) -> Result<Answer<PullOutcome>, ApiError> {
    let update = if request.force { BranchUpdate::Force } else { BranchUpdate::FastForward };
    let params = PullParams { branch: request.branch, update };
    Ok(Answer(state.engine.pull(id, params).await?))
}
