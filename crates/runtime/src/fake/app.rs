//! The app of a fake sandbox: processes that are whatever they were last told to be, and ready as soon as they start.

use std::{collections::BTreeMap, fs::File, io, os::unix::fs::FileExt, sync::Mutex};

use sandbar_protocol::{
    AppStatus, Opened,
    log::{HEADER_BYTES, Header},
};
use sandbar_types::{AppSpec, ProcessName, ProcessSpec, ProcessState, ProcessStatus};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::watch,
    task::JoinSet,
};

use crate::{AppWatch, ProcessAction};

/// What a sandbox was told to keep, and how that is said to be.
#[derive(Debug)]
pub(super) struct FakeApp {
    spec: AppSpec,
    logs: BTreeMap<ProcessName, File>,
    status: watch::Sender<AppStatus>,
    /// One task for each who watches or follows.
    streams: Mutex<JoinSet<()>>,
}

impl Default for FakeApp {
    fn default() -> Self {
        Self {
            spec: AppSpec::default(),
            logs: BTreeMap::new(),
            status: watch::Sender::new(AppStatus { processes: Vec::new() }),
            streams: Mutex::default(),
        }
    }
}

impl FakeApp {
    pub(super) fn spec(&self) -> AppSpec {
        self.spec.clone()
    }

    pub(super) fn processes(&self) -> Vec<ProcessStatus> {
        self.status.borrow().processes.clone()
    }

    pub(super) fn take_log(&mut self, name: &ProcessName, log: File) -> io::Result<()> {
        if log.metadata()?.len() == 0 {
            log.write_all_at(&Header::NEW.encode(), 0)?;
            log.set_len(HEADER_BYTES)?;
        }
        self.logs.insert(name.clone(), log);
        Ok(())
    }

    pub(super) fn apply(&mut self, app: &AppSpec) -> io::Result<()> {
        if app.processes.iter().any(|process| !self.logs.contains_key(&process.name)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let (before, now) = (std::mem::replace(&mut self.spec, app.clone()), &self.spec);
        self.status.send_modify(|status| {
            let keeps = |process: &ProcessSpec| {
                let old = status.processes.iter().find(|old| old.name == process.name);
                old.filter(|_| before.processes.contains(process)).cloned()
            };
            let kept = now
                .processes
                .iter()
                .map(|process| keeps(process).unwrap_or_else(|| running(process)));
            status.processes = kept.collect();
        });
        Ok(())
    }

    pub(super) fn act(&self, name: &ProcessName, action: ProcessAction) -> io::Result<()> {
        let is_known = self.spec.processes.iter().any(|process| process.name == *name);
        if !is_known {
            return Err(io::ErrorKind::NotFound.into());
        }
        match action {
            ProcessAction::Start => self.set(name, ProcessState::Running),
            ProcessAction::Stop => self.set(name, ProcessState::Stopped),
            ProcessAction::Restart => {
                self.set(name, ProcessState::Running);
                self.change(name, |process| process.restarts += 1);
            }
        }
        Ok(())
    }

    pub(super) fn set(&self, name: &ProcessName, state: ProcessState) {
        self.change(name, |process| process.state = state);
    }

    fn change(&self, name: &ProcessName, change: impl FnOnce(&mut ProcessStatus)) {
        self.status.send_if_modified(|status| {
            let process = status.processes.iter_mut().find(|process| process.name == *name);
            process.map(change).is_some()
        });
    }

    /// A connection as the supervisor's: a frame at once, and one after each change.
    pub(super) fn watch(&self) -> io::Result<AppWatch> {
        let (mut ours, theirs) = UnixStream::pair()?;
        let mut status = self.status.subscribe();
        status.mark_changed();
        self.serve(async move {
            while status.changed().await.is_ok() {
                let frame = status.borrow_and_update().to_frame().map_err(io::Error::other)?;
                ours.write_all(&frame).await?;
            }
            Ok(())
        });
        Ok(AppWatch::new(theirs))
    }

    /// A connection as the supervisor's: what its log holds by now. It stays open, as nothing more is ever written.
    pub(super) fn follow(&self, name: &ProcessName, offset: u64) -> io::Result<UnixStream> {
        let log = self.logs.get(name).ok_or(io::ErrorKind::NotFound)?;
        let (mut ours, theirs) = UnixStream::pair()?;
        let offset = offset.max(HEADER_BYTES);
        let left = log.metadata()?.len().saturating_sub(offset);
        let mut records = vec![0; usize::try_from(left).map_err(io::Error::other)?];
        log.read_exact_at(&mut records, offset)?;
        self.serve(async move {
            let opened = Opened::Streaming { offset }.to_frame().map_err(io::Error::other)?;
            ours.write_all(&opened).await?;
            ours.write_all(&records).await?;
            ours.read(&mut [0]).await.map(|_hung_up| ())
        });
        Ok(theirs)
    }

    fn serve(&self, stream: impl Future<Output = io::Result<()>> + Send + 'static) {
        let mut streams = self.streams.lock().expect("nobody panics while holding the streams");
        // A client that hung up is no failure of the app.
        streams.spawn(async { drop(stream.await) });
    }
}

fn running(process: &ProcessSpec) -> ProcessStatus {
    ProcessStatus {
        name: process.name.clone(),
        kind: process.kind,
        state: match process.ready {
            Some(_) => ProcessState::Ready,
            None => ProcessState::Running,
        },
        pid: None,
        restarts: 0,
        started_us: None,
        last_exit: None,
        hint: None,
    }
}
