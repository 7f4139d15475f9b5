//! `Idempotency-Key` on every `POST`: one layer, so no handler needs to know.
//!
//! A request with a key is carried out to its end even when its client hangs up, for its client will ask again.
//! What is remembered is in [`sandbar_engine::Engine::keyed_begin`]; here is what of an answer can be kept.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    body::{Body, HttpBody as _},
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use sandbar_api::{ErrorCode, IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED};
use sandbar_engine::{Identity, KeyGuard, Keyed, KeyedRequest};
use sandbar_types::Sha256;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use tracing::Instrument as _;

use crate::{
    error::{ApiError, of_status},
    extract::{LIMIT_BODY_BYTES, LIMIT_PROMPT_BODY_BYTES, header_text, read_body_of},
    state::AppState,
};

const KEY: HeaderName = HeaderName::from_static(IDEMPOTENCY_KEY);
/// Says that an answer was given before.
pub(crate) const REPLAYED: [(HeaderName, HeaderValue); 1] =
    [(HeaderName::from_static(IDEMPOTENCY_REPLAYED), HeaderValue::from_static("true"))];
/// Says that nobody may keep an answer; we do not, either.
pub(crate) const NO_STORE: [(HeaderName, HeaderValue); 1] =
    [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
/// LIMIT: bytes of an idempotency key.
const LIMIT_KEY_BYTES: usize = 255;
/// LIMIT: bytes of an answer that is remembered.
const LIMIT_ANSWER_BYTES: u64 = 64 << 10;
/// LIMIT: how long a request whose client may have gone is carried on when the server leaves.
const LEAVE_PATIENCE: Duration = Duration::from_secs(5);
/// What of an answer's head is remembered.
const KEPT_HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::ETAG, header::LOCATION];
/// Where a session begins or ends, for what such an answer does is in its cookie; and what changes nothing and is a file.
const WITHOUT_KEY: [&str; 4] =
    ["/v1/auth/setup", "/v1/auth/login", "/v1/auth/logout", "/v1/backup"];
/// Where a body may hold a prompt.
const WITH_PROMPT: [&str; 2] = ["/v1/sandboxes/{sandbox}/tasks", "/v1/apps/{app}/tasks"];
/// Where the key is written together with what the request makes.
const BY_ITSELF: &str = "/v1/sandboxes";

/// What was answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    /// All of it.
    Answer { status: u16, headers: BTreeMap<String, String>, body: String },
    /// That it was done: the answer held a secret, or was too large.
    Done,
}

/// Whether the document says of an operation that it takes a key.
pub(crate) fn is_taken(method: &str, path: &str) -> bool {
    method == "POST" && !WITHOUT_KEY.contains(&path)
}

/// Reads the key, if there is one.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(text) = header_text(headers, &KEY)? else { return Ok(None) };
    let fits = (1..=LIMIT_KEY_BYTES).contains(&text.len());
    if fits && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(Some(text));
    }
    let message =
        format!("`Idempotency-Key` must be 1 to {LIMIT_KEY_BYTES} visible ASCII characters");
    Err(ApiError::new(ErrorCode::InvalidHeader, message))
}

enum Step {
    Pass(Request),
    First(Request, KeyGuard),
    Again(Kept),
}

/// Answers a repeated request as it was answered before.
pub(crate) async fn once(State(state): State<AppState>, request: Request, next: Next) -> Response {
    match begin(&state, request).await {
        Ok(Step::Pass(request)) => next.run(request).await,
        Ok(Step::First(request, guard)) => carry_out(&state, request, (next, guard)).await,
        Ok(Step::Again(kept)) => {
            state.metrics.replays.add_one();
            again(kept)
        }
        Err(error) => error.into_response(),
    }
}

