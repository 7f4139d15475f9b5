//! Whether the host shows what is recorded: decided by [`crate::reconcile::diff`], done by the actor of each sandbox.

use std::{collections::BTreeMap, sync::Arc};

use sandbar_types::{Generation, SandboxId};

use super::plan::{Deed, Planned};
use crate::{
    Error, Result,
    actor::{Ordinary, effects},
    engine::Inner,
    metrics,
    reconcile::{self, Action, Owner},
};

pub(super) async fn find(inner: &Arc<Inner>) -> Result<Vec<Planned>> {
    let rows: Vec<_> = inner.actors().values().map(|handle| (*handle.row()).clone()).collect();
    let actions = reconcile::find(inner, &rows, Owner::Actor).await?;
    let generations = rows.iter().map(|row| (row.id, row.generation)).collect();
    Ok(plan(actions, &generations))
}

fn plan(
    actions: BTreeMap<SandboxId, Vec<Action>>,
    generations: &BTreeMap<SandboxId, Generation>,
) -> Vec<Planned> {
    let of_one = |(id, actions): (SandboxId, Vec<Action>)| {
        let generation = generations.get(&id).copied();
        actions.into_iter().map(move |action| Planned {
            sandbox_id: Some(id),
            what: metrics::action_name(&action).to_owned(),
            reason: match generation {
                Some(_) => "the host shows something else than the record".to_owned(),
                None => "it is recorded nowhere".to_owned(),
            },
            bytes: None,
            deed: Deed::Found { id, generation, action },
        })
    };
    actions.into_iter().flat_map(of_one).collect()
}

pub(super) async fn carry_out(
    inner: &Arc<Inner>,
    id: SandboxId,
    generation: Option<Generation>,
    action: &Action,
) -> Result<()> {
    inner.metrics.reconcile_actions.add_one(metrics::action_name(action));
    let Some(generation) = generation else {
        return kill_stranger(inner, id).await;
    };
    // It may be gone since: then nothing is left to do.
    let Ok(handle) = inner.actor(id) else {
        return Ok(());
    };
    handle.send(Ordinary::Found { generation, action: action.clone() })
}

/// What runs on the host and is recorded nowhere: left over from a crash, and in nobody's way once it is gone.
async fn kill_stranger(inner: &Inner, id: SandboxId) -> Result<()> {
    // It may have been created since the host was looked at; its actor is known before it is launched.
    if inner.actors().contains_key(&id) || inner.turns.is_minded(id) {
        return Ok(());
    }
    effects::release(inner, &inner.layout.sandbox(id), id).await.map_err(Error::internal)?;
    tracing::info!(sandbox.id = %id, "released what belonged to no sandbox");
    Ok(())
}
