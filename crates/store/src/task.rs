//! Tasks. A task is of its sandbox, and so of the tenant of that one; it stays for as long as the sandbox's history.

use jiff::Timestamp;
use sandbar_types::{
    AgentName, ExecId, Generation, Question, SandboxId, TaskId, TaskResult, TaskSpec, TaskState,
    TenantId,
};

use crate::{
    Reads, Row, StoreError, Update, WriteTxn,
    query::query,
    row::{self, to_int, to_json},
};

/// A task as it is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRow {
    /// Its id.
    pub id: TaskId,
    /// Where it is done.
    pub sandbox_id: SandboxId,
    /// What is asked.
    pub spec: TaskSpec,
    /// Which agent.
    pub agent: AgentName,
    /// Where it is in its life.
    pub state: TaskState,
    /// Whether somebody wants it ended.
    pub is_cancel_asked: bool,
    /// The exec that its agent is.
    pub exec_id: Option<ExecId>,
    /// By what name its agent can be gone on with.
    pub session: Option<String>,
    /// What its agent waits for an answer to.
    pub question: Option<Question>,
    /// What came of it.
    pub result: Option<TaskResult>,
    /// Counts the writes of this row.
    pub generation: Generation,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was begun.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub finished_at: Option<Timestamp>,
}

/// Which tasks are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskFilter {
    /// Of which sandbox.
    pub sandbox: SandboxId,
    /// In which state; any when absent.
    pub state: Option<TaskState>,
    /// Only those before this one.
    pub before: Option<TaskId>,
}

fn read(found: &Row) -> Result<TaskRow, StoreError> {
    Ok(TaskRow {
        id: row::parsed(found, "id")?,
        sandbox_id: row::parsed(found, "sandbox_id")?,
        spec: row::json(found, "spec")?,
        agent: row::parsed(found, "agent")?,
        state: row::json(found, "state")?,
        is_cancel_asked: row::column(found, "is_cancel_asked")?,
        exec_id: row::parsed_opt(found, "exec_id")?,
        session: row::column(found, "session")?,
        question: row::json_opt(found, "question")?,
        result: row::json_opt(found, "result")?,
        generation: Generation(row::count(found, "generation")?),
        created_at: row::time(found, "created_at")?,
        started_at: row::time_opt(found, "started_at")?,
        finished_at: row::time_opt(found, "finished_at")?,
    })
}

/// Inserts `new`, which nobody has begun.
///
/// # Errors
/// The database failed.
pub async fn task_insert_in_txn(txn: &mut WriteTxn, new: &TaskRow) -> Result<(), StoreError> {
    query(
        "INSERT INTO task (id, sandbox_id, spec, agent, state, is_final, is_cancel_asked, generation, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(new.id.to_string())
    .bind(new.sandbox_id.to_string())
    .bind(to_json(&new.spec))
    .bind(new.agent.as_str())
    .bind(to_json(&new.state))
    .bind(new.state.is_final())
    .bind(new.is_cancel_asked)
    .bind(to_int(new.generation.0))
    .bind(new.created_at.as_microsecond())
    .execute(txn)
    .await
    .map_err(StoreError::query("insert a task"))?;
    Ok(())
}

/// Writes everything of `row` that changes in its life, unless somebody else has written since `row.generation`.
///
/// # Errors
/// The database failed.
pub async fn task_update_in_txn(txn: &mut WriteTxn, row: &TaskRow) -> Result<Update, StoreError> {
    let next = row.generation.next();
    let done = query(
        "UPDATE task SET state = $1, is_final = $2, is_cancel_asked = $3, exec_id = $4, session = $5, question = $6, \
         result = $7, generation = $8, started_at = $9, finished_at = $10 WHERE id = $11 AND generation = $12",
    )
    .bind(to_json(&row.state))
    .bind(row.state.is_final())
    .bind(row.is_cancel_asked)
    .bind(row.exec_id.map(|id| id.to_string()))
    .bind(&row.session)
    .bind(row.question.as_ref().map(to_json))
    .bind(row.result.as_ref().map(to_json))
    .bind(to_int(next.0))
    .bind(row.started_at.map(Timestamp::as_microsecond))
    .bind(row.finished_at.map(Timestamp::as_microsecond))
    .bind(row.id.to_string())
    .bind(to_int(row.generation.0))
    .execute(txn)
    .await
    .map_err(StoreError::query("update a task"))?;
    Ok(Update::of(done, next))
}

/// Fetches a task, whoever's it is: only for who has it already.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn task_fetch(conn: &mut impl Reads, id: TaskId) -> Result<Option<TaskRow>, StoreError> {
    let found = query("SELECT * FROM task WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::query("fetch a task"))?;
    found.as_ref().map(read).transpose()
}

/// Fetches a task of `tenant`.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn task_fetch_of_tenant(
    conn: &mut impl Reads,
    tenant: TenantId,
    id: TaskId,
) -> Result<Option<TaskRow>, StoreError> {
    let found = query(
        "SELECT task.* FROM task JOIN sandbox ON sandbox.id = task.sandbox_id \
         WHERE task.id = $1 AND sandbox.tenant_id = $2",
    )
    .bind(id.to_string())
    .bind(tenant.to_string())
    .fetch_optional(conn)
    .await
    .map_err(StoreError::query("fetch a task of a tenant"))?;
    found.as_ref().map(read).transpose()
}

