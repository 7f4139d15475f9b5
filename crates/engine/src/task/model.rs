//! A task as its users see it.

use sandbar_store::TaskRow;
use sandbar_types::{Task, TaskId, TaskState};

/// LIMIT: bytes of each prompt of a list; the task itself has all of it.
const LISTED_PROMPT_BYTES_MAX: usize = 4 << 10;

/// Which tasks of a sandbox are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskListParams {
    /// In which state; any when absent.
    pub state: Option<TaskState>,
    /// Only those before this one.
    pub before: Option<TaskId>,
    /// At most so many.
    pub limit: u32,
}

pub(super) fn task(row: TaskRow) -> Task {
    Task {
        id: row.id,
        sandbox_id: row.sandbox_id,
        spec: row.spec,
        agent: row.agent,
        state: row.state,
        question: row.question,
        result: row.result,
        created_at: row.created_at,
        started_at: row.started_at,
        finished_at: row.finished_at,
    }
}

/// As [`task`], with the beginning of a prompt that is long.
pub(super) fn listed(mut row: TaskRow) -> Task {
    let prompt = std::mem::take(&mut row.spec.prompt);
    row.spec.prompt = super::talk::cut(prompt, LISTED_PROMPT_BYTES_MAX);
    task(row)
}
