//! One run of a process: from its start until it is asked to end, or ends.

use std::time::Duration;

use sandbar_types::{Probe, ProcessSpec, ReadyCheck};

use super::{Effect, Failure, Moment};

/// LIMIT: between two questions at the least, whatever a manifest says.
const INTERVAL_MIN: Duration = Duration::from_millis(50);
/// LIMIT: the same while a process starts, where a question costs no process.
const STARTING_MIN: Duration = Duration::from_millis(20);
/// While a process starts, the next question comes after such a part of the time that it took so far: what starts fast
/// is seen at once, what starts slowly is not asked in vain.
const STARTING_PART: u32 = 10;
/// LIMIT: how long an answer may take at the least; none comes in no time.
const TIMEOUT_MIN: Duration = Duration::from_millis(50);

/// A process that runs and is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) since: Moment,
    pub(crate) stage: Stage,
    pub(crate) asking: Asking,
    /// In a row.
    noes: u32,
    last_no: Option<String>,
}

/// How far it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It has a readiness check, and was not seen ready.
    Starting,
    /// It has no readiness check.
    Running,
    /// It was seen ready, and nothing was seen since that says otherwise.
    Ready,
    /// It was ready, and does not answer.
    Unhealthy { reason: String },
}

/// Where the questions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    /// None is asked any more.
    Never,
    /// The next one is asked then.
    Next(Moment),
    /// An answer is due until then; a late one is a no.
    Asked(Moment),
}

/// Which question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    Ready,
    Health,
}

/// What becomes of a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    GoesOn,
    Failed(String),
}

impl Run {
    pub(super) fn new(spec: &ProcessSpec, now: Moment) -> Self {
        let (stage, asking) = match &spec.ready {
            None => (Stage::Running, next_health(spec, now)),
            Some(check) => (Stage::Starting, next_ready(check, Duration::ZERO, now)),
        };
        Self { since: now, stage, asking, noes: 0, last_no: None }
    }

    pub(super) fn deadline(&self, spec: &ProcessSpec) -> Option<Moment> {
        let asking = match self.asking {
            Asking::Never => None,
            Asking::Next(at) | Asking::Asked(at) => Some(at),
        };
        asking.into_iter().chain(self.ready_until(spec)).min()
    }

    pub(super) const fn is_asked(&self) -> bool {
        matches!(self.asking, Asking::Asked(_))
    }

    pub(super) fn failure(&self, reason: String, now: Moment) -> Failure {
        let was_ready = match self.stage {
            Stage::Starting => false,
            Stage::Running | Stage::Ready | Stage::Unhealthy { .. } => true,
        };
        Failure { reason, length: now.saturating_sub(self.since), was_ready }
    }

    /// Looks at the time.
    pub(super) fn turn(&mut self, spec: &ProcessSpec, now: Moment) -> (Verdict, Vec<Effect>) {
        let mut effects = Vec::new();
        if let Asking::Asked(until) = self.asking
            && now >= until
        {
            effects.push(Effect::Forget);
            let (verdict, more) = self.answered(spec, Err(self.late(spec)), now);
            effects.extend(more);
            if let Verdict::Failed(_) = verdict {
                return (verdict, effects);
            }
        }
        if self.ready_until(spec).is_some_and(|until| now >= until) {
            return (Verdict::Failed(self.unready(spec)), effects);
        }
        if let Asking::Next(at) = self.asking
            && now >= at
        {
            let check = self.check();
            self.asking = Asking::Asked(now.saturating_add(timeout(spec, check)));
            effects.push(Effect::Ask(check));
        }
        (Verdict::GoesOn, effects)
    }

    /// Takes the answer to what was asked; one to nothing changes nothing.
    pub(super) fn answered(
        &mut self,
        spec: &ProcessSpec,
        answer: Result<(), String>,
        now: Moment,
    ) -> (Verdict, Vec<Effect>) {
        if !self.is_asked() {
            return (Verdict::GoesOn, Vec::new());
        }
        match answer {
            Ok(()) => (Verdict::GoesOn, self.is_well(spec, now)),
            Err(why) => self.is_unwell(spec, why, now),
        }
    }

    /// The process said that it is ready, whether or not it was asked.
    pub(super) fn notified(&mut self, spec: &ProcessSpec, now: Moment) -> (Verdict, Vec<Effect>) {
        if self.stage != Stage::Starting {
            return (Verdict::GoesOn, Vec::new());
        }
        let forget = self.is_asked().then_some(Effect::Forget);
        (Verdict::GoesOn, forget.into_iter().chain(self.is_well(spec, now)).collect())
    }

