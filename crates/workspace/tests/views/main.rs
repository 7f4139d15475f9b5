//! Layers, changes, diffs and files over a real overlay. Needs root.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "an integration test has no other module"
)]

mod changes;
mod checkpoint;
mod diff;
mod drift;
mod fidelity;
mod files;
mod overlay;
