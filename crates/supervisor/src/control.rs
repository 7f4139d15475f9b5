//! Questions about the sandbox as a whole.

use std::{io, time::Instant};

use rustix::io::Errno;
use sandbar_protocol::{Control, ControlReply, PROTOCOL, Refusal, RunningExec};
use sandbar_types::ExecId;

use crate::{
    app::Event,
    freezer::Frozen,
    supervisor::{State, Supervisor},
};

impl Supervisor {
    pub(crate) fn control(&mut self, request: Control, now: Instant) -> ControlReply {
        let answer = match request {
            Control::Ping => return ControlReply::Pong { protocol: PROTOCOL },
            Control::List => return ControlReply::Execs { execs: self.list() },
            Control::Signal { id, signal } => self.signal(id, signal),
            Control::Freeze => self.freeze(now),
            Control::Thaw => self.thaw(now),
            Control::Apply { app } => self.app_apply(app, now),
            Control::Processes => return self.app_processes(now),
            Control::ProcessStart { name } => self.app_event(&name, Event::Start, now),
            Control::ProcessStop { name } => self.app_event(&name, Event::Stop, now),
            Control::ProcessRestart { name } => self.app_event(&name, Event::Restart, now),
        };
        answer.map_or_else(|refusal| ControlReply::Refused { refusal }, |()| ControlReply::Done)
    }

    fn list(&self) -> Vec<RunningExec> {
        let running = self.execs.values().map(|exec| RunningExec {
            id: exec.id,
            pid: exec.pid.as_raw_nonzero().get().unsigned_abs(),
            started_us: exec.started_us,
        });
        running.collect()
    }

    fn signal(&self, id: ExecId, signal: u8) -> Result<(), Refusal> {
        if !(1..=64).contains(&signal) {
            return Err(Refusal::Invalid { what: "signals have numbers from 1 to 64".to_owned() });
        }
        let exec = self.execs.values().find(|exec| exec.id == id).ok_or(Refusal::NotFound)?;
        exec.signal(signal.into());
        Ok(())
    }

    fn freeze(&mut self, now: Instant) -> Result<(), Refusal> {
        match self.state {
            State::Running => {
                let running = self.execs.values().filter(|exec| exec.status().is_none());
                let running = running.map(|exec| exec.pid);
                let known: Vec<_> = running.chain(self.app.pids()).collect();
                let frozen = Frozen::freeze(&known);
                self.state =
                    State::Frozen(frozen.map_err(|err| failed("not every process stopped", &err))?);
                self.app.clock.freeze(now);
                Ok(())
            }
            State::Frozen(_) => Ok(()),
            State::Stopping => Err(Refusal::Stopping),
        }
    }

    fn thaw(&mut self, now: Instant) -> Result<(), Refusal> {
        match std::mem::replace(&mut self.state, State::Running) {
            State::Running => Ok(()),
            State::Frozen(frozen) => {
                self.app.clock.thaw(now);
                frozen.thaw().map_err(|err| failed("not every process goes on", &err))
            }
            State::Stopping => {
                self.state = State::Stopping;
                Err(Refusal::Stopping)
            }
        }
    }
}

fn failed(what: &str, err: &io::Error) -> Refusal {
    let errno = Errno::from_io_error(err).map_or(0, Errno::raw_os_error);
    Refusal::Failed { what: what.to_owned(), errno }
}
