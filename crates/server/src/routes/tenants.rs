//! Tenants, for who runs the server.

use axum::{Json as Answer, extract::State, response::Response};
use http::{HeaderMap, StatusCode};
use sandbar_api::{Page, PageQuery, Tenant as Body, TenantCreateRequest, TenantUpdateRequest};
use sandbar_engine::{Tenant as Record, TenantCreateParams, TenantUpdateParams};
use sandbar_types::TenantId;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    asker::AskedBy,
    error::ApiError,
    etag::{seen, tagged},
    extract::{Json, Query, TenantName},
    page::{page, page_cursor, page_limit},
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(tenant_list, tenant_create))
        .routes(routes!(tenant_fetch, tenant_update))
}

/// Lists tenants, oldest first.
#[utoipa::path(get, path = "/v1/tenants", tag = "accounts",
    extensions(("x-sandbar" = json!({"scope": "instance"}))),
    params(PageQuery), responses((status = 200, body = Page<Body>)))]
async fn tenant_list(
    State(state): State<AppState>,
    Query(query): Query<PageQuery>,
) -> Result<Answer<Page<Body>>, ApiError> {
    let limit = page_limit(query.limit)?;
    let after: Option<TenantId> = page_cursor(query.cursor.as_deref())?;
    let mut found = state.engine.tenant_list().await?;
    found.retain(|tenant| after.is_none_or(|after| tenant.id > after));
    Ok(Answer(page(found, limit, |last| last.id.to_string(), body)))
}

/// Makes a tenant. Its first user is added with `POST /v1/users?tenant=`.
#[utoipa::path(post, path = "/v1/tenants", tag = "accounts",
    extensions(("x-sandbar" = json!({"scope": "instance", "audit": "tenant.created"}))),
    request_body = TenantCreateRequest, responses((status = 201, body = Body)))]
async fn tenant_create(
    State(state): State<AppState>,
    Json(request): Json<TenantCreateRequest>,
) -> Result<(StatusCode, Answer<Body>), ApiError> {
    let TenantCreateRequest { name, quota, source_roots } = request;
    let made = state.engine.tenant_create(TenantCreateParams { name, quota, source_roots }).await?;
    Ok((StatusCode::CREATED, Answer(body(made))))
}

/// Looks at a tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}", tag = "accounts",
    extensions(("x-sandbar" = json!({"scope": "instance"}))),
    params(("tenant" = String, Path)), responses((status = 200, body = Body)))]
async fn tenant_fetch(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    TenantName(name): TenantName,
) -> Result<Response, ApiError> {
    let id = state.engine.tenant_resolve(&principal, Some(&name)).await?;
    Ok(answer(state.engine.tenant_fetch(id).await?))
}

/// Changes what a tenant may have. What it has already stays.
#[utoipa::path(patch, path = "/v1/tenants/{tenant}", tag = "accounts",
    extensions(("x-sandbar" = json!({"scope": "instance", "audit": "tenant.updated"}))),
    params(("tenant" = String, Path), ("If-Match" = Option<String>, Header)), request_body = TenantUpdateRequest,
    responses((status = 200, body = Body)))]
async fn tenant_update(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    TenantName(name): TenantName,
    headers: HeaderMap,
    Json(request): Json<TenantUpdateRequest>,
) -> Result<Response, ApiError> {
    let id = state.engine.tenant_resolve(&principal, Some(&name)).await?;
    let TenantUpdateRequest { quota, source_roots } = request;
    let params = TenantUpdateParams { seen: seen(&headers)?, quota, source_roots };
    Ok(answer(state.engine.tenant_update(id, params).await?))
}

fn answer(tenant: Record) -> Response {
    tagged(tenant.generation, body(tenant))
}

fn body(tenant: Record) -> Body {
    let Record { id, name, quota, source_roots, generation, created_at } = tenant;
    Body { id, name, quota, source_roots, generation, created_at }
}
