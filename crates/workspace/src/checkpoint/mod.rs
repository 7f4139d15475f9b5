//! Checkpoints: a writable layer as it was at one instant, and the way back to it.
//!
//! [`capture`] copies what the layer has otherwise than at the capture before, marks of overlayfs included, and writes
//! down in a [`Manifest`] what it consists of as a whole. [`assemble`] puts the whole together again, without a copy,
//! where somebody wants to look at it; then it can be stacked below another layer, where its merged view is what the
//! sandbox saw. [`bring`] writes through the merged view of the living layer, which is never touched itself. [`revert`]
//! decides what has to be written to take one piece of work back.
//!
//! ```text
//! living layer ── capture ──► what changed ┐
//!                     captures before it ──┴─ assemble ──► layer ── stacked by the runtime ──► merged view ── bring ──► living workspace
//! ```
//!
//! Tests: `tests/views/checkpoint.rs`.

mod assembly;
mod bring;
mod capture;
mod copy;
mod durable;
mod manifest;
mod path;
mod revert;
mod write_out;

pub use self::{
    assembly::{assemble, hand_over},
    bring::{BringError, Deed, bring},
    capture::{CaptureError, Captured, capture},
    durable::{Log, make_durable, save, settle},
    manifest::{Manifest, Paths},
    revert::{RevertError, RevertPlan, revert},
    write_out::write_out,
};
