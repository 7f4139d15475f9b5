//! Every route, and what is around them.

use axum::{Router, middleware};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    error::of_status,
    idempotency::once,
    observe::observe,
    openapi,
    routes::{
        accounts, agents, api_keys, approves, apps, attach, audit, backup, checkpoints, config,
        credentials, events, execs, files, health, network, output, ports, processes, pull, review,
        sandboxes, settings, tasks, tenants, usage, users, webhooks,
    },
    state::AppState,
};

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(openapi::root())
        .merge(health::router())
        .merge(sandboxes::router())
        .merge(processes::router())
        .merge(apps::router())
        .merge(config::router())
        .merge(credentials::router())
        .merge(agents::router())
        .merge(ports::router())
        .merge(network::router())
        .merge(execs::router())
        .merge(output::router())
        .merge(attach::router())
        .merge(files::router())
        .merge(tasks::router())
        .merge(review::router())
        .merge(pull::router())
        .merge(approves::router())
        .merge(checkpoints::router())
        .merge(events::router())
        .merge(audit::router())
        .merge(webhooks::router())
        .merge(usage::router())
        .merge(settings::router())
        .merge(backup::router())
        .merge(accounts::router())
        .merge(users::router())
        .merge(api_keys::router())
        .merge(tenants::router())
}

/// The document of every route. A route cannot be registered without being in it.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    openapi::finish(routes().into_openapi())
}

/// The router, with its state.
pub(crate) fn router(state: AppState) -> Router {
    let (router, _) = routes().split_for_parts();
    router
        .fallback(async || of_status(http::StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(async || of_status(http::StatusCode::METHOD_NOT_ALLOWED))
        .layer(middleware::from_fn_with_state(state.clone(), once))
        .layer(middleware::from_fn_with_state(state.clone(), observe))
        .with_state(state)
}
