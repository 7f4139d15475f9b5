//! The server over real sockets: who is let in, how errors look, what the document promises.

#![expect(
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    reason = "all of this is test code"
)]

mod accounts;
mod app_life;
mod approves;
mod apps;
mod audit;
mod config;
mod contract;
mod credentials;
mod door;
mod etags;
mod events;
mod files;
mod idempotency;
mod idle_runtime;
mod life;
mod review;
mod server;
mod settings;
mod streams;
mod tenants;
#[cfg(feature = "otlp")]
mod traces;
mod webhooks;
mod wrong_bodies;
