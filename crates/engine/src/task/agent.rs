//! The agent of a task: found or started, and attended to its end.

use std::time::Duration;

use sandbar_agents::{Agent, Launch, Order};
use sandbar_store::{exec_list, task_find_session};
use sandbar_types::{
    EnvName, ExecId, ExecSpec, ExecState, SandboxState, StopReason, TaskEventPayload, TaskFailure,
};

use super::{
    around,
    attendance::Attendance,
    run::{Outcome, Run},
};
use crate::{
    Error, Result, credential,
    exec::{ExecSession, HomeFile},
    sandbox::workspace_path,
};

/// Says inside which task it is for, and to the next server which exec was a task's.
const TASK_VARIABLE: &str = "SANDBAR_TASK_ID";
/// How long a server that ends may still take to say so.
const LEAVING_PATIENCE: Duration = Duration::from_millis(500);
/// LIMIT: execs among which that of a task is looked for; its own is among the newest.
const EXECS_MAX: u32 = 200;

/// What the agent is to be talked with over.
enum Found {
    /// Nobody began it.
    None,
    /// It was begun.
    Begun(ExecId),
}

/// Does the agent's part of a task.
///
/// # Errors
/// What happened cannot be written down.
pub(super) async fn run(run: &mut Run) -> Result<Outcome> {
    let Some(agent) = sandbar_agents::by_name(run.row.agent.as_str()) else {
        let message = format!("this server does not know the agent `{}`", run.row.agent);
        return Ok(Outcome::Failed(TaskFailure::AgentNotFound, message));
    };
    let found = find(run).await?;
    let order = match order(run).await? {
        Ok(order) => order,
        Err(outcome) => return Ok(outcome),
    };
    match found {
        Found::Begun(exec) => resume(run, agent, (&order, exec)).await,
        Found::None => {
            let cancel = run.wishes.cancel.clone();
            let started = tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(Outcome::Cancelled),
                started = ready(run) => started,
            };
            if let Err(err) = started {
                return Ok(Outcome::unavailable(&err));
            }
            start(run, agent, &order).await
        }
    }
}

/// The exec that an earlier server began.
async fn find(run: &Run) -> Result<Found> {
    if let Some(exec) = run.row.exec_id {
        return Ok(Found::Begun(exec));
    }
    let Some(started) = run.row.started_at.filter(|_| run.is_resumed) else {
        return Ok(Found::None);
    };
    // It may have been begun, and its number not been written down any more.
    let name = variable();
    let mut conn = run.engine.inner.store.read().await?;
    let execs = exec_list(&mut conn, run.row.sandbox_id, EXECS_MAX).await?;
    let of_task = execs
        .into_iter()
        .find(|exec| exec.started_at >= started && exec.spec.env.contains_key(&name));
    Ok(of_task.map_or(Found::None, |exec| Found::Begun(exec.id)))
}

fn variable() -> EnvName {
    TASK_VARIABLE.parse().expect("it is a name")
}

async fn order(run: &Run) -> Result<Result<Order, Outcome>> {
    let row = &run.row;
    let session = if row.spec.continues {
        let mut conn = run.engine.inner.store.read().await?;
        let last = task_find_session(&mut conn, row.sandbox_id, &row.agent, row.id).await?;
        let Some(session) = last.and_then(|last| last.session) else {
            let message = format!("there is no conversation with `{}` to go on with", row.agent);
            return Ok(Err(Outcome::Failed(TaskFailure::AgentError, message)));
        };
        Some(session)
    } else {
        None
    };
    let handle = match run.engine.inner.actor(row.sandbox_id) {
        Ok(handle) => handle,
        Err(err) => return Ok(Err(Outcome::unavailable(&err))),
    };
    let workspace = workspace_path(&handle.row().spec);
    let mut order = Order { prompt: row.spec.prompt.clone(), session, ..Order::default() };
    order.model.clone_from(&row.spec.model);
    order.command.clone_from(&row.spec.command);
    order.permissions = row.spec.permissions;
    order.credential = credential::of_agent(&run.engine.inner, row.sandbox_id, &row.agent).await?;
    order.workspace = workspace.as_path().to_string_lossy().into_owned();
    Ok(Ok(order))
}

