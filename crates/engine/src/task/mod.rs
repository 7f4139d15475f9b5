//! Tasks: what agents are asked to do, one at a time in each sandbox.
//!
//! ```text
//! submit ─► queued ─► running ◄──► waiting          [`submit`] takes, [`lane`] orders, [`run`] does,
//!             │          ├─► succeeded              [`attendance`] talks, [`history`] remembers,
//!             │          ├─► failed                 [`follow`] tells.
//!             └──────────┴─► cancelled
//! ```
//!
//! A keeper holds the agent, not the server: a server that was killed finds it, reads its log from the beginning with a
//! new conversation, leaves out what was done before, and goes on.
//! Tests: here for the decisions, `tests/engine` over the fake runtime, `tests/host` for the real thing.

mod after;
mod agent;
mod answer;
mod around;
mod attendance;
mod feed;
mod follow;
mod history;
mod input;
mod lane;
mod lines;
mod meter;
mod model;
mod network;
mod past;
mod questions;
mod reader;
mod run;
mod stop;
mod submit;
mod talk;
mod work;

use sandbar_store::{
    TaskCount, TaskFilter, TaskRow, Update, task_count_open, task_fetch_of_tenant, task_list,
    task_update_in_txn,
};
use sandbar_types::{SandboxId, Task, TaskId, TaskResult, TaskState, TenantId};

pub use self::{follow::TaskFollower, model::TaskListParams};
pub(crate) use self::{lane::resume, work::Work};
use crate::{Engine, Error, ErrorKind, Result};

impl Engine {
    /// Fetches a task; what another tenant has is answered as what nobody has.
    ///
    /// # Errors
    /// `task_not_found`.
    pub async fn task_fetch(&self, tenant: TenantId, id: TaskId) -> Result<Task> {
        self.task_row(tenant, id).await.map(model::task)
    }

    async fn task_row(&self, tenant: TenantId, id: TaskId) -> Result<TaskRow> {
        let mut conn = self.inner.store.read().await?;
        task_fetch_of_tenant(&mut conn, tenant, id).await?.ok_or_else(|| unknown(id))
    }

    /// Lists tasks of a sandbox, newest first; of one that was deleted, too. Of a long prompt the beginning.
    ///
    /// # Errors
    /// The store failed.
    pub async fn task_list(&self, sandbox: SandboxId, params: TaskListParams) -> Result<Vec<Task>> {
        let TaskListParams { state, before, limit } = params;
        let filter = TaskFilter { sandbox, state, before };
        let rows = task_list(&mut self.inner.store.read().await?, &filter, limit).await?;
        Ok(rows.into_iter().map(model::listed).collect())
    }

    /// Counts the tasks that are not over, by state.
    ///
    /// # Errors
    /// The store failed.
    pub async fn task_counts(&self) -> Result<Vec<TaskCount>> {
        Ok(task_count_open(&mut self.inner.store.read().await?).await?)
    }

    /// Ends a task: one that waits for its turn at once, one that runs as soon as its agent has stopped or was stopped.
    ///
    /// # Errors
    /// `task_not_found`; `task_finished` with the state that it has.
    pub async fn task_cancel(&self, tenant: TenantId, id: TaskId) -> Result<Task> {
        loop {
            let mut row = self.task_row(tenant, id).await?;
            if row.state.is_final() {
                return Err(finished(&row));
            }
            if row.state == TaskState::Queued {
                let ended = (TaskState::Cancelled, TaskResult::default());
                if submit::cancel_queued(self, &row, ended).await? {
                    return self.task_fetch(tenant, id).await;
                }
                continue;
            }
            row.is_cancel_asked = true;
            let mut txn = self.inner.store.begin().await?;
            if let Update::Applied(_) = task_update_in_txn(&mut txn, &row).await? {
                txn.commit().await?;
                // One that is not looked after yet reads it from the store.
                if let Some(live) = self.inner.work.live(id) {
                    live.cancel.cancel();
                }
                return Ok(model::task(row));
            }
        }
    }
}

fn unknown(id: TaskId) -> Error {
    Error::new(ErrorKind::NotFound, "task_not_found", format!("there is no task {id}"))
        .hint("`sandbar task ls` lists those of a sandbox")
}

fn finished(row: &TaskRow) -> Error {
    let state = row.state;
    let message = format!("the task is over: {state}");
    Error::new(ErrorKind::Conflict, "task_finished", message)
        .details(&serde_json::json!({ "state": state }))
}
