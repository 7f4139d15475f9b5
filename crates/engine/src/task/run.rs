//! One task from its turn to its end.
//!
//! ```text
//! turn ─► sandbox runs ─► checkpoint ─► agent ─► checkpoint ─► build, restart ─► health ─► over
//!           └─ cancelled ────┴──────────┴────────────────────────┴─► over
//! ```
//!
//! Everything is written down before it counts, in the history (what happened) and in the store (where it is), so that
//! the next server goes on where this one was killed: with [`super::past::Past`], from the same function.

use std::{io, path::PathBuf, sync::Arc};

use sandbar_store::{
    TaskRow, Update, event_insert_of_sandbox_in_txn, task_fetch, task_update_in_txn,
};
use sandbar_types::{
    Answer, AnsweredBy, Question, QuestionId, TaskEventPayload, TaskFailure, TaskId, TaskResult,
    TaskState, TaskUsage,
};

use super::{
    after, agent, around,
    history::History,
    past::Past,
    questions, talk,
    work::{Told, Wishes},
};
use crate::{Engine, Error, ErrorKind, Result, event::EventPayload, workspace_view::blocking};

/// LIMIT: bytes of the last message that a result holds; the history has all of it.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// LIMIT: bytes of what went wrong.
const ERROR_BYTES_MAX: usize = 2000;

/// A task that is being done.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) engine: Engine,
    pub(super) row: TaskRow,
    pub(super) history: History,
    pub(super) past: Past,
    pub(super) wishes: Wishes,
    pub(super) usage: Option<TaskUsage>,
    /// Whether an earlier server may have begun its agent.
    pub(super) is_resumed: bool,
}

/// How an agent came off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It said that it is done; with what it said last.
    Succeeded(String),
    /// It failed, or could not be asked.
    Failed(TaskFailure, String),
    /// Somebody ended it.
    Cancelled,
}

impl Outcome {
    /// Of something that a sandbox did not do.
    pub(super) fn unavailable(err: &Error) -> Self {
        let hint = err.hint_text().map(|hint| format!(" ({hint})")).unwrap_or_default();
        Self::Failed(TaskFailure::SandboxUnavailable, format!("{}{hint}", err.message()))
    }

    const fn state(&self) -> TaskState {
        match self {
            Self::Succeeded(_) => TaskState::Succeeded,
            Self::Failed(..) => TaskState::Failed,
            Self::Cancelled => TaskState::Cancelled,
        }
    }

    /// Whether an agent has worked, so that there is something to look at.
    const fn has_worked(&self) -> bool {
        match self {
            Self::Succeeded(_)
            | Self::Failed(TaskFailure::AgentTimeout | TaskFailure::AgentError, _) => true,
            Self::Failed(
                TaskFailure::AgentNotFound
                | TaskFailure::SandboxUnavailable
                | TaskFailure::Interrupted
                | TaskFailure::Internal,
                _,
            )
            | Self::Cancelled => false,
        }
    }
}

/// Does a task, or what is left of it.
///
/// # Errors
/// What happened cannot be written down.
pub(super) async fn run(engine: &Engine, row: TaskRow, wishes: Wishes) -> Result<()> {
    let dir = engine.inner.layout.task(row.id);
    let (history, events) = open(dir).await?;
    let past = Past::of(events);
    let is_resumed = matches!(past.state, Some(TaskState::Running | TaskState::Waiting));
    let mut run =
        Run { engine: engine.clone(), row, history, past, wishes, usage: None, is_resumed };
    if run.row.is_cancel_asked {
        run.wishes.cancel.cancel();
    }
    // It was over, and only the store had not heard of it.
    if let (Some(result), Some(state)) = (run.past.result.take(), run.past.state) {
        return run.record_end(state, result).await;
    }
    let leaving = engine.inner.leaving.clone();
    let outcome = tokio::select! {
        biased;
        // What is half done is gone on with by the next server.
        () = leaving.cancelled() => return Ok(()),
        outcome = run.work() => outcome?,
    };
    run.finish(outcome).await
}

async fn open(dir: PathBuf) -> Result<(History, Vec<sandbar_types::TaskEvent>)> {
    let opened = blocking(move || {
        std::fs::create_dir_all(&dir)?;
        History::open(&dir)
    });
    opened.await?.map_err(Error::internal)
}

