//! What is asked of a process: `ready` and `health`.

use sandbar_types::{HealthCheck, Probe, ProcessKind, ReadyCheck};

use crate::{
    finding::{Code, Findings},
    map::{Map, Value},
};

const READY_INTERVAL_MS: u64 = 500;
const READY_DEADLINE_MS: u64 = 90_000;
const HEALTH_INTERVAL_MS: u64 = 5_000;
const HEALTH_FAILURES: u32 = 3;
const ANSWER_TIMEOUT_MS: u64 = 5_000;

/// What a process serves, for checks that do not say it.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) kind: ProcessKind,
    pub(crate) port: Option<u16>,
    pub(crate) path: String,
}

impl Serving {
    /// What is asked of a process that says nothing about it.
    fn default_probe(&self) -> Option<Probe> {
        match (self.kind, self.port) {
            (ProcessKind::Web, Some(port)) => Some(Probe::Http { port, path: self.path.clone() }),
            (ProcessKind::Web, None) | (ProcessKind::Worker, _) => None,
        }
    }
}

pub(crate) fn ready(
    process: &Map,
    serving: &Serving,
    findings: &mut Findings,
) -> Option<ReadyCheck> {
    let (map, probe) = match process.found("ready") {
        None => (None, serving.default_probe()?),
        // `none`, or wrong.
        Some(_) => {
            let map = process.map("ready")?;
            (Some(map), probe(map, serving.default_probe(), serving, findings)?)
        }
    };
    let number = |key, default| map.and_then(|map| map.number(key)).unwrap_or(default);
    Some(ReadyCheck {
        probe,
        interval_ms: number("interval", READY_INTERVAL_MS),
        timeout_ms: number("timeout", ANSWER_TIMEOUT_MS),
        deadline_ms: number("deadline", READY_DEADLINE_MS),
    })
}

pub(crate) fn health(
    process: &Map,
    ready: Option<&ReadyCheck>,
    serving: &Serving,
    findings: &mut Findings,
) -> Option<HealthCheck> {
    let asked = match ready.map(|ready| &ready.probe) {
        // A descriptor is written once, so it says nothing about later.
        Some(Probe::Notify { .. }) => serving.default_probe(),
        Some(probe @ (Probe::Http { .. } | Probe::Tcp { .. } | Probe::Command { .. })) => {
            Some(probe.clone())
        }
        None => None,
    };
    let (map, probe) = match (process.found("health"), serving.kind) {
        (None, ProcessKind::Web) => (None, asked?),
        (None, ProcessKind::Worker) => return None,
        // `none`, or wrong.
        (Some(_), _) => {
            let map = process.map("health")?;
            let asked = asked.or_else(|| serving.default_probe());
            (Some(map), probe(map, asked, serving, findings)?)
        }
    };
    let number = |key, default| map.and_then(|map| map.number(key)).unwrap_or(default);
    Some(HealthCheck {
        probe,
        interval_ms: number("interval", HEALTH_INTERVAL_MS),
        timeout_ms: number("timeout", ANSWER_TIMEOUT_MS),
        failures: map.and_then(|map| map.small("failures")).unwrap_or(HEALTH_FAILURES),
        restart: map.and_then(|map| map.flag("restart")).unwrap_or(false),
    })
}

/// The one probe that a check names, or the default.
fn probe(
    check: &Map,
    default: Option<Probe>,
    serving: &Serving,
    findings: &mut Findings,
) -> Option<Probe> {
    let mut named = check
        .fields
        .iter()
        .filter(|found| matches!(found.key, "http" | "tcp" | "command" | "notify"));
    let Some(first) = named.next() else {
        if default.is_none() {
            findings
                .add(
                    Code::ProbeMissing,
                    check.at,
                    format!("{} does not say what is asked", check.table.name),
                )
                .hint("such as `tcp: {port: 5432}` or `command: test -e /tmp/ready`");
        }
        return default;
    };
    if let Some(second) = named.next() {
        let message =
            format!("{} asks `{}` and `{}` as well", check.table.name, first.key, second.key);
        findings.add(Code::ProbeTwice, second.key_at, message).hint("keep one of them");
    }
    match (first.key, first.value.as_ref()?) {
        ("command", Value::Text(command)) => Some(Probe::Command { command: command.clone() }),
        ("notify", Value::Map(map)) => map.small("fd").map(|fd| Probe::Notify { fd }),
        ("tcp", Value::Map(map)) => Some(Probe::Tcp { port: port(map, serving, findings)? }),
        (_http, Value::Map(map)) => Some(Probe::Http {
            port: port(map, serving, findings)?,
            path: map.text("path").unwrap_or(&serving.path).to_owned(),
        }),
        _no_other_form => None,
    }
}

fn port(map: &Map, serving: &Serving, findings: &mut Findings) -> Option<u16> {
    // A wrong one has its finding.
    if map.has("port") {
        return map.small("port");
    }
    if serving.port.is_none() {
        let message = format!("{} has no `port`, and the process serves none", map.table.name);
        findings.add(Code::PortMissing, map.at, message).hint("say which: `port: 5432`");
    }
    serving.port
}
