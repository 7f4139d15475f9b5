//! Tasks: what agents are asked to do, what they said and did, and the answers that they wait for.

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse as _, Response, sse},
};
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sandbar_api::{
    Page, PageQuery, Reverted, ServerSentEvent, TaskAnswerRequest, TaskListQuery, paths,
};
use sandbar_engine::{AppRef, TaskFollower, TaskListParams};
use sandbar_types::{SandboxId, Task as Body, TaskEvent, TaskEventPayload, TaskId, TaskSpec};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    asker::{AskedBy, Until},
    error::ApiError,
    extract::{App, Json, LongJson, Query, Sandbox, Task},
    page::{page, page_cursor, page_limit},
    sse::{is_wanted, last_event_id, respond},
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(task_list, task_create))
        .routes(routes!(app_task_list, app_task_create))
        .routes(routes!(task_fetch))
        .routes(routes!(task_cancel))
        .routes(routes!(task_answer))
        .routes(routes!(task_event_list))
        .routes(routes!(task_revert))
}

/// Asks an agent to do something in a sandbox. Tasks of one sandbox are done one after the other; one that sleeps is woken.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/tasks", tag = "tasks",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "task.submitted"}))),
    params(("sandbox" = String, Path)), request_body = TaskSpec, responses((status = 202, body = Body)))]
async fn task_create(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    LongJson(spec): LongJson<TaskSpec>,
) -> Result<Response, ApiError> {
    create(&state, id, spec).await
}

/// Asks an agent to do something in the current sandbox of an app.
#[utoipa::path(post, path = "/v1/apps/{app}/tasks", tag = "tasks",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "app.task_submitted"}))),
    params(("app" = String, Path)), request_body = TaskSpec, responses((status = 202, body = Body)))]
async fn app_task_create(
    State(state): State<AppState>,
    App(app): App,
    LongJson(spec): LongJson<TaskSpec>,
) -> Result<Response, ApiError> {
    let id = current(&state, app).await?;
    create(&state, id, spec).await
}

async fn current(state: &AppState, app: AppRef) -> Result<SandboxId, ApiError> {
    Ok(state.engine.sandbox_resolve(app.tenant, &app.id.to_string()).await?)
}

async fn create(state: &AppState, id: SandboxId, spec: TaskSpec) -> Result<Response, ApiError> {
    let task = state.engine.task_submit(id, spec).await?;
    let location = HeaderValue::try_from(paths::task(&task.id.to_string()));
    let headers = [(header::LOCATION, location.expect("ids are plain text"))];
    Ok((StatusCode::ACCEPTED, headers, Answer(task)).into_response())
}

/// Lists tasks of a sandbox, newest first. Of a prompt that is long the beginning.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/tasks", tag = "tasks",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), TaskListQuery), responses((status = 200, body = Page<Body>)))]
async fn task_list(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Query(query): Query<TaskListQuery>,
) -> Result<Answer<Page<Body>>, ApiError> {
    list(&state, id, query).await
}

/// Lists tasks of the current sandbox of an app, newest first.
#[utoipa::path(get, path = "/v1/apps/{app}/tasks", tag = "tasks",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("app" = String, Path), TaskListQuery), responses((status = 200, body = Page<Body>)))]
async fn app_task_list(
    State(state): State<AppState>,
    App(app): App,
    Query(query): Query<TaskListQuery>,
) -> Result<Answer<Page<Body>>, ApiError> {
    let id = current(&state, app).await?;
    list(&state, id, query).await
}

async fn list(
    state: &AppState,
    id: SandboxId,
    query: TaskListQuery,
) -> Result<Answer<Page<Body>>, ApiError> {
    let TaskListQuery { limit, cursor, state: in_state } = query;
    let limit = page_limit(limit)?;
    let before: Option<TaskId> = page_cursor(cursor.as_deref())?;
    let params = TaskListParams { state: in_state, before, limit: limit + 1 };
    let found = state.engine.task_list(id, params).await?;
    Ok(Answer(page(found, limit, |last| last.id.to_string(), |task| task)))
}

/// Looks at a task.
#[utoipa::path(get, path = "/v1/tasks/{task}", tag = "tasks",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("task" = String, Path)), responses((status = 200, body = Body)))]
async fn task_fetch(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Task(id): Task,
) -> Result<Answer<Body>, ApiError> {
    Ok(Answer(state.engine.task_fetch(principal.tenant, id).await?))
}

