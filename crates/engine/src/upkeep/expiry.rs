//! Which sandboxes are over: their lease ended, or nobody uses them. They are stopped, never deleted: their files may
//! hold changes that nobody decided about.
//!
//! Its actor looks every second by itself, because it alone knows every use; here it is asked to look, and told about.

use std::time::Duration;

use jiff::Timestamp;
use sandbar_store::SandboxRow;
use sandbar_types::{SandboxId, SandboxState, StopReason};

use super::{
    Reconciler,
    plan::{Deed, Planned},
};
use crate::{Result, actor::Ordinary, engine::Inner, idle::Use};

/// Why it should end now by itself.
pub(crate) fn due(
    row: &SandboxRow,
    app_timeout: Option<Duration>,
    now: Timestamp,
) -> Option<StopReason> {
    if !matches!(row.state, SandboxState::Running | SandboxState::Paused) {
        return None;
    }
    if row.lease_until.is_some_and(|until| until <= now) {
        return Some(StopReason::LeaseEnded);
    }
    Use::of(row, app_timeout).is_idle(now).then_some(StopReason::Idle)
}

pub(super) fn find(inner: &Inner, which: Reconciler) -> Vec<Planned> {
    let handles: Vec<_> = inner.actors().values().cloned().collect();
    let now = inner.config.clock.now();
    let due = handles.iter().filter_map(|handle| {
        let row = handle.row();
        let app_timeout = handle.app.has_processes().then_some(inner.settings().app_idle_timeout);
        plan(&row, due(&row, app_timeout, now)?, which)
    });
    due.collect()
}

fn plan(row: &SandboxRow, due: StopReason, which: Reconciler) -> Option<Planned> {
    let reason = match (which, due) {
        (Reconciler::Lease, StopReason::LeaseEnded) => "its lease is over",
        (Reconciler::Idle, StopReason::Idle) => "nobody has used it for its idle timeout",
        (_, _) => return None,
    };
    Some(Planned {
        sandbox_id: Some(row.id),
        what: format!("stop of sandbox `{}`", row.name),
        reason: reason.to_owned(),
        bytes: None,
        deed: Deed::LookAtExpiry(row.id),
    })
}

pub(super) fn carry_out(inner: &Inner, id: SandboxId) -> Result<()> {
    match inner.actor(id) {
        Ok(handle) => handle.send(Ordinary::LookAtExpiry),
        // It is gone.
        Err(_gone) => Ok(()),
    }
}
