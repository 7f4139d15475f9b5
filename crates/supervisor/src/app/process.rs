//! One process of the app: its life, and the hands that carry out what its life asks for.

use std::collections::VecDeque;

use rustix::process::{Pid, WaitStatus};
use sandbar_linux::child as linux;
use sandbar_protocol::Refusal;
use sandbar_types::{
    EGRESS_PORT, ExitStatus, Probe, ProcessName, ProcessSpec, ProcessState, ProcessStatus,
};

use super::{
    incarnation::{Heard, Incarnation, start_check},
    life::{Check, Effect, Event, Gate, Life, Moment, Stage, State, step},
    probe::{No, Question},
};
use crate::{
    exec::{Source, exit_status},
    ports,
    settings::Settings,
    supervisor::now_us,
    viewer::SharedLog,
};

/// What a process needs of the supervisor for a moment.
pub(crate) struct Hands<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) buffer: &'a mut [u8],
    /// Outputs that others still hold when a process has ended.
    pub(crate) leftovers: &'a mut Vec<Source>,
    pub(crate) now: Moment,
    pub(crate) told: Told,
}

/// Who tells processes to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Each is told by its own signal.
    ByUs,
    /// Everybody inside is told at once, by somebody else.
    WithAll,
}

/// A process of the app.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) key: u64,
    pub(crate) spec: ProcessSpec,
    pub(crate) log: SharedLog,
    pub(crate) life: Life,
    pub(crate) incarnation: Option<Incarnation>,
    pub(crate) question: Option<Question>,
    /// Ports that others of the app serve.
    pub(crate) foreign_ports: Vec<u16>,
    /// How it is, as whoever watches was told.
    pub(crate) status: ProcessStatus,
    /// Ports on which somebody listened before it started.
    earlier_ports: Vec<u16>,
    /// Where in the log its last run begins.
    run_offset: u64,
}

impl Process {
    pub(crate) fn new(key: u64, spec: ProcessSpec, log: SharedLog) -> Self {
        let status = ProcessStatus {
            name: spec.name.clone(),
            kind: spec.kind,
            state: ProcessState::Waiting { after: spec.after.clone() },
            pid: None,
            restarts: 0,
            started_us: None,
            last_exit: None,
            hint: None,
        };
        Self {
            key,
            spec,
            log,
            life: Life::new(),
            incarnation: None,
            question: None,
            foreign_ports: Vec::new(),
            status,
            earlier_ports: Vec::new(),
            run_offset: 0,
        }
    }

    /// Whether those that wait for it may start: it is ready, or has done its work.
    pub(crate) fn lets_others_start(&self) -> bool {
        let has_done_its_work = self.life.state == State::Exited
            && self.status.last_exit == Some(ExitStatus::Exited { code: 0 });
        self.status.state.is_ready() || has_done_its_work
    }

    /// Whether a turn would change something.
    pub(crate) fn is_due(&self, gate: Gate, now: Moment) -> bool {
        let starts = gate == Gate::Open && self.life.state == State::Waiting;
        starts || self.life.deadline(&self.spec).is_some_and(|deadline| now >= deadline)
    }

