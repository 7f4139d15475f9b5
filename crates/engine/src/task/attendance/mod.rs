//! Attending to an agent that runs: reading what it says, telling what it is told, asking people, and seeing it end.
//!
//! One loop. What is read comes from a task of its own, so that nothing is lost when something else is heard first. A
//! server that goes on first reads what the one before may have seen: nothing of it is written down or sent again, and
//! meanwhile nothing else is heard.

mod answers;
mod ending;
mod steps;

use std::time::Duration;

use sandbar_agents::Conversation;
use sandbar_types::{ExecId, ExecState, ExitStatus, SandboxState, TaskFailure, TaskSpec};
use tokio::time::Instant;

use super::{
    feed::{Feed, Item},
    input::{self, Input, Sent},
    meter::Meter,
    run::{Outcome, Run},
    stop::{Act, Stop, Why},
    talk::Talk,
};
use crate::{Error, Result, exec::ExecSession};

/// How long the log of before may be silent before what follows is taken for new.
const REPLAY_PATIENCE: Duration = Duration::from_secs(5);
/// Far enough away to be never.
const NEVER: Duration = Duration::from_hours(24 * 365);

/// The talk with an agent, and everything around it.
#[derive(Debug)]
pub(super) struct Attendance<'r> {
    pub(super) run: &'r mut Run,
    talk: Talk,
    feed: Feed,
    input: Input,
    exec: ExecId,
    /// What an earlier server sent; nothing of it is sent again.
    sent: Sent,
    /// Whether a message that was on its way then may still be read, in whole or part.
    is_doubt_real: bool,
    sends: u64,
    told: u64,
    meter: Meter,
    stop: Option<Stop>,
    finished: Option<Result<String, String>>,
    /// Up to this offset of the log, an earlier server may have seen it.
    replay_until: Option<u64>,
}

/// How an agent's process ended.
#[derive(Debug, Clone, Copy)]
enum Ended {
    Seen(ExitStatus),
    /// Its sandbox ended first.
    Lost,
    /// It cannot even be killed.
    Stuck,
}

impl<'r> Attendance<'r> {
    /// With an agent that was just started.
    ///
    /// # Errors
    /// The journal cannot be made.
    pub(super) fn begin(
        run: &'r mut Run,
        conversation: Box<dyn Conversation>,
        session: ExecSession,
    ) -> Result<Self> {
        Self::new(run, conversation, session, None)
    }

