//! Settings and secrets of a sandbox or an app, and the key that secrets are sealed with.

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode};
use sandbar_api::{
    ConfigChangeQuery, ConfigChanged as Body, ConfigCreateRequest, ConfigItem, ConfigRemoved,
    ConfigUpdateRequest, Page, PageQuery, SecretRotation,
};
use sandbar_engine::{
    AfterChange, ConfigChanged, ConfigCreateParams, ConfigItem as Record, ConfigScope,
    ConfigUpdateParams, ConfigWhich, Rotation,
};
use sandbar_types::EnvName;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiError,
    etag::{seen, tagged},
    extract::{App, ConfigKey, Json, Query, Sandbox},
    page::{page, page_cursor, page_limit},
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(config_list, config_create))
        .routes(routes!(config_update, config_remove))
        .routes(routes!(app_config_list, app_config_create))
        .routes(routes!(app_config_update, app_config_remove))
        .routes(routes!(secrets_rotate))
}

/// Lists the settings and secrets of a sandbox by name. The value of a secret is never shown.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/config", tag = "config",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), PageQuery),
    responses((status = 200, body = Page<ConfigItem>)))]
async fn config_list(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Query(query): Query<PageQuery>,
) -> Result<Answer<Page<ConfigItem>>, ApiError> {
    list(&state, id.into(), &query).await
}

/// Gives a sandbox a setting or a secret, a secret by default.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/config", tag = "config",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "secret.created"}))),
    params(("sandbox" = String, Path), ConfigChangeQuery),
    request_body = ConfigCreateRequest, responses((status = 201, body = Body)))]
async fn config_create(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Query(query): Query<ConfigChangeQuery>,
    Json(request): Json<ConfigCreateRequest>,
) -> Result<Response, ApiError> {
    create(&state, id.into(), (&query, request)).await
}

/// Changes the value of a setting or a secret, or who gets it. Without `value`, the value stays as it is.
#[utoipa::path(patch, path = "/v1/sandboxes/{sandbox}/config/{key}", tag = "config",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "secret.updated"}))),
    params(("sandbox" = String, Path), ("key" = String, Path, pattern = "^[A-Za-z_][A-Za-z0-9_]{0,255}$"), ConfigChangeQuery,
        ("If-Match" = Option<String>, Header)),
    request_body = ConfigUpdateRequest, responses((status = 200, body = Body)))]
async fn config_update(
    State(state): State<AppState>,
    Sandbox(sandbox): Sandbox,
    ConfigKey(key): ConfigKey,
    Query(query): Query<ConfigChangeQuery>,
    headers: HeaderMap,
    Json(request): Json<ConfigUpdateRequest>,
) -> Result<Response, ApiError> {
    let which = ConfigWhich { scope: sandbox.into(), key, generation: seen(&headers)? };
    update(&state, which, (&query, request)).await
}

/// Removes a setting or a secret.
#[utoipa::path(delete, path = "/v1/sandboxes/{sandbox}/config/{key}", tag = "config",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "secret.deleted"}))),
    params(("sandbox" = String, Path), ("key" = String, Path, pattern = "^[A-Za-z_][A-Za-z0-9_]{0,255}$"), ConfigChangeQuery,
        ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = ConfigRemoved)))]
async fn config_remove(
    State(state): State<AppState>,
    Sandbox(sandbox): Sandbox,
    ConfigKey(key): ConfigKey,
    Query(query): Query<ConfigChangeQuery>,
    headers: HeaderMap,
) -> Result<Answer<ConfigRemoved>, ApiError> {
    let which = ConfigWhich { scope: sandbox.into(), key, generation: seen(&headers)? };
    remove(&state, which, &query).await
}

/// Lists the settings and secrets of an app by name. The value of a secret is never shown.
#[utoipa::path(get, path = "/v1/apps/{app}/config", tag = "config",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("app" = String, Path), PageQuery),
    responses((status = 200, body = Page<ConfigItem>)))]
async fn app_config_list(
    State(state): State<AppState>,
    App(app): App,
    Query(query): Query<PageQuery>,
) -> Result<Answer<Page<ConfigItem>>, ApiError> {
    list(&state, app.into(), &query).await
}

/// Gives an app a setting or a secret, a secret by default. Its sandboxes get it, too, where they have none of that name.
#[utoipa::path(post, path = "/v1/apps/{app}/config", tag = "config",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "app_secret.created"}))),
    params(("app" = String, Path), ConfigChangeQuery),
    request_body = ConfigCreateRequest, responses((status = 201, body = Body)))]
async fn app_config_create(
    State(state): State<AppState>,
    App(app): App,
    Query(query): Query<ConfigChangeQuery>,
    Json(request): Json<ConfigCreateRequest>,
) -> Result<Response, ApiError> {
    create(&state, app.into(), (&query, request)).await
}

