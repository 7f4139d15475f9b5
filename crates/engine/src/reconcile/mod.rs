//! Compares what is recorded with what the host shows, at the start and every minute, as a part of [`crate::upkeep`]:
//! the crash path is the daily path.
//!
//! No input, no hints; what to do is decided by [`diff`], and each sandbox's actor does it.

pub(crate) mod approve;
mod diff;

use std::{collections::BTreeMap, sync::Arc};

use sandbar_runtime::SandboxDir;
use sandbar_store::{SandboxRow, app_list_visibilities, sandbox_list_living};
use sandbar_types::{SandboxId, SandboxState};

pub use self::diff::{Action, Desired, Owner, diff};
use crate::{
    Error, Result,
    actor::{Beginning, effects},
    engine::Inner,
    metrics,
};

/// Everything that the store records, compared with the host, before anybody is served.
pub(crate) async fn at_start(inner: &Arc<Inner>) -> Result<()> {
    let mut conn = inner.store.read().await?;
    let rows = sandbox_list_living(&mut conn).await?;
    let shown_as = app_list_visibilities(&mut conn).await?;
    drop(conn);
    let shown_as = shown_as.into_iter().map(|(id, at, who)| (id, (at, Some(who))));
    *inner.app_visibilities_mut() = shown_as.collect();
    let mut actions = find(inner, &rows, Owner::Nobody).await?;
    for action in actions.values().flatten() {
        inner.metrics.reconcile_actions.add_one(metrics::action_name(action));
    }
    for row in rows {
        let found = actions.remove(&row.id).unwrap_or_default();
        inner.actor_spawn(row, Beginning::Found(found));
    }
    kill_strangers(inner, actions);
    crate::processes::sweep_checks(inner).await;
    // After the actors, which it asks to freeze; before anybody is served, because it decides what the source is.
    approve::recover_all(inner).await;
    approve::forget_all(inner).await;
    // A workspace that was on its way somewhere gets there before anybody sees it.
    crate::checkpoint::recover_all(inner).await;
    Ok(())
}

/// What the host shows of `rows` and of everything else, against what is recorded.
pub(crate) async fn find(
    inner: &Inner,
    rows: &[SandboxRow],
    owner: Owner,
) -> Result<BTreeMap<SandboxId, Vec<Action>>> {
    let mut asked: BTreeMap<SandboxId, SandboxDir> =
        rows.iter().map(|row| (row.id, inner.layout.sandbox(row.id))).collect();
    // Directories without a record, too: somebody may still run in one.
    for id in inner.layout.sandbox_list().map_err(Error::internal)? {
        asked.entry(id).or_insert_with(|| inner.layout.sandbox(id));
    }
    let asked: Vec<(SandboxId, SandboxDir)> = asked.into_iter().collect();
    let mut observed = inner.config.runtime.observe(&asked).await.map_err(Error::internal)?;
    // Copies of sandboxes are no strangers; those that nobody minds are swept.
    let forks = inner.layout.fork_list().map_err(Error::internal)?;
    observed.retain(|id, _| !forks.contains(id) && !inner.turns.is_minded(*id));
    let desired = rows
        .iter()
        .map(|row| {
            let desired = Desired {
                state: row.state.clone(),
                nonce: row.nonce.clone(),
                is_this_boot: row.boot_id == inner.boot_id,
                owner,
            };
            (row.id, desired)
        })
        .collect();
    let mut actions: BTreeMap<SandboxId, Vec<Action>> = BTreeMap::new();
    for (id, action) in diff(&desired, &observed) {
        actions.entry(id).or_default().push(action);
    }
    Ok(actions)
}

/// What runs on the host and is recorded nowhere: left over from a crash, and in nobody's way once it is gone.
fn kill_strangers(inner: &Arc<Inner>, actions: BTreeMap<SandboxId, Vec<Action>>) {
    for id in actions.into_keys() {
        let inner = Arc::clone(inner);
        inner.tasks.clone().spawn(async move {
            // It may have been created since the host was looked at; its actor is known before it is launched.
            if inner.actors().contains_key(&id) || inner.turns.is_minded(id) {
                return;
            }
            let dir = inner.layout.sandbox(id);
            match effects::release(&inner, &dir, id).await {
                Ok(()) => tracing::info!(sandbox.id = %id, "released what belonged to no sandbox"),
                Err(err) => tracing::warn!(sandbox.id = %id, error = %err, "what belongs to no sandbox could not be released"),
            }
        });
    }
}

impl Desired {
    /// Whether processes of it should run.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        matches!(self.state, SandboxState::Running | SandboxState::Paused)
    }
}
