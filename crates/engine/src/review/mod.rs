//! The decision about changes: seen at one instant, approved as they were seen, or dropped.

pub(crate) mod acceptance;
mod applier;
pub(crate) mod approve;
mod base;
mod changes;
mod declined;
pub(crate) mod end;
mod history;
mod model;
mod propose;
mod rebase;
mod refresh;
mod reject;
pub(crate) mod retention;
mod undo;

pub(crate) use self::changes::unreadable;
pub use self::{
    applier::{Applier, ApplierFds, InProcessApplier, WorkerApplier},
    declined::Declined,
    history::{ApproveListParams, ApproveRecord},
    model::{
        ApproveParams, Changes, Consistency, FileHunks, MergeState, RejectOutcome, RejectParams,
    },
    propose::Resolutions,
    refresh::{RefreshOutcome, RefreshParams},
};
