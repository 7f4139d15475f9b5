//! Server-sent events: ids that a client may come back with, a heartbeat, an end when the server drains.

use std::{convert::Infallible, time::Duration};

use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use sandbar_api::ErrorCode;

use crate::{asker::Until, error::ApiError, extract::header_text};

/// How often a silent stream says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Answers with `events`, until they end, the server drains, or who asked may no longer.
///
/// The stream is pulled: who reads slowly slows down nobody else.
pub(crate) fn respond<S>(events: S, until: Until) -> Response
where
    S: Stream<Item = Event> + Send + 'static,
{
    let events = events.map(Ok::<_, Infallible>).take_until(Box::pin(until.passed()));
    let mut response =
        Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Reads the number that `Last-Event-ID` holds.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    const NAME: HeaderName = HeaderName::from_static("last-event-id");
    header_text(headers, &NAME)?
        .map(|text| {
            let is_number = text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|_| is_number).ok_or_else(|| {
                ApiError::new(
                    ErrorCode::InvalidHeader,
                    "`Last-Event-ID` is not one that this stream gave",
                )
            })
        })
        .transpose()
}

/// Whether the client would rather have events than a document.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|range| {
            range
                .split(';')
                .next()
                .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/event-stream"))
        })
}
