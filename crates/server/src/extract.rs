//! What a request holds, parsed at the door; whatever cannot be parsed is a problem document.

mod segment;

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Request},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, header, request::Parts};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use sandbar_api::ErrorCode;
use sandbar_types::WorkspacePath;
use serde::de::DeserializeOwned;
use serde_json::json;

pub(crate) use self::segment::{
    App, Approve, Checkpoint, ConfigKey, Credential, Exec, Key, Port, Process, Sandbox, Task,
    TenantName, User, Webhook,
};
use crate::{audit::Notes, error::ApiError, integers, json, objects::Objects};

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
