//! The tasks of one sandbox, one after the other, in the order in which they were asked for.
//!
//! A lane is a task of the server that exists as long as its sandbox has something to do. It holds no list: what is next
//! is what the store says, so that after a restart it goes on with the same.

use std::{sync::Arc, time::Duration};

use sandbar_store::{TaskRow, task_fetch, task_list_open, task_list_open_sandboxes};
use sandbar_types::{SandboxId, TaskFailure, TaskResult, TaskState};

use super::{run, submit};
use crate::{Engine, Error, Result, engine::Inner};

/// Before something that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Has somebody do what an earlier server left undone.
pub(crate) async fn resume(inner: &Arc<Inner>) -> Result<()> {
    let mut conn = inner.store.read().await?;
    let sandboxes = task_list_open_sandboxes(&mut conn).await?;
    drop(conn);
    let engine = Engine { inner: Arc::clone(inner) };
    for sandbox in sandboxes {
        poke(&engine, sandbox);
    }
    Ok(())
}

/// Says that a sandbox has a task.
pub(super) fn poke(engine: &Engine, sandbox: SandboxId) {
    if engine.inner.work.add(sandbox) {
        let lane = engine.clone();
        engine.inner.tasks.spawn(async move { Box::pin(work(&lane, sandbox)).await });
    }
}

async fn work(engine: &Engine, sandbox: SandboxId) {
    let inner = &engine.inner;
    // As long as it has something to do, it is used. One that is gone has nobody to tell.
    let _used = engine.preview_viewer(sandbox).ok();
    loop {
        inner.work.looks(sandbox);
        let done = match next(engine, sandbox).await {
            Ok(Some(row)) => one(engine, row).await,
            Ok(None) if inner.work.leave(sandbox) => return,
            Ok(None) => Ok(()),
            Err(err) => Err(err),
        };
        if inner.leaving.is_cancelled() {
            return;
        }
        if let Err(err) = done {
            tracing::warn!(sandbox.id = %sandbox, error = &err as &dyn std::error::Error, "a task could not be done, and is tried again");
            tokio::select! {
                () = inner.leaving.cancelled() => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }
}

async fn next(engine: &Engine, sandbox: SandboxId) -> Result<Option<TaskRow>> {
    let mut conn = engine.inner.store.read().await?;
    Ok(task_list_open(&mut conn, sandbox, 1).await?.pop())
}

/// Does one task; what goes wrong with it is its end, and not that of the lane.
async fn one(engine: &Engine, row: TaskRow) -> Result<()> {
    let (id, work) = (row.id, &engine.inner.work);
    // Before it is looked at again: from here on it hears that it is to be ended.
    let wishes = work.begin(id);
    let found = async {
        let mut conn = engine.inner.store.read().await?;
        Ok::<_, Error>(task_fetch(&mut conn, id).await?.filter(|row| !row.state.is_final()))
    };
    let done = match found.await {
        Ok(None) => Ok(()),
        Ok(Some(row)) => {
            let task = engine.clone();
            // A task of its own: one that panics ends, and the lane goes on.
            let running =
                engine.inner.tasks.spawn(async move { run::run(&task, row, wishes).await });
            running.await.unwrap_or_else(|panicked| Err(Error::internal(panicked)))
        }
        Err(err) => Err(err),
    };
    work.end(id);
    match done {
        Ok(()) => Ok(()),
        Err(err) if err.code() == "task_finished" => Ok(()),
        Err(err) => fail(engine, id, &err).await,
    }
}

/// Ends a task that cannot be done, through no fault of its agent.
async fn fail(engine: &Engine, id: sandbar_types::TaskId, err: &Error) -> Result<()> {
    tracing::error!(task.id = %id, error = err as &dyn std::error::Error, "a task failed");
    let result = TaskResult {
        failure_reason: Some(TaskFailure::Internal),
        error_message: Some(err.message().to_owned()),
        ..TaskResult::default()
    };
    submit::end(engine, id, (TaskState::Failed, result)).await
}
