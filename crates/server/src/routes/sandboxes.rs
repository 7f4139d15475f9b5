//! Sandboxes: create, list, look at, start, stop, pause, resume, delete.

use std::time::Duration;

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sandbar_api::{
    ErrorCode, Page, Sandbox as Body, SandboxListQuery, StateName, StopRequest, paths,
};
use sandbar_engine::{IdempotencyKey, Sandbox as Record, SandboxCreateParams, SandboxCreated};
use sandbar_types::{HostPath, SandboxId, SandboxSpec, Sha256, Source};
use sha2::Digest as _;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    asker::{AskedBy, IdentifiedBy},
    error::ApiError,
    etag::{self, etag, is_known, seen},
    extract::{JsonWithBytes, OptionalJson, Query, Sandbox},
    idempotency,
    page::{page, page_cursor, page_limit},
    state::AppState,
};

/// LIMIT: how long a stop may wait before it kills.
const LIMIT_GRACE_MS: u64 = 600_000;

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(sandbox_list, sandbox_create))
        .routes(routes!(sandbox_fetch, sandbox_delete))
        .routes(routes!(sandbox_start))
        .routes(routes!(sandbox_stop))
        .routes(routes!(sandbox_pause))
        .routes(routes!(sandbox_resume))
}

/// Creates a sandbox, and answers when it runs.
///
/// With `Idempotency-Key` a repeated request answers with the sandbox that the first one made.
#[utoipa::path(post, path = "/v1/sandboxes", tag = "sandboxes",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "sandbox.created"}))),
    request_body = SandboxSpec,
    responses((status = 201, body = Body), (status = 200, body = Body, description = "Replayed.")))]
async fn sandbox_create(
    State(state): State<AppState>,
    IdentifiedBy(identity): IdentifiedBy,
    headers: HeaderMap,
    JsonWithBytes(spec, bytes): JsonWithBytes<SandboxSpec>,
) -> Result<Response, ApiError> {
    let key = idempotency::key(&headers)?;
    let principal = identity.principal;
    let params = SandboxCreateParams {
        tenant: principal.tenant,
        spec,
        caller: (*state.caller).clone(),
        idempotency: key.map(|key| IdempotencyKey {
            principal: identity.credential.owner(),
            key: key.to_owned(),
            request_hash: Sha256(sha2::Sha256::digest(&bytes).into()),
        }),
    };
    match state.engine.sandbox_create(params).await? {
        SandboxCreated::New(record) => {
            state.metrics.creates.add_one();
            Ok(created(*record))
        }
        SandboxCreated::Replayed(record) => {
            state.metrics.replays.add_one();
            Ok((idempotency::REPLAYED, tagged(*record)).into_response())
        }
    }
}

/// The answer to what made a sandbox.
pub(crate) fn created(record: Record) -> Response {
    let location = paths::sandbox(&record.id.to_string());
    let location = HeaderValue::try_from(location).expect("an id is plain text");
    (StatusCode::CREATED, [(header::LOCATION, location)], tagged(record)).into_response()
}

/// Lists sandboxes, newest first.
#[utoipa::path(get, path = "/v1/sandboxes", tag = "sandboxes",
    extensions(("x-sandbar" = json!({"scope": "read"}))), params(SandboxListQuery),
    responses((status = 200, body = Page<Body>)))]
async fn sandbox_list(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Query(query): Query<SandboxListQuery>,
) -> Result<Answer<Page<Body>>, ApiError> {
    let limit = page_limit(query.limit)?;
    let before: Option<SandboxId> = page_cursor(query.cursor.as_deref())?;
    let source = query.source.as_deref().map(parse_source).transpose()?;
    let is_wanted = |record: &Record| {
        before.is_none_or(|before| record.id < before)
            && query.name.as_ref().is_none_or(|name| record.name == *name)
            && query.state.is_none_or(|state| StateName::from(&record.state) == state)
            && source.as_ref().is_none_or(|wanted| match &record.spec.source {
                Source::Directory { path } => path == wanted,
                Source::Empty | Source::Preset { .. } => false,
            })
    };
    let own = state.engine.sandbox_list(principal.tenant);
    let mut records: Vec<_> = own.into_iter().filter(is_wanted).collect();
    records.sort_unstable_by_key(|record| std::cmp::Reverse(record.id));
    Ok(Answer(page(records, limit, |last| last.id.to_string(), body)))
}

