//! The whole life of one process of an app, as a pure state machine: no clock, no kernel.
//!
//! Everything that can be waited for is part of the state, with the moment at which the wait is over: an answer that
//! never comes, a readiness that never comes, a process that does not end. So nothing can be lost by whoever carries
//! out the effects. The diagram is that of [`sandbar_types::ProcessState`].

mod stages;
#[cfg(test)]
mod tests;

use std::time::Duration;

use sandbar_types::{ExitStatus, ProcessSpec, RestartPolicy};

use self::stages::Verdict;
pub(crate) use self::stages::{Check, Run, Stage};

/// A run of this length is no fast failure, and one that was ready so long makes up for earlier failures.
pub(super) const STEADY: Duration = Duration::from_secs(10);
/// LIMIT: fast failures in a row; the last of them is the last run.
pub(super) const FAST_FAILURES_MAX: u32 = 5;
/// The first wait before another start; each failure doubles it.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// LIMIT: no wait is longer.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// A point in time, as the app counts it: since the supervisor began, without the time in which all was frozen.
pub(crate) type Moment = Duration;

/// Where a process is, and what counts of where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) state: State,
    /// Runs in a row that ended too fast.
    fast_failures: u32,
    /// How long the next wait is.
    backoff: Duration,
    /// Since it was last asked to start.
    starts: u32,
}

/// Where a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Not started yet: others are not ready.
    Waiting,
    /// There is a process, and it is wanted.
    Up(Run),
    /// There is none until then.
    BackingOff { until: Moment, reason: String },
    /// There is none until somebody says so.
    GivenUp { reason: String },
    /// There is a process, and it was asked to end.
    Stopping {
        /// When it is killed; `None` once it was.
        kill_at: Option<Moment>,
        then: Then,
    },
    /// There is none, because somebody said so.
    Stopped,
    /// There is none, because its policy says so.
    Exited,
}

/// What comes after the end of a process that was asked to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Then {
    Rest,
    Start,
    /// It failed while it ran.
    Failed(Failure),
}

/// A run that was not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    reason: String,
    length: Duration,
    was_ready: bool,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// Perhaps a deadline has passed, or those that it waits for are ready.
    Turn(Gate),
    /// What was asked last was answered: a yes, or why not.
    Answered(Result<(), String>),
    /// The process said by itself that it is ready.
    Notified,
    /// Nothing of the process is left.
    Ended(ExitStatus),
    /// Somebody wants it to run.
    Start,
    /// Somebody wants it not to run.
    Stop,
    /// Somebody wants it to run afresh.
    Restart,
}

/// Whether it may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    Closed,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Start the process. That it could not be started is an [`Event::Ended`].
    Start,
    /// Ask it; the answer is an [`Event::Answered`].
    Ask(Check),
    /// Nobody waits for the answer any more.
    Forget,
    /// Ask it to end, by the signal of its policy.
    Terminate,
    /// Kill it, and all of its session.
    Kill,
    /// Write this into its log.
    Note(String),
}

impl Life {
    /// A process that has not been started.
    pub(crate) const fn new() -> Self {
        Self { state: State::Waiting, fast_failures: 0, backoff: BACKOFF_MIN, starts: 0 }
    }

    /// How often it was started again since it was last asked to start.
    pub(crate) const fn restarts(&self) -> u32 {
        self.starts.saturating_sub(1)
    }

    /// When something is to be done even if nothing happens.
    pub(crate) fn deadline(&self, spec: &ProcessSpec) -> Option<Moment> {
        match &self.state {
            State::Up(run) => run.deadline(spec),
            State::BackingOff { until, .. } => Some(*until),
            State::Stopping { kill_at, .. } => *kill_at,
            State::Waiting | State::GivenUp { .. } | State::Stopped | State::Exited => None,
        }
    }

    /// Whether there is a process.
    pub(crate) const fn has_process(&self) -> bool {
        match self.state {
            State::Up(_) | State::Stopping { .. } => true,
            State::Waiting
            | State::BackingOff { .. }
            | State::GivenUp { .. }
            | State::Stopped
            | State::Exited => false,
        }
    }

    /// As if it were new, because somebody asked.
    fn afresh(self) -> Self {
        Self { starts: self.starts, ..Self::new() }
    }

    fn at(self, state: State) -> Self {
        Self { state, ..self }
    }
}

/// Moves a process on. Pure and total: an event that makes no sense where it is changes nothing.
pub(crate) fn step(
    life: Life,
    spec: &ProcessSpec,
    event: Event,
    now: Moment,
) -> (Life, Vec<Effect>) {
    match event {
        Event::Turn(gate) => turn(life, spec, gate, now),
        Event::Answered(answer) => with_run(life, spec, now, |run| run.answered(spec, answer, now)),
        Event::Notified => with_run(life, spec, now, |run| run.notified(spec, now)),
        Event::Ended(status) => ended(life, spec, status, now),
        Event::Start => start(life),
        Event::Stop => stop(life, spec, now),
        Event::Restart => restart(life, spec, now),
    }
}

fn turn(mut life: Life, spec: &ProcessSpec, gate: Gate, now: Moment) -> (Life, Vec<Effect>) {
    if matches!(life.state, State::BackingOff { until, .. } if now >= until) {
        life.state = State::Waiting;
    }
    match &mut life.state {
        State::Waiting if gate == Gate::Open => {
            let starts = life.starts.saturating_add(1);
            let run = Run::new(spec, now);
            (Life { state: State::Up(run), starts, ..life }, vec![Effect::Start])
        }
        State::Up(_) => with_run(life, spec, now, |run| run.turn(spec, now)),
        State::Stopping { kill_at, .. } if kill_at.is_some_and(|at| now >= at) => {
            *kill_at = None;
            (life, vec![Effect::Kill])
        }
        State::Waiting
        | State::BackingOff { .. }
        | State::GivenUp { .. }
        | State::Stopping { .. }
        | State::Stopped
        | State::Exited => (life, Vec::new()),
    }
}