/// Has the sandbox run, whether it sleeps, was stopped or is paused.
async fn ready(run: &Run) -> Result<()> {
    let (engine, id) = (&run.engine, run.row.sandbox_id);
    let handle = engine.inner.actor(id)?;
    let mut published = handle.published.clone();
    let settled = published.wait_for(|row| row.state != SandboxState::Stopping).await;
    let row = settled.map_err(|_gone| crate::actor::gone())?.clone();
    let sleeps = row.stop_reason.is_some_and(StopReason::is_sleep);
    match row.state {
        SandboxState::Running => Ok(()),
        SandboxState::Stopped if sleeps => engine.sandbox_wake(id).await,
        SandboxState::Creating
        | SandboxState::Paused
        | SandboxState::Stopped
        | SandboxState::Stopping
        | SandboxState::Failed { .. }
        | SandboxState::Deleting => engine.sandbox_start(id).await.map(drop),
    }
}

async fn start(run: &mut Run, agent: &'static dyn Agent, order: &Order) -> Result<Outcome> {
    let launch = agent.launch(order);
    for (path, content) in &launch.files {
        let file = HomeFile { path, content, mark: None };
        if let Err(err) = file.make(&run.engine, run.row.sandbox_id).await {
            return Ok(Outcome::unavailable(&err));
        }
    }
    if run.past.before.is_none()
        && let Some(checkpoint) = around::before(run).await
    {
        run.past.before = Some(checkpoint);
        run.tell(TaskEventPayload::Checkpoint { checkpoint, is_before: true })?;
    }
    let spec = exec(run, launch);
    let session = match run.engine.exec_start(run.row.sandbox_id, spec).await {
        Ok(session) => session,
        Err(err) => {
            if err.is_retryable() {
                // It may be the server that ends, and not the sandbox: then this is not to be written down.
                tokio::time::sleep(LEAVING_PATIENCE).await;
            }
            return Ok(Outcome::unavailable(&err));
        }
    };
    run.row.exec_id = Some(session.exec.id);
    run.save(None).await?;
    Attendance::begin(run, agent.converse(order), session)?.attend().await
}

fn exec(run: &Run, launch: Launch) -> ExecSpec {
    let Launch { argv, mut env, stdin, files: _ } = launch;
    env.insert(variable(), run.row.id.to_string());
    // Without a time of its own: what a task may take is measured here, where it is known when it waits.
    ExecSpec { argv, env, cwd: None, terminal: None, stdin, timeout_ms: None }
}

/// Goes on with what an earlier server began.
async fn resume(
    run: &mut Run,
    agent: &'static dyn Agent,
    (order, exec): (&Order, ExecId),
) -> Result<Outcome> {
    if run.row.exec_id != Some(exec) {
        run.row.exec_id = Some(exec);
        run.save(None).await?;
    }
    let session = match run.engine.exec_attach(run.row.sandbox_id, exec, 0).await {
        Ok(session) => session,
        Err(err) => return Ok(interrupted(&err)),
    };
    if session.exec.state == ExecState::Lost {
        let message = "the sandbox ended while no server looked after it";
        return Ok(Outcome::Failed(TaskFailure::Interrupted, message.to_owned()));
    }
    let bytes = log_bytes(run, &session).await;
    Attendance::resume(run, agent.converse(order), (session, bytes))?.attend().await
}

/// How long the log is now: up to there it is what an earlier server may have seen.
async fn log_bytes(run: &Run, session: &ExecSession) -> u64 {
    let (layout, sandbox, exec) =
        (run.engine.inner.layout.clone(), run.row.sandbox_id, session.exec.id);
    let length = move || layout.log_open(sandbox, exec)?.metadata().map(|metadata| metadata.len());
    crate::workspace_view::blocking(length).await.ok().and_then(Result::ok).unwrap_or(0)
}

fn interrupted(err: &Error) -> Outcome {
    let message = format!("the agent cannot be gone on with: {}", err.message());
    Outcome::Failed(TaskFailure::Interrupted, message)
}
