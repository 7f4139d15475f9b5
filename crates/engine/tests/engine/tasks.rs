//! Tasks over the fake host: their order, their end, and what a server that was killed finds again.

use std::time::Duration;

use sandbar_engine::{Engine, TaskListParams};
use sandbar_types::{
    ExecState, SandboxId, SandboxState, Task, TaskEvent, TaskEventPayload, TaskFailure, TaskId,
    TaskSpec, TaskState, TenantId,
};
use serde_json::json;

use crate::support::{House, create, events, eventually, in_a_server_that_is_killed};

const DRAIN: Duration = Duration::from_secs(5);
const TENANT: TenantId = TenantId::DEFAULT;

fn spec(command: &[&str]) -> TaskSpec {
    serde_json::from_value(json!({ "prompt": "hunter2 is the word", "command": command })).unwrap()
}

pub(crate) async fn submit(engine: &Engine, sandbox: SandboxId, command: &[&str]) -> TaskId {
    engine.task_submit(sandbox, spec(command)).await.unwrap().id
}

pub(crate) async fn fetch(engine: &Engine, id: TaskId) -> Task {
    engine.task_fetch(TENANT, id).await.unwrap()
}

/// Waits until a task is over.
pub(crate) async fn over(engine: &Engine, id: TaskId) -> Task {
    let mut follower = engine.task_follow(TENANT, id, 0).await.unwrap();
    let followed = async { while follower.next().await.unwrap().is_some() {} };
    tokio::time::timeout(Duration::from_secs(20), followed).await.expect("it is over in time");
    // What happened is written before where it is.
    eventually("the store knows", async || fetch(engine, id).await.state.is_final()).await;
    fetch(engine, id).await
}

pub(crate) async fn running(engine: &Engine, id: TaskId) {
    eventually("it runs", async || {
        let execs = engine.exec_list(fetch(engine, id).await.sandbox_id).await.unwrap();
        let has_agent = execs.iter().any(|exec| exec.state == ExecState::Running);
        fetch(engine, id).await.state == TaskState::Running && has_agent
    })
    .await;
}

pub(crate) async fn history(engine: &Engine, id: TaskId) -> Vec<TaskEvent> {
    engine.task_event_list(TENANT, id, (0, 10_000)).await.unwrap()
}

fn states(events: &[TaskEvent]) -> Vec<TaskState> {
    let state = |event: &TaskEvent| {
        let TaskEventPayload::State { state } = event.payload else { return None };
        Some(state)
    };
    events.iter().filter_map(state).collect()
}