    /// Moves its life on, and does what follows.
    pub(crate) fn on(&mut self, event: Event, hands: &mut Hands<'_>) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let before = std::mem::discriminant(&self.life.state);
            let (life, effects) = step(self.life.clone(), &self.spec, event, hands.now);
            self.life = life;
            // INVARIANT: what it wrote comes before what is said about its end.
            for effect in effects {
                events.extend(self.perform(effect, hands));
            }
            if before != std::mem::discriminant(&self.life.state) {
                self.entered(hands);
            }
        }
        self.describe();
    }

    pub(crate) fn read_output(&mut self, index: usize, hands: &mut Hands<'_>) {
        if let Some(incarnation) = &mut self.incarnation {
            incarnation.read_output(index, &mut self.log.borrow_mut(), hands.buffer, now_us());
        }
    }

    pub(crate) fn hear_notify(&mut self, hands: &mut Hands<'_>) {
        let heard = self.incarnation.as_mut().map(|run| run.hear_notify(hands.buffer));
        if heard == Some(Heard::Ready) {
            self.status.hint = None;
            self.on(Event::Notified, hands);
        }
    }

    pub(crate) fn hear_question(&mut self, hands: &mut Hands<'_>) {
        if let Some(answer) = self.question.as_mut().and_then(Question::advance) {
            let event = self.answered(answer);
            self.on(event, hands);
        }
    }

    /// Takes the end of `pid`, if that is one of its own.
    pub(crate) fn reaped(&mut self, pid: Pid, status: WaitStatus, hands: &mut Hands<'_>) -> bool {
        let answer =
            self.question.as_mut().and_then(|asked| asked.reaped(pid, exit_status(status, None)));
        if let Some(answer) = answer {
            let event = self.answered(answer);
            self.on(event, hands);
            return true;
        }
        let main = self.incarnation.as_mut().filter(|run| run.pid == pid && run.ended.is_none());
        let Some(main) = main else {
            return false;
        };
        self.status.last_exit = Some(main.reaped(status));
        self.status.pid = None;
        if let Some(failure) = main.failure {
            self.status.hint = Some(explained(failure.stage));
        }
        for index in 0..main.sources.len() {
            self.read_output(index, hands);
        }
        // One that ended by itself leaves nothing behind; one that was asked to may have children that still do.
        if let (State::Up(_), Some(main)) = (&self.life.state, &mut self.incarnation) {
            main.kill();
        }
        self.settle_end(hands);
        true
    }

    /// Sees whether what was asked to end has.
    pub(crate) fn settle_end(&mut self, hands: &mut Hands<'_>) {
        let Some(status) = self.incarnation.as_ref().and_then(Incarnation::is_over) else {
            return;
        };
        let sources = self.incarnation.as_ref().map_or(0, |run| run.sources.len());
        for index in 0..sources {
            self.read_output(index, hands);
        }
        if let Some(over) = self.incarnation.take() {
            hands.leftovers.extend(over.sources.into_iter().filter(|source| !source.is_over));
        }
        self.on(Event::Ended(status), hands);
    }

    /// Does one thing. Returns what happened at once.
    fn perform(&mut self, effect: Effect, hands: &mut Hands<'_>) -> Option<Event> {
        match effect {
            Effect::Start => self.start(hands),
            Effect::Ask(check) => self.ask(check, hands),
            Effect::Forget => {
                self.question = None;
                None
            }
            Effect::Terminate => {
                if let (Some(run), Told::ByUs) = (&self.incarnation, hands.told) {
                    run.terminate(self.spec.stop.signal);
                }
                None
            }
            Effect::Kill => {
                if let Some(run) = &mut self.incarnation {
                    run.kill();
                }
                None
            }
            Effect::Note(text) => {
                self.log.borrow_mut().note(&text, now_us());
                None
            }
        }
    }

    fn start(&mut self, hands: &mut Hands<'_>) -> Option<Event> {
        self.earlier_ports = if self.port().is_some() { ports::listening() } else { Vec::new() };
        self.run_offset = self.log.borrow().end();
        self.status.hint = None;
        self.status.started_us = Some(now_us());
        match Incarnation::start(hands.settings, &self.spec) {
            Ok(incarnation) => {
                self.status.pid = Some(incarnation.pid.as_raw_nonzero().get().unsigned_abs());
                self.incarnation = Some(incarnation);
                None
            }
            Err(refusal) => {
                let errno = errno_of(&refusal);
                self.log.borrow_mut().note(&refusal.to_string(), now_us());
                self.status.last_exit = Some(ExitStatus::NotStarted { errno });
                Some(Event::Ended(ExitStatus::NotStarted { errno }))
            }
        }
    }

    fn ask(&mut self, check: Check, hands: &mut Hands<'_>) -> Option<Event> {
        let probe = match check {
            Check::Ready => self.spec.ready.as_ref().map(|check| &check.probe),
            Check::Health => self.spec.health.as_ref().map(|check| &check.probe),
        };
        let answer = match probe? {
            Probe::Command { command } => match start_check(hands.settings, &self.spec, command) {
                Ok(pid) => {
                    self.question = Some(Question::Command(Some(pid)));
                    None
                }
                Err(refusal) => Some(Err(No::Because(refusal.to_string()))),
            },
            probe @ (Probe::Http { .. } | Probe::Tcp { .. } | Probe::Notify { .. }) => {
                let (question, answer) = Question::connect(probe)?;
                self.question = Some(question);
                answer
            }
        };
        answer.map(|answer| self.answered(answer))
    }

    /// What an answer means; a no about the port is looked into.
    fn answered(&mut self, answer: Result<(), No>) -> Event {
        self.question = None;
        self.status.hint = match &answer {
            Err(No::Refused { port }) => self.other_port(*port),
            Err(No::Because(_)) | Ok(()) => None,
        };
        Event::Answered(answer.map_err(|no| match (no, &self.status.hint) {
            (No::Refused { .. }, Some(hint)) => hint.clone(),
            (No::Refused { port }, None) => format!("nobody listens on port {port}"),
            (No::Because(why), _) => why,
        }))
    }

    /// Whether it seems to serve another port than it should: one that came since it started, and is nobody else's.
    fn other_port(&self, port: u16) -> Option<String> {
        let is_its = |found: &u16| {
            !self.earlier_ports.contains(found)
                && !self.foreign_ports.contains(found)
                && !self.spec.ports.contains(found)
                && *found != EGRESS_PORT
        };
        let found = ports::listening().into_iter().find(is_its)?;
        Some(format!("listening on {found}, the manifest says {port}"))
    }

    /// The port that it should serve.
    pub(crate) fn port(&self) -> Option<u16> {
        self.ports().next()
    }

    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> {
        let ready = self.spec.ready.as_ref().map(|check| &check.probe);
        let health = self.spec.health.as_ref().map(|check| &check.probe);
        let asked = ready.into_iter().chain(health).filter_map(|probe| match probe {
            Probe::Http { port, .. } | Probe::Tcp { port } => Some(*port),
            Probe::Command { .. } | Probe::Notify { .. } => None,
        });
        self.spec.ports.iter().copied().chain(asked)
    }

    /// Keeps what can only be told now.
    fn entered(&mut self, hands: &mut Hands<'_>) {
        match &self.life.state {
            State::BackingOff { until, reason } => {
                let wait = until.saturating_sub(hands.now).as_micros();
                let until_us = now_us().saturating_add(u64::try_from(wait).unwrap_or(u64::MAX));
                self.status.state = ProcessState::BackingOff { until_us, reason: reason.clone() };
            }
            State::GivenUp { reason } => {
                let log = self.log.borrow();
                let of_run = log.last_lines(self.run_offset, hands.buffer).unwrap_or_default();
                let last_lines = if of_run.is_empty() {
                    log.last_lines(0, hands.buffer).unwrap_or_default()
                } else {
                    of_run
                };
                self.status.state = ProcessState::GivenUp { reason: reason.clone(), last_lines };
            }
            State::Waiting
            | State::Up(_)
            | State::Stopping { .. }
            | State::Stopped
            | State::Exited => {}
        }
    }

    /// Says for whom it waits.
    pub(crate) fn waits_for(&mut self, unready: Vec<ProcessName>) {
        if self.life.state == State::Waiting {
            self.status.state = ProcessState::Waiting { after: unready };
        }
    }

    /// Puts into words how it is.
    fn describe(&mut self) {
        let status = &mut self.status;
        status.restarts = self.life.restarts();
        let state = match &self.life.state {
            State::Waiting => ProcessState::Waiting { after: self.spec.after.clone() },
            State::Up(run) => match &run.stage {
                Stage::Starting => ProcessState::Starting,
                Stage::Running => ProcessState::Running,
                Stage::Ready => ProcessState::Ready,
                Stage::Unhealthy { reason } => ProcessState::Unhealthy { reason: reason.clone() },
            },
            // Told when it was entered, and not again.
            State::BackingOff { .. } | State::GivenUp { .. } => return,
            State::Stopping { .. } => ProcessState::Stopping,
            State::Stopped => ProcessState::Stopped,
            State::Exited => ProcessState::Exited,
        };
        status.state = state;
    }
}

/// What a process could not do before it became its command.
fn explained(stage: linux::Stage) -> String {
    let what = match stage {
        linux::Stage::Preparing | linux::Stage::Identity => "it could not be confined",
        linux::Stage::Directory => "the directory in which it should start cannot be entered",
        linux::Stage::Exec => "`bash` could not be started",
    };
    what.to_owned()
}

fn errno_of(refusal: &Refusal) -> i32 {
    match refusal {
        Refusal::Cwd { errno } | Refusal::Failed { errno, .. } => *errno,
        Refusal::LimitReached { .. }
        | Refusal::Stopping
        | Refusal::NotFound
        | Refusal::Exists
        | Refusal::Invalid { .. } => rustix::io::Errno::INVAL.raw_os_error(),
    }
}