/// Ends a task: its agent is asked to stop, after 5 seconds told to, after 5 more killed. What it changed stays.
#[utoipa::path(post, path = "/v1/tasks/{task}/cancel", tag = "tasks",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "task.canceled"}))),
    params(("task" = String, Path)), responses((status = 202, body = Body)))]
async fn task_cancel(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Task(id): Task,
) -> Result<Response, ApiError> {
    let task = state.engine.task_cancel(principal.tenant, id).await?;
    Ok((StatusCode::ACCEPTED, Answer(task)).into_response())
}

/// Answers a question of an agent. The first answer holds.
#[utoipa::path(post, path = "/v1/tasks/{task}/answer", tag = "tasks",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "task.answered"}))),
    params(("task" = String, Path)), request_body = TaskAnswerRequest, responses((status = 200, body = Body)))]
async fn task_answer(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Task(id): Task,
    Json(request): Json<TaskAnswerRequest>,
) -> Result<Answer<Body>, ApiError> {
    let TaskAnswerRequest { question, answer } = request;
    Ok(Answer(state.engine.task_answer(principal.tenant, id, (question, answer)).await?))
}

/// Takes back exactly what a task changed, all or nothing, and nothing that came later.
///
/// Later edits of the same texts are merged where they lie apart; else the answer is 409 with the paths.
#[utoipa::path(post, path = "/v1/tasks/{task}/revert", tag = "tasks",
    extensions(("x-sandbar" = json!({"scope": "write", "audit": "task.reverted"}))),
    params(("task" = String, Path)), responses((status = 200, body = Reverted)))]
async fn task_revert(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Task(id): Task,
) -> Result<Answer<Reverted>, ApiError> {
    let done = state.engine.task_revert(principal.tenant, id).await?;
    Ok(Answer(Reverted { kept: done.kept, paths: done.paths, merged: done.merged }))
}

/// Lists what happened in a task, oldest first; or streams it until the task is over, with `Accept: text/event-stream`.
///
/// From disk, also when the sandbox sleeps or is gone. Each event has its `seq` as id; `cursor` and `Last-Event-ID` go on
/// behind one.
#[utoipa::path(get, path = "/v1/tasks/{task}/events", tag = "tasks",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("task" = String, Path), PageQuery, ("Last-Event-ID" = Option<u64>, Header)),
    responses((status = 200, content((Page<TaskEvent> = "application/json"), (ServerSentEvent = "text/event-stream")))))]
async fn task_event_list(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Task(id): Task,
    Query(query): Query<PageQuery>,
    until: Until,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let behind: Option<u64> = page_cursor(query.cursor.as_deref())?;
    let limit = page_limit(query.limit)?;
    let last = last_event_id(&headers)?;
    if is_wanted(&headers) {
        let after = last.or(behind).unwrap_or(0);
        let follower = state.engine.task_follow(principal.tenant, id, after).await?;
        return Ok(stream_of(follower, until));
    }
    let after = behind.unwrap_or(0);
    // One more than asked for tells whether another page follows; fewer are given where they are large.
    let found = state.engine.task_event_list(principal.tenant, id, (after, limit + 1)).await?;
    let is_cut = found.len() <= limit as usize
        && found.last().is_some_and(|last| !matches!(last.payload, TaskEventPayload::Done { .. }));
    let last_seq = found.last().map(|last| last.seq);
    let mut page: Page<TaskEvent> = page(found, limit, |last| last.seq.to_string(), |event| event);
    if is_cut && page.next_cursor.is_none() {
        page.next_cursor = last_seq.map(|seq| seq.to_string());
    }
    Ok(Answer(page).into_response())
}

fn stream_of(follower: TaskFollower, until: Until) -> Response {
    let batches = stream::unfold(follower, |mut follower| async move {
        // Over, or we are leaving: the stream says so by ending.
        let batch = follower.next().await.ok()??;
        Some((batch, follower))
    });
    respond(batches.flat_map(|batch| stream::iter(batch.into_iter().map(frame))), until)
}

fn frame(event: TaskEvent) -> sse::Event {
    let value = serde_json::to_value(&event).expect("an event can be written as JSON");
    let kind = value["event"].as_str().unwrap_or_default().to_owned();
    sse::Event::default()
        .id(event.seq.to_string())
        .event(kind)
        .json_data(value)
        .expect("an event can be written as JSON")
}