/// Does something to the run, if there is one, and ends it when that is the verdict.
fn with_run(
    life: Life,
    spec: &ProcessSpec,
    now: Moment,
    change: impl FnOnce(&mut Run) -> (Verdict, Vec<Effect>),
) -> (Life, Vec<Effect>) {
    let (mut run, life) = match life.state {
        State::Up(run) => (run, Life { state: State::Waiting, ..life }),
        State::Waiting
        | State::BackingOff { .. }
        | State::GivenUp { .. }
        | State::Stopping { .. }
        | State::Stopped
        | State::Exited => return (life, Vec::new()),
    };
    let (verdict, mut effects) = change(&mut run);
    match verdict {
        Verdict::GoesOn => (life.at(State::Up(run)), effects),
        Verdict::Failed(reason) => {
            effects.push(Effect::Note(format!("{reason}; it is ended")));
            let then = Then::Failed(run.failure(reason, now));
            let (life, more) = end(life, &run, spec, then, now);
            effects.extend(more);
            (life, effects)
        }
    }
}

/// Asks a running process to end.
fn end(life: Life, run: &Run, spec: &ProcessSpec, then: Then, now: Moment) -> (Life, Vec<Effect>) {
    let forget = run.is_asked().then_some(Effect::Forget);
    let effects = forget.into_iter().chain([Effect::Terminate]).collect();
    let kill_at = Some(now.saturating_add(Duration::from_millis(spec.stop.grace_ms)));
    (life.at(State::Stopping { kill_at, then }), effects)
}

fn ended(life: Life, spec: &ProcessSpec, status: ExitStatus, now: Moment) -> (Life, Vec<Effect>) {
    let reason = status.to_string();
    match life.state.clone() {
        State::Up(run) => {
            let forget = run.is_asked().then_some(Effect::Forget);
            let is_done = match spec.restart {
                RestartPolicy::Always => false,
                RestartPolicy::OnFailure => status == (ExitStatus::Exited { code: 0 }),
                RestartPolicy::Never => true,
            };
            let (life, note) = if is_done {
                (life.at(State::Exited), reason)
            } else {
                failed(life, run.failure(reason, now), now)
            };
            (life, forget.into_iter().chain([Effect::Note(note)]).collect())
        }
        State::Stopping { then, .. } => {
            let (life, note) = match then {
                Then::Rest => (life.at(State::Stopped), format!("ended as asked: {reason}")),
                Then::Start => {
                    (life.at(State::Waiting), format!("ended as asked: {reason}; starts again"))
                }
                Then::Failed(_) if spec.restart == RestartPolicy::Never => {
                    (life.at(State::Exited), reason)
                }
                Then::Failed(failure) => failed(life, failure, now),
            };
            (life, vec![Effect::Note(note)])
        }
        // It has none.
        State::Waiting
        | State::BackingOff { .. }
        | State::GivenUp { .. }
        | State::Stopped
        | State::Exited => (life, Vec::new()),
    }
}

/// Decides what a failure means. Returns what is to be said about it, too.
fn failed(mut life: Life, failure: Failure, now: Moment) -> (Life, String) {
    let Failure { reason, length, was_ready } = failure;
    if length < STEADY {
        life.fast_failures += 1;
    } else {
        life.fast_failures = 0;
        if was_ready {
            life.backoff = BACKOFF_MIN;
        }
    }
    if life.fast_failures >= FAST_FAILURES_MAX {
        let steady = STEADY.as_secs();
        let reason = format!(
            "{reason}; that was the {FAST_FAILURES_MAX}th run in a row of less than {steady} s"
        );
        let note = format!("{reason}: given up");
        return (life.at(State::GivenUp { reason }), note);
    }
    let wait = life.backoff;
    life.backoff = (wait * 2).min(BACKOFF_MAX);
    let note = format!("{reason}; starts again in {} s", wait.as_secs());
    (life.at(State::BackingOff { until: now.saturating_add(wait), reason }), note)
}

fn start(life: Life) -> (Life, Vec<Effect>) {
    let life = match &life.state {
        // A second identical request is success.
        State::Waiting | State::Up(_) => life,
        State::BackingOff { .. } => life.afresh(),
        State::GivenUp { .. } | State::Stopped | State::Exited => Life::new(),
        State::Stopping { kill_at, .. } => {
            let kill_at = *kill_at;
            life.afresh().at(State::Stopping { kill_at, then: Then::Start })
        }
    };
    (life, Vec::new())
}

fn stop(life: Life, spec: &ProcessSpec, now: Moment) -> (Life, Vec<Effect>) {
    match life.state.clone() {
        State::Up(run) => end(life, &run, spec, Then::Rest, now),
        State::Stopping { kill_at, .. } => {
            (life.at(State::Stopping { kill_at, then: Then::Rest }), Vec::new())
        }
        State::Waiting
        | State::BackingOff { .. }
        | State::GivenUp { .. }
        | State::Stopped
        | State::Exited => (life.at(State::Stopped), Vec::new()),
    }
}

fn restart(life: Life, spec: &ProcessSpec, now: Moment) -> (Life, Vec<Effect>) {
    match life.state.clone() {
        State::Up(run) => end(life.afresh(), &run, spec, Then::Start, now),
        State::Stopping { kill_at, .. } => {
            (life.afresh().at(State::Stopping { kill_at, then: Then::Start }), Vec::new())
        }
        State::Waiting
        | State::BackingOff { .. }
        | State::GivenUp { .. }
        | State::Stopped
        | State::Exited => (life.afresh(), Vec::new()),
    }
}
