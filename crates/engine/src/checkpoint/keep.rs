//! Which checkpoints are kept. Pure, but for looking.

use std::collections::BTreeMap;

use sandbar_store::{CheckpointRow, checkpoint_list_all};
use sandbar_types::{CheckpointKind, SandboxId};

use super::place::Place;
use crate::{Error, ErrorKind, Result, engine::Inner, workspace_view::blocking};

/// LIMIT: checkpoints of one sandbox that nobody named and no task needs; older ones go.
const UNNAMED_MAX: usize = 50;
/// LIMIT: checkpoints of one sandbox, whatever they are for.
const ALL_MAX: usize = 1000;

/// One that need not be kept any longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Goes(pub(crate) CheckpointRow);

impl Goes {
    /// Why.
    pub(crate) fn reason(&self) -> &'static str {
        "50 later ones are kept, nobody named it, and it belongs to no task"
    }
}

/// Whether somebody or something needs it for as long as the sandbox lives. What was kept before a restore has a label
/// that nobody gave it.
fn is_named(row: &CheckpointRow) -> bool {
    match row.kind {
        CheckpointKind::Before | CheckpointKind::After => {
            row.task_id.is_some() || row.label.is_some()
        }
        CheckpointKind::Manual => row.label.is_some(),
        CheckpointKind::Kept => false,
    }
}

/// Decides which of `rows` go. Given with those of one sandbox together, the newest first.
fn plan(rows: Vec<CheckpointRow>) -> Vec<Goes> {
    let mut seen: BTreeMap<SandboxId, usize> = BTreeMap::new();
    let goes = rows.into_iter().filter(|row| {
        if is_named(row) {
            return false;
        }
        let count = seen.entry(row.sandbox_id).or_default();
        *count += 1;
        *count > UNNAMED_MAX
    });
    goes.map(Goes).collect()
}

pub(crate) async fn find(inner: &Inner) -> Result<Vec<Goes>> {
    Ok(plan(checkpoint_list_all(&mut inner.store.read().await?).await?))
}

/// Sandboxes whose restore or revert was begun and not ended, and that nobody is at.
pub(crate) async fn find_interrupted(inner: &Inner) -> Result<Vec<SandboxId>> {
    let ids: Vec<_> = inner.actors().keys().copied().collect();
    let free = ids.into_iter().filter(|id| inner.checkpoints.try_alone(*id).is_some());
    let places: Vec<_> = free.map(|id| (id, Place::of(&inner.layout, id))).collect();
    let found = blocking(move || {
        let has = |place: &Place| !matches!(place.intent(), Ok(None));
        places.into_iter().filter(|(_, place)| has(place)).map(|(id, _)| id).collect()
    });
    found.await
}

/// Refuses one more where there are as many as there may be, or they hold as much as the sandbox itself may.
pub(super) fn admit(existing: &[CheckpointRow], disk_bytes_max: u64) -> Result<()> {
    let held = existing.iter().fold(0_u64, |sum, row| sum.saturating_add(row.bytes));
    let limit = if existing.len() >= ALL_MAX {
        ("checkpoints", ALL_MAX as u64, existing.len() as u64)
    } else if held >= disk_bytes_max {
        ("checkpoint_bytes", disk_bytes_max, held)
    } else {
        return Ok(());
    };
    let (limit, value, used) = limit;
    let message =
        format!("the checkpoints of the sandbox are at their limit: {limit} {used} of {value}");
    Err(Error::new(ErrorKind::LimitReached, "limit_reached", message)
        .hint("`sandbar checkpoint ls` shows them, `sandbar checkpoint rm` removes one")
        .details(&serde_json::json!({ "limit": limit, "value": value, "used": used })))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use sandbar_types::{CheckpointId, TaskId};

    use super::*;

    fn row(
        sandbox_id: SandboxId,
        (kind, has_task, has_label): (usize, bool, bool),
    ) -> CheckpointRow {
        CheckpointRow {
            id: CheckpointId::generate(),
            sandbox_id,
            task_id: has_task.then(TaskId::generate),
            kind: CheckpointKind::ALL[kind],
            label: has_label.then(|| "kept".to_owned()),
            bytes: 10,
            left_out: 0,
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    proptest! {
        #[test]
        fn named_ones_stay_and_of_the_others_the_newest(
            kinds in proptest::collection::vec((0_usize..4, any::<bool>(), any::<bool>()), 0..150)
        ) {
            let ids = [SandboxId::generate(), SandboxId::generate()];
            let rows: Vec<_> =
                ids.iter().flat_map(|id| kinds.iter().map(|kind| row(*id, *kind))).collect();
            let gone: Vec<_> = plan(rows.clone()).into_iter().map(|goes| goes.0.id).collect();
            for id in ids {
                let unnamed: Vec<_> = rows.iter().filter(|row| row.sandbox_id == id && !is_named(row)).collect();
                for (at, row) in unnamed.iter().enumerate() {
                    prop_assert_eq!(gone.contains(&row.id), at >= UNNAMED_MAX);
                }
            }
            prop_assert!(rows.iter().filter(|row| is_named(row)).all(|row| !gone.contains(&row.id)));
        }
    }

    #[test]
    fn one_more_is_refused_at_either_limit() {
        let id = SandboxId::generate();
        let rows: Vec<_> = (0..10).map(|_| row(id, (2, false, false))).collect();
        assert!(admit(&rows, 101).is_ok());
        assert_eq!(admit(&rows, 100).unwrap_err().code(), "limit_reached");
        let many: Vec<_> = (0..ALL_MAX).map(|_| row(id, (2, false, true))).collect();
        assert_eq!(admit(&many, u64::MAX).unwrap_err().code(), "limit_reached");
    }
}
