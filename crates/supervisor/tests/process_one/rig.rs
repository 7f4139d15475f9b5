//! An app in a sandbox, asked about by the server's own client.

use std::{cell::RefCell, collections::BTreeMap, fs::File, io, path::PathBuf};

use sandbar_runtime::{
    SandboxDir, SupervisorClient,
    client::{Body, LogReader},
};
use sandbar_types::{
    AppSpec, BuildCheck, ExitStatus, HealthCheck, Probe, ProcessKind, ProcessName, ProcessSpec,
    ProcessState, ProcessStatus, ReadyCheck, RestartPolicy, StopPolicy,
};
use tokio::runtime::{Builder, Runtime};

use crate::harness::{Sandbox, eventually};

pub struct Rig {
    pub sandbox: Sandbox,
    pub client: SupervisorClient,
    runtime: Runtime,
    /// What was seen last, for a failure's message.
    seen: RefCell<Vec<ProcessStatus>>,
}

impl Rig {
    pub fn start() -> Option<Self> {
        Some(Self::on(Sandbox::start()?))
    }

    pub fn on(sandbox: Sandbox) -> Self {
        let client = SupervisorClient::connect(&SandboxDir(sandbox.dir().to_owned())).unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { sandbox, client, runtime, seen: RefCell::default() }
    }

    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub fn log_path(&self, name: &str) -> PathBuf {
        self.sandbox.dir().join(format!("{name}.log"))
    }

    fn log_file(&self, name: &str) -> File {
        let path = self.log_path(name);
        File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap()
    }

    /// Gives each its log, and makes them the app.
    pub fn keep(&self, processes: &[ProcessSpec]) {
        self.try_keep(processes).unwrap();
    }

    pub fn try_keep(&self, processes: &[ProcessSpec]) -> io::Result<()> {
        let app = AppSpec { processes: processes.to_vec(), build: BuildCheck::Skipped };
        self.wait(async {
            for process in processes {
                let log = self.log_file(process.name.as_str());
                self.client.process_log(&process.name, log.into()).await?;
            }
            self.client.apply(&app).await
        })
    }

    pub fn status(&self, name: &str) -> ProcessStatus {
        let all = self.wait(self.client.processes()).unwrap();
        self.seen.replace(all.clone());
        let found = all.into_iter().find(|status| status.name.as_str() == name);
        found.unwrap_or_else(|| panic!("no process {name}"))
    }

    #[track_caller]
    pub fn until(&self, name: &str, is_so: impl Fn(&ProcessStatus) -> bool) -> ProcessStatus {
        let mut status = None;
        eventually("the process gets there", || {
            let now = self.status(name);
            let is_there = is_so(&now);
            status = Some(now);
            is_there
        });
        status.unwrap()
    }

    #[track_caller]
    pub fn until_ready(&self, name: &str) -> ProcessStatus {
        self.until(name, |status| status.state.is_ready())
    }

    /// Waits for the end of an attempt, and returns why it ended.
    #[track_caller]
    pub fn until_backing_off(&self, name: &str) -> String {
        let is_so =
            |status: &ProcessStatus| matches!(status.state, ProcessState::BackingOff { .. });
        let status = self.until(name, is_so);
        let ProcessState::BackingOff { reason, .. } = status.state else { panic!("{status:?}") };
        reason
    }

    /// What the log holds: output as it was written, and each note as a line `-- …`.
    pub fn log(&self, name: &str) -> String {
        let mut reader = LogReader::open(self.log_file(name), 0).unwrap();
        let mut text = String::new();
        while let Some(record) = reader.next_record().unwrap() {
            match record.body {
                Body::Output { bytes, .. } => text.push_str(&String::from_utf8_lossy(&bytes)),
                Body::Note(note) => text.extend(["-- ", &note, "\n"]),
                Body::Gap | Body::End(_) => panic!("not in the log of a process"),
            }
        }
        text
    }

    /// Sends a signal as a process inside does, once the kernel lets it: one that was just forked is not the agent yet.
    pub fn kill(&self, signal: &str, pid: Option<u32>) {
        let kill = format!("kill -{signal} {}", pid.unwrap());
        eventually("it can be signaled", || {
            self.sandbox.sh(&kill).end.status == (ExitStatus::Exited { code: 0 })
        });
    }
}

pub fn name(name: &str) -> ProcessName {
    name.parse().unwrap()
}

pub fn process(name: &str, command: &str) -> ProcessSpec {
    ProcessSpec {
        name: name.parse().unwrap(),
        kind: ProcessKind::Web,
        command: command.to_owned(),
        cwd: None,
        env: BTreeMap::new(),
        ports: Vec::new(),
        after: Vec::new(),
        ready: None,
        health: None,
        stop: StopPolicy::default(),
        restart: RestartPolicy::Always,
        restart_after_task: false,
        log_bytes_max: 1 << 20,
    }
}

/// A web server on this port of 127.0.0.1.
pub fn server(name: &str, port: u16) -> ProcessSpec {
    let command = format!("exec python3 -u -m http.server {port} --bind 127.0.0.1");
    ProcessSpec { ports: vec![port], ready: Some(ready(http(port))), ..process(name, &command) }
}

pub fn http(port: u16) -> Probe {
    Probe::Http { port, path: "/".to_owned() }
}

/// A readiness that is asked for often, and waited for long.
pub fn ready(probe: Probe) -> ReadyCheck {
    ReadyCheck { probe, interval_ms: 100, timeout_ms: 5000, deadline_ms: 30_000 }
}

pub fn health(probe: Probe) -> HealthCheck {
    HealthCheck { probe, interval_ms: 50, timeout_ms: 200, failures: 2, restart: false }
}
