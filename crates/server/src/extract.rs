//! What a request holds, parsed at the door; whatever cannot be parsed is a problem document.

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, header, request::Parts};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use sandbar_api::ErrorCode;
use sandbar_engine::AppRef;
use sandbar_types::{
    ApiKeyId, ApproveId, CheckpointId, CredentialId, EnvName, ExecId, ProcessName, SandboxId,
    TaskId, UserId, WebhookId, WorkspacePath,
};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::{
    asker, audit::Notes, error::ApiError, integers, json, objects::Objects, state::AppState,
};

/// LIMIT: bytes of a body that is not an upload.
pub(crate) const LIMIT_BODY_BYTES: usize = 1 << 20;
/// LIMIT: bytes of a body with a prompt, each byte of which may be six in JSON, and a command.
pub(crate) const LIMIT_PROMPT_BODY_BYTES: usize = 7 << 20;

/// A JSON body of at most [`LIMIT_BODY_BYTES`].
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        require_json(request.headers())?;
        let notes = notes(&request);
        let body = read_body(request.into_body()).await?;
        parse_noted(&body, notes).map(Self)
    }
}

/// A JSON body of at most [`LIMIT_PROMPT_BODY_BYTES`].
#[derive(Debug)]
pub(crate) struct LongJson<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for LongJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        require_json(request.headers())?;
        let notes = notes(&request);
        let body = read_body_of(request.into_body(), LIMIT_PROMPT_BODY_BYTES).await?;
        parse_noted(&body, notes).map(Self)
    }
}

/// A JSON body that may be left out.
#[derive(Debug)]
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let is_json = require_json(request.headers());
        let notes = notes(&request);
        let body = read_body(request.into_body()).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        is_json?;
        // `null` is a body that says nothing, too.
        parse_noted::<Option<T>>(&body, notes).map(|body| Self(body.unwrap_or_default()))
    }
}

/// A JSON body together with its exact bytes.
#[derive(Debug)]
pub(crate) struct JsonWithBytes<T>(pub(crate) T, pub(crate) Bytes);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for JsonWithBytes<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        require_json(request.headers())?;
        let notes = notes(&request);
        let body = read_body(request.into_body()).await?;
        Ok(Self(parse_noted(&body, notes)?, body))
    }
}

/// The query, with every parameter known and given once.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|rejection| {
                let source = std::error::Error::source(&rejection);
                unreadable(source.map_or_else(|| rejection.to_string(), ToString::to_string))
            })
    }
}

fn unreadable(why: impl std::fmt::Display) -> ApiError {
    ApiError::new(ErrorCode::InvalidQuery, format!("the query cannot be read: {why}"))
}

/// As [`Query`], where a parameter that is a list may be given several times.
#[derive(Debug)]
pub(crate) struct QueryWithLists<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for QueryWithLists<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        // The reader would take a parameter without a value for one that is not there; the document says `minLength: 1`.
        let is_empty =
            |pair: &str| pair.split_once('=').is_none_or(|(_name, value)| value.is_empty());
        if !query.is_empty() && query.split('&').any(is_empty) {
            return Err(unreadable("a parameter has no value"));
        }
        serde_html_form::from_str(query).map(Self).map_err(unreadable)
    }
}

/// The sandbox that `{sandbox}` in the path names: by id, unique beginning of one, name, or that of its app.
///
/// Of the tenant of who asks, always: a handler has no other way to an id.
#[derive(Debug)]
pub(crate) struct Sandbox(pub(crate) SandboxId);

impl FromRequestParts<AppState> for Sandbox {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let tenant = asker::identity(parts)?.principal.tenant;
        let text = segment(parts, state, "sandbox").await?;
        let id = state.engine.sandbox_resolve(tenant, &text).await?;
        if let Some(notes) = parts.extensions.get::<Notes>() {
            notes.is_about(id);
        }
        Ok(Self(id))
    }
}

/// The app that `{app}` in the path names, by id or name. Of the tenant of who asks, always.
#[derive(Debug)]
pub(crate) struct App(pub(crate) AppRef);

impl FromRequestParts<AppState> for App {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let tenant = asker::identity(parts)?.principal.tenant;
        let text = segment(parts, state, "app").await?;
        Ok(Self(state.engine.app_resolve(tenant, &text).await?))
    }
}

/// The exec that `{exec}` in the path names.
#[derive(Debug)]
pub(crate) struct Exec(pub(crate) ExecId);

impl FromRequestParts<AppState> for Exec {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = segment(parts, state, "exec").await?;
        // A text that is no id names no exec: the same answer as for an id that nobody has.
        text.parse().map(Self).map_err(|error| {
            ApiError::new(ErrorCode::ExecNotFound, "the sandbox has no such exec")
                .hint(format!("{error}; `GET …/execs` lists them"))
        })
    }
}

/// The port that `{port}` in the path names, from 1.
#[derive(Debug)]
pub(crate) struct Port(pub(crate) u16);

impl FromRequestParts<AppState> for Port {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = segment(parts, state, "port").await?;
        let port = text.parse().ok().filter(|port| *port != 0);
        port.map(Self).ok_or_else(|| {
            ApiError::new(ErrorCode::InvalidName, "a port is a number from 1 to 65535")
        })
    }
}

