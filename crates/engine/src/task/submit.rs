//! Asking for a task, and ending one that nobody has begun.

use std::path::PathBuf;

use sandbar_store::{
    TaskRow, Update, WriteTxn, event_insert_of_sandbox_in_txn, task_fetch, task_find_session,
    task_insert_in_txn, task_list_open, task_update_in_txn,
};
use sandbar_types::{
    AgentName, Generation, Permissions, SandboxId, Task, TaskEventPayload, TaskId, TaskResult,
    TaskSpec, TaskState,
};

use super::{history::History, lane, model, run, work::Told};
use crate::{
    Engine, Error, ErrorKind, Result,
    event::EventPayload,
    lifecycle::{Request, admit},
    workspace_view::blocking,
};

/// LIMIT: tasks of one sandbox that are not over.
const OPEN_MAX: u32 = 100;
/// LIMIT: words of a command, and bytes of each.
const COMMAND_WORDS_MAX: usize = 1000;
const COMMAND_BYTES_MAX: usize = 64 << 10;
/// Which agent, where nobody says.
const AGENT_DEFAULT: &str = "claude-code";
/// Which agent, where nobody says and there is a command.
const AGENT_COMMAND: &str = "command";

impl Engine {
    /// Asks an agent to do something in a sandbox. It is begun when the tasks before it are over.
    ///
    /// # Errors
    /// `sandbox_not_found`, `agent_unknown` (with those that there are), `invalid_value`, `limit_reached`,
    /// `state_conflict` where the sandbox is being deleted.
    pub async fn task_submit(&self, sandbox: SandboxId, spec: TaskSpec) -> Result<Task> {
        let handle = self.inner.actor(sandbox)?;
        if handle.row().state == sandbar_types::SandboxState::Deleting {
            admit(&handle.row().state, Request::Exec)?;
        }
        let agent = agent_of(&spec)?;
        check(&spec, &agent)?;
        let row = TaskRow {
            id: TaskId::generate(),
            sandbox_id: sandbox,
            spec,
            agent,
            state: TaskState::Queued,
            is_cancel_asked: false,
            exec_id: None,
            session: None,
            question: None,
            result: None,
            generation: Generation::FIRST,
            created_at: self.now(),
            started_at: None,
            finished_at: None,
        };
        // First: whoever finds the record finds the history. One without a record is swept.
        let (dir, at) = (self.inner.layout.task(row.id), row.created_at);
        blocking(move || begin_history(dir, at)).await?.map_err(Error::internal)?;
        let mut txn = self.inner.store.begin().await?;
        self.admit_task(&mut txn, &row).await?;
        task_insert_in_txn(&mut txn, &row).await?;
        let payload = EventPayload::TaskQueued { task_id: row.id }.to_value();
        let event =
            event_insert_of_sandbox_in_txn(&mut txn, sandbox, row.created_at, &payload).await?;
        txn.commit().await?;
        self.inner.event_written(event);
        lane::poke(self, sandbox);
        Ok(model::task(row))
    }

    async fn admit_task(&self, txn: &mut WriteTxn, row: &TaskRow) -> Result<()> {
        let open = task_list_open(txn, row.sandbox_id, OPEN_MAX).await?;
        if open.len() >= OPEN_MAX as usize {
            let message = "the sandbox has as many tasks waiting as it may";
            return Err(Error::new(ErrorKind::LimitReached, "limit_reached", message)
                .hint("wait for one to end, or cancel one")
                .details(&serde_json::json!({ "limit": "tasks_open", "value": OPEN_MAX })));
        }
        if row.spec.continues && !open.iter().any(|open| open.agent == row.agent) {
            let last = task_find_session(txn, row.sandbox_id, &row.agent, row.id).await?;
            if last.is_none() {
                let message = format!(
                    "there is no conversation with `{}` in this sandbox to go on with",
                    row.agent
                );
                return Err(Error::new(ErrorKind::Invalid, "invalid_value", message)
                    .hint("leave out `continue` to begin one"));
            }
        }
        Ok(())
    }
}

