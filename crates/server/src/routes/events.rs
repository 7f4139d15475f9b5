//! What happened, of a tenant, an app or a sandbox: a page at a time, or as it happens. One feed with three addresses.

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse, Response, sse},
};
use futures_util::{StreamExt as _, stream};
use http::HeaderMap;
use sandbar_api::{
    ErrorCode, EventsQuery, LIMIT_PAGE_MAX, Order, Page, SandboxEventsQuery, ServerSentEvent,
};
use sandbar_engine::{Event, EventFilter, EventOrder};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    asker::{AskedBy, Until},
    error::ApiError,
    extract::{App, QueryWithLists, Sandbox},
    page::{page, page_cursor, page_limit},
    sse::{is_wanted, last_event_id, respond},
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(event_list))
        .routes(routes!(sandbox_event_list))
        .routes(routes!(app_event_list))
}

/// What is asked of the feed, at either address.
#[derive(Debug)]
struct Asked {
    filter: EventFilter,
    limit: Option<u32>,
    cursor: Option<String>,
    order: Order,
}

/// Lists what happened in the tenant, oldest first; or streams it, with `Accept: text/event-stream`.
///
/// In the stream each event has its id, its type as name and itself as data; `Last-Event-ID` resumes after that id, also
/// when the server was restarted in between.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(EventsQuery, ("Last-Event-ID" = Option<u64>, Header)),
    responses((status = 200, content((Page<Event> = "application/json"), (ServerSentEvent = "text/event-stream")))))]
async fn event_list(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    QueryWithLists(query): QueryWithLists<EventsQuery>,
    until: Until,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let EventsQuery { limit, cursor, order, types, app, sandbox } = query;
    let tenant = principal.tenant;
    let sandbox = match sandbox {
        None => None,
        Some(text) => Some(state.engine.sandbox_resolve(tenant, &text).await?),
    };
    let filter = EventFilter { tenant, app, sandbox, types };
    let order = order.unwrap_or_default();
    answer(state, Asked { filter, limit, cursor, order }, until, &headers).await
}

/// Lists events of a sandbox, oldest first; or streams them, with `Accept: text/event-stream`.
///
/// As `GET /v1/events`; a stream ends with its sandbox.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/events", tag = "events",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), SandboxEventsQuery, ("Last-Event-ID" = Option<u64>, Header)),
    responses((status = 200, content((Page<Event> = "application/json"), (ServerSentEvent = "text/event-stream")))))]
async fn sandbox_event_list(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    AskedBy(principal): AskedBy,
    QueryWithLists(query): QueryWithLists<SandboxEventsQuery>,
    until: Until,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let SandboxEventsQuery { limit, cursor, order, types } = query;
    let filter = EventFilter { tenant: principal.tenant, app: None, sandbox: Some(id), types };
    let order = order.unwrap_or_default();
    answer(state, Asked { filter, limit, cursor, order }, until, &headers).await
}

/// Lists events of an app and of its sandboxes, oldest first; or streams them, with `Accept: text/event-stream`.
///
/// As `GET /v1/events`, whose `app` lists those of an app that is gone, too.
#[utoipa::path(get, path = "/v1/apps/{app}/events", tag = "events",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("app" = String, Path), SandboxEventsQuery, ("Last-Event-ID" = Option<u64>, Header)),
    responses((status = 200, content((Page<Event> = "application/json"), (ServerSentEvent = "text/event-stream")))))]
async fn app_event_list(
    State(state): State<AppState>,
    App(app): App,
    QueryWithLists(query): QueryWithLists<SandboxEventsQuery>,
    until: Until,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let SandboxEventsQuery { limit, cursor, order, types } = query;
    let filter = EventFilter { tenant: app.tenant, app: Some(app.id), sandbox: None, types };
    let order = order.unwrap_or_default();
    answer(state, Asked { filter, limit, cursor, order }, until, &headers).await
}

async fn answer(
    state: AppState,
    asked: Asked,
    until: Until,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let Asked { filter, limit, cursor, order } = asked;
    let behind: Option<u64> = page_cursor(cursor.as_deref())?;
    let limit = page_limit(limit)?;
    let last = last_event_id(headers)?;
    if is_wanted(headers) {
        if order == Order::Desc {
            let message = "a stream is oldest first: it has no `order=desc`";
            return Err(ApiError::new(ErrorCode::InvalidRequest, message));
        }
        let after = last.or(behind).unwrap_or(0);
        return Ok(stream_after(state, filter, after, until));
    }
    let order = match order {
        Order::Asc => EventOrder::OldestFirst(behind.unwrap_or(0)),
        Order::Desc => EventOrder::NewestFirst(behind),
    };
    // One more than asked for tells whether another page follows.
    let found = state.engine.event_list(&filter, order, limit + 1).await?;
    let page: Page<Event> = page(found, limit, |last| last.id.to_string(), |event| event);
    Ok(Answer(page).into_response())
}

fn stream_after(state: AppState, filter: EventFilter, after: u64, until: Until) -> Response {
    let batches =
        stream::unfold((state.engine, filter, after), move |(engine, filter, after)| async move {
            let batch = engine.event_wait(&filter, after, LIMIT_PAGE_MAX).await.ok()?;
            // The sandbox is gone, or we are leaving: the stream says so by ending.
            let last = batch.last()?.id;
            Some((batch, (engine, filter, last)))
        });
    respond(batches.flat_map(|batch| stream::iter(batch.into_iter().map(frame))), until)
}

fn frame(event: Event) -> sse::Event {
    let kind = event.payload.kind().as_str();
    sse::Event::default()
        .id(event.id.to_string())
        .event(kind)
        .json_data(event)
        .expect("an event can be written as JSON")
}