    /// With one that an earlier server began, whose log is now so many bytes long.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(super) fn resume(
        run: &'r mut Run,
        conversation: Box<dyn Conversation>,
        (session, bytes): (ExecSession, u64),
    ) -> Result<Self> {
        let replay_until = Some(bytes).filter(|until| *until > session.reader.offset());
        Self::new(run, conversation, session, replay_until)
    }

    fn new(
        run: &'r mut Run,
        conversation: Box<dyn Conversation>,
        session: ExecSession,
        replay_until: Option<u64>,
    ) -> Result<Self> {
        let dir = run.engine.inner.layout.task(run.row.id);
        let (journal, sent) = input::journal(&dir).map_err(Error::internal)?;
        let limit = run.row.spec.timeout_ms.unwrap_or(TaskSpec::TIMEOUT_MS_DEFAULT);
        let mut worked = run.past.worked;
        if let Some(since) = run.past.works_since {
            worked += run.engine.now().duration_since(since).try_into().unwrap_or_default();
        }
        let ExecSession { exec, reader, writer } = session;
        Ok(Self {
            talk: Talk::new(conversation),
            feed: Feed::begin(&run.engine, (exec.sandbox_id, exec.id), reader),
            input: Input::begin(writer, journal),
            sent,
            is_doubt_real: exec.state == ExecState::Running,
            exec: exec.id,
            sends: 0,
            told: 0,
            meter: Meter::new(worked, Duration::from_millis(limit)),
            stop: None,
            finished: None,
            replay_until,
            run,
        })
    }

    /// Attends to it until it has ended.
    ///
    /// # Errors
    /// What happened cannot be written down; the agent was killed then.
    pub(super) async fn attend(mut self) -> Result<Outcome> {
        let attended = self.until_end().await;
        if attended.is_err() {
            self.signal(9).await;
        }
        let ended = attended?;
        self.close_questions().await?;
        let to_do = self.talk.finish();
        self.carry_out(to_do).await?;
        match ended {
            Ended::Seen(status) => self.judge(status),
            Ended::Lost => Ok(self.of_stop().unwrap_or_else(|| {
                // It said nothing to this server: most likely it ended while there was none.
                let is_of_before = self.run.is_resumed && self.told <= self.run.past.told;
                let reason = if is_of_before {
                    TaskFailure::Interrupted
                } else {
                    TaskFailure::SandboxUnavailable
                };
                Outcome::Failed(reason, "the sandbox ended before the agent did".to_owned())
            })),
            Ended::Stuck => Ok(self.of_stop().unwrap_or_else(|| {
                let message = "the agent does not end".to_owned();
                Outcome::Failed(TaskFailure::Internal, message)
            })),
        }
    }

    async fn until_end(&mut self) -> Result<Ended> {
        self.measure();
        let begin = self.talk.begin();
        self.carry_out(begin).await?;
        let cancel = self.run.wishes.cancel.clone();
        let Ok(handle) = self.run.engine.inner.actor(self.run.row.sandbox_id) else {
            return Ok(Ended::Lost);
        };
        let mut published = handle.published;
        // From before it is listened to: what is refused while an earlier log is read is asked about afterwards.
        let sandbox = self.run.row.sandbox_id;
        let Ok(mut denials) = self.run.engine.network_denials(sandbox) else {
            return Ok(Ended::Lost);
        };
        loop {
            let is_live = self.replay_until.is_none();
            let deadline = self.deadline();
            // Ranked: what ends it comes before what it says, so that a flood cannot keep it alive.
            tokio::select! {
                biased;
                () = cancel.cancelled(), if is_live && self.may_stop() => {
                    self.begin_stop(Why::Cancelled).await?;
                }
                Some(answering) = self.run.wishes.answers.recv(), if is_live => {
                    self.on_answer(answering).await?;
                }
                () = tokio::time::sleep_until(deadline) => {
                    if let Some(ended) = self.on_deadline().await? {
                        return Ok(ended);
                    }
                }
                Ok(()) = published.changed(), if is_live => {
                    self.measure();
                }
                denied = denials.next(), if is_live => self.on_denied(&denied).await?,
                item = self.feed.next() => {
                    if let Some(ended) = self.on_item(item).await? {
                        return Ok(ended);
                    }
                }
            }
        }
    }

    async fn on_item(&mut self, item: Item) -> Result<Option<Ended>> {
        let (to_do, offset) = match item {
            Item::Stdout(bytes, offset) => (self.talk.stdout(&bytes), offset),
            Item::Stderr(bytes, offset) => (self.talk.stderr(&bytes), offset),
            Item::Gap(_) if self.replay_until.is_some() => {
                // What it said first is gone, and with it what it was asked and told.
                self.begin_stop(Why::Interrupted).await?;
                return Ok(None);
            }
            Item::Gap(offset) => (self.talk.gap(), offset),
            Item::End(end) => {
                self.replay_until = None;
                return Ok(Some(Ended::Seen(end.status)));
            }
            Item::Lost => return Ok(Some(Ended::Lost)),
        };
        self.carry_out(to_do).await?;
        if self.replay_until.is_some_and(|until| offset >= until) {
            self.go_live().await?;
        }
        Ok(None)
    }

    /// All of before was read: from now on it is as if there had been no other server.
    async fn go_live(&mut self) -> Result<()> {
        self.replay_until = None;
        self.settle(None).await
    }

    /// Whether it works now is seen anew: it does not while it waits for an answer, or is frozen.
    fn measure(&mut self) {
        let now = Instant::now();
        let sandbox = self.run.engine.inner.actor(self.run.row.sandbox_id);
        let is_paused = sandbox.is_ok_and(|handle| handle.row().state == SandboxState::Paused);
        if is_paused || self.run.past.questions.of_agent().is_some() {
            self.meter.rest(now);
        } else {
            self.meter.go(now);
        }
    }

    fn deadline(&self) -> Instant {
        let now = Instant::now();
        if self.replay_until.is_some() {
            return now + REPLAY_PATIENCE;
        }
        let work = self.meter.deadline().filter(|_| self.may_stop());
        let stop = self.stop.as_ref().and_then(Stop::deadline);
        let asked = self.question_deadline();
        work.into_iter().chain(stop).chain(asked).min().unwrap_or(now + NEVER)
    }

    async fn on_deadline(&mut self) -> Result<Option<Ended>> {
        if self.replay_until.is_some() {
            self.go_live().await?;
            return Ok(None);
        }
        let now = Instant::now();
        match self.stop.as_mut().and_then(|stop| stop.due(now)) {
            Some(Act::Signal(number)) => self.signal(number).await,
            Some(Act::GiveUp) => return Ok(Some(Ended::Stuck)),
            None => {}
        }
        self.expire().await?;
        if self.may_stop() && self.meter.deadline().is_some_and(|deadline| deadline <= now) {
            self.begin_stop(Why::TimedOut).await?;
        }
        Ok(None)
    }

    /// Nobody can answer any more.
    async fn close_questions(&mut self) -> Result<()> {
        self.run.past.questions.take_back_of_agent();
        self.run.wishes.answers.close();
        self.run.withdraw_network()?;
        if self.run.row.question.take().is_some() {
            self.run.save(None).await?;
        }
        Ok(())
    }
}
