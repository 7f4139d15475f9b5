//! Questions of an agent: asked, answered by a person or when their time is over, taken back.

use std::time::Duration;

use sandbar_types::{Answer, AnsweredBy, Question, QuestionId, TaskEventPayload, TaskState};
use tokio::time::Instant;

use super::Attendance;
use crate::{
    Result,
    event::EventPayload,
    task::{
        questions::{self, Open},
        talk::{self, Do},
        work::Answering,
    },
};

impl Attendance<'_> {
    pub(super) async fn ask(&mut self, question: Question) -> Result<Vec<Do>> {
        if let Some((answer, _)) = self.run.past.answers.get(&question.id).cloned() {
            return Ok(self.talk.answer(&question.id, &answer));
        }
        let now = self.run.engine.now();
        let known = self.run.past.questions.get(&question.id).copied();
        let deadline =
            known.flatten().unwrap_or(now + self.run.engine.inner.settings().question_deadline);
        let wait: Duration = deadline.duration_since(now).try_into().unwrap_or_default();
        let id = question.id.clone();
        self.open.push(Open { question: question.clone(), until: Instant::now() + wait });
        self.run.past.questions.insert(id.clone(), Some(deadline));
        if known.is_none() {
            self.run.tell(TaskEventPayload::Question { question, deadline: Some(deadline) })?;
        }
        let payload = EventPayload::TaskWaiting { task_id: self.run.row.id, question_id: id };
        self.settle(known.is_none().then_some(payload)).await?;
        Ok(Vec::new())
    }

    pub(super) async fn unask(&mut self, id: &QuestionId) -> Result<Vec<Do>> {
        let before = self.open.len();
        self.open.retain(|open| open.question.id != *id);
        if self.open.len() == before {
            return Ok(Vec::new());
        }
        self.settle(None).await?;
        Ok(vec![talk::status(format!("the agent took its question `{id}` back"))])
    }

    pub(super) async fn on_answer(&mut self, answering: Answering) -> Result<()> {
        if let Some(question) = self.asked_of_network(&answering.question) {
            return self.on_network_answer(&question, answering).await;
        }
        let Answering { question, answer, reply } = answering;
        if let Err(refused) = questions::admit(&self.run.past, &self.open, (&question, &answer)) {
            // A dead receiver is a client that went away.
            drop(reply.send(Err(refused)));
            return Ok(());
        }
        let taken = self.take_answer(question, answer, AnsweredBy::Person).await;
        let told = taken.as_ref().map(|_| ()).map_err(|_| questions::unwritten());
        drop(reply.send(told));
        let to_do = taken?;
        self.carry_out(to_do).await
    }

    /// Writes an answer down, before anything comes of it.
    pub(super) async fn take_answer(
        &mut self,
        question: QuestionId,
        answer: Answer,
        by: AnsweredBy,
    ) -> Result<Vec<Do>> {
        self.open.retain(|open| open.question.id != question);
        let answered =
            TaskEventPayload::Answered { question: question.clone(), answer: answer.clone(), by };
        self.run.tell(answered)?;
        self.run.past.answers.insert(question.clone(), (answer.clone(), by));
        self.settle(None).await?;
        Ok(self.talk.answer(&question, &answer))
    }

    /// Has the task wait as long as a question is open, and work else.
    pub(super) async fn settle(&mut self, payload: Option<EventPayload>) -> Result<()> {
        // What is open while it is read again need not be so at its end.
        if self.replay_until.is_some() {
            return Ok(());
        }
        // The agent waits for its own questions alone; one about the network is shown where there is no other.
        let state = if self.open.is_empty() { TaskState::Running } else { TaskState::Waiting };
        let asked = self.open.first().map(|open| &open.question);
        let question = asked.or_else(|| self.run.past.network.open().next()).cloned();
        self.measure();
        if self.run.past.state == Some(state) {
            self.run.sync().await?;
        } else {
            self.run.enter(state).await?;
        }
        if self.run.row.state != state || self.run.row.question != question || payload.is_some() {
            self.run.row.state = state;
            self.run.row.question = question;
            self.run.save(payload.as_ref()).await?;
        }
        Ok(())
    }
}
