//! The coding agents that a task may be given to.

use axum::{Json as Answer, extract::State};
use sandbar_api::{KnownAgent as Body, Page};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{asker::AskedBy, error::ApiError, state::AppState};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(agent_list))
}

/// Lists every agent that a task may be given to, whether it is on the host, and whether there is a credential for it.
///
/// All of them on one page.
#[utoipa::path(get, path = "/v1/agents", tag = "config",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    responses((status = 200, body = Page<Body>)))]
async fn agent_list(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
) -> Result<Answer<Page<Body>>, ApiError> {
    let found = state.engine.agent_list(principal.tenant, &state.caller).await?;
    let body = |agent: sandbar_engine::KnownAgent| Body {
        name: agent.name,
        label: agent.label.to_owned(),
        program: agent.program.map(str::to_owned),
        env: agent.env,
        host_path: agent.host_path,
        is_connected: agent.is_connected,
    };
    Ok(Answer(Page { items: found.into_iter().map(body).collect(), next_cursor: None }))
}
