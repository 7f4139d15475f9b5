//! What depends on more than one field.

use std::collections::BTreeMap;

use sandbar_types::{AppSpec, ProcessName};

use crate::{
    app::Placed,
    command_port::stated_ports,
    finding::{Code, Findings, Position},
    map::{Map, Value},
};

mod order;

/// What processes must not do to each other.
pub(crate) fn check(processes: &[Placed], findings: &mut Findings) {
    if let Some(over) = processes.get(AppSpec::PROCESSES_MAX) {
        let message =
            format!("{} processes, and {} is the limit", processes.len(), AppSpec::PROCESSES_MAX);
        findings.add(Code::TooManyProcesses, over.at, message);
        // What follows is made for few.
        return;
    }
    names(processes, findings);
    ports(processes, findings);
    order::check(processes, findings);
}

fn names(processes: &[Placed], findings: &mut Findings) {
    let mut seen: BTreeMap<&ProcessName, Position> = BTreeMap::new();
    for process in processes {
        let name = &process.spec.name;
        match seen.get(name) {
            None => drop(seen.insert(name, process.name_at)),
            Some(first) => {
                let message =
                    format!("`{name}` is the name of two processes, first in line {}", first.line);
                findings
                    .add(Code::DuplicateName, process.name_at, message)
                    .hint("give each a name of its own");
            }
        }
    }
}

fn ports(processes: &[Placed], findings: &mut Findings) {
    let mut seen: BTreeMap<u16, (&ProcessName, Position)> = BTreeMap::new();
    for process in processes {
        for (port, at) in process.spec.ports.iter().zip(&process.ports_at) {
            match seen.get(port) {
                None => drop(seen.insert(*port, (&process.spec.name, *at))),
                Some((name, first)) => {
                    let message = format!(
                        "port {port} is served already, by `{name}` in line {}",
                        first.line
                    );
                    findings
                        .add(Code::PortTwice, *at, message)
                        .hint("one port can have one server; name it once");
                }
            }
        }
    }
}

/// What the fields of the web process say about each other.
pub(crate) fn check_web(web: &Map, port: u16, findings: &mut Findings) {
    // A port that is wrong differs from everything.
    let is_known = !web.has("port") || web.number("port").is_some();
    let command = web.text("command").map(stated_ports).unwrap_or_default();
    if let Some(other) = command.first()
        && web.has("port")
        && is_known
        && !command.contains(&port)
    {
        port_differs(web.at("command"), "the command", *other, port, findings);
    }
    let env = web.env("env");
    let variable = env.iter().find(|(name, _)| name.as_str() == "PORT");
    if let Some(other) = variable.and_then(|(_, text)| text.parse().ok())
        && is_known
        && other != port
    {
        port_differs(web.at("env"), "`PORT` in `env`", other, port, findings);
    }
    let asks_elsewhere = match web.value("ready") {
        Some(Value::Map(ready)) => {
            ready.map("http").map_or_else(|| is_probed_otherwise(ready), |http| http.has("path"))
        }
        Some(Value::Off) => true,
        Some(_) | None => false,
    };
    if let Some(path) = web.found("health_path")
        && asks_elsewhere
    {
        findings
            .add(
                Code::HealthPathUnused,
                path.key_at,
                "`health_path` has no effect beside this `ready`",
            )
            .hint("remove one of the two");
    }
}

fn is_probed_otherwise(ready: &Map) -> bool {
    ["tcp", "command", "notify"].iter().any(|key| ready.has(key))
}

fn port_differs(at: Position, who: &str, other: u16, port: u16, findings: &mut Findings) {
    findings
        .add(
            Code::CommandPortDiffers,
            at,
            format!("{who} says port {other}, `web.port` says {port}"),
        )
        .hint(format!("if it serves {other}, write `port: {other}`"));
}
