//! Apps: named projects that outlive their sandboxes. Their processes are in `processes`, their configuration in `config`.

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sandbar_api::{
    App as Body, AppCloneRequest, AppCreateRequest, AppListQuery, AppRemoveQuery,
    AppRemoved as Removed, AppSandboxRequest, AppUpdateRequest, Page, Sandbox as SandboxBody,
    StateName, StopRequest, paths,
};
use sandbar_engine::{
    App as Record, AppCreateParams, AppFilter, AppListParams, AppRemoved, AppUpdateParams, Replace,
    SandboxCreateParams, Undecided,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::sandboxes::{created, grace, tagged as sandbox_tagged};
use crate::{
    asker::AskedBy,
    error::ApiError,
    etag::{seen, tagged},
    extract::{App, Json, OptionalJson, Query, QueryWithLists},
    page::{page, page_cursor, page_limit},
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(app_list, app_create))
        .routes(routes!(app_fetch, app_update, app_remove))
        .routes(routes!(app_sandbox_fetch, app_sandbox_create))
        .routes(routes!(app_start))
        .routes(routes!(app_stop))
        .routes(routes!(app_restart))
        .routes(routes!(app_clone))
}

/// Lists apps, newest first.
#[utoipa::path(get, path = "/v1/apps", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "read"}))), params(AppListQuery),
    responses((status = 200, body = Page<Body>)))]
async fn app_list(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    QueryWithLists(query): QueryWithLists<AppListQuery>,
) -> Result<Answer<Page<Body>>, ApiError> {
    let limit = page_limit(query.limit)?;
    let filter = AppFilter {
        before: page_cursor(query.cursor.as_deref())?,
        external_user_id: query.external_user_id,
        external_project_id: query.external_project_id,
    };
    let params = AppListParams { filter, tags: query.tag, text: query.q };
    let found = state.engine.app_list(principal.tenant, params, limit as usize + 1).await?;
    Ok(Answer(page(found, limit, |last| last.id.to_string(), body)))
}

/// Makes an app. It has no sandbox until it is started or given one.
#[utoipa::path(post, path = "/v1/apps", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "app.created"}))),
    request_body = AppCreateRequest, responses((status = 201, body = Body)))]
async fn app_create(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Json(request): Json<AppCreateRequest>,
) -> Result<Response, ApiError> {
    let params = AppCreateParams {
        name: request.name,
        description: request.description,
        tags: request.tags,
        external_user_id: request.external_user_id,
        external_project_id: request.external_project_id,
        preset: request.preset,
        visibility: request.visibility,
    };
    Ok(made(state.engine.app_create(principal.tenant, params).await?))
}

/// Looks at an app.
#[utoipa::path(get, path = "/v1/apps/{app}", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("app" = String, Path)), responses((status = 200, body = Body)))]
async fn app_fetch(State(state): State<AppState>, App(app): App) -> Result<Response, ApiError> {
    let app = state.engine.app_fetch(app).await?;
    Ok(tagged(app.generation, body(app)))
}

/// Changes an app. What is absent stays as it is, `null` takes it away. `If-Match` with the `ETag` is honored.
#[utoipa::path(patch, path = "/v1/apps/{app}", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "app.updated"}))),
    params(("app" = String, Path), ("If-Match" = Option<String>, Header)), request_body = AppUpdateRequest,
    responses((status = 200, body = Body)))]
async fn app_update(
    State(state): State<AppState>,
    App(app): App,
    headers: HeaderMap,
    Json(request): Json<AppUpdateRequest>,
) -> Result<Response, ApiError> {
    let params = AppUpdateParams {
        generation: seen(&headers)?,
        name: request.name,
        description: request.description,
        tags: request.tags,
        external_user_id: request.external_user_id,
        external_project_id: request.external_project_id,
        preset: request.preset,
        visibility: request.visibility,
    };
    let app = state.engine.app_update(app, params).await?;
    Ok(tagged(app.generation, body(app)))
}

/// Removes an app with its sandboxes, settings and secrets, and says what went. Its events stay. `If-Match` with the
/// `ETag` is honored.
///
/// It is refused (`changes_pending`) while nobody decided about changes of its sandboxes, unless `force` is `true`.
#[utoipa::path(delete, path = "/v1/apps/{app}", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "app.deleted"}))),
    params(("app" = String, Path), AppRemoveQuery, ("If-Match" = Option<String>, Header)), responses((status = 200, body = Removed)))]
async fn app_remove(
    State(state): State<AppState>,
    App(app): App,
    Query(query): Query<AppRemoveQuery>,
    headers: HeaderMap,
) -> Result<Answer<Removed>, ApiError> {
    let undecided = if query.force == Some(true) { Undecided::Drop } else { Undecided::Keep };
    let removed = state.engine.app_remove(app, seen(&headers)?, undecided).await?;
    let AppRemoved { sandboxes, config_items } = removed;
    Ok(Answer(Removed { sandboxes, config_items }))
}

