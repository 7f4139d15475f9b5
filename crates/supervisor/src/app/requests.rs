//! What the host asks about the app.

use std::{fs::File, os::fd::OwnedFd, time::Instant};

use rustix::io::Errno;
use sandbar_protocol::{ControlReply, Opened, Refusal};
use sandbar_types::{AppSpec, ProcessName};

use super::{App, Event, Hands, Phase, Told};
use crate::{
    connection,
    log::LogFile,
    settings::{LOG_BYTES_MIN, Settings},
    supervisor::{State, Supervisor},
    viewer::{SharedLog, Viewer},
};

/// LIMIT: logs that were given, whether or not an app has named their processes.
const LOGS_MAX: usize = 2 * AppSpec::PROCESSES_MAX;

impl Supervisor {
    pub(crate) fn app_apply(&mut self, app: AppSpec, now: Instant) -> Result<(), Refusal> {
        self.app_may_change()?;
        let mut next_key = self.next_key;
        let applied = self.with_app(now, Told::ByUs, |ours, hands| {
            let key = || {
                next_key += 1;
                next_key
            };
            ours.apply(app, key, hands)
        });
        self.next_key = next_key;
        applied
    }

    pub(crate) fn app_event(
        &mut self,
        name: &ProcessName,
        event: Event,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.app_may_change()?;
        self.with_app(now, Told::ByUs, |app, hands| {
            app.named(name)?.on(event, hands);
            Ok(())
        })
    }

    pub(crate) fn app_processes(&mut self, now: Instant) -> ControlReply {
        let phase = self.phase();
        // What was asked for before is seen, whether or not the loop has come round since.
        self.with_app(now, Told::ByUs, |app, hands| app.turn(phase, hands));
        ControlReply::Processes { processes: self.app.status().processes }
    }

    pub(crate) fn process_log(
        &mut self,
        name: ProcessName,
        log: Option<OwnedFd>,
    ) -> Result<(), Refusal> {
        let log = File::from(log.ok_or_else(|| invalid("no log came with the request"))?);
        self.app.take_log(&self.settings, name, log)
    }

    pub(crate) fn follow(
        &self,
        name: &ProcessName,
        offset: u64,
    ) -> Result<connection::Phase, Refusal> {
        let log = self.app.logs.get(name).ok_or(Refusal::NotFound)?;
        let position = log.borrow().align(offset).map_err(|err| Refusal::Failed {
            what: "its log cannot be read".to_owned(),
            errno: Errno::from_io_error(&err).map_or(0, Errno::raw_os_error),
        })?;
        let answer =
            Opened::Streaming { offset: position }.to_frame().expect("an offset fits into a frame");
        Ok(connection::Phase::Following { viewer: Viewer::new(log.clone(), position, answer) })
    }

    /// Lets the app do something, with what it needs.
    pub(crate) fn with_app<T>(
        &mut self,
        now: Instant,
        told: Told,
        work: impl FnOnce(&mut App, &mut Hands<'_>) -> T,
    ) -> T {
        let moment = self.app.clock.moment(now);
        let mut hands = Hands {
            settings: &self.settings,
            buffer: &mut self.buffer,
            leftovers: &mut self.leftovers,
            now: moment,
            told,
        };
        work(&mut self.app, &mut hands)
    }

    pub(crate) const fn phase(&self) -> Phase {
        match self.state {
            State::Running => Phase::Running,
            State::Frozen(_) => Phase::Frozen,
            State::Stopping => Phase::Stopping,
        }
    }

    fn app_may_change(&self) -> Result<(), Refusal> {
        match self.phase() {
            Phase::Running => Ok(()),
            Phase::Frozen => Err(Refusal::Invalid { what: "the sandbox is paused".to_owned() }),
            Phase::Stopping => Err(Refusal::Stopping),
        }
    }
}

impl App {
    fn take_log(
        &mut self,
        settings: &Settings,
        name: ProcessName,
        file: File,
    ) -> Result<(), Refusal> {
        let known = self.logs.get(&name);
        if known.is_some_and(|known| known.borrow().is_in(&file).unwrap_or(false)) {
            // We have it open, and know its end better than the disk does.
            self.given.insert(name);
            return Ok(());
        }
        if known.is_none() && self.logs.len() >= LOGS_MAX {
            return Err(Refusal::LimitReached {
                limit: u32::try_from(LOGS_MAX).unwrap_or(u32::MAX),
            });
        }
        let mut all = self.processes.iter_mut().chain(&mut self.leaving);
        let process = all.find(|process| process.spec.name == name);
        let bytes_max = match &process {
            Some(process) => process.spec.log_bytes_max.max(LOG_BYTES_MIN),
            None => settings.log_bytes_max,
        };
        let log = LogFile::go_on(file, bytes_max)
            .map_err(|_| invalid("the log is not one of a process, or cannot be written"))?;
        let log = SharedLog::new(log.into());
        if let Some(process) = process {
            process.log = log.clone();
        }
        self.given.insert(name.clone());
        if let Some(before) = self.logs.insert(name, log) {
            before.borrow_mut().close();
        }
        Ok(())
    }
}

fn invalid(what: &str) -> Refusal {
    Refusal::Invalid { what: what.to_owned() }
}
