//! Questions: asked by an agent, or about what it is refused on the network; answered by a person or when their time is
//! over, taken back.

use std::time::Duration;

use sandbar_types::{
    Answer, AnsweredBy, Question, QuestionId, QuestionKind, TaskEventPayload, TaskState,
};
use tokio::time::Instant;

use super::Attendance;
use crate::{
    EgressDenied, Result,
    event::EventPayload,
    task::{
        network, questions,
        run::Run,
        talk::{self, Do},
        work::Answering,
    },
};

impl Attendance<'_> {
    pub(super) async fn ask(&mut self, question: Question) -> Result<Vec<Do>> {
        let id = question.id.clone();
        if let Some(answer) = self.run.past.questions.answer(&id) {
            return Ok(self.talk.answer(&id, answer));
        }
        let is_new = self.put(question)?;
        let payload = EventPayload::TaskWaiting { task_id: self.run.row.id, question_id: id };
        self.settle(is_new.then_some(payload)).await?;
        Ok(Vec::new())
    }

    /// Asks about what was refused on the network, where there is anything to be asked. The agent works on meanwhile.
    pub(super) async fn on_denied(&mut self, denied: &EgressDenied) -> Result<()> {
        if let Some(question) = network::question(&self.run.past.questions, denied) {
            self.put(question)?;
            self.settle(None).await?;
        }
        Ok(())
    }

    /// Opens a question, and writes it down unless an earlier server did; returns whether it is new.
    fn put(&mut self, question: Question) -> Result<bool> {
        let engine = &self.run.engine;
        let deadline = engine.now() + engine.inner.settings().question_deadline;
        let is_new = self.run.past.questions.ask(question.clone(), deadline);
        if is_new {
            let deadline = Some(deadline);
            self.run.tell(TaskEventPayload::Question { question, deadline })?;
        }
        Ok(is_new)
    }

    pub(super) async fn unask(&mut self, id: &QuestionId) -> Result<Vec<Do>> {
        if !self.run.past.questions.take_back(id) {
            return Ok(Vec::new());
        }
        self.settle(None).await?;
        Ok(vec![talk::status(format!("the agent took its question `{id}` back"))])
    }

    /// Takes the answer of a person.
    pub(super) async fn on_answer(&mut self, answering: Answering) -> Result<()> {
        let Answering { question, answer, reply } = answering;
        let question = match admit(self.run, &question, &answer).await {
            Ok(question) => question,
            Err(refused) => {
                // A dead receiver is a client that went away.
                drop(reply.send(Err(refused)));
                return Ok(());
            }
        };
        let taken = self.take_answer(question, answer, AnsweredBy::Person).await;
        let told = taken.as_ref().map(|_| ()).map_err(|_| questions::unwritten());
        drop(reply.send(told));
        let to_do = taken?;
        self.carry_out(to_do).await
    }

    /// Answers with a no what nobody answered in time.
    pub(super) async fn expire(&mut self) -> Result<()> {
        let now = self.run.engine.now();
        while let Some(late) = self.run.past.questions.late(now).cloned() {
            let no = questions::denial(&late);
            let to_do = self.take_answer(late, no, AnsweredBy::Deadline).await?;
            self.carry_out(to_do).await?;
        }
        Ok(())
    }

    /// When the next question is answered with a no.
    pub(super) fn question_deadline(&self) -> Option<Instant> {
        let deadline = self.run.past.questions.deadline()?;
        let wait: Duration =
            deadline.duration_since(self.run.engine.now()).try_into().unwrap_or_default();
        Some(Instant::now() + wait)
    }

    /// Writes an answer down, before anything comes of it.
    async fn take_answer(
        &mut self,
        question: Question,
        answer: Answer,
        by: AnsweredBy,
    ) -> Result<Vec<Do>> {
        self.run.answer(&question.id, answer.clone(), by)?;
        self.settle(None).await?;
        Ok(match question.kind {
            // The agent did not ask: it was refused, and tries again or goes on.
            QuestionKind::Network => Vec::new(),
            QuestionKind::Permission | QuestionKind::Question => {
                self.talk.answer(&question.id, &answer)
            }
        })
    }

    /// Has the task wait as long as a question is open, and work else.
    pub(super) async fn settle(&mut self, payload: Option<EventPayload>) -> Result<()> {
        // What is open while it is read again need not be so at its end.
        if self.replay_until.is_some() {
            return Ok(());
        }
        // The agent waits for its own questions alone; one about the network is shown where there is no other.
        let questions = &self.run.past.questions;
        let asked = questions.of_agent();
        let state = if asked.is_some() { TaskState::Waiting } else { TaskState::Running };
        let question = asked.or_else(|| questions.of_network().next()).cloned();
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

/// The question that is answered so, once what the answer allows is allowed.
async fn admit(run: &Run, id: &QuestionId, answer: &Answer) -> Result<Question> {
    let question = run.past.questions.admit(id, answer)?.clone();
    // The rule before the answer is written down: a server that is killed in between asks again, and a rule that is
    // there already may be added once more.
    if let Some(rule) = network::rule(&question, answer) {
        run.engine.network_allow(run.row.sandbox_id, rule).await?;
    }
    Ok(question)
}