/// The process that `{process}` in the path names.
#[derive(Debug)]
pub(crate) struct Process(pub(crate) ProcessName);

impl FromRequestParts<AppState> for Process {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = segment(parts, state, "process").await?;
        text.parse().map(Self).map_err(|error: sandbar_types::InvalidProcessName| {
            ApiError::new(ErrorCode::InvalidName, error.to_string())
                .hint("`GET …/app` lists the processes")
        })
    }
}

/// The setting or secret that `{key}` of a configuration in the path names.
#[derive(Debug)]
pub(crate) struct ConfigKey(pub(crate) EnvName);

impl FromRequestParts<AppState> for ConfigKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = segment(parts, state, "key").await?;
        text.parse().map(Self).map_err(|error: sandbar_types::InvalidEnvName| {
            ApiError::new(ErrorCode::InvalidName, error.to_string())
                .hint("`GET …/config` lists what there is")
        })
    }
}

/// The approve that `{approve}` in the path names.
#[derive(Debug)]
pub(crate) struct Approve(pub(crate) ApproveId);

impl FromRequestParts<AppState> for Approve {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = segment(parts, state, "approve").await?;
        text.parse().map(Self).map_err(|error| {
            ApiError::new(ErrorCode::ApproveNotFound, "there is no such approve")
                .hint(format!("{error}; `GET /v1/approves` lists them"))
        })
    }
}

/// The checkpoint that `{checkpoint}` in the path names.
#[derive(Debug)]
pub(crate) struct Checkpoint(pub(crate) CheckpointId);

impl FromRequestParts<AppState> for Checkpoint {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = segment(parts, state, "checkpoint").await?;
        text.parse().map(Self).map_err(|error| {
            ApiError::new(ErrorCode::CheckpointNotFound, "there is no such checkpoint")
                .hint(format!("{error}; `GET …/checkpoints` lists them"))
        })
    }
}

/// The user that `{user}` in the path names.
#[derive(Debug)]
pub(crate) struct User(pub(crate) UserId);

impl FromRequestParts<AppState> for User {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = segment(parts, state, "user").await?;
        text.parse().map(Self).map_err(|error| {
            ApiError::new(ErrorCode::UserNotFound, "there is no such user")
                .hint(format!("{error}; `GET /v1/users` lists them"))
        })
    }
}

/// The API key that `{key}` in the path names.
#[derive(Debug)]
pub(crate) struct Key(pub(crate) ApiKeyId);

impl FromRequestParts<AppState> for Key {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = segment(parts, state, "key").await?;
        text.parse().map(Self).map_err(|error| {
            ApiError::new(ErrorCode::ApiKeyNotFound, "there is no such API key")
                .hint(format!("{error}; `GET /v1/api-keys` lists them"))
        })
    }
}

/// The webhook that `{webhook}` in the path names.
#[derive(Debug)]
pub(crate) struct Webhook(pub(crate) WebhookId);

impl FromRequestParts<AppState> for Webhook {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = segment(parts, state, "webhook").await?;
        text.parse().map(Self).map_err(|_: sandbar_types::InvalidId| {
            ApiError::new(ErrorCode::WebhookNotFound, "there is no such webhook")
                .hint("`GET /v1/webhooks` lists them")
        })
    }
}

/// The credential that `{credential}` in the path names.
#[derive(Debug)]
pub(crate) struct Credential(pub(crate) CredentialId);

impl FromRequestParts<AppState> for Credential {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = segment(parts, state, "credential").await?;
        text.parse().map(Self).map_err(|_: sandbar_types::InvalidId| {
            ApiError::new(ErrorCode::CredentialNotFound, "there is no such credential")
                .hint("`GET /v1/credentials` lists them")
        })
    }
}

/// The task that `{task}` in the path names.
#[derive(Debug)]
pub(crate) struct Task(pub(crate) TaskId);

impl FromRequestParts<AppState> for Task {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = segment(parts, state, "task").await?;
        text.parse().map(Self).map_err(|error: sandbar_types::InvalidId| {
            ApiError::new(ErrorCode::TaskNotFound, "there is no such task")
                .hint(format!("{error}; `GET …/tasks` lists those of a sandbox"))
        })
    }
}

/// The name of the tenant in the path.
#[derive(Debug)]
pub(crate) struct TenantName(pub(crate) String);

impl FromRequestParts<AppState> for TenantName {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        segment(parts, state, "tenant").await.map(Self)
    }
}

async fn segment(parts: &mut Parts, state: &AppState, name: &str) -> Result<String, ApiError> {
    let unreadable = || ApiError::new(ErrorCode::InvalidRequest, "the address is not UTF-8");
    let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| unreadable())?;
    let text = params.iter().find(|(key, _)| *key == name).map(|(_, text)| text.to_owned());
    text.ok_or_else(unreadable)
}

