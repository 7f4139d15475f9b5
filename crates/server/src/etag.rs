//! `ETag` and `If-Match` of whatever has a generation.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, header};
use sandbar_api::ErrorCode;
use sandbar_types::Generation;
use serde::Serialize;

use crate::{
    error::ApiError,
    extract::{header_text, if_match},
};

/// The tag of a generation.
pub(crate) fn etag(generation: Generation) -> HeaderValue {
    HeaderValue::try_from(format!("\"{generation}\"")).expect("digits are a header")
}

/// An answer with its tag.
pub(crate) fn tagged(generation: Generation, body: impl Serialize) -> Response {
    ([(header::ETAG, etag(generation))], Json(body)).into_response()
}

/// The generation that the client decided about; `None` for any.
pub(crate) fn seen(headers: &HeaderMap) -> Result<Option<Generation>, ApiError> {
    let Some(tag) = if_match(headers)? else { return Ok(None) };
    // A tag that nothing ever had does not match; it is not unreadable.
    tag.parse().map(|number| Some(Generation(number))).map_err(|_| {
        ApiError::new(ErrorCode::StaleGeneration, "`If-Match` is no `ETag` that this server gave")
            .hint("ask for the `ETag` again")
    })
}

/// Whether the client has this already, by its `If-None-Match`.
pub(crate) fn is_known(headers: &HeaderMap, generation: Generation) -> Result<bool, ApiError> {
    let own = etag(generation);
    let known = header_text(headers, &header::IF_NONE_MATCH)?;
    Ok(known
        .is_some_and(|known| known.split(',').any(|tag| tag.trim().as_bytes() == own.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_as_it_was_written() {
        let tag = etag(Generation(7));
        let headers = HeaderMap::from_iter([(header::IF_MATCH, tag.clone())]);
        assert_eq!(seen(&headers).unwrap(), Some(Generation(7)));
        let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, tag)]);
        assert!(is_known(&headers, Generation(7)).unwrap());
        assert!(!is_known(&headers, Generation(77)).unwrap());
        let foreign = HeaderMap::from_iter([(header::IF_MATCH, "\"x\"".parse().unwrap())]);
        assert_eq!(seen(&foreign).unwrap_err().0.code, ErrorCode::StaleGeneration);
        assert_eq!(seen(&HeaderMap::new()).unwrap(), None);
    }
}
