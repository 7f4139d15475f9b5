//! The engine over a fake host and a real database: what it decides, and what a crash leaves.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "in a test, a panic is the report"
)]

mod accounts;
mod apps;
mod bad_input;
mod check;
mod execs;
mod forgetting;
mod histories;
mod hunks;
mod keyed;
mod lifecycle;
mod network;
mod processes;
mod questions;
mod reservations;
mod restart;
mod review;
mod secrets;
mod support;
mod tasks;
mod undo;
mod upkeep;
mod webhooks;
