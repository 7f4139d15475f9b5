//! How an agent is ended, and what came of it.

use sandbar_types::{ExitStatus, TaskEventPayload, TaskFailure, TaskSpec};
use tokio::time::Instant;

use super::Attendance;
use crate::{
    Result,
    task::{
        run::Outcome,
        stop::{Grace, Stop, Why},
    },
};

impl Attendance<'_> {
    /// Whether it is not being ended yet, or only because it is done.
    pub(super) fn may_stop(&self) -> bool {
        self.stop.as_ref().is_none_or(|stop| stop.why == Why::Done)
    }

    /// Begins to end it.
    pub(super) async fn begin_stop(&mut self, why: Why) -> Result<()> {
        let now = Instant::now();
        if why == Why::Done {
            self.stop = Some(Stop::begin(why, Grace::Done, now));
            return Ok(());
        }
        let asked = if why == Why::Interrupted { Vec::new() } else { self.talk.cancel() };
        let grace = if asked.is_empty() { Grace::None } else { Grace::Asked };
        self.replay_until = None;
        // First, so that what it says about it does not begin another end.
        self.stop = Some(Stop::begin(why, grace, now));
        self.run.past.questions.take_back_of_agent();
        self.measure();
        Box::pin(self.carry_out(asked)).await
    }

    pub(super) async fn signal(&mut self, number: u8) {
        let (engine, row) = (&self.run.engine, &self.run.row);
        if let Err(err) = engine.exec_signal(row.sandbox_id, self.exec, number).await {
            tracing::info!(task.id = %row.id, error = %err, "an agent could not be signaled");
        }
    }

    pub(super) fn of_stop(&self) -> Option<Outcome> {
        match self.stop.as_ref()?.why {
            Why::Done => None,
            Why::Cancelled => Some(Outcome::Cancelled),
            Why::TimedOut => {
                let ms = self.run.row.spec.timeout_ms.unwrap_or(TaskSpec::TIMEOUT_MS_DEFAULT);
                let message = format!("the agent worked longer than {} seconds", ms.div_ceil(1000));
                Some(Outcome::Failed(TaskFailure::AgentTimeout, message))
            }
            Why::Interrupted => {
                let message =
                    "the server ended, and what the agent was told or said meanwhile is not known";
                Some(Outcome::Failed(TaskFailure::Interrupted, message.to_owned()))
            }
        }
    }

    /// What came of it, by how its process ended and by what it said.
    pub(super) fn judge(&mut self, status: ExitStatus) -> Result<Outcome> {
        if !self.run.past.has_ended {
            self.run.tell(TaskEventPayload::Ended { exit: status })?;
        }
        if let Some(outcome) = self.of_stop() {
            return Ok(outcome);
        }
        if let ExitStatus::NotStarted { errno } = status {
            return Ok(self.not_found(errno));
        }
        let said = self.talk.ended(status);
        let outcome = self.finished.take().unwrap_or(said);
        Ok(match outcome {
            Ok(message) => Outcome::Succeeded(message),
            Err(message) => Outcome::Failed(TaskFailure::AgentError, message),
        })
    }

    pub(super) fn not_found(&self, errno: i32) -> Outcome {
        let row = &self.run.row;
        let agent = sandbar_agents::by_name(row.agent.as_str());
        let program = agent.and_then(|agent| agent.program());
        let program = program.or(row.spec.command.first().map(String::as_str)).unwrap_or_default();
        let message = format!(
            "`{program}` of the agent `{}` cannot be started in the sandbox (errno {errno}): is it installed there? \
             `sandbar exec SANDBOX -- {program} --version` tries",
            row.agent
        );
        Outcome::Failed(TaskFailure::AgentNotFound, message)
    }
}
