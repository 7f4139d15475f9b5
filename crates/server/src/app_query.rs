//! The query of a list of apps, whose `tag` may be given more than once.

use axum::extract::FromRequestParts;
use http::{Uri, request::Parts};
use sandbar_api::{AppListQuery, ErrorCode};
use sandbar_types::AppTag;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{error::ApiError, extract::Query, state::AppState};

/// Every other parameter known and given once, as in [`Query`].
#[derive(Debug)]
pub(crate) struct AppQuery(pub(crate) AppListQuery);

#[derive(Deserialize)]
struct OneTag {
    tag: AppTag,
}

impl FromRequestParts<AppState> for AppQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        let pairs = parts.uri.query().unwrap_or_default().split('&');
        let (tags, others): (Vec<_>, Vec<_>) = pairs.partition(|pair| pair.starts_with("tag="));
        let mut query: AppListQuery = read(&others.join("&"))?;
        for tag in tags {
            query.tag.push(read::<OneTag>(tag)?.tag);
        }
        Ok(Self(query))
    }
}

fn read<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let uri = format!("/?{query}").parse::<Uri>();
    let uri =
        uri.map_err(|_| ApiError::new(ErrorCode::InvalidQuery, "the query cannot be read"))?;
    Query::of(&uri).map(|Query(query)| query)
}