fn begin_history(dir: PathBuf, at: jiff::Timestamp) -> std::io::Result<()> {
    std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700).create(&dir)?;
    let (mut history, _) = History::open(&dir)?;
    history.append(at, TaskEventPayload::State { state: TaskState::Queued })
}

/// Which agent is meant.
fn agent_of(spec: &TaskSpec) -> Result<AgentName> {
    let default = if spec.command.is_empty() { AGENT_DEFAULT } else { AGENT_COMMAND };
    let name = spec.agent.as_ref().map_or(default, AgentName::as_str);
    let known: Vec<&str> = sandbar_agents::all().iter().map(|agent| agent.name()).collect();
    if known.contains(&name) {
        return name.parse().map_err(Error::internal);
    }
    let message = format!("there is no agent `{name}`; there are: {}", known.join(", "));
    Err(Error::new(ErrorKind::Invalid, "agent_unknown", message)
        .hint("`--agent command` runs any program with the prompt as its standard input")
        .details(&serde_json::json!({ "agents": known })))
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Invalid, "invalid_value", message)
}

/// What cannot be done is refused before it waits. Nothing is taken and then left undone (C9).
fn check(spec: &TaskSpec, agent: &AgentName) -> Result<()> {
    if spec.prompt.len() > TaskSpec::PROMPT_BYTES_MAX {
        return Err(invalid(format!("`prompt` has at most {} bytes", TaskSpec::PROMPT_BYTES_MAX))
            .hint("put what is long into a file of the workspace, and name it"));
    }
    if spec.prompt.trim().is_empty() && !takes_command(agent) {
        return Err(invalid("`prompt` says what is to be done"));
    }
    if let Some(model) = &spec.model {
        let is_word = (1..=TaskSpec::MODEL_BYTES_MAX).contains(&model.len())
            && !model.starts_with('-')
            && model.chars().all(|c| c.is_ascii_graphic());
        if !is_word {
            let most = TaskSpec::MODEL_BYTES_MAX;
            return Err(invalid(format!("`model` is a word of at most {most} bytes")));
        }
    }
    if spec.timeout_ms.is_some_and(|ms| !(1..=TaskSpec::TIMEOUT_MS_MAX).contains(&ms)) {
        let most = TaskSpec::TIMEOUT_MS_MAX;
        return Err(invalid(format!("`timeout_ms` is from 1 to {most}, which is a day")));
    }
    check_command(spec, agent)
}

/// Whether the task says what the agent is.
fn takes_command(agent: &AgentName) -> bool {
    sandbar_agents::by_name(agent.as_str()).is_some_and(|agent| agent.program().is_none())
}

fn check_command(spec: &TaskSpec, agent: &AgentName) -> Result<()> {
    let (words, takes_command) = (&spec.command, takes_command(agent));
    if !takes_command && !words.is_empty() {
        return Err(invalid(format!("the agent `{agent}` takes no `command`")));
    }
    if takes_command && words.first().is_none_or(String::is_empty) {
        return Err(invalid(format!("the agent `{agent}` needs a `command`")));
    }
    let bytes: usize = words.iter().map(String::len).sum();
    if words.len() > COMMAND_WORDS_MAX || bytes > COMMAND_BYTES_MAX {
        return Err(invalid(format!(
            "`command` has at most {COMMAND_WORDS_MAX} words and {COMMAND_BYTES_MAX} bytes"
        )));
    }
    if words.iter().any(|word| word.contains('\0')) {
        return Err(invalid("`command` holds no NUL byte"));
    }
    let asks = match spec.permissions {
        Permissions::AllowInside => false,
        Permissions::Ask => true,
    };
    if agent.as_str() == AGENT_COMMAND && (spec.model.is_some() || spec.continues || asks) {
        return Err(invalid(
            "the agent `command` knows no `model`, no `continue`, and asks nobody",
        ));
    }
    Ok(())
}

/// Ends a task that waits for its turn, unless somebody has written it since `row`; whether that was so.
pub(super) async fn cancel_queued(
    engine: &Engine,
    row: &TaskRow,
    (state, result): (TaskState, TaskResult),
) -> Result<bool> {
    let mut txn = engine.inner.store.begin().await?;
    let found = task_fetch(&mut txn, row.id).await?;
    if found.is_none_or(|found| found.generation != row.generation) {
        return Ok(false);
    }
    end_in_txn(engine, (txn, row.clone()), (state, result)).await
}

