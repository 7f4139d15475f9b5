//! Upkeep: what is put in order without anybody asking, and what `gc` puts in order when somebody does.
//!
//! Each [`Reconciler`] looks at what is (it takes no input and keeps none), decides with values what there is to do and
//! why ([`Planned`]), and does it. It runs on its interval and when it is nudged, at most once at a time, each in a loop
//! of its own: a slow or failing one holds up no other, and comes again. What it last did is on the [`Upkeep`] board.
//!
//! ```text
//! interval or nudge ─► plan ─► each deed is done ─► board
//! gc --dry-run      ─► plan ─► said
//! gc                ─► plan ─► each deed is done ─► said, board
//! ```
//!
//! INVARIANT: nothing here removes a sandbox that has, or may have, changes that nobody decided about; only
//! [`Engine::gc_sandbox`] does, by name. Tests: beside each plan, and `tests/engine/upkeep.rs`.

mod board;
mod checkpoints;
mod disk;
pub(crate) mod expiry;
mod forgotten;
mod gc;
mod host;
mod kept;
mod orphans;
mod plan;
mod reconciler;
mod tasks;
mod terminal;
mod total;
mod trash;
mod warnings;

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use self::{
    board::Round,
    forgotten::Old,
    plan::{Deed, Occasion, Planned},
};
pub(crate) use self::{
    board::Upkeep,
    disk::{admit as admit_disk, free_bytes},
    total::admit as admit_total,
    warnings::level,
};
pub use self::{
    board::UpkeepStatus,
    gc::{GcAction, GcMode, GcReport, Pending},
    reconciler::Reconciler,
};
use crate::{Engine, Error, Result, engine::Inner};

/// LIMIT: a reconciler takes a twentieth of the time at the most, however much it has to look at.
const SHARE: u32 = 20;

/// Starts every reconciler that does something by itself.
pub(crate) fn start(inner: &Arc<Inner>) {
    for which in Reconciler::ALL {
        if which.is_automatic(&inner.settings()) {
            inner.tasks.spawn(every_interval(Arc::clone(inner), which));
        }
    }
    // What an earlier server left there.
    inner.upkeep.nudge(Reconciler::Trash);
}

async fn every_interval(inner: Arc<Inner>, which: Reconciler) {
    let mut settings = inner.settings.subscribe();
    let (mut before, mut rest) = (Instant::now(), Duration::ZERO);
    loop {
        let interval = which.interval(&settings.borrow_and_update());
        let due = before + rest.max(interval);
        let left = due.saturating_duration_since(Instant::now());
        inner.upkeep.is_next_at(which, interval, inner.config.clock.now() + left);
        tokio::select! {
            () = inner.leaving.cancelled() => return,
            // The interval may be another one now.
            _changed = settings.changed() => continue,
            () = inner.upkeep.nudged(which) => {}
            () = tokio::time::sleep_until(due) => {}
        }
        let begun = Instant::now();
        let engine = Engine { inner: Arc::clone(&inner) };
        // A task of its own: one that panics is a failure that is seen, and comes again.
        let round = inner.tasks.spawn(async move { run(&engine, which).await });
        if let Err(panicked) = round.await {
            inner.upkeep.failed(which, &Error::internal(panicked), inner.config.clock.now());
        }
        (before, rest) = (Instant::now(), begun.elapsed() * SHARE);
    }
}

/// Looks once, and does what there is to do.
async fn run(engine: &Engine, which: Reconciler) {
    let inner = &engine.inner;
    let _alone = inner.upkeep.alone(which).await;
    let (at, begun) = (inner.config.clock.now(), Instant::now());
    let mut round = Round::default();
    match plan(engine, which, Occasion::Interval).await {
        Ok(planned) => {
            round.found = planned.len() as u64;
            for planned in planned {
                // What is left is found again by the next server.
                if inner.leaving.is_cancelled() {
                    break;
                }
                match carry_out(engine, &planned).await {
                    Ok(()) => round.done += 1,
                    Err(err) => round.fail(which, &err),
                }
            }
        }
        Err(err) => round.fail(which, &err),
    }
    if which == Reconciler::Approves
        && let Err(err) = crate::reconcile::approve::forget_each(inner).await
    {
        round.fail(which, &err);
    }
    if which == Reconciler::Host {
        inner.metrics.reconciles.add(begun.elapsed());
        if round.error.is_some() {
            inner.metrics.reconcile_failures.add_one();
        }
    }
    inner.upkeep.ended(which, at, begun.elapsed(), round);
}

/// What there is to do.
async fn plan(engine: &Engine, which: Reconciler, occasion: Occasion) -> Result<Vec<Planned>> {
    let inner = &engine.inner;
    match which {
        Reconciler::Host => host::find(inner).await,
        Reconciler::Approves => kept::find_interrupted(inner).await,
        Reconciler::Lease | Reconciler::Idle => Ok(expiry::find(inner, which)),
        Reconciler::Warnings => warnings::find(inner).await,
        Reconciler::Disk => disk::find(inner).await,
        Reconciler::Total => total::find(engine).await,
        Reconciler::Terminal => terminal::find(engine, occasion).await,
        Reconciler::Orphans => orphans::find(inner).await,
        Reconciler::Kept => kept::find(inner).await,
        Reconciler::Checkpoints => checkpoints::find(inner).await,
        Reconciler::Keys => forgotten::find_keys(inner).await,
        Reconciler::Sessions => forgotten::find(inner, Old::Sessions).await,
        Reconciler::History => forgotten::find(inner, Old::Sandboxes).await,
        Reconciler::Events => forgotten::find(inner, Old::Events).await,
        Reconciler::Audit => forgotten::find(inner, Old::Audit).await,
        Reconciler::Approved => forgotten::find(inner, Old::Approves).await,
        Reconciler::Logs => {
            let mut planned = forgotten::find_logs(inner).await?;
            planned.extend(tasks::find(inner).await?);
            Ok(planned)
        }
        Reconciler::Trash => trash::find(inner).await,
    }
}

/// Does one thing.
async fn carry_out(engine: &Engine, planned: &Planned) -> Result<()> {
    let inner = &engine.inner;
    match &planned.deed {
        Deed::Found { id, generation, action } => {
            host::carry_out(inner, *id, *generation, action).await
        }
        Deed::EndApprove(row) => crate::reconcile::approve::recover(inner, row).await,
        Deed::LookAtExpiry(id) => expiry::carry_out(inner, *id),
        Deed::Warn(warning) => warnings::carry_out(inner, warning).await,
        Deed::GiveReserve | Deed::TakeReserve => disk::carry_out(inner, &planned.deed).await,
        Deed::Delete { id, generation } => terminal::carry_out(inner, *id, *generation).await,
        Deed::DiscardDirectory(id) => orphans::discard(inner, *id).await,
        Deed::DiscardFork(id) => orphans::discard_fork(inner, *id).await,
        Deed::Release(row) => kept::release(inner, row).await,
        Deed::RemoveCheckpoint(row) => crate::checkpoint::remove(inner, row).await,
        Deed::EndRestore(id) => crate::checkpoint::recover(inner, *id).await,
        Deed::ForgetKeys(keys) => forgotten::keys(inner, keys).await,
        Deed::ForgetLog { sandbox, exec } => forgotten::log(inner, *sandbox, *exec).await,
        Deed::ForgetTask(id) => tasks::forget(inner, *id).await,
        Deed::Forget(old) => forgotten::rows(inner, *old).await,
        Deed::Remove(path) => trash::remove(path.clone()).await,
    }
}
