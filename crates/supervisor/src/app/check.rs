//! Whether an app can be kept. The host has looked at the manifest; this is about what would keep us from working.

use std::collections::BTreeSet;

use sandbar_linux::child::PASSED_MAX;
use sandbar_protocol::Refusal;
use sandbar_types::{AppSpec, Probe, ProcessName, ProcessSpec};

/// LIMIT: bytes of a path that is asked for.
const PATH_BYTES_MAX: usize = 1024;

/// Refuses what would wait for ever, or could not be said to the kernel or to a process.
pub(super) fn check(app: &AppSpec) -> Result<(), Refusal> {
    let limit = AppSpec::PROCESSES_MAX;
    if app.processes.len() > limit {
        return Err(Refusal::LimitReached { limit: u32::try_from(limit).unwrap_or(u32::MAX) });
    }
    let mut names = BTreeSet::new();
    for process in &app.processes {
        if !names.insert(&process.name) {
            return Err(invalid(&process.name, "is named twice"));
        }
    }
    for process in &app.processes {
        check_process(process, &names)?;
    }
    order(app)
}

fn check_process(process: &ProcessSpec, names: &BTreeSet<&ProcessName>) -> Result<(), Refusal> {
    let refuse = |what| Err(invalid(&process.name, what));
    if process.after.iter().any(|name| !names.contains(name)) {
        return refuse("waits for one that is not there");
    }
    if !(1..=64).contains(&process.stop.signal) {
        return refuse("has no signal that ends it; they have numbers from 1 to 64");
    }
    let probes = [
        process.ready.as_ref().map(|check| &check.probe),
        process.health.as_ref().map(|check| &check.probe),
    ];
    for probe in probes.into_iter().flatten() {
        match probe {
            Probe::Http { path, .. } if !is_path(path) => {
                return refuse("is asked for what is no path");
            }
            Probe::Http { port: 0, .. } | Probe::Tcp { port: 0 } => {
                return refuse("is asked on port 0");
            }
            Probe::Notify { fd } if !(3..=PASSED_MAX).contains(fd) => {
                return refuse("has no such descriptor to say that it is ready");
            }
            Probe::Http { .. }
            | Probe::Tcp { .. }
            | Probe::Command { .. }
            | Probe::Notify { .. } => {}
        }
    }
    match process.health.as_ref().map(|check| &check.probe) {
        Some(Probe::Notify { .. }) => refuse("cannot say again and again that it is healthy"),
        Some(Probe::Http { .. } | Probe::Tcp { .. } | Probe::Command { .. }) | None => Ok(()),
    }
}

/// A line of a request must stay one line.
fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= PATH_BYTES_MAX
        && path.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Refuses an app in which two wait for each other.
fn order(app: &AppSpec) -> Result<(), Refusal> {
    let mut left: Vec<&ProcessSpec> = app.processes.iter().collect();
    let mut started = BTreeSet::new();
    while !left.is_empty() {
        let before = left.len();
        left.retain(|process| {
            let is_free = process.after.iter().all(|name| started.contains(name));
            if is_free {
                started.insert(&process.name);
            }
            !is_free
        });
        if left.len() == before {
            return Err(invalid(&left[0].name, "waits for itself, by way of others or at once"));
        }
    }
    Ok(())
}

fn invalid(name: &ProcessName, what: &str) -> Refusal {
    Refusal::Invalid { what: format!("the process `{name}` {what}") }
}
