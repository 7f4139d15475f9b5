//! What a sandbox may reach: looking at it, changing it while it runs, what it did, and why.

use axum::{Json as Answer, extract::State, response::Response};
use http::HeaderMap;
use sandbar_api::{NetworkWhyQuery, Page, PageQuery};
use sandbar_engine::Sandbox as Record;
use sandbar_types::{NetworkChange, NetworkEntry, NetworkSpec, NetworkWhy};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiError,
    etag::{self, seen},
    extract::{Json, Query, Sandbox},
    page::{page, page_cursor, page_limit},
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(network_fetch, network_update))
        .routes(routes!(network_log))
        .routes(routes!(network_why))
}

/// Looks at what a sandbox may reach, beside what the server lets every sandbox reach.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/network", tag = "sandboxes",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path)), responses((status = 200, body = NetworkSpec)))]
async fn network_fetch(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
) -> Result<Response, ApiError> {
    Ok(tagged(state.engine.sandbox_fetch(id)?))
}

/// Changes what a sandbox may reach, while it runs. It holds at once, and connections that are no longer allowed end.
#[utoipa::path(patch, path = "/v1/sandboxes/{sandbox}/network", tag = "sandboxes",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "network.updated"}))),
    params(("sandbox" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body = NetworkChange, responses((status = 200, body = NetworkSpec)))]
async fn network_update(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    headers: HeaderMap,
    Json(change): Json<NetworkChange>,
) -> Result<Response, ApiError> {
    Ok(tagged(state.engine.network_change(id, seen(&headers)?, change).await?))
}

/// Lists what a sandbox reached and what it was refused, newest first.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/network/log", tag = "sandboxes",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), PageQuery),
    responses((status = 200, body = Page<NetworkEntry>)))]
async fn network_log(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Query(query): Query<PageQuery>,
) -> Result<Answer<Page<NetworkEntry>>, ApiError> {
    let limit = page_limit(query.limit)?;
    let before: Option<u64> = page_cursor(query.cursor.as_deref())?;
    let found = state.engine.network_log(id, before, limit + 1).await?;
    Ok(Answer(page(found, limit, |last| last.id.to_string(), |entry| entry)))
}

/// Says whether a sandbox may reach a host now, by which rule, and what is decided about each of its addresses.
///
/// A host that is refused by its name is not looked up.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/network/why", tag = "sandboxes",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), NetworkWhyQuery),
    responses((status = 200, body = NetworkWhy)))]
async fn network_why(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Query(query): Query<NetworkWhyQuery>,
) -> Result<Answer<NetworkWhy>, ApiError> {
    Ok(Answer(state.engine.network_why(id, &query.host, query.port).await?))
}

fn tagged(record: Record) -> Response {
    etag::tagged(record.generation, record.spec.network)
}
