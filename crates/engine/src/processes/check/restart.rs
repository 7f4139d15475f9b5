//! Restarting what a manifest wants restarted when a task has ended.

use std::time::Duration;

use sandbar_runtime::ProcessAction;
use sandbar_types::{
    ProcessKind, ProcessName, ProcessSpec, ProcessState, ProcessStatus, SandboxId,
};
use tokio::time::Instant;

use crate::{Engine, Result, processes::AppStatus};

/// LIMIT: how long is waited for web processes to be ready again, all together.
const READY_DEADLINE: Duration = Duration::from_secs(90);

/// A process that was restarted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restarted {
    /// How it is since; of a web process, when it was ready, could not be, or its time was over.
    pub process: ProcessStatus,
    /// Whether it serves, or without a readiness check runs.
    pub is_ready: bool,
}

impl Engine {
    /// Restarts the processes whose manifest says `restart_after_task`, and waits for the web ones to be ready.
    ///
    /// What a person stopped stays stopped.
    ///
    /// # Errors
    /// `sandbox_not_found`, `state_conflict`.
    pub async fn app_restart_after_task(&self, id: SandboxId) -> Result<Vec<Restarted>> {
        let handle = self.app_of_running(id)?;
        let mut begun = Vec::new();
        for (name, before) in to_restart(&handle.app.app()) {
            let process = self.process_act(id, name.clone(), ProcessAction::Restart).await?;
            begun.push((process.kind, name, before));
        }
        let deadline = Instant::now() + READY_DEADLINE;
        let mut app = handle.app.subscribe();
        let is_settled = |app: &std::sync::Arc<AppStatus>| {
            begun.iter().all(|(kind, name, before)| {
                *kind != ProcessKind::Web || verdict(app, name, *before).is_some()
            })
        };
        // Late, or gone: what is known then is told.
        let _settled = tokio::time::timeout_at(deadline, app.wait_for(is_settled)).await;
        let app = handle.app.app();
        let restarted = begun.iter().filter_map(|(_, name, before)| {
            let process = app.processes.iter().find(|process| process.name == *name)?.clone();
            let is_ready = verdict(&app, name, *before) == Some(true);
            Some(Restarted { process, is_ready })
        });
        Ok(restarted.collect())
    }
}

/// Which run of a process: when it was started, and how often before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run(Option<u64>, u32);

impl Run {
    const fn of(process: &ProcessStatus) -> Self {
        Self(process.started_us, process.restarts)
    }
}

/// What is to be restarted, and which run of it there was last.
fn to_restart(app: &AppStatus) -> Vec<(ProcessName, Run)> {
    let specs = app.spec.iter().flat_map(|spec| &spec.processes);
    let wanted = specs.filter(|spec| spec.restart_after_task);
    let restart = wanted.filter_map(|ProcessSpec { name, .. }| {
        let process = app.processes.iter().find(|process| process.name == *name)?;
        match process.state {
            ProcessState::Stopped | ProcessState::Stopping => None,
            ProcessState::Waiting { .. }
            | ProcessState::Starting
            | ProcessState::Running
            | ProcessState::Ready
            | ProcessState::Unhealthy { .. }
            | ProcessState::BackingOff { .. }
            | ProcessState::GivenUp { .. }
            | ProcessState::Exited => Some((name.clone(), Run::of(process))),
        }
    });
    restart.collect()
}

/// Whether a process is ready after its restart; `None`: it may still come. What it was before, which it may be while
/// it ends, does not count.
fn verdict(app: &AppStatus, name: &ProcessName, before: Run) -> Option<bool> {
    let Some(process) = app.processes.iter().find(|process| process.name == *name) else {
        return Some(false);
    };
    let is_another = Run::of(process) != before;
    match process.state {
        ProcessState::Running | ProcessState::Ready if is_another => Some(true),
        ProcessState::GivenUp { .. } | ProcessState::Exited if is_another => Some(false),
        // Somebody else stopped it.
        ProcessState::Stopped => Some(false),
        ProcessState::Waiting { .. }
        | ProcessState::Starting
        | ProcessState::Running
        | ProcessState::Ready
        | ProcessState::Unhealthy { .. }
        | ProcessState::BackingOff { .. }
        | ProcessState::GivenUp { .. }
        | ProcessState::Stopping
        | ProcessState::Exited => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(manifest: &str, states: &[(&str, ProcessState)]) -> AppStatus {
        let spec = sandbar_manifest::read(manifest).spec.unwrap();
        let processes = spec.processes.iter().map(|process| ProcessStatus {
            name: process.name.clone(),
            kind: process.kind,
            state: states
                .iter()
                .find(|(name, _)| *name == process.name.as_str())
                .map_or(ProcessState::Running, |(_, state)| state.clone()),
            pid: None,
            restarts: 0,
            started_us: Some(7),
            last_exit: None,
            hint: None,
        });
        AppStatus { processes: processes.collect(), spec: Some(spec), ..AppStatus::default() }
    }

    const SHOP: &str = "version: 1
web: {command: serve, port: 4000, restart_after_task: true}
workers:
  - {name: mail, command: work}
  - {name: beat, command: work, restart_after_task: true}
";

    #[test]
    fn what_says_so_is_restarted_unless_a_person_stopped_it() {
        let names = |app: &AppStatus| to_restart(app).into_iter().map(|(name, _)| name.to_string());
        assert_eq!(names(&app(SHOP, &[])).collect::<Vec<_>>(), ["web", "beat"]);
        let given_up = ProcessState::GivenUp { reason: "x".to_owned(), last_lines: Vec::new() };
        let states = [("web", given_up), ("beat", ProcessState::Stopped)];
        assert_eq!(names(&app(SHOP, &states)).collect::<Vec<_>>(), ["web"]);
        assert!(to_restart(&AppStatus::default()).is_empty());
    }

    #[test]
    fn what_was_ready_before_is_not_ready_again() {
        let ready = app(SHOP, &[("web", ProcessState::Ready)]);
        let web = "web".parse().unwrap();
        assert_eq!(verdict(&ready, &web, Run(Some(7), 0)), None);
        assert_eq!(verdict(&ready, &web, Run(Some(6), 0)), Some(true));
        let starting = app(SHOP, &[("web", ProcessState::Starting)]);
        assert_eq!(verdict(&starting, &web, Run(Some(6), 0)), None);
        let reason = "x".to_owned();
        let given_up = ProcessState::GivenUp { reason, last_lines: Vec::new() };
        assert_eq!(verdict(&app(SHOP, &[("web", given_up)]), &web, Run(Some(6), 0)), Some(false));
        assert_eq!(verdict(&ready, &"gone".parse().unwrap(), Run(None, 0)), Some(false));
    }
}
