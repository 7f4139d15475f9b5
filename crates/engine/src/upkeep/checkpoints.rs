//! Checkpoints: old ones are removed, and a restore that was interrupted is ended.

use super::plan::{Deed, Planned};
use crate::{
    Result,
    checkpoint::{find_interrupted, find_old},
    engine::Inner,
};

pub(super) async fn find(inner: &Inner) -> Result<Vec<Planned>> {
    let interrupted = find_interrupted(inner).await?.into_iter().map(|id| Planned {
        sandbox_id: Some(id),
        what: "restore of a checkpoint".to_owned(),
        reason: "it was interrupted".to_owned(),
        bytes: None,
        deed: Deed::EndRestore(id),
    });
    let old = find_old(inner).await?.into_iter().map(|goes| Planned {
        sandbox_id: Some(goes.0.sandbox_id),
        what: format!("checkpoint {}", goes.0.id),
        reason: goes.reason().to_owned(),
        bytes: Some(goes.0.bytes),
        deed: Deed::RemoveCheckpoint(Box::new(goes.0)),
    });
    Ok(interrupted.chain(old).collect())
}
