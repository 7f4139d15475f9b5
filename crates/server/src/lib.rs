//! The HTTP front of the engine: parse, ask who it is, call, answer. No decision is made here.
//!
//! One file for each resource below `routes`, registered by `router`; `observe` is around all of them.
//! Served on a unix socket for the same user, and on a loopback port for who has the token.
//! Tests: beside the code, and `tests/` over real sockets with `sandbar_runtime::fake`.

mod access;
mod asker;
mod audit;
mod auth;
mod config;
mod courier;
mod dispatch;
mod egress;
mod error;
mod etag;
mod extract;
mod https;
mod idempotency;
mod identify;
mod integers;
mod json;
mod listen;
mod logging;
mod metrics;
mod objects;
mod observe;
mod openapi;
mod page;
mod previews;
mod range;
mod rate;
mod readiness;
mod request_log;
mod router;
mod routes;
mod serve;
mod settings;
mod sse;
mod state;
mod traces;

pub use crate::{
    auth::TokenError,
    config::{Config, ConfigError},
    courier::HttpCourier,
    egress::ServerNetwork,
    listen::ListenError,
    logging::LogFormat,
    serve::{InvalidListen, ServeConfig, ServeError, Server, TcpListen, serve},
};

/// The document of the API (OpenAPI 3.1), as it is committed in `openapi.json`.
#[must_use]
pub fn openapi_json() -> String {
    let mut json =
        router::document().to_pretty_json().expect("the document can be written as JSON");
    json.push('\n');
    json
}
