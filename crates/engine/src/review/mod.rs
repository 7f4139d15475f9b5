//! The decision about changes: seen at one instant, approved as they were seen, or dropped.

mod applier;
pub(crate) mod approve;
mod changes;
pub(crate) mod end;
mod history;
mod model;
mod reject;
pub(crate) mod retention;
mod undo;

pub use self::{
    applier::{Applier, ApplierFds, InProcessApplier, WorkerApplier},
    history::{ApproveListParams, ApproveRecord},
    model::{ApproveParams, Changes, Consistency, FileHunks, RejectOutcome, RejectParams},
};
