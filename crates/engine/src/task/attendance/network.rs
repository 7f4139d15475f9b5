//! A task that is refused something on the network: a person is asked, and the agent works on meanwhile.

use jiff::Timestamp;
use sandbar_types::{Answer, AnsweredBy, Question, QuestionId, TaskEventPayload};
use tokio::time::Instant;

use super::Attendance;
use crate::{
    EgressDenied, Result,
    task::{network, questions, work::Answering},
};

impl Attendance<'_> {
    /// Asks about a refusal, where there is anything to be asked.
    pub(super) async fn on_denied(&mut self, denied: &EgressDenied) -> Result<()> {
        let Some(question) = self.run.past.network.question(denied) else { return Ok(()) };
        let engine = &self.run.engine;
        let deadline = Some(engine.now() + engine.inner.settings().question_deadline);
        // With a name that the history has: what is asked twice there is asked once.
        self.run.past.questions.insert(question.id.clone(), deadline);
        self.run.past.network.ask(question.clone(), deadline);
        self.run.tell(TaskEventPayload::Question { question, deadline })?;
        self.settle(None).await
    }

    /// The question about the network that is meant, where it is one and nobody answered it yet.
    pub(super) fn asked_of_network(&self, id: &QuestionId) -> Option<Question> {
        self.run.past.network.open().find(|question| question.id == *id).cloned()
    }

    /// Takes the answer of a person to `question`.
    pub(super) async fn on_network_answer(
        &mut self,
        question: &Question,
        answering: Answering,
    ) -> Result<()> {
        let Answering { question: _, answer, reply } = answering;
        let admitted = questions::fits(question, &answer);
        // The rule before the answer is written down: a server that is killed in between asks again, and a rule that is
        // there already may be added once more.
        let changed = match (admitted, network::rule(question, &answer)) {
            (Ok(()), Some(rule)) => {
                let sandbox = self.run.row.sandbox_id;
                self.run.engine.network_allow(sandbox, rule).await.map(drop)
            }
            (admitted, _) => admitted,
        };
        if let Err(refused) = changed {
            // A dead receiver is a client that went away.
            drop(reply.send(Err(refused)));
            return Ok(());
        }
        let taken = self.take_network_answer(question, answer, AnsweredBy::Person).await;
        drop(reply.send(if taken.is_ok() { Ok(()) } else { Err(questions::unwritten()) }));
        taken
    }

    /// Answers with a no what nobody answered in time.
    pub(super) async fn expire_network(&mut self) -> Result<()> {
        let now = self.run.engine.now();
        while let Some(late) = self.run.past.network.late(now).cloned() {
            let no = questions::denial(&late);
            self.take_network_answer(&late, no, AnsweredBy::Deadline).await?;
        }
        Ok(())
    }

    async fn take_network_answer(
        &mut self,
        question: &Question,
        answer: Answer,
        by: AnsweredBy,
    ) -> Result<()> {
        self.run.answer_network(question, (answer, by))?;
        self.settle(None).await
    }

    /// When the next question about the network is answered with a no.
    pub(super) fn network_deadline(&self) -> Option<Instant> {
        let now: Timestamp = self.run.engine.now();
        let deadline = self.run.past.network.deadline()?;
        let wait = deadline.duration_since(now).try_into().unwrap_or_default();
        Some(Instant::now() + wait)
    }
}