/// Lists at most `limit` tasks of a sandbox, newest first.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn task_list(
    conn: &mut impl Reads,
    filter: &TaskFilter,
    limit: u32,
) -> Result<Vec<TaskRow>, StoreError> {
    // A parameter that is NULL asks for nothing.
    let rows = query(
        "SELECT * FROM task WHERE sandbox_id = $1 AND (state = $2 OR $2 IS NULL) AND (id < $3 OR $3 IS NULL) \
         ORDER BY id DESC LIMIT $4",
    )
    .bind(filter.sandbox.to_string())
    .bind(filter.state.as_ref().map(to_json))
    .bind(filter.before.map(|id| id.to_string()))
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(StoreError::query("list tasks"))?;
    rows.iter().map(read).collect()
}

/// The tasks of a sandbox that are not over, oldest first, at most `limit`.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn task_list_open(
    conn: &mut impl Reads,
    sandbox: SandboxId,
    limit: u32,
) -> Result<Vec<TaskRow>, StoreError> {
    let rows =
        query("SELECT * FROM task WHERE sandbox_id = $1 AND is_final = 0 ORDER BY id LIMIT $2")
            .bind(sandbox.to_string())
            .bind(limit)
            .fetch_all(conn)
            .await
            .map_err(StoreError::query("list open tasks"))?;
    rows.iter().map(read).collect()
}

/// How many tasks are in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskCount {
    /// In which.
    pub state: TaskState,
    /// How many there are.
    pub tasks: u64,
    /// How many of them have a question that nobody answered yet.
    pub asking: u64,
}

/// Counts the tasks that are not over. A state that none is in is left out.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn task_count_open(conn: &mut impl Reads) -> Result<Vec<TaskCount>, StoreError> {
    let rows = query(
        "SELECT state, COUNT(*) AS tasks, COUNT(question) AS asking FROM task WHERE is_final = 0 GROUP BY state ORDER BY state",
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::query("count open tasks"))?;
    let count = |found: &Row| {
        Ok(TaskCount {
            state: row::json(found, "state")?,
            tasks: row::count(found, "tasks")?,
            asking: row::count(found, "asking")?,
        })
    };
    rows.iter().map(count).collect()
}

/// The sandboxes that have tasks that are not over.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn task_list_open_sandboxes(conn: &mut impl Reads) -> Result<Vec<SandboxId>, StoreError> {
    let rows = query("SELECT DISTINCT sandbox_id FROM task WHERE is_final = 0 ORDER BY sandbox_id")
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list sandboxes with open tasks"))?;
    rows.iter().map(|found| row::parsed(found, "sandbox_id")).collect()
}

/// The last task of `agent` in a sandbox before `before` that can be gone on with.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn task_find_session(
    conn: &mut impl Reads,
    sandbox: SandboxId,
    agent: &AgentName,
    before: TaskId,
) -> Result<Option<TaskRow>, StoreError> {
    let found = query(
        "SELECT * FROM task WHERE sandbox_id = $1 AND agent = $2 AND id < $3 AND session IS NOT NULL \
         ORDER BY id DESC LIMIT 1",
    )
    .bind(sandbox.to_string())
    .bind(agent.as_str())
    .bind(before.to_string())
    .fetch_optional(conn)
    .await
    .map_err(StoreError::query("find a session"))?;
    found.as_ref().map(read).transpose()
}

/// Lists at most `limit` tasks that were over before `before`, the oldest first.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn task_list_finished_before(
    conn: &mut impl Reads,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<(TaskId, SandboxId)>, StoreError> {
    let rows = query(
        "SELECT id, sandbox_id FROM task WHERE is_final = 1 AND finished_at < $1 ORDER BY finished_at LIMIT $2",
    )
    .bind(before.as_microsecond())
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(StoreError::query("list tasks that were over long ago"))?;
    rows.iter()
        .map(|found| Ok((row::parsed(found, "id")?, row::parsed(found, "sandbox_id")?)))
        .collect()
}

/// Forgets a task.
///
/// # Errors
/// The database failed.
pub async fn task_remove_in_txn(txn: &mut WriteTxn, id: TaskId) -> Result<(), StoreError> {
    query("DELETE FROM task WHERE id = $1")
        .bind(id.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query("remove a task"))?;
    Ok(())
}
