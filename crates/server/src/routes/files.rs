//! Files of a workspace. Links are shown, never followed; no path leaves the workspace.

use std::{
    io::{self, Seek as _, SeekFrom},
    num::NonZeroU32,
};

use axum::{
    Json as Answer,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use futures_util::{TryStreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use sandbar_api::{
    ArchiveResult, ErrorCode, FileEntry, FileKind, FileList, FileQuery, FileRemoveQuery,
    FileSearchQuery, FileWriteQuery, MkdirRequest, MoveRequest, SearchMatch, SearchResult,
};
use sandbar_engine::{FileContent, Overwrite, Recursion, SearchParams};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::{ReaderStream, StreamReader};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiError,
    extract::{Json, Query, Sandbox, header_text, workspace_path, workspace_path_required},
    openapi::Bytes,
    page::page_limit,
    range::{ByteRange, Requested},
    state::AppState,
};

/// Bytes that are read from a file at once.
const CHUNK_BYTES: usize = 64 << 10;
/// What a file is served as: never as something that a browser runs.
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
const TAR: HeaderValue = HeaderValue::from_static("application/x-tar");
/// The header that carries a file's permission bits, in octal.
const MODE: HeaderName = HeaderName::from_static("x-file-mode");

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(file_list, file_remove))
        .routes(routes!(file_stat))
        .routes(routes!(file_read, file_write))
        .routes(routes!(archive_read, archive_write))
        .routes(routes!(directory_create))
        .routes(routes!(file_move))
        .routes(routes!(file_search))
}

/// Lists what a directory holds.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/files", tag = "files",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), FileQuery), responses((status = 200, body = FileList)))]
async fn file_list(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Query(query): Query<FileQuery>,
) -> Result<Answer<FileList>, ApiError> {
    let path = workspace_path(query.path.as_deref(), query.path_b64.as_deref())?;
    let list = state.engine.file_list(id, path).await?;
    Ok(Answer(FileList {
        items: list.items.into_iter().map(wire).collect(),
        is_truncated: list.is_truncated,
    }))
}

/// Removes a file, or a directory.
#[utoipa::path(delete, path = "/v1/sandboxes/{sandbox}/files", tag = "files",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "file.deleted"}))),
    params(("sandbox" = String, Path), FileRemoveQuery), responses((status = 204)))]
async fn file_remove(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Query(query): Query<FileRemoveQuery>,
) -> Result<StatusCode, ApiError> {
    let path = workspace_path_required(query.path.as_deref(), query.path_b64.as_deref())?;
    let recursion =
        if query.recursive.unwrap_or(false) { Recursion::Deep } else { Recursion::Shallow };
    state.engine.file_remove(id, path, recursion).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says what a path is.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/files/stat", tag = "files",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), FileQuery), responses((status = 200, body = FileEntry)))]
async fn file_stat(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Query(query): Query<FileQuery>,
) -> Result<Answer<FileEntry>, ApiError> {
    let path = workspace_path(query.path.as_deref(), query.path_b64.as_deref())?;
    Ok(Answer(wire(state.engine.file_stat(id, path).await?)))
}

/// Reads a regular file; one `Range` of bytes is honored.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/files/content", tag = "files",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), FileQuery, ("Range" = Option<String>, Header)),
    responses((status = 200, body = inline(Bytes), content_type = "application/octet-stream"),
        (status = 206, body = inline(Bytes), content_type = "application/octet-stream", description = "The range.")))]
async fn file_read(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Query(query): Query<FileQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let path = workspace_path_required(query.path.as_deref(), query.path_b64.as_deref())?;
    let requested = header_text(&headers, &header::RANGE)?.and_then(Requested::parse);
    let content = state.engine.file_read(id, path).await?;
    let size = content.entry.size_bytes;
    let range = requested.map(|requested| {
        requested.within(size).ok_or_else(|| {
            let message = format!("the file has {size} bytes");
            ApiError::new(ErrorCode::RangeNotSatisfiable, message)
        })
    });
    send(content, range.transpose()?)
}

fn send(content: FileContent, range: Option<ByteRange>) -> Result<Response, ApiError> {
    let FileContent { entry, mut file } = content;
    let size = entry.size_bytes;
    let whole = ByteRange { first: 0, len: size };
    let ByteRange { first, len } = range.unwrap_or(whole);
    file.seek(SeekFrom::Start(first)).map_err(|error| ApiError::internal(&error))?;
    // Capped, for the file may grow while it is read, and the length is already promised.
    let bytes = tokio::fs::File::from_std(file).take(len);
    let stream = ReaderStream::with_capacity(bytes, CHUNK_BYTES);
    let mut response = Body::from_stream(stream).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, BYTES);
    headers.insert(header::CONTENT_LENGTH, len.into());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    let text = |text: String| HeaderValue::try_from(text).expect("digits are a header");
    headers.insert(MODE, text(format!("{:o}", entry.mode)));
    if range.is_some() {
        let last = first + len - 1;
        headers.insert(header::CONTENT_RANGE, text(format!("bytes {first}-{last}/{size}")));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// Replaces a file at once, or makes it and the directories above it.
#[utoipa::path(put, path = "/v1/sandboxes/{sandbox}/files/content", tag = "files",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "file.written"}))),
    params(("sandbox" = String, Path), FileWriteQuery),
    request_body(content = inline(Bytes), content_type = "application/octet-stream"),
    responses((status = 200, body = FileEntry)))]