/// Ends a task that nobody does, as `state` with `result`; one that is over already stays as it is.
pub(super) async fn end(
    engine: &Engine,
    id: TaskId,
    (state, result): (TaskState, TaskResult),
) -> Result<()> {
    loop {
        let mut txn = engine.inner.store.begin().await?;
        let Some(row) = task_fetch(&mut txn, id).await? else { return Ok(()) };
        if row.state.is_final() || end_in_txn(engine, (txn, row), (state, result.clone())).await? {
            return Ok(());
        }
    }
}

async fn end_in_txn(
    engine: &Engine,
    (mut txn, mut row): (WriteTxn, TaskRow),
    (state, result): (TaskState, TaskResult),
) -> Result<bool> {
    let at = engine.now();
    (row.state, row.question, row.finished_at) = (state, None, Some(at));
    row.result = Some(result.clone());
    if task_update_in_txn(&mut txn, &row).await? == Update::Stale {
        return Ok(false);
    }
    let payload = run::finished(row.id, state, &result).to_value();
    let event = event_insert_of_sandbox_in_txn(&mut txn, row.sandbox_id, at, &payload).await?;
    txn.commit().await?;
    engine.inner.event_written(event);
    engine.inner.metrics.task_ended(state, (row.started_at, at));
    let dir = engine.inner.layout.task(row.id);
    if let Err(err) = blocking(move || end_history(dir, at, (state, result))).await? {
        // The store knows, and who follows is told by it.
        tracing::warn!(task.id = %row.id, error = %err, "the end of a task is not in its history");
    }
    engine.inner.work.tell(row.id, Told::Over);
    Ok(true)
}

fn end_history(
    dir: PathBuf,
    at: jiff::Timestamp,
    (state, result): (TaskState, TaskResult),
) -> std::io::Result<()> {
    let (mut history, _) = History::open(&dir)?;
    history.append(at, TaskEventPayload::State { state })?;
    history.append(at, TaskEventPayload::Done { result: Box::new(result) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(spec: serde_json::Value) -> Option<String> {
        let spec: TaskSpec = serde_json::from_value(spec).unwrap();
        let agent = match agent_of(&spec) {
            Ok(agent) => agent,
            Err(err) => return Some(err.code().to_owned()),
        };
        check(&spec, &agent).err().map(|err| err.message().to_owned())
    }

    #[test]
    fn c9_what_an_agent_cannot_do_is_refused_and_not_left_undone() {
        use serde_json::json;
        let with = |more: serde_json::Value| {
            let mut spec = json!({ "prompt": "x", "agent": "command", "command": ["cat"] });
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            refused(spec)
        };
        assert_eq!(with(json!({})), None);
        assert_eq!(refused(json!({ "prompt": "x", "command": ["cat"] })), None);
        assert!(with(json!({ "model": "m" })).unwrap().contains("model"));
        assert!(with(json!({ "continue": true })).unwrap().contains("continue"));
        assert!(with(json!({ "permissions": "ask" })).unwrap().contains("asks nobody"));
        assert_eq!(with(json!({ "permissions": "ask", "agent": "acp" })), None);
        assert!(with(json!({ "command": [] })).unwrap().contains("command"));
        assert!(with(json!({ "command": ["a\u{0}"] })).unwrap().contains("NUL"));
        assert!(with(json!({ "timeout_ms": 0 })).unwrap().contains("timeout_ms"));
        assert!(with(json!({ "timeout_ms": 86_400_001 })).unwrap().contains("timeout_ms"));
        assert!(with(json!({ "model": "-x" })).unwrap().contains("model"));
        assert_eq!(with(json!({ "agent": "no-such" })).unwrap(), "agent_unknown");
        let prompt = "p".repeat(TaskSpec::PROMPT_BYTES_MAX);
        assert_eq!(with(json!({ "prompt": prompt })), None);
        assert!(with(json!({ "prompt": format!("{prompt}p") })).unwrap().contains("prompt"));
    }
}