/// Reads a path of the workspace from `path` or `path_b64`; `None` is the root.
pub(crate) fn workspace_path(
    path: Option<&str>,
    path_b64: Option<&str>,
) -> Result<Option<WorkspacePath>, ApiError> {
    let bytes = match (path, path_b64) {
        (None, None) => return Ok(None),
        (Some(text), None) => text.as_bytes().to_vec(),
        (None, Some(encoded)) => BASE64_STANDARD
            .decode(encoded)
            .map_err(|_| ApiError::new(ErrorCode::InvalidPath, "`path_b64` is not base64"))?,
        (Some(_), Some(_)) => {
            return Err(ApiError::new(
                ErrorCode::InvalidRequest,
                "`path` and `path_b64` exclude each other",
            ));
        }
    };
    if matches!(bytes.as_slice(), b"" | b".") {
        return Ok(None);
    }
    WorkspacePath::parse(bytes)
        .map(Some)
        .map_err(|error| ApiError::new(ErrorCode::InvalidPath, error.to_string()))
}

/// As [`workspace_path`], where the root makes no sense.
pub(crate) fn workspace_path_required(
    path: Option<&str>,
    path_b64: Option<&str>,
) -> Result<WorkspacePath, ApiError> {
    workspace_path(path, path_b64)?.ok_or_else(|| {
        ApiError::new(ErrorCode::InvalidPath, "a path below the workspace is required")
            .hint("name it with `path`, or with `path_b64` where it is not UTF-8")
    })
}

/// Reads a header that may be given once, as text.
pub(crate) fn header_text<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, ApiError> {
    let unreadable = || ApiError::new(ErrorCode::InvalidHeader, format!("`{name}` cannot be read"));
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| unreadable()),
        (Some(_), Some(_)) => Err(unreadable()),
    }
}

/// Reads the generation or the id that `If-Match` names, without its quotes; `*` is as if it were absent.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    // What is no tag is none that we gave: it does not match (RFC 9110, section 13.1.1).
    let other = || {
        ApiError::new(ErrorCode::StaleGeneration, "`If-Match` is not one strong entity tag of ours")
            .hint("ask for the `ETag` again")
    };
    match header_text(headers, &header::IF_MATCH).map_err(|_| other())? {
        None | Some("*") => Ok(None),
        Some(text) => text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .filter(|tag| !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_graphic() && b != b'"'))
            .map(Some)
            .ok_or_else(other),
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let essence = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    match essence {
        Some(essence) if essence.eq_ignore_ascii_case("application/json") => Ok(()),
        Some(_) | None => Err(ApiError::new(
            ErrorCode::UnsupportedMediaType,
            "the body must be `application/json`",
        )
        .hint("send `Content-Type: application/json`")),
    }
}

pub(crate) async fn read_body(body: Body) -> Result<Bytes, ApiError> {
    read_body_of(body, LIMIT_BODY_BYTES).await
}

pub(crate) async fn read_body_of(body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    Limited::new(body, bytes_max).collect().await.map(http_body_util::Collected::to_bytes).map_err(
        |error| {
            if error.is::<LengthLimitError>() {
                ApiError::new(
                    ErrorCode::BodyTooLarge,
                    format!("the body is larger than {bytes_max} bytes"),
                )
            } else {
                ApiError::new(ErrorCode::InvalidRequest, "the body ended early")
            }
        },
    )
}

fn notes(request: &Request) -> Option<Notes> {
    request.extensions().get().cloned()
}

/// Reads a body, and tells the audit log which fields it has.
fn parse_noted<T: DeserializeOwned>(body: &[u8], notes: Option<Notes>) -> Result<T, ApiError> {
    let parsed = parse(body)?;
    if let Some(notes) = notes {
        notes.has_fields(body);
    }
    Ok(parsed)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    json::check(body).map_err(|error| json_error(ErrorCode::InvalidJson, &error))?;
    let body = integers::plain(body);
    T::deserialize(Objects(&mut serde_json::Deserializer::from_slice(&body)))
        .map_err(|error| json_error(ErrorCode::InvalidField, &error))
}

fn json_error(code: ErrorCode, error: &serde_json::Error) -> ApiError {
    ApiError::new(code, error.to_string())
        .details(json!({ "line": error.line(), "column": error.column() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        assert_eq!(workspace_path(None, None).unwrap(), None);
        assert_eq!(workspace_path(Some("."), None).unwrap(), None);
        assert!(workspace_path(Some("a"), Some("YQ==")).is_err());
        assert!(workspace_path(Some("../a"), None).is_err());
        assert!(workspace_path(Some("/a"), None).is_err());
        let path = workspace_path(None, Some("/w==")).unwrap().unwrap();
        assert_eq!(path.as_bytes(), b"\xff");
    }

    #[test]
    fn if_match_takes_one_strong_tag() {
        let headers =
            |text: &'static str| HeaderMap::from_iter([(header::IF_MATCH, text.parse().unwrap())]);
        assert_eq!(if_match(&headers("\"7\"")).unwrap(), Some("7"));
        assert_eq!(if_match(&headers("*")).unwrap(), None);
        assert!(if_match(&headers("W/\"7\"")).is_err());
        assert!(if_match(&headers("7")).is_err());
    }
}
