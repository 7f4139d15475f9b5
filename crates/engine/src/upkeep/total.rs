//! What all sandboxes hold together: where it is more than the operator allows, stopped ones without changes go, the
//! oldest first. What is still too much then is in nobody's way but of new sandboxes: those are refused.

use super::{
    plan::Planned,
    terminal::{Candidate, is_terminal},
};
use crate::{Engine, Error, ErrorKind, Result, engine::Inner};

/// Decides which of `seen` go, so that `total` becomes at most `most`, where that is possible.
fn plan(seen: &[Candidate], total: u64, most: u64) -> Vec<Planned> {
    let mut free: Vec<_> = seen.iter().filter(|one| one.is_free()).collect();
    free.sort_by_key(|one| (one.updated_at, one.id));
    let mut left = total;
    let mut planned = Vec::new();
    for one in free {
        if left <= most {
            break;
        }
        // Nothing is won by one that holds nothing.
        let Some(bytes) = one.bytes.filter(|bytes| *bytes > 0) else {
            continue;
        };
        left = left.saturating_sub(bytes);
        planned
            .push(one.delete("all sandboxes hold more than they may; it has no pending changes"));
    }
    planned
}

pub(super) async fn find(engine: &Engine) -> Result<Vec<Planned>> {
    let Some(most) = engine.inner.settings().total_disk_bytes_max else {
        return Ok(Vec::new());
    };
    let mut total = 0_u64;
    let sandboxes = engine.sandbox_list_all();
    for sandbox in &sandboxes {
        // One that is deleted meanwhile holds nothing.
        if let Ok(size) = engine.sandbox_size(sandbox.id).await {
            total = total.saturating_add(size.bytes());
        }
    }
    engine.inner.upkeep.total_measured(total);
    if total <= most {
        return Ok(Vec::new());
    }
    let mut seen = Vec::new();
    for sandbox in sandboxes.iter().filter(|sandbox| is_terminal(&sandbox.state)) {
        seen.push(Candidate::of(engine, sandbox).await);
    }
    Ok(plan(&seen, total, most))
}

/// Refuses a new sandbox while all together hold too much.
pub(crate) fn admit(inner: &Inner) -> Result<()> {
    let Some((most, total)) = inner.settings().total_disk_bytes_max.zip(inner.upkeep.total_bytes())
    else {
        return Ok(());
    };
    if total < most {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::LimitReached,
        "limit_reached",
        format!("all sandboxes may hold {most} bytes, and hold {total}"),
    )
    .hint("approve or reject what is pending and delete some: `sandbar du` shows what is large")
    .details(&serde_json::json!({ "limit": "total_disk_bytes", "value": most, "used": total })))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::terminal::tests::{assert_nothing_is_lost, candidates},
        *,
    };

    proptest! {
        #[test]
        fn the_oldest_go_until_it_fits_and_never_what_has_changes(
            seen in candidates(), other in 0_u64..2000, most in 0_u64..4000,
        ) {
            let total = seen.iter().filter_map(|one| one.bytes).sum::<u64>() + other;
            let planned = plan(&seen, total, most);
            assert_nothing_is_lost(&seen, &planned);
            let gone: u64 = planned.iter().filter_map(|planned| planned.bytes).sum();
            let last = planned.last().and_then(|planned| planned.bytes).unwrap_or(0);
            // Not one more than needed.
            prop_assert!(planned.is_empty() || total - (gone - last) > most);
            let could = seen.iter().filter(|one| one.is_free()).filter_map(|one| one.bytes).sum::<u64>();
            prop_assert!(total - gone <= most || gone == could);
        }
    }
}
