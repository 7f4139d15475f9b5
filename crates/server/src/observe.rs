//! What happens around every request: its id, the gate, the problem document, the log line, the metrics.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use sandbar_api::{ErrorCode, PROBLEM_JSON, REQUEST_ID};
use sandbar_engine::Identity;
use tracing::Instrument as _;

use crate::{
    access::enter,
    audit::Audited,
    auth::{Transport, admit},
    error::{ApiError, of_status},
    rate::Standing,
    request_log::RequestLog,
    state::AppState,
    traces::RequestTrace,
};

const REQUEST_ID_NAME: HeaderName = HeaderName::from_static(REQUEST_ID);
/// LIMIT: bytes of a request id that a client gives.
const LIMIT_REQUEST_ID: usize = 64;

/// Wraps every route, the fallbacks included.
pub(crate) async fn observe(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let request_id = request_id(request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let log = RequestLog::begin(&request_id, &method, route);
    let trace = RequestTrace::begin(&request_id, &method, route, request.headers());
    let answering = async {
        let audited = Audited::begin(&state, &mut request, &request_id).await;
        let (standing, admitted) = enter_by(&state, &mut request).await;
        let identity = request.extensions().get::<Identity>();
        log.asked_by(identity.map(|identity| &identity.principal.who));
        let response = match admitted {
            Ok(()) => next.run(request).await,
            Err(error) => error.into_response(),
        };
        let (response, code) = finish(response, &request_id);
        let response = match audited {
            None => response,
            Some(audited) => audited.end(response, code).await,
        };
        (standing, response, code)
    };
    let (standing, mut response, code) =
        answering.instrument(log.span()).instrument(trace.span()).await;
    if let Some(code) = code {
        state.metrics.problems.add_one(code.as_str());
    }
    if let Some(standing) = standing {
        standing.write(response.headers_mut());
    }
    let took = started.elapsed();
    state.metrics.observe(route, &method, response.status(), took);
    log.answered(response.status(), took);
    trace.answered(response.status());
    response
}

async fn enter_by(
    state: &AppState,
    request: &mut Request,
) -> (Option<Standing>, Result<(), ApiError>) {
    let Some(transport) = request.extensions().get::<Transport>().copied() else {
        // A request that came by no listener: a bug of ours, so closed.
        return (None, Err(of_status(http::StatusCode::INTERNAL_SERVER_ERROR)));
    };
    match admit(transport, request.uri(), request.headers()) {
        Ok(()) => enter(state, transport, request).await,
        Err(error) => (None, Err(error)),
    }
}

/// Returns the code of an answer that is a problem, too.
fn finish(mut response: Response, request_id: &str) -> (Response, Option<ErrorCode>) {
    let error = response.extensions_mut().remove::<ApiError>();
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let mut code = None;
    if let Some(ApiError(mut problem)) =
        error.or_else(|| is_error.then(|| foreign(&response)).flatten())
    {
        code = Some(problem.code);
        request_id.clone_into(&mut problem.request_id);
        let body = serde_json::to_vec(&problem).expect("a problem can be written as JSON");
        *response.body_mut() = Body::from(body);
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        let wait = problem.details.as_ref().and_then(|details| details["retry_after_s"].as_u64());
        if let Some(seconds) = wait {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID_NAME, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    (response, code)
}

/// The problem for an answer that a library wrote; `None` for a document that we wrote ourselves.
fn foreign(response: &Response) -> Option<ApiError> {
    let is_ours = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value == PROBLEM_JSON || value == "application/json");
    (!is_ours).then(|| of_status(response.status()))
}

/// Takes the client's id when it is a sane one, else makes one.
fn request_id(headers: &HeaderMap) -> String {
    let is_sane = |id: &&str| {
        (1..=LIMIT_REQUEST_ID).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    headers
        .get(REQUEST_ID_NAME)
        .and_then(|value| value.to_str().ok())
        .filter(is_sane)
        .map_or_else(fresh_id, ToOwned::to_owned)
}

/// Enough to find a request in the log: 128 random bits would be more than a person wants to read aloud.
fn fresh_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static START: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}-{count:x}", *START)
}
