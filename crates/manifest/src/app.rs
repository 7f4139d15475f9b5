//! From checked maps to the app, with every default filled in.

use sandbar_types::{
    AppSpec, BuildCheck, ProcessKind, ProcessName, ProcessSpec, RestartPolicy, StopPolicy,
};

use crate::{
    default_command::{BUILD_COMMAND, BUILD_TIMEOUT_MS, WEB_COMMAND, WEB_PORT},
    fields::SIGNALS,
    finding::{Code, Findings, Position},
    map::Map,
    probe::{self, Serving},
    relations,
};

/// How the web process is called.
const WEB: &str = "web";

/// LIMIT: bytes of one log file, and how many, where nothing is said.
const LOG_BYTES: u64 = 1 << 20;
const LOG_FILES: u64 = 5;

/// A process, and where it says what depends on others.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) spec: ProcessSpec,
    pub(crate) at: Position,
    pub(crate) name_at: Position,
    /// One for each of the ports.
    pub(crate) ports_at: Vec<Position>,
    /// One for each of `after`.
    pub(crate) after_at: Vec<Position>,
}

/// The app of a manifest. It is whole only if nothing was found.
pub(crate) fn app(top: &Map, findings: &mut Findings) -> AppSpec {
    let web = top.map("web").map(|map| web(map, findings));
    let workers: Vec<Placed> =
        top.maps("workers").iter().filter_map(|map| worker(map, findings)).collect();
    // A `web` or a worker that is there and wrong is something to run.
    if !top.has("web") && top.found("workers").is_none_or(|workers| workers.is_empty_list()) {
        findings
            .add(Code::NothingToRun, top.at, "there is neither a web process nor a worker")
            .hint("write `web: {}` to take every default, or `workers:` with a name and a command");
    }
    let placed: Vec<Placed> = web.into_iter().chain(workers).collect();
    relations::check(&placed, findings);
    AppSpec {
        processes: placed.into_iter().map(|placed| placed.spec).collect(),
        build: top.map("build").map(build).unwrap_or_default(),
    }
}

fn web(map: &Map, findings: &mut Findings) -> Placed {
    if let Some(command) = map.found("command")
        && !map.has("port")
    {
        findings
            .add(Code::PortMissing, command.key_at, "`web` has a `command` and no `port`")
            .hint("say which port it serves: `port: 3000`");
    }
    let port = map.small("port").unwrap_or(WEB_PORT);
    let mut ports = vec![(port, map.at("port"))];
    ports.extend_from_slice(map.ports("ports"));
    let path = map.text("health_path").unwrap_or("/").to_owned();
    let name = WEB.parse().expect("`web` is the name of a process");
    let serving = Serving { kind: ProcessKind::Web, port: Some(port), path };
    let mut placed = process(map, (name, map.at), ports, &serving, findings);
    relations::check_web(map, port, findings);
    // Servers that ask nobody listen where this says.
    if let Ok(name) = "PORT".parse() {
        placed.spec.env.entry(name).or_insert_with(|| port.to_string());
    }
    placed
}

fn worker(map: &Map, findings: &mut Findings) -> Option<Placed> {
    let ports = map.ports("ports").to_vec();
    let serving = Serving {
        kind: ProcessKind::Worker,
        port: ports.first().map(|(port, _)| *port),
        path: "/".to_owned(),
    };
    // Without a name there is nobody; the rest is looked at all the same.
    let name = map.text("name").and_then(|name| name.parse::<ProcessName>().ok());
    let placeholder = || WEB.parse().expect("`web` is the name of a process");
    let is_named = name.is_some();
    let name = (name.unwrap_or_else(placeholder), map.at("name"));
    let placed = process(map, name, ports, &serving, findings);
    is_named.then_some(placed)
}

fn process(
    map: &Map,
    (name, name_at): (ProcessName, Position),
    ports: Vec<(u16, Position)>,
    serving: &Serving,
    findings: &mut Findings,
) -> Placed {
    let (ports, ports_at) = ports.into_iter().unzip();
    let (after, after_at) = map.names("after").iter().cloned().unzip();
    let ready = probe::ready(map, serving, findings);
    let health = probe::health(map, ready.as_ref(), serving, findings);
    let default_command = match serving.kind {
        ProcessKind::Web => WEB_COMMAND,
        ProcessKind::Worker => "",
    };
    let spec = ProcessSpec {
        name,
        kind: serving.kind,
        command: map.text("command").unwrap_or(default_command).to_owned(),
        cwd: map.text("cwd").map(str::to_owned),
        env: map.env("env"),
        ports,
        after,
        ready,
        health,
        stop: map.map("stop").map(stop).unwrap_or_default(),
        restart: map.text("restart").map(restart).unwrap_or_default(),
        restart_after_task: map.flag("restart_after_task").unwrap_or(false),
        log_bytes_max: log_bytes_max(map.map("log")),
    };
    Placed { spec, at: map.at, name_at, ports_at, after_at }
}

fn stop(map: &Map) -> StopPolicy {
    let default = StopPolicy::default();
    let signal = map
        .text("signal")
        .and_then(|name| SIGNALS.iter().find(|(known, _)| *known == name))
        .map_or(default.signal, |(_, number)| *number);
    StopPolicy { signal, grace_ms: map.number("grace").unwrap_or(default.grace_ms) }
}

/// The words are those of the table.
fn restart(word: &str) -> RestartPolicy {
    match word {
        "on-failure" => RestartPolicy::OnFailure,
        "never" => RestartPolicy::Never,
        _ => RestartPolicy::Always,
    }
}

fn log_bytes_max(log: Option<&Map>) -> u64 {
    let number = |key, default| log.and_then(|map| map.number(key)).unwrap_or(default);
    number("size", LOG_BYTES) * number("files", LOG_FILES)
}

/// Unset, empty and set are three different things.
fn build(map: &Map) -> BuildCheck {
    let timeout_ms = map.number("timeout_seconds").map(|seconds| seconds * 1_000);
    match (map.text("command"), timeout_ms) {
        (None, None) => BuildCheck::Default,
        // The default, but with a time of its own.
        (None, Some(timeout_ms)) => {
            BuildCheck::Command { command: BUILD_COMMAND.to_owned(), timeout_ms }
        }
        (Some(command), _) if command.trim().is_empty() => BuildCheck::Skipped,
        (Some(command), timeout_ms) => BuildCheck::Command {
            command: command.to_owned(),
            timeout_ms: timeout_ms.unwrap_or(BUILD_TIMEOUT_MS),
        },
    }
}