async fn file_write(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Query(query): Query<FileWriteQuery>,
    request: Request,
) -> Result<Answer<FileEntry>, ApiError> {
    let path = workspace_path_required(query.path.as_deref(), query.path_b64.as_deref())?;
    let mode = query.mode.as_deref().map(parse_mode).transpose()?;
    require_bytes(request.headers())?;
    let body = request.into_body().into_data_stream().map_err(io::Error::other);
    let content = Box::pin(StreamReader::new(body));
    let written = state.engine.file_write(id, path, mode, content).await?;
    Ok(Answer(wire(written)))
}

/// Reads a directory, or one file, as a tar archive: links as links, without owners. A connection that ends before the
/// archive does says that it could not be finished.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/files/archive", tag = "files",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), FileQuery),
    responses((status = 200, body = inline(Bytes), content_type = "application/x-tar")))]
async fn archive_read(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Query(query): Query<FileQuery>,
) -> Result<Response, ApiError> {
    let path = workspace_path(query.path.as_deref(), query.path_b64.as_deref())?;
    let archive = state.engine.file_archive(id, path).await?;
    let pieces = stream::unfold(archive.pieces, |mut pieces| async move {
        let piece = pieces.recv().await?;
        Some((piece, pieces))
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, TAR);
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    Ok(response)
}

/// Unpacks a tar archive into a directory, which is made if it is missing. What would leave it is refused, and what came
/// before stays.
#[utoipa::path(put, path = "/v1/sandboxes/{sandbox}/files/archive", tag = "files",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "archive.written"}))),
    params(("sandbox" = String, Path), FileQuery),
    request_body(content = inline(Bytes), content_type = "application/x-tar"),
    responses((status = 200, body = ArchiveResult)))]
async fn archive_write(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Query(query): Query<FileQuery>,
    request: Request,
) -> Result<Answer<ArchiveResult>, ApiError> {
    let path = workspace_path(query.path.as_deref(), query.path_b64.as_deref())?;
    require_bytes(request.headers())?;
    let body = request.into_body().into_data_stream().map_err(io::Error::other);
    let content = Box::pin(StreamReader::new(body));
    let made = state.engine.file_extract(id, path, content).await?;
    Ok(Answer(ArchiveResult { entries: made.entries, bytes: made.bytes }))
}

/// Makes a directory and those above it; one that is there is fine.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/files/mkdir", tag = "files",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "directory.created"}))),
    params(("sandbox" = String, Path)), request_body = MkdirRequest, responses((status = 200, body = FileEntry)))]
async fn directory_create(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Json(request): Json<MkdirRequest>,
) -> Result<Answer<FileEntry>, ApiError> {
    let made = state.engine.directory_create(id, request.path).await?;
    Ok(Answer(wire(made)))
}

/// Moves a file or a directory.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/files/move", tag = "files",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "file.moved"}))),
    params(("sandbox" = String, Path)), request_body = MoveRequest, responses((status = 200, body = FileEntry)))]
async fn file_move(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Json(request): Json<MoveRequest>,
) -> Result<Answer<FileEntry>, ApiError> {
    let overwrite = if request.overwrite { Overwrite::Replace } else { Overwrite::Refuse };
    let moved = state.engine.file_move(id, request.from, request.to, overwrite).await?;
    Ok(Answer(wire(moved)))
}

/// Searches names and lines.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/files/search", tag = "files",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), FileSearchQuery), responses((status = 200, body = SearchResult)))]
async fn file_search(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Query(query): Query<FileSearchQuery>,
) -> Result<Answer<SearchResult>, ApiError> {
    let path = workspace_path(query.path.as_deref(), query.path_b64.as_deref())?;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (text, name) = (given(query.text), given(query.name));
    if text.is_none() && name.is_none() {
        return Err(ApiError::new(ErrorCode::InvalidRequest, "`text` or `name` is required"));
    }
    let limit = NonZeroU32::new(page_limit(query.limit)?).expect("a page has at least one item");
    let params = SearchParams { path, text, name, limit };
    let found = state.engine.file_search(id, params).await?;
    let wire = |found: sandbar_engine::SearchMatch| SearchMatch {
        path: found.path,
        line: found.line,
        text: found.text,
    };
    Ok(Answer(SearchResult {
        items: found.items.into_iter().map(wire).collect(),
        is_truncated: found.is_truncated,
    }))
}

/// Refuses the types that a form of another site can send without asking first.
fn require_bytes(headers: &HeaderMap) -> Result<(), ApiError> {
    let is_form = headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        let value = value.as_bytes().to_ascii_lowercase();
        [&b"multipart/"[..], b"application/x-www-form-urlencoded", b"text/plain"]
            .iter()
            .any(|prefix| value.starts_with(prefix))
    });
    if is_form {
        let message = "the body must be the bytes themselves";
        return Err(ApiError::new(ErrorCode::UnsupportedMediaType, message)
            .hint("send `Content-Type: application/octet-stream`"));
    }
    Ok(())
}

fn parse_mode(text: &str) -> Result<u32, ApiError> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777 && !text.starts_with('+'))
        .ok_or_else(|| {
            let message = "`mode` must be permission bits in octal, at most 777";
            ApiError::new(ErrorCode::InvalidQuery, message)
        })
}

fn wire(entry: sandbar_engine::FileEntry) -> FileEntry {
    FileEntry {
        path: entry.path,
        kind: match entry.kind {
            sandbar_engine::FileKind::File => FileKind::File,
            sandbar_engine::FileKind::Directory => FileKind::Directory,
            sandbar_engine::FileKind::Symlink => FileKind::Symlink,
            sandbar_engine::FileKind::Special => FileKind::Special,
        },
        size_bytes: entry.size_bytes,
        mode: entry.mode,
        modified_at: entry.modified_at,
        target: entry.target,
    }
}
