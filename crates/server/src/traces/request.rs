//! The span of one request. Never a path, a query, a body, or a name that somebody gave.

use http::{HeaderMap, Method, StatusCode};
use sandbar_engine::TRACES;
use tracing::{Span, field};

use super::follow;

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct RequestTrace(Span);

impl RequestTrace {
    /// Begins it, within the trace that the caller's `traceparent` names.
    pub(crate) fn begin(
        request_id: &str,
        method: &Method,
        route: &str,
        headers: &HeaderMap,
    ) -> Self {
        let span = tracing::info_span!(
            target: TRACES,
            parent: None,
            "request",
            otel.name = %format_args!("{method} {route}"),
            otel.kind = "server",
            otel.status_code = field::Empty,
            request.id = request_id,
            http.request.method = %method,
            http.route = route,
            http.response.status_code = field::Empty,
        );
        if !span.is_disabled() {
            follow(&span, headers);
        }
        Self(span)
    }

    /// What is done for it is done in this.
    pub(crate) fn span(&self) -> Span {
        self.0.clone()
    }

    /// It was answered.
    pub(crate) fn answered(self, status: StatusCode) {
        self.0.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            self.0.record("otel.status_code", "ERROR");
        }
    }
}
