//! Tasks that are forgotten: as old as the execs that are, or of a sandbox whose history is forgotten.

use std::{io, time::Duration};

use jiff::Timestamp;
use sandbar_store::{task_fetch, task_list_finished_before, task_remove_in_txn};
use sandbar_types::{SandboxId, TaskId};

use super::plan::{Deed, Planned};
use crate::{Error, Result, engine::Inner, workspace_view::blocking};

/// LIMIT: tasks that are forgotten in one run; the next one goes on.
const TASKS_MAX: u32 = 1000;
/// How old the history of a task is that nobody records any more: one that is just asked for has no record yet.
const ORPHAN_AGE: Duration = Duration::from_hours(1);

pub(super) async fn find(inner: &Inner) -> Result<Vec<Planned>> {
    let before = inner.config.clock.now() - inner.settings().log_ttl;
    let mut conn = inner.store.read().await?;
    let old = task_list_finished_before(&mut conn, before, TASKS_MAX).await?;
    let reason = "over longer ago than execs are kept";
    let mut planned: Vec<Planned> =
        old.into_iter().map(|(id, sandbox)| plan(id, Some(sandbox), reason)).collect();
    let layout = inner.layout.clone();
    let listed = blocking(move || {
        let ids = layout.task_list()?;
        Ok::<_, io::Error>(
            ids.into_iter().filter(|id| is_old(&layout.task(*id))).collect::<Vec<_>>(),
        )
    });
    for id in listed.await?.map_err(Error::internal)? {
        if task_fetch(&mut conn, id).await?.is_none() {
            planned.push(plan(id, None, "recorded nowhere any more"));
        }
    }
    Ok(planned)
}

fn plan(id: TaskId, sandbox_id: Option<SandboxId>, reason: &str) -> Planned {
    let (what, reason) = (format!("task {id} and its history"), reason.to_owned());
    Planned { sandbox_id, what, reason, bytes: None, deed: Deed::ForgetTask(id) }
}

/// Whether a directory was made long ago by the clock of the host, which stamps files.
fn is_old(dir: &std::path::Path) -> bool {
    let made = dir.metadata().and_then(|found| found.modified()).ok();
    let made = made.and_then(|made| Timestamp::try_from(made).ok());
    made.is_some_and(|made| Timestamp::now().duration_since(made).unsigned_abs() > ORPHAN_AGE)
}

pub(super) async fn forget(inner: &Inner, id: TaskId) -> Result<()> {
    // INVARIANT: the files first. A record without files is found again; files without a record only later.
    let dir = inner.layout.task(id);
    match blocking(move || std::fs::remove_dir_all(dir)).await? {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(Error::internal(err)),
        Ok(()) | Err(_) => {}
    }
    let mut txn = inner.store.begin().await?;
    task_remove_in_txn(&mut txn, id).await?;
    Ok(txn.commit().await?)
}
