//! A port inside as a stream of bytes, for programs that do not speak HTTP.

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http::{HeaderValue, StatusCode, header};
use hyper_util::rt::TokioIo;
use sandbar_api::ErrorCode;
use sandbar_engine::PreviewError;
use tokio::time::{Duration, Instant};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    asker::Until,
    error::{ApiError, upgrade_required},
    extract::{Port, Sandbox},
    state::AppState,
};

/// How long a sandbox that sleeps may take to serve.
const PATIENCE: Duration = Duration::from_secs(60);
/// The protocol that the connection becomes: bytes as they are.
const PROTOCOL: &str = "tcp";

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(port_connect))
}

/// Connects to a port of the loopback inside: with `Upgrade: tcp`, the connection becomes that one.
///
/// A sandbox that sleeps is woken.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/ports/{port}/connect", tag = "apps",
    extensions(("x-sandbar" = json!({"scope": "write"}))),
    params(("sandbox" = String, Path), ("port" = u16, Path, minimum = 1, maximum = 65535)),
    responses((status = 101, description = "The bytes of the connection follow, both ways.")))]
async fn port_connect(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Port(port): Port,
    until: Until,
    request: Request,
) -> Result<Response, ApiError> {
    let wanted = request.headers().get(header::UPGRADE);
    if !wanted.is_some_and(|wanted| wanted.as_bytes().eq_ignore_ascii_case(PROTOCOL.as_bytes())) {
        return Err(upgrade_required());
    }
    let viewer = state.engine.preview_viewer(id)?;
    let deadline = Instant::now() + PATIENCE;
    let mut inside = state.engine.preview_connect(id, port, deadline).await.map_err(refusal)?;
    let (upgrade, counted) = (hyper::upgrade::on(request), state.conversations.token());
    state.conversations.spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let mut outside = TokioIo::new(upgraded);
        tokio::select! {
            // Whichever side broke it, it is over.
            _ = tokio::io::copy_bidirectional(&mut outside, &mut inside) => {}
            () = until.passed() => {}
        }
        drop((viewer, counted));
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(PROTOCOL));
    Ok(response)
}

fn refusal(error: PreviewError) -> ApiError {
    let denied = |message: String| ApiError::new(ErrorCode::StateConflict, message);
    match error {
        PreviewError::Sandbox(error) => ApiError::from(error),
        PreviewError::Stopped => {
            denied("the sandbox is stopped".to_owned()).hint("start it: `sandbar start`")
        }
        PreviewError::Starting { step, .. } => {
            ApiError::new(ErrorCode::Unavailable, format!("it took too long: {step}"))
        }
        PreviewError::Failed { reason, .. } => {
            denied(reason).hint("`sandbar app status` shows more")
        }
        PreviewError::NoPreview => denied("nobody listens on this port".to_owned()),
        PreviewError::NotListening { port, listening } => {
            let others: Vec<_> = listening.iter().map(ToString::to_string).collect();
            let refusal = denied(format!("nobody listens on port {port} inside"));
            if others.is_empty() {
                refusal
            } else {
                refusal.hint(format!("somebody listens on {}", others.join(", ")))
            }
        }
    }
}
