//! Webhooks: where events of a tenant are sent to.

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sandbar_api::{
    Page, PageQuery, Secret, Webhook as Body, WebhookCreateRequest, WebhookDelivery as Delivery,
    WebhookUpdateRequest, WebhookWithSecret as BodyWithSecret,
};
use sandbar_engine::{
    Webhook as Record, WebhookCreateParams, WebhookDelivery, WebhookUpdateParams, WebhookWhich,
    WebhookWithSecret,
};
use sandbar_types::{TenantId, WebhookId};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    asker::AskedBy,
    error::ApiError,
    etag::{etag, seen, tagged},
    extract::{Json, Query, Webhook},
    page::{page, page_cursor, page_limit},
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(webhook_list, webhook_create))
        .routes(routes!(webhook_fetch, webhook_update, webhook_delete))
        .routes(routes!(webhook_rotate))
        .routes(routes!(webhook_test))
        .routes(routes!(webhook_deliveries))
}

/// Lists webhooks, oldest first.
#[utoipa::path(get, path = "/v1/webhooks", tag = "events",
    extensions(("x-sandbar" = json!({"scope": "admin"}))),
    params(PageQuery), responses((status = 200, body = Page<Body>)))]
async fn webhook_list(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Query(query): Query<PageQuery>,
) -> Result<Answer<Page<Body>>, ApiError> {
    let limit = page_limit(query.limit)?;
    let after: Option<WebhookId> = page_cursor(query.cursor.as_deref())?;
    let found = state.engine.webhook_list(principal.tenant, after, limit + 1).await?;
    Ok(Answer(page(found, limit, |last| last.id.to_string(), body)))
}

/// Makes a webhook, for what happens from now on. The secret is in this answer, and never again.
#[utoipa::path(post, path = "/v1/webhooks", tag = "events",
    extensions(("x-sandbar" = json!({"scope": "admin", "audit": "webhook.created"}))),
    request_body = WebhookCreateRequest, responses((status = 201, body = BodyWithSecret)))]
async fn webhook_create(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Json(request): Json<WebhookCreateRequest>,
) -> Result<Response, ApiError> {
    let WebhookCreateRequest { url, description, event_types, app, is_active } = request;
    let params = WebhookCreateParams { url, description, event_types, app, is_active };
    let made = state.engine.webhook_create(principal.tenant, params).await?;
    Ok((StatusCode::CREATED, with_secret(made)).into_response())
}

/// Looks at a webhook.
#[utoipa::path(get, path = "/v1/webhooks/{webhook}", tag = "events",
    extensions(("x-sandbar" = json!({"scope": "admin"}))),
    params(("webhook" = String, Path)), responses((status = 200, body = Body)))]
async fn webhook_fetch(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Webhook(id): Webhook,
) -> Result<Response, ApiError> {
    Ok(answer(state.engine.webhook_fetch(principal.tenant, id).await?))
}

/// Changes a webhook.
#[utoipa::path(patch, path = "/v1/webhooks/{webhook}", tag = "events",
    extensions(("x-sandbar" = json!({"scope": "admin", "audit": "webhook.updated"}))),
    params(("webhook" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body = WebhookUpdateRequest, responses((status = 200, body = Body)))]
async fn webhook_update(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Webhook(id): Webhook,
    headers: HeaderMap,
    Json(request): Json<WebhookUpdateRequest>,
) -> Result<Response, ApiError> {
    let WebhookUpdateRequest { url, description, event_types, app, is_active } = request;
    let params = WebhookUpdateParams { url, description, event_types, app, is_active };
    let which = which(principal.tenant, id, &headers)?;
    Ok(answer(state.engine.webhook_update(which, params).await?))
}

/// Removes a webhook.
#[utoipa::path(delete, path = "/v1/webhooks/{webhook}", tag = "events",
    extensions(("x-sandbar" = json!({"scope": "admin", "audit": "webhook.deleted"}))),
    params(("webhook" = String, Path), ("If-Match" = Option<String>, Header)), responses((status = 204)))]
async fn webhook_delete(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Webhook(id): Webhook,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    state.engine.webhook_remove(which(principal.tenant, id, &headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a webhook a new secret, which is in this answer, and never again. The one before signs as well for a day.
#[utoipa::path(post, path = "/v1/webhooks/{webhook}/rotate", tag = "events",
    extensions(("x-sandbar" = json!({"scope": "admin", "audit": "webhook.rotated"}))),
    params(("webhook" = String, Path)), responses((status = 200, body = BodyWithSecret)))]
async fn webhook_rotate(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Webhook(id): Webhook,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let which = which(principal.tenant, id, &headers)?;
    Ok(with_secret(state.engine.webhook_rotate(which).await?))
}

/// Sends a message of the type `webhook_test`, once, and says what became of it.
#[utoipa::path(post, path = "/v1/webhooks/{webhook}/test", tag = "events",
    extensions(("x-sandbar" = json!({"scope": "admin", "audit": "webhook.tested"}))),
    params(("webhook" = String, Path)), responses((status = 200, body = Delivery)))]
async fn webhook_test(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Webhook(id): Webhook,
) -> Result<Answer<Delivery>, ApiError> {
    Ok(Answer(delivery(state.engine.webhook_test(principal.tenant, id).await?)))
}

/// Lists the last attempts of a webhook, newest first.
#[utoipa::path(get, path = "/v1/webhooks/{webhook}/deliveries", tag = "events",
    extensions(("x-sandbar" = json!({"scope": "admin"}))),
    params(("webhook" = String, Path), PageQuery),
    responses((status = 200, body = Page<Delivery>)))]
async fn webhook_deliveries(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Webhook(id): Webhook,
    Query(query): Query<PageQuery>,
) -> Result<Answer<Page<Delivery>>, ApiError> {
    let limit = page_limit(query.limit)?;
    let before: Option<u64> = page_cursor(query.cursor.as_deref())?;
    let found = state.engine.webhook_deliveries(principal.tenant, id, before, limit + 1).await?;
    Ok(Answer(page(found, limit, |last| last.id.to_string(), delivery)))
}

fn which(tenant: TenantId, id: WebhookId, headers: &HeaderMap) -> Result<WebhookWhich, ApiError> {
    Ok(WebhookWhich { tenant, id, generation: seen(headers)? })
}

fn answer(record: Record) -> Response {
    tagged(record.generation, body(record))
}

fn with_secret(made: WebhookWithSecret) -> Response {
    let WebhookWithSecret { webhook, secret } = made;
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    let etag = [(header::ETAG, etag(webhook.generation))];
    let secret = Secret(sandbar_engine::expose(&secret).to_owned());
    (etag, no_store, Answer(BodyWithSecret { webhook: body(webhook), secret })).into_response()
}

fn body(record: Record) -> Body {
    Body {
        id: record.id,
        url: record.url,
        description: record.description,
        event_types: record.event_types,
        app: record.app,
        is_active: record.is_active,
        disabled_reason: record.disabled_reason,
        failing_since: record.failing_since,
        next_attempt_at: record.next_attempt_at,
        old_secret_until: record.old_secret_until,
        generation: record.generation,
        created_at: record.created_at,
        updated_at: record.updated_at,
    }
}

fn delivery(record: WebhookDelivery) -> Delivery {
    Delivery {
        is_delivered: record.is_delivered(),
        id: record.id,
        event: record.event,
        at: record.at,
        attempt: record.attempt,
        duration_ms: record.duration_ms,
        status: record.status,
        error: record.error,
        response: record.response,
    }
}