    fn is_well(&mut self, spec: &ProcessSpec, now: Moment) -> Vec<Effect> {
        let effects = match &self.stage {
            Stage::Unhealthy { .. } => vec![Effect::Note("healthy again".to_owned())],
            Stage::Starting | Stage::Running | Stage::Ready => Vec::new(),
        };
        self.stage = match self.stage {
            // What has no readiness check stays what it is.
            Stage::Running => Stage::Running,
            Stage::Unhealthy { .. } if spec.ready.is_none() => Stage::Running,
            Stage::Starting | Stage::Ready | Stage::Unhealthy { .. } => Stage::Ready,
        };
        self.noes = 0;
        self.last_no = None;
        self.asking = next_health(spec, now);
        effects
    }

    fn is_unwell(
        &mut self,
        spec: &ProcessSpec,
        why: String,
        now: Moment,
    ) -> (Verdict, Vec<Effect>) {
        let check = self.check();
        self.asking = match (check, &spec.ready) {
            (Check::Ready, Some(ready)) => next_ready(ready, now.saturating_sub(self.since), now),
            (Check::Ready, None) => Asking::Never,
            (Check::Health, _) => next_health(spec, now),
        };
        self.noes = self.noes.saturating_add(1);
        self.last_no = Some(why.clone());
        match (check, &spec.health) {
            (Check::Health, Some(health)) if self.noes >= health.failures.max(1) => {
                if health.restart {
                    return (Verdict::Failed(format!("unhealthy: {why}")), Vec::new());
                }
                let note = Effect::Note(format!("unhealthy: {why}"));
                let is_news = !matches!(self.stage, Stage::Unhealthy { .. });
                self.stage = Stage::Unhealthy { reason: why };
                (Verdict::GoesOn, is_news.then_some(note).into_iter().collect())
            }
            (Check::Ready | Check::Health, _) => (Verdict::GoesOn, Vec::new()),
        }
    }

    fn check(&self) -> Check {
        match self.stage {
            Stage::Starting => Check::Ready,
            Stage::Running | Stage::Ready | Stage::Unhealthy { .. } => Check::Health,
        }
    }

    fn ready_until(&self, spec: &ProcessSpec) -> Option<Moment> {
        let check = spec.ready.as_ref().filter(|_| self.stage == Stage::Starting)?;
        Some(self.since.saturating_add(Duration::from_millis(check.deadline_ms)))
    }

    fn late(&self, spec: &ProcessSpec) -> String {
        format!("no answer within {}", seconds(timeout(spec, self.check())))
    }

    fn unready(&self, spec: &ProcessSpec) -> String {
        let deadline = spec.ready.as_ref().map_or(0, |check| check.deadline_ms);
        let deadline = seconds(Duration::from_millis(deadline));
        let why = self.last_no.as_deref().unwrap_or("it did not say so");
        format!("not ready within {deadline}; {why}")
    }
}

fn next_ready(check: &ReadyCheck, so_far: Duration, now: Moment) -> Asking {
    let interval = interval(check.interval_ms);
    let wait = match check.probe {
        // It says so by itself.
        Probe::Notify { .. } => return Asking::Never,
        Probe::Command { .. } => interval,
        Probe::Http { .. } | Probe::Tcp { .. } => {
            (so_far / STARTING_PART).clamp(STARTING_MIN, interval)
        }
    };
    Asking::Next(now.saturating_add(wait))
}

/// The first question about the health of a process that is well now.
fn next_health(spec: &ProcessSpec, now: Moment) -> Asking {
    match &spec.health {
        Some(health) => Asking::Next(now.saturating_add(interval(health.interval_ms))),
        None => Asking::Never,
    }
}

fn interval(ms: u64) -> Duration {
    Duration::from_millis(ms).max(INTERVAL_MIN)
}

fn timeout(spec: &ProcessSpec, check: Check) -> Duration {
    let ms = match check {
        Check::Ready => spec.ready.as_ref().map(|check| check.timeout_ms),
        Check::Health => spec.health.as_ref().map(|check| check.timeout_ms),
    };
    Duration::from_millis(ms.unwrap_or_default()).max(TIMEOUT_MIN)
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
