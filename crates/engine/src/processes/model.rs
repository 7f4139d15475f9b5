//! An app as its users see it, and what is made of it.

use sandbar_manifest::Finding;
use sandbar_types::{AppSpec, ProcessKind, ProcessState, ProcessStatus, SandboxState, StopReason};
use serde::{Deserialize, Serialize};

/// An app, as it is at one instant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AppStatus {
    /// What is known of its manifest.
    pub manifest: ManifestState,
    /// What it is made of, since the last manifest that could be used.
    pub spec: Option<AppSpec>,
    /// How its processes are, in the order of the manifest. Of a sandbox that does not run, all are stopped.
    pub processes: Vec<ProcessStatus>,
}

/// What is known of the manifest of a workspace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum ManifestState {
    /// Nobody has asked for the app to be started.
    #[default]
    Unread,
    /// There was none when it was looked for.
    Absent,
    /// It cannot be used; nothing was started or changed by it.
    Invalid {
        /// What is wrong with it.
        findings: Vec<Finding>,
    },
    /// The app is what it says.
    Applied {
        /// What is odd about it.
        warnings: Vec<Finding>,
    },
}

/// How the app looks from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The port of its URL; `None` for an app without a public face.
    pub port: Option<u16>,
    /// Whether it can be seen.
    pub status: PreviewStatus,
}

/// Whether a preview can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviewStatus {
    /// There is nothing to see: no app, or one of workers alone.
    None,
    /// It is on its way.
    Starting,
    /// It serves.
    Ready,
    /// It serves no longer: its process was stopped, or does not answer.
    Down,
    /// It cannot be started: the manifest is wrong, its process has given up, or the sandbox failed.
    Error,
    /// The sandbox sleeps; a request wakes it.
    Asleep,
    /// The sandbox was stopped or paused.
    Stopped,
}

impl AppStatus {
    /// How it looks from outside, in a sandbox that is in `state`.
    #[must_use]
    pub fn preview(&self, state: &SandboxState, stopped: Option<StopReason>) -> Preview {
        let port = self.spec.as_ref().and_then(AppSpec::web).and_then(|web| web.ports.first());
        let status = match (state, &self.manifest) {
            (SandboxState::Failed { .. }, _) if port.is_some() => PreviewStatus::Error,
            (_, ManifestState::Invalid { .. }) if self.processes.is_empty() => PreviewStatus::Error,
            (_, _) if port.is_none() => PreviewStatus::None,
            (SandboxState::Running, _) => self.web_status(),
            (SandboxState::Creating, _) => PreviewStatus::Starting,
            (SandboxState::Stopped, _) if stopped.is_some_and(StopReason::is_sleep) => {
                PreviewStatus::Asleep
            }
            (
                SandboxState::Paused
                | SandboxState::Stopping
                | SandboxState::Stopped
                | SandboxState::Failed { .. }
                | SandboxState::Deleting,
                _,
            ) => PreviewStatus::Stopped,
        };
        Preview { port: port.copied(), status }
    }

    fn web_status(&self) -> PreviewStatus {
        let web = self.processes.iter().find(|process| process.kind == ProcessKind::Web);
        match web.map(|web| &web.state) {
            None | Some(ProcessState::Waiting { .. } | ProcessState::Starting) => {
                PreviewStatus::Starting
            }
            Some(ProcessState::Running | ProcessState::Ready) => PreviewStatus::Ready,
            Some(
                ProcessState::Unhealthy { .. }
                | ProcessState::BackingOff { .. }
                | ProcessState::Stopping
                | ProcessState::Stopped
                | ProcessState::Exited,
            ) => PreviewStatus::Down,
            Some(ProcessState::GivenUp { .. }) => PreviewStatus::Error,
        }
    }

    /// An app as it was kept: nobody knows yet that any of its processes runs.
    pub(super) fn recalled(manifest: ManifestState, spec: Option<AppSpec>) -> Self {
        let processes = spec.iter().flat_map(|spec| &spec.processes).map(|process| ProcessStatus {
            name: process.name.clone(),
            kind: process.kind,
            state: ProcessState::Stopped,
            pid: None,
            restarts: 0,
            started_us: None,
            last_exit: None,
            hint: None,
        });
        Self { manifest, processes: processes.collect(), spec }
    }

    /// The app of a sandbox that was just started, whose supervisor has not been told of it yet.
    pub(super) fn on_its_way(&self) -> Self {
        let mut app = self.clone();
        for process in &mut app.processes {
            process.state = ProcessState::Waiting { after: Vec::new() };
        }
        app
    }

    /// The app of a sandbox whose processes have all ended.
    pub(super) fn at_rest(&self) -> Self {
        let mut app = self.clone();
        for process in &mut app.processes {
            process.pid = None;
            // What it gave up for is worth more than that it does not run.
            if !matches!(process.state, ProcessState::GivenUp { .. } | ProcessState::Exited) {
                process.state = ProcessState::Stopped;
            }
        }
        app
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sandbar_types::{ProcessSpec, RestartPolicy, StopPolicy};

    use super::*;

    fn web(state: ProcessState) -> AppStatus {
        let spec = AppSpec {
            processes: vec![process("web", ProcessKind::Web), process("w", ProcessKind::Worker)],
            ..AppSpec::default()
        };
        let status = ProcessStatus {
            name: "web".parse().unwrap(),
            kind: ProcessKind::Web,
            state,
            pid: Some(7),
            restarts: 0,
            started_us: None,
            last_exit: None,
            hint: None,
        };
        let manifest = ManifestState::Applied { warnings: Vec::new() };
        AppStatus { manifest, spec: Some(spec), processes: vec![status] }
    }

    fn process(name: &str, kind: ProcessKind) -> ProcessSpec {
        ProcessSpec {
            name: name.parse().unwrap(),
            kind,
            command: "serve".to_owned(),
            cwd: None,
            env: BTreeMap::new(),
            ports: if kind == ProcessKind::Web { vec![4000] } else { Vec::new() },
            after: Vec::new(),
            ready: None,
            health: None,
            stop: StopPolicy::default(),
            restart: RestartPolicy::Always,
            restart_after_task: false,
            log_bytes_max: 1 << 20,
        }
    }

    #[test]
    fn d10_an_app_of_workers_alone_has_no_preview() {
        let mut app = web(ProcessState::Running);
        app.spec.as_mut().unwrap().processes.retain(|process| process.kind == ProcessKind::Worker);
        let preview = app.preview(&SandboxState::Running, None);
        assert_eq!(preview, Preview { port: None, status: PreviewStatus::None });
    }

    #[test]
    fn d11_a_stopped_sandbox_shows_no_process_as_running() {
        let app = web(ProcessState::Ready).at_rest();
        assert_eq!(app.processes[0].state, ProcessState::Stopped);
        assert_eq!(app.processes[0].pid, None);
        let preview = app.preview(&SandboxState::Stopped, Some(StopReason::Requested));
        assert_eq!(preview, Preview { port: Some(4000), status: PreviewStatus::Stopped });
        let asleep = app.preview(&SandboxState::Stopped, Some(StopReason::Idle));
        assert_eq!(asleep.status, PreviewStatus::Asleep);
    }

    #[test]
    fn a7_what_gave_up_is_an_error_and_keeps_its_reason_when_the_sandbox_stops() {
        let given_up =
            ProcessState::GivenUp { reason: "five times".to_owned(), last_lines: vec![] };
        let app = web(given_up.clone());
        assert_eq!(app.preview(&SandboxState::Running, None).status, PreviewStatus::Error);
        assert_eq!(app.at_rest().processes[0].state, given_up);
    }
}