#[tokio::test]
async fn a15_tasks_are_done_one_after_the_other_and_one_that_waits_is_canceled_at_once() {
    let house = House::new();
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    let first = submit(&engine, id, &["sleep"]).await;
    let second = submit(&engine, id, &["sleep"]).await;
    let third = submit(&engine, id, &["echo", "hello"]).await;
    running(&engine, first).await;
    assert_eq!(fetch(&engine, second).await.state, TaskState::Queued);
    let canceled = engine.task_cancel(TENANT, second).await.unwrap();
    assert_eq!(canceled.state, TaskState::Cancelled);
    assert_eq!(states(&history(&engine, second).await), [TaskState::Queued, TaskState::Cancelled]);
    let again = engine.task_cancel(TENANT, second).await.unwrap_err();
    assert_eq!(
        (again.code(), again.details_value().unwrap()),
        ("task_finished", &json!({ "state": "cancelled" }))
    );
    assert_eq!(fetch(&engine, third).await.state, TaskState::Queued);
    engine.task_cancel(TENANT, first).await.unwrap();
    assert_eq!(over(&engine, first).await.state, TaskState::Cancelled);
    let third = over(&engine, third).await;
    assert_eq!(third.state, TaskState::Succeeded);
    let result = third.result.unwrap();
    assert_eq!(result.final_message.as_deref(), Some("hello"));
    // Nobody looked, so nobody says.
    assert_eq!((result.build_status, result.app_healthy, result.preview_ok), (None, None, None));
    let listed = engine.task_list(id, TaskListParams { limit: 9, ..TaskListParams::default() });
    let listed: Vec<_> = listed.await.unwrap().into_iter().map(|task| task.id).collect();
    assert_eq!(listed, [third.id, second, first]);
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn s4_d12_a_task_that_works_too_long_is_ended_and_its_history_is_whole() {
    let house = House::new();
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    let spec = TaskSpec { timeout_ms: Some(50), ..spec(&["sleep"]) };
    let task = engine.task_submit(id, spec).await.unwrap().id;
    let ended = over(&engine, task).await;
    assert_eq!(ended.state, TaskState::Failed);
    assert_eq!(ended.result.unwrap().failure_reason, Some(TaskFailure::AgentTimeout));
    let events = history(&engine, task).await;
    // Behind the end of the agent are the checkpoint after it and the state.
    let last = &events[events.len() - 4..];
    assert!(matches!(last[0].payload, TaskEventPayload::Ended { .. }), "{last:?}");
    assert!(matches!(last[3].payload, TaskEventPayload::Done { .. }), "{last:?}");
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_told_from_one_that_fails() {
    let house = House::new();
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    let failure = async |command: &[&str]| {
        let task = submit(&engine, id, command).await;
        let result = over(&engine, task).await.result.unwrap();
        (result.failure_reason.unwrap(), result.error_message.unwrap())
    };
    let (reason, message) = failure(&["not-there"]).await;
    assert_eq!(reason, TaskFailure::AgentNotFound);
    assert!(message.contains("`not-there`"), "{message}");
    let (reason, message) = failure(&["exit", "7"]).await;
    assert_eq!(reason, TaskFailure::AgentError);
    assert!(message.contains('7'), "{message}");
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn a_task_wakes_its_sandbox_and_uses_it_for_as_long_as_it_takes() {
    let house = House::new();
    let engine = house.engine().await;
    let mut of = house.spec();
    of.expiry.idle_timeout_ms = Some(1000);
    let id = create(&engine, of).await.unwrap().id;
    engine.sandbox_stop(id, None).await.unwrap();
    let task = submit(&engine, id, &["sleep"]).await;
    running(&engine, task).await;
    house.clock.advance(Duration::from_secs(3600));
    // Two looks of its actor later it would sleep.
    let state = || engine.sandbox_fetch(id).unwrap().state;
    let until = tokio::time::Instant::now() + Duration::from_millis(2500);
    while tokio::time::Instant::now() < until {
        assert_eq!(state(), SandboxState::Running);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    engine.task_cancel(TENANT, task).await.unwrap();
    over(&engine, task).await;
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn a8_what_happened_is_there_when_the_sandbox_is_not() {
    let house = House::new();
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    let done = submit(&engine, id, &["echo", "hello"]).await;
    over(&engine, done).await;
    let (cut, waits) =
        (submit(&engine, id, &["sleep"]).await, submit(&engine, id, &["sleep"]).await);
    running(&engine, cut).await;
    engine.sandbox_stop(id, None).await.unwrap();
    let result = over(&engine, cut).await.result.unwrap();
    assert_eq!(result.failure_reason, Some(TaskFailure::SandboxUnavailable));
    running(&engine, waits).await;
    engine.sandbox_delete(id).await.unwrap();
    let result = over(&engine, waits).await.result.unwrap();
    assert_eq!(result.failure_reason, Some(TaskFailure::SandboxUnavailable));
    let all = history(&engine, done).await;
    let rest = engine.task_event_list(TENANT, done, (all[1].seq, 2)).await.unwrap();
    assert_eq!(rest, all[2..4]);
    let refused = engine.task_submit(id, spec(&["sleep"])).await.unwrap_err();
    assert_eq!(refused.code(), "sandbox_not_found");
    let foreign = engine.task_fetch(TenantId::generate(), done).await.unwrap_err();
    let unknown = engine.task_fetch(TENANT, TaskId::generate()).await.unwrap_err();
    assert_eq!((foreign.code(), unknown.code()), ("task_not_found", "task_not_found"));
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn d3_events_say_neither_what_was_asked_nor_what_was_said() {
    let house = House::new();
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    let task = submit(&engine, id, &["echo", "hunter2"]).await;
    over(&engine, task).await;
    let told = events(&engine, id).await;
    let of_task: Vec<_> = told
        .iter()
        .filter(|event| event.payload.kind().as_str().starts_with("task_"))
        .map(|event| event.payload.kind().as_str())
        .collect();
    assert_eq!(of_task, ["task_queued", "task_started", "task_finished"]);
    assert!(!serde_json::to_string(&told).unwrap().contains("hunter2"));
    engine.drain(DRAIN).await;
}

#[test]
fn a_server_that_was_killed_goes_on_with_what_runs_and_with_what_waits() {
    let house = House::new();
    let (sandbox, first, second) = in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        let id = create(&engine, house.spec()).await.unwrap().id;
        let first = submit(&engine, id, &["sleep"]).await;
        let second = submit(&engine, id, &["echo", "hello"]).await;
        running(&engine, first).await;
        (id, first, second)
    });
    in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        assert_eq!(fetch(&engine, first).await.state, TaskState::Running);
        let before = history(&engine, first).await;
        engine.task_cancel(TENANT, first).await.unwrap();
        assert_eq!(over(&engine, first).await.state, TaskState::Cancelled);
        assert_eq!(history(&engine, first).await[..before.len()], before);
        let states = states(&history(&engine, first).await);
        assert_eq!(states, [TaskState::Queued, TaskState::Running, TaskState::Cancelled]);
        assert_eq!(over(&engine, second).await.state, TaskState::Succeeded);
        let execs = engine.exec_list(sandbox).await.unwrap();
        assert_eq!(execs.len(), 2, "no agent was begun twice: {execs:?}");
        engine.drain(DRAIN).await;
    });
}

#[test]
fn an_agent_whose_sandbox_ended_while_there_was_no_server_is_reported() {
    let house = House::new();
    let (sandbox, task) = in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        let id = create(&engine, house.spec()).await.unwrap().id;
        let task = submit(&engine, id, &["sleep"]).await;
        running(&engine, task).await;
        (id, task)
    });
    house.host.kill_keeper(sandbox);
    in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        let result = over(&engine, task).await.result.unwrap();
        assert_eq!(result.failure_reason, Some(TaskFailure::Interrupted));
        engine.drain(DRAIN).await;
    });
}
