//! Handing an answer to a task that waits for it.

use std::io;

use sandbar_types::{Answer, AnsweredBy, QuestionId, Task, TaskEventPayload, TaskId, TenantId};
use tokio::sync::oneshot;

use super::{finished, history, questions, reader::Reader, work::Answering};
use crate::{Engine, Error, ErrorKind, Result, workspace_view::blocking};

/// LIMIT: events that are looked at at once.
const PAGE_MAX: usize = 200;

impl Engine {
    /// Answers a question of a task that waits; of the one that it waits for where `question` is absent.
    ///
    /// # Errors
    /// `task_not_found`, `task_finished`, `question_not_found`, `question_answered`, `question_expired`, `invalid_value`.
    pub async fn task_answer(
        &self,
        tenant: TenantId,
        id: TaskId,
        (question, answer): (Option<QuestionId>, Answer),
    ) -> Result<Task> {
        let row = self.task_row(tenant, id).await?;
        let asked = question.or_else(|| row.question.as_ref().map(|asked| asked.id.clone()));
        let Some(question) = asked else {
            if row.state.is_final() {
                return Err(finished(&row));
            }
            let message = "the task waits for no answer";
            return Err(Error::new(ErrorKind::NotFound, "question_not_found", message));
        };
        let live = self.inner.work.live(id).filter(|_| !row.state.is_final());
        let Some(live) = live else {
            if self.is_answered(id, &question).await? {
                return Err(questions::answered(&question));
            }
            if row.state.is_final() {
                return Err(finished(&row));
            }
            let message = format!("the task has no question `{question}`");
            return Err(Error::new(ErrorKind::NotFound, "question_not_found", message));
        };
        let (reply, told) = oneshot::channel();
        let answering = Answering { question: question.clone(), answer, reply };
        let told = match live.answers.send(answering).await {
            Ok(()) => told.await.ok(),
            Err(_gone) => None,
        };
        match told {
            Some(told) => told?,
            // Another answer may have been the last that the agent waited for.
            None if self.is_answered(id, &question).await? => {
                return Err(questions::answered(&question));
            }
            None => return Err(questions::expired("the agent has ended")),
        }
        self.task_fetch(tenant, id).await
    }

    /// Whether the history says that a person answered this question.
    async fn is_answered(&self, id: TaskId, question: &QuestionId) -> Result<bool> {
        let (path, question) = (history::path(&self.inner.layout.task(id)), question.clone());
        let looked = move || -> io::Result<bool> {
            let mut reader = Reader::behind(path, 0)?;
            loop {
                let events = reader.next(PAGE_MAX)?;
                if events.is_empty() {
                    return Ok(false);
                }
                let is_it = |payload: &TaskEventPayload| matches!(payload, TaskEventPayload::Answered { question: of, by: AnsweredBy::Person, .. } if *of == question);
                if events.iter().any(|event| is_it(&event.payload)) {
                    return Ok(true);
                }
            }
        };
        blocking(looked).await?.map_err(Error::internal)
    }
}
