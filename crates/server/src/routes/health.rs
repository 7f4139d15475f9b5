//! Whether the server lives and is ready, what it counts, what the host lacks, and this API as a document.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use sandbar_api::{Doctor, Finding, Health, Ready, StateName, Verdict};
use sandbar_engine::{Engine, TaskCount};
use sandbar_types::TaskState;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    metrics::{Page, Seen},
    readiness,
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(healthz_at_root))
        .routes(routes!(readyz))
        .routes(routes!(readyz_at_root))
        .routes(routes!(metrics))
        .routes(routes!(metrics_at_root))
        .routes(routes!(doctor))
        .routes(routes!(openapi))
}

/// Says that the server lives. Needs no token.
#[utoipa::path(get, path = "/v1/healthz", tag = "server",
    extensions(("x-sandbar" = json!({"scope": "none"}))), responses((status = 200, body = Health)))]
async fn healthz() -> Answer<Health> {
    Answer(Health { status: "ok".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() })
}

/// Says that the server lives, where probes look for it.
#[utoipa::path(get, path = "/healthz", tag = "server",
    extensions(("x-sandbar" = json!({"scope": "none"}))), responses((status = 200, body = Health)))]
async fn healthz_at_root() -> Answer<Health> {
    healthz().await
}

/// Says whether the server takes work.
#[utoipa::path(get, path = "/v1/readyz", tag = "server",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    responses((status = 200, body = Ready), (status = 503, body = Ready, description = "It does not.")))]
async fn readyz(State(state): State<AppState>) -> Response {
    let checks = readiness::checks(&state).await;
    let is_ready = checks.iter().all(|check| check.is_ok);
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Answer(Ready { is_ready, checks })).into_response()
}

/// Says whether the server takes work, where probes look for it.
#[utoipa::path(get, path = "/readyz", tag = "server",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    responses((status = 200, body = Ready), (status = 503, body = Ready, description = "It does not.")))]
async fn readyz_at_root(state: State<AppState>) -> Response {
    readyz(state).await
}

/// What the server counts, in Prometheus' text format.
#[utoipa::path(get, path = "/v1/metrics", tag = "server",
    extensions(("x-sandbar" = json!({"scope": "instance"}))),
    responses((status = 200, body = String, content_type = "text/plain")))]
async fn metrics(State(state): State<AppState>) -> Response {
    const FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");
    let engine = &state.engine;
    let tasks = task_counts(engine).await;
    let seen = Seen {
        sandboxes: count_by_state(engine),
        tasks: tasks.iter().map(|one| (one.state.as_str(), one.tasks)).collect(),
        tasks_asking: tasks.iter().map(|one| one.asking).sum(),
        commits: engine.commit_times(),
        store_unavailable: engine.store_unavailable_count(),
        egress: engine.egress_counts(),
        free_bytes: readiness::free_bytes(Arc::clone(&state.data_dir)).await,
        upkeep: engine.upkeep(),
    };
    let text = Page { server: &state.metrics, engine: engine.metrics(), seen }.render();
    ([(header::CONTENT_TYPE, FORMAT)], text).into_response()
}

/// What the server counts, where Prometheus looks for it.
#[utoipa::path(get, path = "/metrics", tag = "server",
    extensions(("x-sandbar" = json!({"scope": "instance"}))),
    responses((status = 200, body = String, content_type = "text/plain")))]
async fn metrics_at_root(state: State<AppState>) -> Response {
    metrics(state).await
}

/// Those of a store that cannot be read are left out, as what it says of itself shows.
async fn task_counts(engine: &Engine) -> Vec<TaskCount> {
    let open = TaskState::ALL.iter().filter(|state| !state.is_final());
    let mut counts: Vec<_> =
        open.map(|state| TaskCount { state: *state, tasks: 0, asking: 0 }).collect();
    for found in engine.task_counts().await.unwrap_or_default() {
        counts.retain(|one| one.state != found.state);
        counts.push(found);
    }
    counts
}

fn count_by_state(engine: &Engine) -> BTreeMap<&'static str, u64> {
    let all = ["creating", "running", "paused", "stopping", "stopped", "failed", "deleting"];
    let mut counts: BTreeMap<_, _> = all.into_iter().map(|state| (state, 0)).collect();
    for sandbox in engine.sandbox_list_all() {
        *counts.entry(StateName::from(&sandbox.state).as_str()).or_default() += 1;
    }
    counts
}

/// Probes the host by doing, and names what is missing and what to do about it.
#[utoipa::path(get, path = "/v1/doctor", tag = "server",
    extensions(("x-sandbar" = json!({"scope": "instance"}))), responses((status = 200, body = Doctor)))]
async fn doctor(State(state): State<AppState>) -> Answer<Doctor> {
    let findings: Vec<_> = state
        .engine
        .doctor()
        .await
        .into_iter()
        .map(|found| Finding {
            code: found.code,
            verdict: match found.verdict {
                sandbar_engine::Verdict::Ok => Verdict::Ok,
                sandbar_engine::Verdict::Degraded => Verdict::Degraded,
                sandbar_engine::Verdict::Missing => Verdict::Missing,
            },
            message: found.message,
            hint: found.hint,
        })
        .collect();
    let worst = findings.iter().map(|finding| finding.verdict).max();
    Answer(Doctor {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        verdict: worst.unwrap_or(Verdict::Ok),
        findings,
    })
}

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "server",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    responses((status = 200, body = Object, content_type = "application/json")))]
async fn openapi() -> Response {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, JSON)], crate::openapi_json()).into_response()
}
