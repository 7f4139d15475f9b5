//! The loop: wait, hear, settle.

use std::{collections::BTreeMap, io, os::fd::OwnedFd, time::Instant};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Signal, WaitOptions, wait},
    time::{ClockId, clock_gettime},
};
use sandbar_linux::signals::SignalFd;

use crate::{
    app::{App, Told, Wanted},
    connection::{Connection, Phase},
    exec::{Exec, MainProcess, Source},
    freezer::{Frozen, signal_everyone},
    processes,
    settings::Settings,
    viewer::PIECE_BYTES,
};

/// The signals that we read instead of being interrupted.
pub(crate) const SIGNALS: [Signal; 2] = [Signal::CHILD, Signal::TERM];

/// LIMIT: outputs of ended execs that background processes still hold; the oldest are closed beyond it.
const LEFTOVERS_MAX: usize = 128;

/// Process 1.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(crate) settings: Settings,
    signals: SignalFd,
    pub(crate) listener: OwnedFd,
    /// `None` once it is gone.
    keeper: Option<OwnedFd>,
    pub(crate) connections: BTreeMap<u64, Connection>,
    pub(crate) execs: BTreeMap<u64, Exec>,
    /// Read and thrown away, so that background processes that still write are not killed by SIGPIPE.
    pub(crate) leftovers: Vec<Source>,
    pub(crate) app: App,
    /// The listener of the egress proxy, once somebody asked for it.
    pub(crate) egress: Option<OwnedFd>,
    pub(crate) state: State,
    pub(crate) next_key: u64,
    pub(crate) buffer: Box<[u8]>,
}

/// Where the sandbox is in its life.
#[derive(Debug)]
pub(crate) enum State {
    /// Execs may start.
    Running,
    /// Every process was stopped by signal.
    Frozen(Frozen),
    /// Every process was told to end.
    Stopping,
}

/// What poll(2) found ready.
#[derive(Debug, Clone, Copy)]
enum Ready {
    Signals,
    Listener,
    Keeper,
    Connection(u64),
    Report(u64),
    Output(u64, usize),
    Stdin(u64),
    Leftover(usize),
    App(Wanted),
    Dial(u64),
}

impl Supervisor {
    pub(crate) fn new(
        settings: Settings,
        signals: SignalFd,
        listener: OwnedFd,
        keeper: OwnedFd,
    ) -> Self {
        Self {
            settings,
            signals,
            listener,
            keeper: Some(keeper),
            connections: BTreeMap::new(),
            execs: BTreeMap::new(),
            leftovers: Vec::new(),
            app: App::new(Instant::now()),
            egress: None,
            state: State::Running,
            next_key: 0,
            buffer: vec![0; PIECE_BYTES].into_boxed_slice(),
        }
    }

    /// Runs until every other process has ended after a stop.
    pub(crate) fn run(mut self: Box<Self>) -> io::Result<()> {
        loop {
            let ready = self.wait()?;
            let now = Instant::now();
            // INVARIANT: output before deaths: an exec whose output is at its end when it is reaped is over at once.
            for &(ready, events) in &ready {
                self.hear(ready, events, now)?;
            }
            if self.reap(now)? == Alone::Yes && matches!(self.state, State::Stopping) {
                return self.finish();
            }
            self.settle(now);
        }
    }

    fn wait(&mut self) -> io::Result<Vec<(Ready, PollFlags)>> {
        let until = self.deadline(Instant::now());
        let ready = self.wait_until(until)?;
        self.app.clock.waited(until, Instant::now());
        Ok(ready)
    }

    /// When something is to be done even if nothing happens.
    fn deadline(&self, now: Instant) -> Option<Instant> {
        let execs = self.execs.values().filter_map(Exec::deadline);
        let connections = self.connections.values().filter_map(Connection::deadline);
        execs.chain(connections).chain(self.app.deadline(self.phase(), now)).min()
    }

