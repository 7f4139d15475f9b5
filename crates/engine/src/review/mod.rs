//! The decision about changes: seen at one instant, approved as they were seen, or dropped.

mod applier;
pub(crate) mod approve;
mod base;
mod changes;
mod declined;
pub(crate) mod end;
mod model;
mod propose;
mod rebase;
mod reject;

pub use self::{
    applier::{Applier, ApplierFds, InProcessApplier, WorkerApplier},
    declined::Declined,
    model::{
        ApproveParams, Changes, Consistency, FileHunks, MergeState, RejectOutcome, RejectParams,
    },
    propose::Resolutions,
};