/// Changes the value of a setting or a secret of an app, or who gets it. Without `value`, the value stays as it is.
/// `If-Match` with the `ETag` is honored.
#[utoipa::path(patch, path = "/v1/apps/{app}/config/{key}", tag = "config",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "app_secret.updated"}))),
    params(("app" = String, Path), ("key" = String, Path, pattern = "^[A-Za-z_][A-Za-z0-9_]{0,255}$"), ConfigChangeQuery,
        ("If-Match" = Option<String>, Header)),
    request_body = ConfigUpdateRequest, responses((status = 200, body = Body)))]
async fn app_config_update(
    State(state): State<AppState>,
    App(app): App,
    ConfigKey(key): ConfigKey,
    Query(query): Query<ConfigChangeQuery>,
    headers: HeaderMap,
    Json(request): Json<ConfigUpdateRequest>,
) -> Result<Response, ApiError> {
    let which = ConfigWhich { scope: app.into(), key, generation: seen(&headers)? };
    update(&state, which, (&query, request)).await
}

/// Removes a setting or a secret of an app. `If-Match` with the `ETag` is honored.
#[utoipa::path(delete, path = "/v1/apps/{app}/config/{key}", tag = "config",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "app_secret.deleted"}))),
    params(("app" = String, Path), ("key" = String, Path, pattern = "^[A-Za-z_][A-Za-z0-9_]{0,255}$"), ConfigChangeQuery,
        ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = ConfigRemoved)))]
async fn app_config_remove(
    State(state): State<AppState>,
    App(app): App,
    ConfigKey(key): ConfigKey,
    Query(query): Query<ConfigChangeQuery>,
    headers: HeaderMap,
) -> Result<Answer<ConfigRemoved>, ApiError> {
    let which = ConfigWhich { scope: app.into(), key, generation: seen(&headers)? };
    remove(&state, which, &query).await
}

async fn list(
    state: &AppState,
    scope: ConfigScope,
    query: &PageQuery,
) -> Result<Answer<Page<ConfigItem>>, ApiError> {
    let limit = page_limit(query.limit)?;
    let after: Option<EnvName> = page_cursor(query.cursor.as_deref())?;
    let mut found = state.engine.config_list(scope).await?;
    found.retain(|item| after.as_ref().is_none_or(|after| item.key > *after));
    Ok(Answer(page(found, limit, |last| last.key.to_string(), item)))
}

async fn create(
    state: &AppState,
    scope: ConfigScope,
    (query, request): (&ConfigChangeQuery, ConfigCreateRequest),
) -> Result<Response, ApiError> {
    let ConfigCreateRequest { key, value, is_sensitive, access } = request;
    let params = ConfigCreateParams { key, value: value.0.into(), is_sensitive, access };
    let made = state.engine.config_create(scope, params, after(query)).await?;
    Ok((StatusCode::CREATED, changed(made)).into_response())
}

async fn update(
    state: &AppState,
    which: ConfigWhich,
    (query, request): (&ConfigChangeQuery, ConfigUpdateRequest),
) -> Result<Response, ApiError> {
    let ConfigUpdateRequest { value, is_sensitive, access } = request;
    let value = value.map(|value| value.0.into());
    let params = ConfigUpdateParams { value, is_sensitive, access };
    Ok(changed(state.engine.config_update(which, params, after(query)).await?))
}

async fn remove(
    state: &AppState,
    which: ConfigWhich,
    query: &ConfigChangeQuery,
) -> Result<Answer<ConfigRemoved>, ApiError> {
    let stale_processes = state.engine.config_remove(which, after(query)).await?;
    Ok(Answer(ConfigRemoved { stale_processes }))
}

/// Seals every secret of the server with a new key, while everything runs, and drops the old one.
#[utoipa::path(post, path = "/v1/secrets/rotate", tag = "config",
    extensions(("x-sandbar" = json!({"scope": "instance", "audit": "secrets_key.rotated"}))),
    responses((status = 200, body = SecretRotation)))]
async fn secrets_rotate(State(state): State<AppState>) -> Result<Answer<SecretRotation>, ApiError> {
    let Rotation { key, resealed, left } = state.engine.secrets_rotate().await?;
    Ok(Answer(SecretRotation { key, resealed, left }))
}

fn after(query: &ConfigChangeQuery) -> AfterChange {
    if query.restart == Some(true) { AfterChange::Restart } else { AfterChange::RunOn }
}

fn changed(changed: ConfigChanged) -> Response {
    let ConfigChanged { item: record, stale_processes } = changed;
    tagged(record.generation, Body { item: item(record), stale_processes })
}

fn item(record: Record) -> ConfigItem {
    let Record { key, value, access, generation, created_at, updated_at } = record;
    let is_sensitive = value.is_none();
    ConfigItem { key, value, is_sensitive, access, generation, created_at, updated_at }
}