fn parse_source(text: &str) -> Result<HostPath, ApiError> {
    HostPath::parse(text)
        .map_err(|error| ApiError::new(ErrorCode::InvalidPath, format!("`source`: {error}")))
}

/// Looks at a sandbox.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}", tag = "sandboxes",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, body = Body), (status = 304, description = "As it was.")))]
async fn sandbox_fetch(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let record = state.engine.sandbox_fetch(id)?;
    if is_known(&headers, record.generation)? {
        let tag = [(header::ETAG, etag(record.generation))];
        return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
    }
    Ok(tagged(record))
}

/// Stops a sandbox if need be, and removes it with its files.
#[utoipa::path(delete, path = "/v1/sandboxes/{sandbox}", tag = "sandboxes",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "sandbox.deleted"}))),
    params(("sandbox" = String, Path), ("If-Match" = Option<String>, Header)), responses((status = 204)))]
async fn sandbox_delete(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    match seen(&headers)? {
        Some(seen) => state.engine.sandbox_delete_seen(id, seen).await?,
        None => state.engine.sandbox_delete(id).await?,
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Starts a stopped or failed sandbox over the files that were kept.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/start", tag = "sandboxes",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "sandbox.started"}))),
    params(("sandbox" = String, Path)), responses((status = 200, body = Body)))]
async fn sandbox_start(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
) -> Result<Response, ApiError> {
    Ok(tagged(state.engine.sandbox_start(id).await?))
}

/// Stops a sandbox: asks, waits, kills. Its files are kept.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/stop", tag = "sandboxes",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "sandbox.stopped"}))),
    params(("sandbox" = String, Path)), request_body = Option<StopRequest>, responses((status = 200, body = Body)))]
async fn sandbox_stop(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    OptionalJson(request): OptionalJson<StopRequest>,
) -> Result<Response, ApiError> {
    let grace = grace(&request)?;
    Ok(tagged(state.engine.sandbox_stop(id, grace).await?))
}

/// How long a stop waits before it kills, where the request says so.
pub(crate) fn grace(request: &StopRequest) -> Result<Option<Duration>, ApiError> {
    if request.grace_ms.is_some_and(|grace| grace > LIMIT_GRACE_MS) {
        let message = format!("`grace_ms` must be at most {LIMIT_GRACE_MS}");
        return Err(ApiError::new(ErrorCode::InvalidValue, message));
    }
    Ok(request.grace_ms.map(Duration::from_millis))
}

/// Freezes a sandbox with its memory.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/pause", tag = "sandboxes",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "sandbox.paused"}))),
    params(("sandbox" = String, Path)), responses((status = 200, body = Body)))]
async fn sandbox_pause(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
) -> Result<Response, ApiError> {
    Ok(tagged(state.engine.sandbox_pause(id).await?))
}

/// Lets a paused sandbox run on.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/resume", tag = "sandboxes",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "sandbox.resumed"}))),
    params(("sandbox" = String, Path)), responses((status = 200, body = Body)))]
async fn sandbox_resume(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
) -> Result<Response, ApiError> {
    Ok(tagged(state.engine.sandbox_resume(id).await?))
}

pub(crate) fn tagged(record: Record) -> Response {
    etag::tagged(record.generation, body(record))
}

fn body(record: Record) -> Body {
    let spec = record.spec;
    Body {
        id: record.id,
        name: record.name,
        app_id: record.app_id,
        generation: record.generation,
        state: record.state,
        source: spec.source,
        workspace_path: record.workspace_path,
        scope: spec.scope,
        reserve: spec.reserve,
        reserve_all: spec.reserve_all,
        limits: spec.limits,
        env_names: spec.env.into_keys().collect(),
        toolchains: spec.toolchains,
        caches: spec.caches,
        expiry: spec.expiry,
        app: spec.app,
        idle_policy: spec.idle_policy,
        visibility: spec.visibility,
        network: spec.network,
        stop_reason: record.stop_reason,
        keepalive_until: record.keepalive_until,
        created_at: record.created_at,
        updated_at: record.updated_at,
        last_active_at: record.last_active_at,
        upper_bytes: record.upper_bytes,
        upper_files: record.upper_files,
        expires_at: record.expires_at,
        isolation: record.isolation,
    }
}
