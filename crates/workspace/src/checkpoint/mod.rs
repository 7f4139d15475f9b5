//! Checkpoints: a writable layer as it was at one instant, and the way back to it.
//!
//! [`capture`] copies the layer as it lies on disk, marks of overlayfs included, so that it can be stacked below
//! another layer, where its merged view is what the sandbox saw. [`bring`] writes through the merged view of the living
//! layer, which is never touched itself. [`revert`] decides what has to be written to take one piece of work back.
//!
//! ```text
//! living layer ── capture ──► checkpoint ── stacked by the runtime ──► merged view ── bring ──► living workspace
//! ```
//!
//! Tests: `tests/views/checkpoint.rs`.

mod bring;
mod capture;
mod copy;
mod durable;
mod manifest;
mod revert;

pub use self::{
    bring::{BringError, Deed, bring},
    capture::{CaptureError, Captured, Previous, capture, write_out},
    durable::{Log, make_durable, save},
    manifest::Manifest,
    revert::{RevertError, RevertPlan, revert},
};
