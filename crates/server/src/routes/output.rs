//! The output of an exec as server-sent events. The id of each event is the offset after it.

use axum::{
    extract::State,
    response::{Response, sse::Event},
};
use futures_util::{Stream, stream};
use http::HeaderMap;
use sandbar_api::{OutputChunk, OutputQuery, ServerSentEvent};
use sandbar_engine::{ExecItem, ExecReader};
use serde_json::json;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    asker::Until,
    error::ApiError,
    extract::{Exec, Query, Sandbox},
    routes::execs::text_or_b64,
    sse::{last_event_id, respond},
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(exec_output))
}

/// Streams output: events `stdout` and `stderr` (`OutputChunk`), `gap` where output was dropped, and last `end` (`ExecEnd`) or `lost`.
///
/// `Last-Event-ID` resumes exactly after that event.
/// `problem` is the last event when we failed; come back with the last id.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/execs/{exec}/output", tag = "execs",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), ("exec" = String, Path), OutputQuery, ("Last-Event-ID" = Option<u64>, Header)),
    responses((status = 200, body = ServerSentEvent, content_type = "text/event-stream")))]
async fn exec_output(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Exec(exec): Exec,
    Query(query): Query<OutputQuery>,
    until: Until,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let offset = last_event_id(&headers)?.or(query.offset).unwrap_or(0);
    let reader = if query.follow.unwrap_or(true) {
        state.engine.exec_attach(id, exec, offset).await?.reader
    } else {
        state.engine.exec_output(id, exec, offset).await?
    };
    Ok(respond(events(reader), until))
}

pub(crate) fn events(reader: ExecReader) -> impl Stream<Item = Event> + Send {
    stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        match reader.next().await {
            Ok(Some(item)) => Some((event(item), Some(reader))),
            Ok(None) => None,
            Err(error) => Some((problem(ApiError::from(error)), None)),
        }
    })
}

fn event(item: ExecItem) -> Event {
    match item {
        ExecItem::Stdout { bytes, next_offset } => chunk("stdout", bytes, next_offset),
        ExecItem::Stderr { bytes, next_offset } => chunk("stderr", bytes, next_offset),
        ExecItem::Note { text, next_offset } => {
            named("note", &json!({ "text": text })).id(next_offset.to_string())
        }
        ExecItem::Gap { next_offset } => {
            named("gap", &json!({ "next_offset": next_offset })).id(next_offset.to_string())
        }
        ExecItem::End { end, next_offset } => named("end", &end).id(next_offset.to_string()),
        ExecItem::Lost => named("lost", &json!({})),
    }
}

fn chunk(name: &str, bytes: Vec<u8>, next_offset: u64) -> Event {
    let (text, b64) = text_or_b64(bytes);
    named(name, &OutputChunk { text, b64 }).id(next_offset.to_string())
}

fn problem(ApiError(problem): ApiError) -> Event {
    named("problem", &problem)
}

fn named(name: &str, data: &impl serde::Serialize) -> Event {
    Event::default().event(name).json_data(data).expect("a plain value can be written as JSON")
}
