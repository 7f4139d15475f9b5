//! API keys: what programs show.

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode};
use sandbar_api::{
    ApiKey as Body, ApiKeyCreateRequest, ApiKeyCreated, Page, Secret, TenantPageQuery, TenantQuery,
};
use sandbar_engine::{ApiKey as Record, KeyCreateParams, KeyWhich};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    asker::{AskedBy, IdentifiedBy},
    error::ApiError,
    etag::{seen, tagged},
    extract::{Json, Key, Query},
    idempotency::NO_STORE,
    page::{page, page_cursor, page_limit},
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(api_key_list, api_key_create))
        .routes(routes!(api_key_fetch, api_key_delete))
}

/// Lists the API keys of a tenant, oldest first. The keys themselves are nowhere.
#[utoipa::path(get, path = "/v1/api-keys", tag = "accounts",
    extensions(("x-sandbar" = json!({"scope": "admin"}))),
    params(TenantPageQuery), responses((status = 200, body = Page<Body>)))]
async fn api_key_list(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Query(query): Query<TenantPageQuery>,
) -> Result<Answer<Page<Body>>, ApiError> {
    let limit = page_limit(query.limit)?;
    let after = page_cursor(query.cursor.as_deref())?;
    let tenant = state.engine.tenant_resolve(&principal, query.tenant.as_deref()).await?;
    let found = state.engine.key_list(tenant, after, limit + 1).await?;
    Ok(Answer(page(found, limit, |last| last.id.to_string(), body)))
}

/// Makes an API key that may do at most what one may oneself. The key is in this answer, and never again.
#[utoipa::path(post, path = "/v1/api-keys", tag = "accounts",
    extensions(("x-sandbar" = json!({"scope": "admin", "audit": "key.created"}))),
    params(TenantQuery), request_body = ApiKeyCreateRequest,
    responses((status = 201, body = ApiKeyCreated)))]
async fn api_key_create(
    State(state): State<AppState>,
    IdentifiedBy(identity): IdentifiedBy,
    Query(query): Query<TenantQuery>,
    Json(request): Json<ApiKeyCreateRequest>,
) -> Result<Response, ApiError> {
    let by = &identity.principal;
    let tenant = state.engine.tenant_resolve(by, query.tenant.as_deref()).await?;
    let ApiKeyCreateRequest { name, role, scopes, expires_at } = request;
    let scopes = scopes.map(Into::into);
    let params = KeyCreateParams { tenant, name, role, scopes, expires_at };
    let made = state.engine.key_create(&identity, params).await?;
    let answer = ApiKeyCreated { api_key: body(made.key), secret: Secret(made.secret) };
    Ok((StatusCode::CREATED, NO_STORE, Answer(answer)).into_response())
}

/// Looks at an API key. The key itself is nowhere.
#[utoipa::path(get, path = "/v1/api-keys/{key}", tag = "accounts",
    extensions(("x-sandbar" = json!({"scope": "admin"}))),
    params(("key" = String, Path), TenantQuery), responses((status = 200, body = Body)))]
async fn api_key_fetch(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Key(id): Key,
    Query(query): Query<TenantQuery>,
) -> Result<Response, ApiError> {
    let tenant = state.engine.tenant_resolve(&principal, query.tenant.as_deref()).await?;
    Ok(tagged(Record::GENERATION, body(state.engine.key_fetch(tenant, id).await?)))
}

/// Ends an API key at once; what streams over it is cut.
#[utoipa::path(delete, path = "/v1/api-keys/{key}", tag = "accounts",
    extensions(("x-sandbar" = json!({"scope": "admin", "audit": "key.deleted"}))),
    params(("key" = String, Path), TenantQuery, ("If-Match" = Option<String>, Header)), responses((status = 204)))]
async fn api_key_delete(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Key(id): Key,
    Query(query): Query<TenantQuery>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let tenant = state.engine.tenant_resolve(&principal, query.tenant.as_deref()).await?;
    let which = KeyWhich { tenant, id, seen: seen(&headers)? };
    state.engine.key_remove(&principal, which).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn body(key: Record) -> Body {
    Body {
        id: key.id,
        user: key.user,
        name: key.name,
        prefix: key.prefix,
        role: key.role,
        scopes: key.scopes.into(),
        created_at: key.created_at,
        expires_at: key.expires_at,
        last_used_at: key.last_used_at,
    }
}