/// Looks at the sandbox that an app is about.
#[utoipa::path(get, path = "/v1/apps/{app}/sandbox", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("app" = String, Path)), responses((status = 200, body = SandboxBody)))]
async fn app_sandbox_fetch(
    State(state): State<AppState>,
    App(app): App,
) -> Result<Response, ApiError> {
    Ok(sandbox_tagged(state.engine.app_sandbox(app).await?))
}

/// Makes the sandbox that an app is about, and answers when it runs.
///
/// Where there is one that has not failed it is refused (`app_has_sandbox`), or replaced with `"replace": true`: the new
/// one is made and runs first. The old one is kept with its files, unless `"remove_replaced": true` and nobody has to
/// decide about changes of it. One that has failed is replaced without asking, and is kept where it has such changes.
#[utoipa::path(post, path = "/v1/apps/{app}/sandbox", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "app.sandbox_created"}))),
    params(("app" = String, Path)), request_body = AppSandboxRequest,
    responses((status = 201, body = SandboxBody)))]
async fn app_sandbox_create(
    State(state): State<AppState>,
    App(app): App,
    Json(request): Json<AppSandboxRequest>,
) -> Result<Response, ApiError> {
    let replace = match (request.replace, request.remove_replaced) {
        (false, _) => Replace::Never,
        (true, false) => Replace::KeepOld,
        (true, true) => Replace::RemoveOld,
    };
    let default = state.engine.app_fetch(app).await?.default_source();
    let params = SandboxCreateParams {
        tenant: app.tenant,
        spec: request.into_spec(default),
        caller: (*state.caller).clone(),
        idempotency: None,
    };
    let record = state.engine.app_sandbox_create(app, params, replace).await?;
    state.metrics.creates.add_one();
    Ok(created(record))
}

/// Starts the sandbox that an app is about, or makes one from the app's preset.
#[utoipa::path(post, path = "/v1/apps/{app}/start", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "app.started"}))),
    params(("app" = String, Path)), responses((status = 200, body = SandboxBody)))]
async fn app_start(State(state): State<AppState>, App(app): App) -> Result<Response, ApiError> {
    Ok(sandbox_tagged(state.engine.app_start(app, (*state.caller).clone()).await?))
}

/// Stops the sandbox that an app is about: asks, waits, kills. Its files are kept.
#[utoipa::path(post, path = "/v1/apps/{app}/stop", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "app.stopped"}))),
    params(("app" = String, Path)), request_body = Option<StopRequest>,
    responses((status = 200, body = SandboxBody)))]
async fn app_stop(
    State(state): State<AppState>,
    App(app): App,
    OptionalJson(request): OptionalJson<StopRequest>,
) -> Result<Response, ApiError> {
    Ok(sandbox_tagged(state.engine.app_stop(app, grace(&request)?).await?))
}

/// Stops the sandbox that an app is about, and starts it over the files that were kept.
#[utoipa::path(post, path = "/v1/apps/{app}/restart", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "app.restarted"}))),
    params(("app" = String, Path)), request_body = Option<StopRequest>,
    responses((status = 200, body = SandboxBody)))]
async fn app_restart(
    State(state): State<AppState>,
    App(app): App,
    OptionalJson(request): OptionalJson<StopRequest>,
) -> Result<Response, ApiError> {
    Ok(sandbox_tagged(state.engine.app_restart(app, grace(&request)?).await?))
}

/// Makes an app with the description, tags, preset, visibility, settings and secrets of this one, or nothing.
#[utoipa::path(post, path = "/v1/apps/{app}/clone", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "app.cloned"}))),
    params(("app" = String, Path)), request_body = AppCloneRequest,
    responses((status = 201, body = Body)))]
async fn app_clone(
    State(state): State<AppState>,
    App(app): App,
    Json(request): Json<AppCloneRequest>,
) -> Result<Response, ApiError> {
    Ok(made(state.engine.app_clone(app, request.name).await?))
}

fn made(record: Record) -> Response {
    let location = paths::app(&record.id.to_string());
    let location = HeaderValue::try_from(location).expect("an id is plain text");
    (StatusCode::CREATED, [(header::LOCATION, location)], tagged(record.generation, body(record)))
        .into_response()
}

fn body(record: Record) -> Body {
    let (id, state) = record.current.map(|(id, state)| (id, StateName::from(&state))).unzip();
    Body {
        id: record.id,
        name: record.name,
        generation: record.generation,
        description: record.description,
        tags: record.tags,
        external_user_id: record.external_user_id,
        external_project_id: record.external_project_id,
        preset: record.preset,
        visibility: record.visibility,
        current_sandbox_id: id,
        current_sandbox_state: state,
        created_at: record.created_at,
        updated_at: record.updated_at,
    }
}