    fn wait_until(&self, until: Option<Instant>) -> io::Result<Vec<(Ready, PollFlags)>> {
        let interests = self.interests();
        let mut fds: Vec<PollFd<'_>> = interests.iter().map(|(_, fd)| fd.clone()).collect();
        let left = until.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(err) => return Err(err.into()),
        }
        let ready = interests.iter().zip(&fds).map(|(&(ready, _), fd)| (ready, fd.revents()));
        Ok(ready.filter(|(_, events)| !events.is_empty()).collect())
    }

    /// What we wait for follows from the state alone, so no registration can be forgotten.
    fn interests(&self) -> Vec<(Ready, PollFd<'_>)> {
        let read = PollFlags::IN;
        let mut all = vec![(Ready::Signals, PollFd::new(&self.signals, read))];
        all.extend(self.keeper.as_ref().map(|fd| (Ready::Keeper, PollFd::new(fd, read))));
        if self.connections.len() < self.settings.connections_max() {
            all.push((Ready::Listener, PollFd::new(&self.listener, read)));
        }
        for (&key, exec) in &self.execs {
            all.extend(exec.report.as_ref().map(|fd| (Ready::Report(key), PollFd::new(fd, read))));
            let sources = exec.outputs.iter().enumerate().filter(|(_, source)| !source.is_over);
            all.extend(
                sources.map(|(index, source)| {
                    (Ready::Output(key, index), PollFd::new(&source.fd, read))
                }),
            );
            let stdin = exec.stdin.fd.as_ref().filter(|_| exec.stdin.is_waiting());
            all.extend(stdin.map(|fd| (Ready::Stdin(key), PollFd::new(fd, PollFlags::OUT))));
        }
        for (&key, connection) in &self.connections {
            let is_full = connection
                .exec()
                .and_then(|exec| self.execs.get(&exec))
                .is_some_and(|e| e.stdin.is_full());
            let mut events = PollFlags::empty();
            events.set(PollFlags::IN, connection.is_listened_to() && !is_full);
            events.set(PollFlags::OUT, connection.is_blocked);
            all.push((Ready::Connection(key), PollFd::new(&connection.socket, events)));
            if let Phase::Dialing { connecting: Some(connecting), .. } = &connection.phase {
                let dial = PollFd::new(&connecting.socket, PollFlags::OUT);
                all.push((Ready::Dial(key), dial));
            }
        }
        let of_app = self.app.interests(self.phase());
        all.extend(
            of_app.map(|(wanted, fd, flags)| {
                (Ready::App(wanted), PollFd::from_borrowed_fd(fd, flags))
            }),
        );
        let leftovers = self.leftovers.iter().enumerate();
        all.extend(
            leftovers
                .map(|(index, source)| (Ready::Leftover(index), PollFd::new(&source.fd, read))),
        );
        all
    }

    fn hear(&mut self, ready: Ready, events: PollFlags, now: Instant) -> io::Result<()> {
        match ready {
            Ready::Signals => self.hear_signals(now)?,
            // The keeper says nothing after its go; that it is readable means that it is gone.
            Ready::Keeper => {
                self.keeper = None;
                self.stop(Signal::KILL, now)?;
            }
            Ready::Listener => self.accept(now),
            Ready::Connection(key) => self.hear_connection(key, events, now),
            Ready::Report(key) => self.hear_report(key),
            Ready::Output(key, index) => {
                if let Some(exec) = self.execs.get_mut(&key) {
                    exec.read_output(index, &mut self.buffer, now_us());
                }
            }
            Ready::Stdin(key) => {
                if let Some(exec) = self.execs.get_mut(&key) {
                    exec.write_stdin();
                }
                self.take_input(key);
            }
            Ready::Leftover(index) => self.drain_leftover(index),
            Ready::App(wanted) => {
                self.with_app(now, Told::ByUs, |app, hands| app.hear(wanted, hands));
            }
            Ready::Dial(key) => self.hear_dial(key, now),
        }
        Ok(())
    }

    fn hear_signals(&mut self, now: Instant) -> io::Result<()> {
        while let Some(received) = self.signals.receive()? {
            // Nobody inside may stop the sandbox; in user mode they could send us the signal.
            let is_from_outside = received.sender == 0;
            if received.signal == Signal::TERM.as_raw() && is_from_outside {
                self.stop(Signal::TERM, now)?;
            }
        }
        Ok(())
    }

    /// Tells every process to end; the loop goes on until they have.
    fn stop(&mut self, signal: Signal, now: Instant) -> io::Result<()> {
        // Where it was frozen, time goes on: they may end now.
        self.app.clock.thaw(now);
        self.state = State::Stopping;
        if signal == Signal::KILL || self.app.ends_by(signal.as_raw()) {
            self.with_app(now, Told::WithAll, App::stop);
            signal_everyone(signal)?;
        } else {
            let of_app: Vec<_> = self.app.pids().collect();
            self.with_app(now, Told::ByUs, App::stop);
            processes::signal_others(&of_app, signal);
        }
        // One that is stopped ends only when it goes on.
        signal_everyone(Signal::CONT)?;
        self.execs.values_mut().for_each(Exec::hang_up);
        Ok(())
    }

    fn drain_leftover(&mut self, index: usize) {
        if let Some(source) = self.leftovers.get_mut(index) {
            match rustix::io::read(&source.fd, &mut *self.buffer) {
                Ok(0) => source.is_over = true,
                Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => source.is_over = true,
            }
        }
    }

    fn reap(&mut self, now: Instant) -> io::Result<Alone> {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => self.reaped(pid, status, now),
                Ok(None) => return Ok(Alone::No),
                Err(Errno::CHILD) => return Ok(Alone::Yes),
                Err(Errno::INTR) => {}
                Err(err) => return Err(err.into()),
            }
        }
    }

    fn reaped(
        &mut self,
        pid: rustix::process::Pid,
        status: rustix::process::WaitStatus,
        now: Instant,
    ) {
        let found =
            self.execs.iter().find(|(_, exec)| exec.pid == pid && exec.main == MainProcess::Runs);
        let Some((&key, _)) = found else {
            // Or somebody's orphan: nobody asks how it ended.
            self.with_app(now, Told::ByUs, |app, hands| app.reaped(pid, status, hands));
            return;
        };
        // INVARIANT: first why it could not start, if so; it says more than the exit code of the child that told us.
        self.hear_report(key);
        if let Some(exec) = self.execs.get_mut(&key) {
            exec.reaped(status, now);
            for index in 0..exec.outputs.len() {
                exec.read_output(index, &mut self.buffer, now_us());
            }
        }
    }

    /// Brings everything to where the events have moved it.
    fn settle(&mut self, now: Instant) {
        self.execs.values_mut().for_each(|exec| exec.enforce_timeout(now));
        let over = self
            .execs
            .iter()
            .filter_map(|(&key, exec)| exec.is_over(now).map(|status| (key, status)));
        for (key, status) in over.collect::<Vec<_>>() {
            self.end(key, status);
        }
        let phase = self.phase();
        self.with_app(now, Told::ByUs, |app, hands| app.turn(phase, hands));
        self.settle_connections(now);
        self.leftovers.retain(|source| !source.is_over);
        let excess = self.leftovers.len().saturating_sub(LEFTOVERS_MAX);
        self.leftovers.drain(..excess);
    }

    fn settle_connections(&mut self, now: Instant) {
        let late =
            self.connections.iter().filter(|(_, connection)| connection.is_dialing_late(now));
        for key in late.map(|(&key, _)| key).collect::<Vec<_>>() {
            self.hear_dial(key, now);
        }
        let (app, buffer) = (&self.app, &mut self.buffer);
        self.connections.retain(|_, connection| {
            if connection.is_late(now) {
                return false;
            }
            if connection.is_blocked {
                return true;
            }
            let mut is_open = connection.advance(buffer, now_us()).is_ok();
            let frame = || app.status().to_frame().unwrap_or_default();
            if is_open && connection.tell(app.version, frame) {
                is_open = connection.advance(buffer, now_us()).is_ok();
            }
            is_open
        });
    }

    fn end(&mut self, key: u64, status: sandbar_types::ExitStatus) {
        let Some(mut exec) = self.execs.remove(&key) else {
            return;
        };
        // What was written before the deadline belongs to the exec; a writer that never stops does not.
        for index in 0..exec.outputs.len() {
            exec.read_output(index, &mut self.buffer, now_us());
        }
        exec.log.borrow_mut().finish(status, now_us());
        if !exec.is_terminal {
            self.leftovers.extend(exec.outputs.into_iter().filter(|source| !source.is_over));
        }
    }

    /// The last thing: nobody is left, so nothing more will be written.
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        let now = Instant::now();
        let ended =
            self.execs.iter().filter_map(|(&key, exec)| exec.status().map(|status| (key, status)));
        for (key, status) in ended.collect::<Vec<_>>() {
            self.end(key, status);
        }
        // Viewers that read get their end. The others find it in the log.
        self.settle(now);
        Ok(())
    }

    pub(crate) fn key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }
}

/// Whether other processes are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alone {
    Yes,
    No,
}

/// Microseconds since 1970.
pub(crate) fn now_us() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    seconds.saturating_mul(1_000_000) + u64::try_from(now.tv_nsec / 1000).unwrap_or_default()
}
