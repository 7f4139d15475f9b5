//! What handlers are told of who asks.

use axum::extract::FromRequestParts;
use http::request::Parts;
use sandbar_engine::{Engine, Identity};
use sandbar_types::Principal;
use tokio_util::sync::CancellationToken;

use crate::{access::unauthorized, auth::Transport, error::ApiError, state::AppState};

/// Who asks. `access` put it there; without it nobody is served.
pub(crate) fn identity(parts: &Parts) -> Result<&Identity, ApiError> {
    parts.extensions.get().ok_or_else(unauthorized)
}

/// Who asks, and on behalf of which tenant.
#[derive(Debug)]
pub(crate) struct AskedBy(pub(crate) Principal);

impl<S: Sync> FromRequestParts<S> for AskedBy {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self(identity(parts)?.principal.clone()))
    }
}

/// Who asks, and by what they were let in.
#[derive(Debug)]
pub(crate) struct IdentifiedBy(pub(crate) Identity);

impl<S: Sync> FromRequestParts<S> for IdentifiedBy {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self(identity(parts)?.clone()))
    }
}

/// Where the request came in.
#[derive(Debug)]
pub(crate) struct CameBy(pub(crate) Transport);

impl<S: Sync> FromRequestParts<S> for CameBy {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().copied().map(Self).ok_or_else(unauthorized)
    }
}

/// How long a conversation may go on: until the server drains, or who began it may no longer.
#[derive(Debug)]
pub(crate) struct Until {
    engine: Engine,
    identity: Identity,
    stop: CancellationToken,
}

impl FromRequestParts<AppState> for Until {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        Ok(Self {
            engine: state.engine.clone(),
            identity: identity(parts)?.clone(),
            stop: state.stop.clone(),
        })
    }
}

impl Until {
    /// Waits for that.
    pub(crate) async fn passed(self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.engine.identity_ended(&self.identity) => {}
        }
    }
}
