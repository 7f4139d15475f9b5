//! Directories that belong to nothing: of sandboxes that are recorded nowhere, and copies of checks that nobody minds.

use std::{io, path::Path};

use sandbar_types::SandboxId;

use super::{
    Reconciler,
    plan::{Deed, Planned},
};
use crate::{Error, Result, engine::Inner, workspace_view::blocking};

/// A directory of the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    id: SandboxId,
    is_recorded: bool,
    /// Whether something was written in it; what cannot be read was.
    has_files: bool,
}

/// Decides which directories of sandboxes go. One with files is somebody's work, recorded or not.
fn plan(seen: &[Seen]) -> Vec<Planned> {
    let go = seen.iter().filter(|one| !one.is_recorded && !one.has_files);
    go.map(|one| Planned {
        sandbox_id: Some(one.id),
        what: "directory of a sandbox".to_owned(),
        reason: "recorded nowhere, and nothing was written in it".to_owned(),
        bytes: None,
        deed: Deed::DiscardDirectory(one.id),
    })
    .collect()
}

pub(super) async fn find(inner: &Inner) -> Result<Vec<Planned>> {
    let layout = inner.layout.clone();
    let listed = blocking(move || {
        let seen = layout.sandbox_list()?.into_iter().map(|id| {
            let dir = layout.sandbox(id).0;
            (id, ["upper", "home"].iter().any(|layer| has_files(&dir.join(layer))))
        });
        io::Result::Ok((seen.collect::<Vec<_>>(), layout.fork_list()?))
    });
    let (directories, forks) = listed.await?.map_err(Error::internal)?;
    // Looked at after the directories: one that is being made is recorded by now.
    let actors = inner.actors();
    let seen = directories.into_iter().map(|(id, has_files)| Seen {
        id,
        is_recorded: actors.contains_key(&id),
        has_files,
    });
    let mut planned = plan(&seen.collect::<Vec<_>>());
    let forks = forks.into_iter().filter(|id| !inner.turns.is_minded(*id));
    planned.extend(forks.map(|id| Planned {
        sandbox_id: Some(id),
        what: "copy of a sandbox".to_owned(),
        reason: "no check minds it".to_owned(),
        bytes: None,
        deed: Deed::DiscardFork(id),
    }));
    Ok(planned)
}

fn has_files(layer: &Path) -> bool {
    match std::fs::read_dir(layer) {
        Ok(mut entries) => entries.next().is_some(),
        Err(err) => err.kind() != io::ErrorKind::NotFound,
    }
}

pub(super) async fn discard(inner: &Inner, id: SandboxId) -> Result<()> {
    let _creating = inner.creating.lock().await;
    let dir = inner.layout.sandbox(id).0;
    let has_files = ["upper", "home"].iter().any(|layer| has_files(&dir.join(layer)));
    if inner.actors().contains_key(&id) || has_files {
        return Ok(());
    }
    inner.layout.sandbox_discard(id).map_err(Error::internal)?;
    inner.upkeep.nudge(Reconciler::Trash);
    Ok(())
}

pub(super) async fn discard_fork(inner: &Inner, id: SandboxId) -> Result<()> {
    if inner.turns.is_minded(id) {
        return Ok(());
    }
    crate::processes::discard_fork(inner, id).await.map_err(Error::internal)?;
    tracing::info!(fork.id = %id, "removed the copy of a check that nobody minds");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_recorded_nowhere_and_holds_nothing_goes() {
        let one =
            |is_recorded, has_files| Seen { id: SandboxId::generate(), is_recorded, has_files };
        let seen = [one(true, false), one(true, true), one(false, true), one(false, false)];
        let planned: Vec<_> = plan(&seen).into_iter().map(|planned| planned.sandbox_id).collect();
        assert_eq!(planned, [Some(seen[3].id)]);
    }
}
