//! Every answer that is not a success, as a problem document.
//!
//! A handler returns [`ApiError`]; `observe` renders it, because only there the request's id is known.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use sandbar_api::{ErrorCode, Problem};
use sandbar_engine::ErrorKind;
use serde_json::Value;

/// An error on its way to the client.
#[derive(Debug, Clone)]
pub(crate) struct ApiError(pub(crate) Box<Problem>);

impl ApiError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(code, message)))
    }

    /// Says what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds what programs may want to know.
    pub(crate) fn details(mut self, details: Value) -> Self {
        self.0.details = Some(details);
        self
    }

    /// The client learns that we failed, the log learns why.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "request failed");
        Self::new(ErrorCode::Internal, "the server failed; its log says why")
    }
}

impl From<sandbar_engine::Error> for ApiError {
    fn from(error: sandbar_engine::Error) -> Self {
        let code = ErrorCode::parse(error.code()).unwrap_or_else(|| {
            // A code that the API does not list is a bug of ours; the kind is still true.
            tracing::warn!(
                code = error.code(),
                "the engine gave a code that the API does not list"
            );
            code_of_kind(error.kind())
        });
        if error.kind() == ErrorKind::Internal {
            tracing::error!(error = &error as &dyn std::error::Error, "request failed");
        }
        let mut problem = Problem::new(code, error.message());
        problem.hint = error.hint_text().map(ToOwned::to_owned);
        problem.details = error.details_value().cloned();
        Self(Box::new(problem))
    }
}

fn code_of_kind(kind: ErrorKind) -> ErrorCode {
    match kind {
        ErrorKind::NotFound => ErrorCode::SandboxNotFound,
        ErrorKind::Invalid => ErrorCode::InvalidRequest,
        ErrorKind::Conflict | ErrorKind::Denied => ErrorCode::StateConflict,
        ErrorKind::Stale => ErrorCode::StaleGeneration,
        ErrorKind::LimitReached => ErrorCode::LimitReached,
        ErrorKind::Unavailable => ErrorCode::Unavailable,
        ErrorKind::Internal => ErrorCode::Internal,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The problem for an error status that a library of ours answered with.
pub(crate) fn of_status(status: StatusCode) -> ApiError {
    match status {
        StatusCode::NOT_FOUND => ApiError::new(ErrorCode::RouteNotFound, "no such route"),
        StatusCode::METHOD_NOT_ALLOWED => {
            ApiError::new(ErrorCode::MethodNotAllowed, "this route has no such method")
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            ApiError::new(ErrorCode::BodyTooLarge, "the body is too large")
        }
        StatusCode::UPGRADE_REQUIRED => upgrade_required(),
        status if status.is_client_error() => {
            ApiError::new(ErrorCode::InvalidRequest, "the request cannot be read")
        }
        _ => ApiError::new(ErrorCode::Internal, "the server failed; its log says why"),
    }
}

pub(crate) fn upgrade_required() -> ApiError {
    ApiError::new(ErrorCode::UpgradeRequired, "this route speaks WebSocket only")
        .hint("connect with a WebSocket client, or read `output` for server-sent events")
}
