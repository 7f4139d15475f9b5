//! The processes of the app: which there are, who waits for whom, and when something is to be done.
//!
//! | File | Holds |
//! |---|---|
//! | `life` | the life of one process, pure |
//! | `process` | one process: carries out what its life asks for |
//! | `incarnation` | one run of it, as the kernel sees it |
//! | `probe` | one question to it |
//! | `check` | whether an app can be kept at all |
//! | `requests` | what the host asks |

mod check;
mod clock;
mod incarnation;
mod life;
mod probe;
mod process;
mod requests;

use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::{AsFd, BorrowedFd},
    time::Instant,
};

use rustix::{
    event::PollFlags,
    process::{Pid, WaitStatus},
};
use sandbar_protocol::{AppStatus, Refusal};
use sandbar_types::{AppSpec, ProcessName, ProcessSpec, ProcessStatus};

use self::{
    clock::{Clock, WAIT_MAX},
    life::Gate,
    process::Process,
};
pub(crate) use self::{
    life::Event,
    process::{Hands, Told},
};
use crate::{settings::LOG_BYTES_MIN, viewer::SharedLog};

/// LIMIT: rounds in which one start lets another process start; the longest chain is as long as the app.
const ROUNDS_MAX: usize = AppSpec::PROCESSES_MAX + 1;

/// Everything that the supervisor keeps running.
#[derive(Debug)]
pub(crate) struct App {
    /// In the order in which the app names them.
    processes: Vec<Process>,
    /// Those that the app does not name any more, while they end.
    leaving: Vec<Process>,
    /// Of all that are named, that still end, or that the next app will name.
    logs: BTreeMap<ProcessName, SharedLog>,
    /// Whose logs were given since an app was applied.
    given: BTreeSet<ProcessName>,
    pub(crate) clock: Clock,
    published: Vec<ProcessStatus>,
    /// Counts what was published.
    pub(crate) version: u64,
}

/// Something of the app that poll(2) can wait for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    Output(u64, usize),
    Notify(u64),
    Question(u64),
}

/// Whether anything may start now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// Time stands still.
    Frozen,
    /// Nothing starts any more.
    Stopping,
}

impl App {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            processes: Vec::new(),
            leaving: Vec::new(),
            logs: BTreeMap::new(),
            given: BTreeSet::new(),
            clock: Clock::new(now),
            published: Vec::new(),
            version: 0,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Process> {
        self.processes.iter().chain(&self.leaving)
    }

    fn by_key(&mut self, key: u64) -> Option<&mut Process> {
        self.processes.iter_mut().chain(&mut self.leaving).find(|process| process.key == key)
    }

    fn named(&mut self, name: &ProcessName) -> Result<&mut Process, Refusal> {
        let found = self.processes.iter_mut().find(|process| process.spec.name == *name);
        found.ok_or(Refusal::NotFound)
    }

    /// What the app waits for, beside time.
    pub(crate) fn interests(
        &self,
        phase: Phase,
    ) -> impl Iterator<Item = (Wanted, BorrowedFd<'_>, PollFlags)> {
        self.all().flat_map(move |process| {
            let key = process.key;
            let run = process.incarnation.iter();
            let sources = run.clone().flat_map(|run| run.sources.iter().enumerate());
            let outputs =
                sources.filter(|(_, source)| !source.is_over).map(move |(index, source)| {
                    (Wanted::Output(key, index), source.fd.as_fd(), PollFlags::IN)
                });
            // What was said while all was frozen is heard when it goes on.
            let hears = phase != Phase::Frozen;
            let notify = run.filter(move |_| hears).filter_map(move |run| {
                let notify = run.notify.as_ref()?;
                Some((Wanted::Notify(key), notify.fd.as_fd(), PollFlags::IN))
            });
            let question = process.question.iter().filter(move |_| hears);
            let question = question.filter_map(move |question| {
                let (fd, flags) = question.interest()?;
                Some((Wanted::Question(key), fd, flags))
            });
            outputs.chain(notify).chain(question)
        })
    }

    pub(crate) fn hear(&mut self, wanted: Wanted, hands: &mut Hands<'_>) {
        match wanted {
            Wanted::Output(key, index) => {
                if let Some(process) = self.by_key(key) {
                    process.read_output(index, hands);
                }
            }
            Wanted::Notify(key) => {
                if let Some(process) = self.by_key(key) {
                    process.hear_notify(hands);
                }
            }
            Wanted::Question(key) => {
                if let Some(process) = self.by_key(key) {
                    process.hear_question(hands);
                }
            }
        }
    }

    /// When something is to be done even if nothing happens.
    pub(crate) fn deadline(&self, phase: Phase, now: Instant) -> Option<Instant> {
        if phase == Phase::Frozen {
            return None;
        }
        let next = self.all().filter_map(|process| process.life.deadline(&process.spec)).min()?;
        let wait = next.saturating_sub(self.clock.moment(now)).min(WAIT_MAX);
        now.checked_add(wait)
    }

    /// Numbers of the processes that run.
    pub(crate) fn pids(&self) -> impl Iterator<Item = Pid> {
        let runs = self.all().filter_map(|process| process.incarnation.as_ref());
        runs.filter(|run| run.ended.is_none()).map(|run| run.pid)
    }

    /// Takes the end of a child, if it is one of the app's.
    pub(crate) fn reaped(&mut self, pid: Pid, status: WaitStatus, hands: &mut Hands<'_>) {
        let mut all = self.processes.iter_mut().chain(&mut self.leaving);
        let _is_ours = all.any(|process| process.reaped(pid, status, hands));
    }