impl Run {
    /// What comes of the agent, and of what follows it.
    async fn work(&mut self) -> Result<(Outcome, TaskResult)> {
        if self.past.state.is_none() {
            self.tell(TaskEventPayload::State { state: TaskState::Queued })?;
        }
        if !self.is_resumed {
            self.begin().await?;
        }
        let outcome = agent::run(self).await?;
        let mut result = TaskResult { usage: self.usage, ..TaskResult::default() };
        result.checkpoint_before = self.past.before;
        if !outcome.has_worked() {
            return Ok((outcome, result));
        }
        let cancel = self.wishes.cancel.clone();
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok((Outcome::Cancelled, result)),
            looked = self.look(&mut result) => looked?,
        }
        Ok((outcome, result))
    }

    /// It is its turn.
    async fn begin(&mut self) -> Result<()> {
        self.row.state = TaskState::Running;
        self.row.started_at = Some(self.engine.now());
        let payload = EventPayload::TaskStarted { task_id: self.row.id };
        self.save(Some(&payload)).await?;
        self.enter(TaskState::Running).await
    }

    /// Looks at what the agent left.
    async fn look(&mut self, result: &mut TaskResult) -> Result<()> {
        result.checkpoint_after = match self.past.after {
            Some(known) => Some(known),
            None => around::after(self).await,
        };
        if let (None, Some(checkpoint)) = (self.past.after, result.checkpoint_after) {
            self.tell(TaskEventPayload::Checkpoint { checkpoint, is_before: false })?;
        }
        if let (Some(before), Some(after)) = (result.checkpoint_before, result.checkpoint_after)
            && let Some(difference) = around::difference(self, before, after).await
        {
            result.files_changed = Some(difference.files);
            result.files_changed_count = Some(difference.count);
        }
        after::look(self, result).await
    }

    /// Writes down what became of a question.
    pub(super) fn answer(&mut self, id: &QuestionId, answer: Answer, by: AnsweredBy) -> Result<()> {
        let (question, told) = (id.clone(), answer.clone());
        self.tell(TaskEventPayload::Answered { question, answer: told, by })?;
        self.past.questions.take(id, answer, by);
        Ok(())
    }

    /// Nobody asks about the network any more, and that is written down.
    pub(super) fn withdraw_network(&mut self) -> Result<()> {
        let open: Vec<Question> = self.past.questions.of_network().cloned().collect();
        for question in open {
            self.answer(&question.id, questions::denial(&question), AnsweredBy::Withdrawn)?;
        }
        Ok(())
    }

    async fn finish(mut self, (outcome, mut result): (Outcome, TaskResult)) -> Result<()> {
        // Those of an earlier server, where the agent could not be gone on with.
        self.withdraw_network()?;
        let state = outcome.state();
        match outcome {
            Outcome::Succeeded(message) => {
                let message = Some(message).filter(|message| !message.trim().is_empty());
                result.final_message = message.map(|text| talk::cut(text, MESSAGE_BYTES_MAX));
            }
            Outcome::Failed(reason, message) => {
                result.failure_reason = Some(reason);
                let message = talk::cut(message, ERROR_BYTES_MAX);
                result.error_message = Some(message).filter(|message| !message.is_empty());
            }
            Outcome::Cancelled => {}
        }
        if let Some(started) = self.row.started_at {
            let took = self.engine.now().duration_since(started).as_millis();
            result.duration_ms = u64::try_from(took).unwrap_or(0);
        }
        self.tell(TaskEventPayload::State { state })?;
        self.tell(TaskEventPayload::Done { result: Box::new(result.clone()) })?;
        self.sync().await?;
        self.record_end(state, result).await
    }

    /// Has the store know that it is over.
    async fn record_end(&mut self, state: TaskState, result: TaskResult) -> Result<()> {
        let payload = finished(self.row.id, state, &result);
        self.row.state = state;
        self.row.question = None;
        self.row.result = Some(result);
        let at = self.engine.now();
        self.row.finished_at = Some(at);
        self.save(Some(&payload)).await?;
        self.engine.inner.metrics.task_ended(state, (self.row.started_at, at));
        Ok(())
    }

    /// Writes down what happened, and tells who follows it.
    pub(super) fn tell(&mut self, payload: TaskEventPayload) -> Result<()> {
        self.note(payload)?;
        self.announce();
        Ok(())
    }

    /// Writes down what happened; who follows it is told once, by [`Run::announce`], of all that is noted in one go.
    pub(super) fn note(&mut self, payload: TaskEventPayload) -> Result<()> {
        self.history.append(self.engine.now(), payload).map_err(unwritable)
    }

    pub(super) fn announce(&self) {
        let is_over = self.row.state.is_final();
        let what = if is_over { Told::Over } else { Told::News };
        self.engine.inner.work.tell(self.row.id, what);
    }

    /// It is in another state, which the disk is to know.
    pub(super) async fn enter(&mut self, state: TaskState) -> Result<()> {
        self.tell(TaskEventPayload::State { state })?;
        self.past.state = Some(state);
        self.sync().await
    }

    pub(super) async fn sync(&mut self) -> Result<()> {
        let file = self.history.file();
        blocking(move || file.sync_data()).await?.map_err(unwritable)
    }

    /// Writes the row, and an event of the sandbox with it. Of somebody else it takes over that the task is to be ended.
    pub(super) async fn save(&mut self, payload: Option<&EventPayload>) -> Result<()> {
        let inner = Arc::clone(&self.engine.inner);
        loop {
            let mut txn = inner.store.begin().await?;
            match task_update_in_txn(&mut txn, &self.row).await? {
                Update::Applied(generation) => {
                    let event = match payload {
                        None => None,
                        Some(payload) => {
                            let (sandbox, now) = (self.row.sandbox_id, inner.config.clock.now());
                            let value = payload.to_value();
                            Some(
                                event_insert_of_sandbox_in_txn(&mut txn, sandbox, now, &value)
                                    .await?,
                            )
                        }
                    };
                    txn.commit().await?;
                    self.row.generation = generation;
                    if let Some(event) = event {
                        inner.event_written(event);
                    }
                    self.announce();
                    return Ok(());
                }
                Update::Stale => {
                    let found = task_fetch(&mut txn, self.row.id).await?;
                    // Canceled just before its turn: what is over stays so.
                    let found = found.filter(|found| !found.state.is_final()).ok_or_else(over)?;
                    self.row.generation = found.generation;
                    self.row.is_cancel_asked |= found.is_cancel_asked;
                }
            }
        }
    }
}

/// The event that a task is over.
pub(super) fn finished(task_id: TaskId, state: TaskState, result: &TaskResult) -> EventPayload {
    EventPayload::TaskFinished {
        task_id,
        state,
        failure_reason: result.failure_reason,
        files_changed: result.files_changed_count,
        build_status: result.build_status,
    }
}

fn over() -> Error {
    Error::new(ErrorKind::Conflict, "task_finished", "the task is over")
}

fn unwritable(err: io::Error) -> Error {
    if matches!(err.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        let message = "there is no room for the history of a task";
        return Error::new(ErrorKind::Unavailable, "storage_full", message).because(err);
    }
    Error::internal(err)
}
