//! The history of a sandbox: a page at a time, or as it happens.

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse, Response, sse},
};
use futures_util::{StreamExt as _, stream};
use http::HeaderMap;
use sandbar_api::{Event, EventsQuery, LIMIT_PAGE_MAX, Page, ServerSentEvent};
use sandbar_types::SandboxId;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    asker::Until,
    error::ApiError,
    extract::{Query, Sandbox},
    page::{page, page_cursor, page_limit},
    sse::{is_wanted, last_event_id, respond},
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(event_list))
}

/// Lists events, oldest first; or streams them, with `Accept: text/event-stream`.
///
/// In the stream each event has its id, its type as name and itself as data; `Last-Event-ID` resumes after that id.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/events", tag = "sandboxes",
    extensions(("x-sandbar-scope" = json!("read"))),
    params(("sandbox" = String, Path), EventsQuery, ("Last-Event-ID" = Option<u64>, Header)),
    responses((status = 200, content((Page<Event> = "application/json"), (ServerSentEvent = "text/event-stream")))))]
async fn event_list(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Query(query): Query<EventsQuery>,
    until: Until,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let after = page_cursor(query.cursor.as_deref())?.unwrap_or(0);
    let limit = page_limit(query.limit)?;
    let last = last_event_id(&headers)?;
    if is_wanted(&headers) {
        let after = last.unwrap_or(after);
        // Asked here once, so that an unknown sandbox is a problem and not an empty stream.
        state.engine.event_list(id, after, 1).await?;
        return Ok(stream_after(state, id, after, until));
    }
    // One more than asked for tells whether another page follows.
    let found = state.engine.event_list(id, after, limit + 1).await?;
    let page = page(found, limit, |last| last.id.to_string(), |event| wire(&event));
    Ok(Answer(page).into_response())
}

fn stream_after(state: AppState, id: SandboxId, after: u64, until: Until) -> Response {
    let batches = stream::unfold((state.engine, after), move |(engine, after)| async move {
        // The sandbox is gone, or we are leaving: the stream says so by ending.
        let batch = engine.event_wait(id, after, LIMIT_PAGE_MAX).await.ok()?;
        let last = batch.last().map_or(after, |event| event.id);
        Some((batch, (engine, last)))
    });
    let frames = batches.flat_map(|batch| {
        let frames: Vec<_> = batch.iter().map(|event| frame(&wire(event))).collect();
        stream::iter(frames)
    });
    respond(frames, until)
}

fn frame(event: &Event) -> sse::Event {
    sse::Event::default()
        .id(event.id.to_string())
        .event(&event.kind)
        .json_data(event)
        .expect("an event can be written as JSON")
}

fn wire(event: &sandbar_engine::Event) -> Event {
    let payload = serde_json::to_value(&event.payload).expect("a payload can be written as JSON");
    Event {
        id: event.id,
        at: event.at,
        app_id: event.app_id,
        sandbox_id: event.sandbox_id,
        kind: payload["type"].as_str().unwrap_or("unknown").to_owned(),
        data: payload.get("data").cloned().unwrap_or_else(|| serde_json::json!({})),
    }
}