    /// Does what time and the others' readiness ask for.
    pub(crate) fn turn(&mut self, phase: Phase, hands: &mut Hands<'_>) {
        if phase != Phase::Frozen {
            for _ in 0..ROUNDS_MAX {
                if !self.round(phase, hands) {
                    break;
                }
            }
        }
        if self.leaving.extract_if(.., |process| !process.life.has_process()).count() > 0 {
            self.forget_logs();
        }
        for index in 0..self.processes.len() {
            let unready = self.unready(&self.processes[index].spec);
            self.processes[index].waits_for(unready);
        }
        if self.processes.iter().map(|process| &process.status).ne(&self.published) {
            self.published = self.processes.iter().map(|process| process.status.clone()).collect();
            self.version += 1;
        }
    }

    /// Lets go of logs that nobody writes to any more, nor will.
    fn forget_logs(&mut self) {
        let mut kept: BTreeSet<_> = self.all().map(|process| process.spec.name.clone()).collect();
        kept.extend(self.given.iter().cloned());
        for (_, log) in self.logs.extract_if(.., |name, _| !kept.contains(name)) {
            log.borrow_mut().close();
        }
    }

    /// Returns whether something was done.
    fn round(&mut self, phase: Phase, hands: &mut Hands<'_>) -> bool {
        let mut is_moved = false;
        for index in 0..self.processes.len() {
            let gate = self.gate(index, phase);
            is_moved |= moved(&mut self.processes[index], gate, hands);
        }
        for process in &mut self.leaving {
            is_moved |= moved(process, Gate::Closed, hands);
        }
        is_moved
    }

    fn gate(&self, index: usize, phase: Phase) -> Gate {
        let spec = &self.processes[index].spec;
        // One of the same name that still ends has its ports, and its log.
        let is_taken = self.leaving.iter().any(|process| process.spec.name == spec.name);
        if phase == Phase::Running && !is_taken && self.unready(spec).is_empty() {
            Gate::Open
        } else {
            Gate::Closed
        }
    }

    fn unready(&self, spec: &ProcessSpec) -> Vec<ProcessName> {
        let is_ready = |name: &&ProcessName| {
            let mut processes = self.processes.iter();
            processes.any(|other| other.spec.name == **name && other.lets_others_start())
        };
        spec.after.iter().filter(|name| !is_ready(name)).cloned().collect()
    }

    /// Tells every process to end, and starts none again.
    pub(crate) fn stop(&mut self, hands: &mut Hands<'_>) {
        for process in self.processes.iter_mut().chain(&mut self.leaving) {
            process.on(Event::Stop, hands);
        }
    }

    /// Whether all of them end by this signal.
    pub(crate) fn ends_by(&self, signal: i32) -> bool {
        let running = self.all().filter(|process| process.incarnation.is_some());
        running.into_iter().all(|process| i32::from(process.spec.stop.signal) == signal)
    }

    pub(crate) fn status(&self) -> AppStatus {
        AppStatus { processes: self.published.clone() }
    }

    /// Makes the app what `app` says.
    fn apply(
        &mut self,
        app: AppSpec,
        key: impl FnMut() -> u64,
        hands: &mut Hands<'_>,
    ) -> Result<(), Refusal> {
        check::check(&app)?;
        if let Some(spec) = app.processes.iter().find(|spec| !self.logs.contains_key(&spec.name)) {
            let what = format!("the process `{}` was given no log", spec.name);
            return Err(Refusal::Invalid { what });
        }
        let mut before = std::mem::take(&mut self.processes);
        let mut key = key;
        for spec in app.processes {
            let log = self.logs[&spec.name].clone();
            log.borrow_mut().limit(spec.log_bytes_max.max(LOG_BYTES_MIN));
            let old = before.iter().position(|process| process.spec.name == spec.name);
            self.processes.push(match old.map(|index| before.remove(index)) {
                None => Process::new(key(), spec, log),
                Some(mut process) => {
                    if runs_otherwise(&process.spec, &spec) {
                        // By the policy that it was started with.
                        process.on(Event::Restart, hands);
                    }
                    process.spec = spec;
                    process
                }
            });
        }
        for mut process in before {
            process.on(Event::Stop, hands);
            self.leaving.push(process);
        }
        self.given.clear();
        self.forget_logs();
        self.part_ports();
        Ok(())
    }

    /// Tells each process which ports are those of others.
    fn part_ports(&mut self) {
        let all: Vec<(u64, Vec<u16>)> =
            self.processes.iter().map(|process| (process.key, process.ports().collect())).collect();
        for process in &mut self.processes {
            let others = all.iter().filter(|(key, _)| *key != process.key);
            process.foreign_ports = others.flat_map(|(_, ports)| ports.clone()).collect();
        }
    }
}

fn moved(process: &mut Process, gate: Gate, hands: &mut Hands<'_>) -> bool {
    process.settle_end(hands);
    let is_due = process.is_due(gate, hands.now);
    if is_due {
        process.on(Event::Turn(gate), hands);
    }
    is_due
}

/// Whether a process that runs as `old` says is not what `new` says. What only we look at is no reason to end it.
fn runs_otherwise(old: &ProcessSpec, new: &ProcessSpec) -> bool {
    let comparable = ProcessSpec {
        restart_after_task: new.restart_after_task,
        log_bytes_max: new.log_bytes_max,
        ..old.clone()
    };
    comparable != *new
}
