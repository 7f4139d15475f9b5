//! Approve and reject on real file systems: what they write, and what is left when they are killed, cut off or raced.
//!
//! `SANDBAR_TEST_FULL=1` goes through every pair of kills and every power cut; without it a sample is taken.
#![expect(
    clippy::disallowed_methods,
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "these tests start, stop and kill processes, and an integration test has no other module"
)]

mod any;
mod crash;
mod host;
mod kinds;
mod overlaid;
#[path = "../views/overlay.rs"]
#[expect(dead_code, reason = "the tests of changes use the rest")]
mod overlay;
mod power;
mod reject;
mod role;
mod scene;
mod undo;