async fn begin(state: &AppState, request: Request) -> Result<Step, ApiError> {
    let route = request.extensions().get::<MatchedPath>();
    let is_taken = route.is_some_and(|route| {
        is_taken(request.method().as_str(), route.as_str()) && route.as_str() != BY_ITSELF
    });
    let Some(key) = key(request.headers()).transpose().filter(|_| is_taken) else {
        return Ok(Step::Pass(request));
    };
    let key = key?.to_owned();
    let takes_prompt = route.is_some_and(|route| WITH_PROMPT.contains(&route.as_str()));
    let bytes_max = if takes_prompt { LIMIT_PROMPT_BODY_BYTES } else { LIMIT_BODY_BYTES };
    let Some(identity) = request.extensions().get::<Identity>().cloned() else {
        return Ok(Step::Pass(request));
    };
    let (parts, body) = request.into_parts();
    let body = read_body_of(body, bytes_max).await?;
    let keyed = KeyedRequest {
        tenant: identity.principal.tenant,
        principal: identity.credential.owner(),
        route: format!("{} {}", Method::POST, parts.uri.path()),
        key: hex(digest(&[key.as_bytes()])),
        // With the key in it, which is kept nowhere: a hash of a body with a password alone could be guessed.
        request_hash: Sha256(digest(&[
            key.as_bytes(),
            parts.uri.query().unwrap_or_default().as_bytes(),
            &body,
        ])),
    };
    match state.engine.keyed_begin(keyed).await? {
        Keyed::First(guard) => Ok(Step::First(Request::from_parts(parts, Body::from(body)), guard)),
        Keyed::Again(kept) => {
            Ok(Step::Again(serde_json::from_value(kept).map_err(|e| ApiError::internal(&e))?))
        }
    }
}

/// Hashes parts so that no two lists of them are the same.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let with = |hash: sha2::Sha256, part: &&[u8]| {
        hash.chain_update((part.len() as u64).to_le_bytes()).chain_update(part)
    };
    parts.iter().fold(sha2::Sha256::new(), with).finalize().into()
}

fn hex(bytes: [u8; 32]) -> String {
    Sha256(bytes).to_string()
}

/// In a task of its own: dropped with the connection, it would be done and not remembered.
async fn carry_out(
    state: &AppState,
    request: Request,
    (next, guard): (Next, KeyGuard),
) -> Response {
    let stop = state.stop.clone();
    let answering = async move {
        let left = async {
            stop.cancelled().await;
            tokio::time::sleep(LEAVE_PATIENCE).await;
        };
        tokio::select! {
            response = next.run(request) => remember(guard, response).await,
            () = left => ApiError::new(ErrorCode::Unavailable, "the server is leaving").into_response(),
        }
    };
    let task = state.conversations.spawn(answering.in_current_span());
    task.await
        .unwrap_or_else(|_panicked| of_status(StatusCode::INTERNAL_SERVER_ERROR).into_response())
}

/// Remembers an answer that says that something was done.
async fn remember(guard: KeyGuard, response: Response) -> Response {
    if !response.status().is_success() {
        return response;
    }
    let (kept, response) = match keep(response).await {
        Ok(kept) => kept,
        Err(error) => return ApiError::internal(&error).into_response(),
    };
    let kept = serde_json::to_value(kept).expect("texts and numbers can be written as JSON");
    if let Err(error) = guard.remember(kept).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "an answer could not be remembered for its idempotency key"
        );
    }
    response
}

/// What of an answer may be kept, and the answer.
async fn keep(response: Response) -> Result<(Kept, Response), axum::Error> {
    let headers = response.headers();
    let is_secret = headers.contains_key(header::SET_COOKIE)
        || headers.get(header::CACHE_CONTROL).is_some_and(|value| value == "no-store");
    let length = response.body().size_hint().upper();
    if is_secret || length.is_none_or(|length| length > LIMIT_ANSWER_BYTES) {
        return Ok((Kept::Done, response));
    }
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    let text = |name: &HeaderName| {
        let value = parts.headers.get(name)?.to_str().ok()?;
        Some((name.to_string(), value.to_owned()))
    };
    let kept = match std::str::from_utf8(&body) {
        Ok(body) => Kept::Answer {
            status: parts.status.as_u16(),
            headers: KEPT_HEADERS.iter().filter_map(text).collect(),
            body: body.to_owned(),
        },
        Err(_bytes) => Kept::Done,
    };
    Ok((kept, Response::from_parts(parts, Body::from(body))))
}

fn again(kept: Kept) -> Response {
    let Kept::Answer { status, headers, body } = kept else {
        let message =
            "the first request with this idempotency key was carried out; its answer is not kept";
        return ApiError::new(ErrorCode::IdempotencyReplayHidden, message)
            .hint("look at what it made; use a new key to do it again")
            .into_response();
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = (status, REPLAYED, body).into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
