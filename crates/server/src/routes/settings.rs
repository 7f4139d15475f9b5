//! What the server does by itself, and changing it while it runs.

use axum::{extract::State, response::Response};
use http::HeaderMap;
use sandbar_api::{PreviewSettings, Settings as Body, SettingsUpdateRequest};
use sandbar_engine::SettingsChange;
use sandbar_types::{Limits, Principal};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    asker::AskedBy,
    error::ApiError,
    etag::{seen, tagged},
    extract::Json,
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(settings_fetch, settings_update))
}

/// Looks at the settings that can be changed while the server runs, and at what a client may want to know beside them.
#[utoipa::path(get, path = "/v1/settings", tag = "server",
    extensions(("x-sandbar" = json!({"scope": "read"}))), responses((status = 200, body = Body)))]
async fn settings_fetch(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
) -> Result<Response, ApiError> {
    Ok(answer(&state, &principal))
}

/// Changes settings, all or none of them. They hold at once, and when the server is started again.
///
/// What was said when the server was started, in its file, its environment or on its command line, stays.
#[utoipa::path(patch, path = "/v1/settings", tag = "server",
    extensions(("x-sandbar" = json!({"scope": "instance", "audit": "settings.updated"}))),
    params(("If-Match" = Option<String>, Header)),
    request_body = SettingsUpdateRequest, responses((status = 200, body = Body)))]
async fn settings_update(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    headers: HeaderMap,
    Json(request): Json<SettingsUpdateRequest>,
) -> Result<Response, ApiError> {
    let values = state.settings.check(request)?;
    let change = SettingsChange { by: principal.who.clone(), seen: seen(&headers)?, values };
    state.engine.settings_change(change).await?;
    Ok(answer(&state, &principal))
}

fn answer(state: &AppState, principal: &Principal) -> Response {
    let now = state.settings.now();
    let mut settings = state.settings.list();
    if !principal.is_instance() {
        // Who runs the server is nobody's business but their own.
        settings.iter_mut().for_each(|setting| setting.changed_by = None);
    }
    let preview = state.previews.as_ref().map(|_| PreviewSettings {
        domain: now.config.preview.domain.0.to_string(),
        scheme: now.config.preview.scheme.as_str().to_owned(),
    });
    let body = Body {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        generation: now.generation,
        preview,
        limits: Limits::default(),
        settings,
    };
    tagged(now.generation, body)
}
