//! A backup of the server's own state.

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use tokio_util::io::ReaderStream;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{error::ApiError, openapi::Bytes, state::AppState};

/// Bytes that are read from the archive at once.
const CHUNK_BYTES: usize = 64 << 10;
const TAR: HeaderValue = HeaderValue::from_static("application/x-tar");

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(backup))
}

/// Sends a backup of the server's own state, keys and token included, without the files of sandboxes. It is as secret as
/// the data directory.
#[utoipa::path(post, path = "/v1/backup", tag = "server",
    extensions(("x-sandbar" = json!({"scope": "instance", "audit": "backup.created"}))),
    responses((status = 200, body = inline(Bytes), content_type = "application/x-tar")))]
async fn backup(State(state): State<AppState>) -> Result<Response, ApiError> {
    let archive = state.engine.backup().await?;
    let len = archive.metadata().map_err(|error| ApiError::internal(&error))?.len();
    let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(archive), CHUNK_BYTES);
    let mut response = Body::from_stream(stream).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, TAR);
    headers.insert(header::CONTENT_LENGTH, len.into());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
