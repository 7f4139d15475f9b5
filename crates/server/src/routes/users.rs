//! The users of a tenant.

use axum::{Json as Answer, extract::State, response::Response};
use http::{HeaderMap, StatusCode};
use sandbar_api::{
    Page, TenantPageQuery, TenantQuery, User as Body, UserCreateRequest, UserUpdateRequest,
};
use sandbar_engine::{User as Record, UserCreateParams, UserUpdateParams, UserWhich};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    asker::AskedBy,
    error::ApiError,
    etag::{seen, tagged},
    extract::{Json, Query, User},
    page::{page, page_cursor, page_limit},
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(user_list, user_create)).routes(routes!(
        user_fetch,
        user_update,
        user_delete
    ))
}

/// Lists the users of a tenant, oldest first.
#[utoipa::path(get, path = "/v1/users", tag = "accounts",
    extensions(("x-sandbar" = json!({"scope": "admin"}))),
    params(TenantPageQuery), responses((status = 200, body = Page<Body>)))]
async fn user_list(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Query(query): Query<TenantPageQuery>,
) -> Result<Answer<Page<Body>>, ApiError> {
    let limit = page_limit(query.limit)?;
    let after = page_cursor(query.cursor.as_deref())?;
    let tenant = state.engine.tenant_resolve(&principal, query.tenant.as_deref()).await?;
    let found = state.engine.user_list(tenant, after, limit + 1).await?;
    Ok(Answer(page(found, limit, |last| last.id.to_string(), body)))
}

/// Adds a user to a tenant, who may do at most what one may oneself.
#[utoipa::path(post, path = "/v1/users", tag = "accounts",
    extensions(("x-sandbar" = json!({"scope": "admin", "audit": "user.created"}))),
    params(TenantQuery), request_body = UserCreateRequest, responses((status = 201, body = Body)))]
async fn user_create(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Query(query): Query<TenantQuery>,
    Json(request): Json<UserCreateRequest>,
) -> Result<(StatusCode, Answer<Body>), ApiError> {
    let tenant = state.engine.tenant_resolve(&principal, query.tenant.as_deref()).await?;
    let UserCreateRequest { name, role, password } = request;
    let password = password.map(|password| password.0);
    let params = UserCreateParams { tenant, name, role, password };
    let made = state.engine.user_create(&principal, params).await?;
    Ok((StatusCode::CREATED, Answer(body(made))))
}

/// Looks at a user.
#[utoipa::path(get, path = "/v1/users/{user}", tag = "accounts",
    extensions(("x-sandbar" = json!({"scope": "admin"}))),
    params(("user" = String, Path), TenantQuery), responses((status = 200, body = Body)))]
async fn user_fetch(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    User(id): User,
    Query(query): Query<TenantQuery>,
) -> Result<Response, ApiError> {
    let tenant = state.engine.tenant_resolve(&principal, query.tenant.as_deref()).await?;
    Ok(answer(state.engine.user_fetch(tenant, id).await?))
}

/// Changes the role or the password of a user. A new password ends the user's sessions.
#[utoipa::path(patch, path = "/v1/users/{user}", tag = "accounts",
    extensions(("x-sandbar" = json!({"scope": "admin", "audit": "user.updated"}))),
    params(("user" = String, Path), TenantQuery, ("If-Match" = Option<String>, Header)), request_body = UserUpdateRequest,
    responses((status = 200, body = Body)))]
async fn user_update(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    User(id): User,
    Query(query): Query<TenantQuery>,
    headers: HeaderMap,
    Json(request): Json<UserUpdateRequest>,
) -> Result<Response, ApiError> {
    let tenant = state.engine.tenant_resolve(&principal, query.tenant.as_deref()).await?;
    let password = request.password.map(|password| password.0);
    let params = UserUpdateParams { role: request.role, password };
    let which = UserWhich { tenant, id, seen: seen(&headers)? };
    Ok(answer(state.engine.user_update(&principal, which, params).await?))
}

/// Removes a user; the user's sessions and keys end.
#[utoipa::path(delete, path = "/v1/users/{user}", tag = "accounts",
    extensions(("x-sandbar" = json!({"scope": "admin", "audit": "user.deleted"}))),
    params(("user" = String, Path), TenantQuery, ("If-Match" = Option<String>, Header)), responses((status = 204)))]
async fn user_delete(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    User(id): User,
    Query(query): Query<TenantQuery>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let tenant = state.engine.tenant_resolve(&principal, query.tenant.as_deref()).await?;
    let which = UserWhich { tenant, id, seen: seen(&headers)? };
    state.engine.user_remove(&principal, which).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn answer(user: Record) -> Response {
    tagged(user.generation, body(user))
}

pub(crate) fn body(user: Record) -> Body {
    let Record { id, name, role, has_password, generation, created_at } = user;
    Body { id, name, role, has_password, generation, created_at }
}
