//! Carrying out what the talk with an agent leads to: what it is told, and what is written down of what it says.

use std::collections::VecDeque;

use sandbar_agents::Step;
use sandbar_types::TaskEventPayload;

use super::Attendance;
use crate::{
    Result,
    task::{
        past::TRUNCATED,
        stop::Why,
        talk::{self, Do},
    },
};

/// LIMIT: events of one task that are made of what its agent prints.
const EVENTS_MAX: u64 = 200_000;
/// LIMIT: bytes of one history.
const HISTORY_BYTES_MAX: u64 = 256 << 20;

impl Attendance<'_> {
    /// Does what the talk wants, in order, and tells who follows once.
    pub(super) async fn carry_out(&mut self, to_do: Vec<Do>) -> Result<()> {
        let mut waiting = VecDeque::from(to_do);
        while let Some(to_do) = waiting.pop_front() {
            match to_do {
                Do::Tell(payload) => self.tell_of_agent(payload)?,
                Do::Step(step) => {
                    let more = self.step(step).await?;
                    // What an answer of before leads to comes before what was said after it.
                    for to_do in more.into_iter().rev() {
                        waiting.push_front(to_do);
                    }
                }
            }
        }
        self.run.announce();
        Ok(())
    }

    async fn step(&mut self, step: Step) -> Result<Vec<Do>> {
        match step {
            Step::Event(_) => {}
            Step::Send(text) => self.send(text).await?,
            Step::CloseInput => drop(self.input.end()),
            Step::Ask(question) => return self.ask(question).await,
            Step::Unask(id) => return self.unask(&id).await,
            Step::Session(session) => {
                if self.run.row.session.as_ref() != Some(&session) {
                    self.run.row.session = Some(session);
                    self.run.save(None).await?;
                }
            }
            Step::Usage(usage) => self.run.usage = Some(usage),
            Step::Finished(outcome) => {
                self.finished.get_or_insert(outcome);
                self.input.end();
                if self.stop.is_none() {
                    self.begin_stop(Why::Done).await?;
                }
            }
        }
        Ok(Vec::new())
    }

    async fn send(&mut self, text: String) -> Result<()> {
        self.sends += 1;
        if self.sends <= self.sent.count {
            return Ok(());
        }
        if self.sends == self.sent.count + 1 && self.sent.is_in_doubt && self.is_doubt_real {
            // Nobody knows how much of it came through; twice may be worse than not at all.
            return self.begin_stop(Why::Interrupted).await;
        }
        if !self.input.send(text) {
            let text = "the agent does not read what it is told".to_owned();
            return match talk::status(text) {
                Do::Tell(payload) => self.tell_of_agent(payload),
                Do::Step(_) => Ok(()),
            };
        }
        Ok(())
    }

    /// Writes down what was made of the agent's output, unless an earlier server did.
    fn tell_of_agent(&mut self, payload: TaskEventPayload) -> Result<()> {
        self.told += 1;
        if self.told <= self.run.past.told || self.run.past.is_truncated {
            return Ok(());
        }
        if self.told > EVENTS_MAX || self.run.history.bytes() > HISTORY_BYTES_MAX {
            self.run.past.is_truncated = true;
            return match talk::status(TRUNCATED.to_owned()) {
                Do::Tell(payload) => self.run.note(payload),
                Do::Step(_) => Ok(()),
            };
        }
        self.run.note(payload)
    }
}
