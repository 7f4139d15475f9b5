//! Servers that are written in Node, with a framework that has no commands of its own, or none.

use super::{package::Package, script_run};
use crate::{
    Confidence, Framework, Guess, Manager, ProjectFiles, Readiness, Reason, Suggestion,
    detect::scan, project::first_of,
};

/// Packages that a server is written with.
const PACKAGES: [&str; 8] =
    ["express", "fastify", "koa", "hono", "@hono/node-server", "@hapi/hapi", "restify", "polka"];

/// Where the server is mostly written.
const MAIN_FILES: [&str; 14] = [
    "server.js",
    "server.mjs",
    "server.ts",
    "index.js",
    "index.mjs",
    "index.ts",
    "app.js",
    "app.mjs",
    "app.ts",
    "src/server.js",
    "src/server.ts",
    "src/index.js",
    "src/index.ts",
    "src/app.ts",
];

const SCRIPTS: [&str; 4] = ["dev", "start:dev", "start", "serve"];

const HEALTH_PATHS: [&str; 4] = ["/health", "/healthz", "/api/health", "/ping"];

pub(super) fn detect(
    files: &dyn ProjectFiles,
    package: &Package,
    manager: Manager,
) -> Option<Suggestion> {
    let dependency = PACKAGES.iter().find_map(|name| package.dependency(name));
    let declared = package.main().filter(|main| is_plain_path(main) && files.has(main));
    let main = declared.or_else(|| first_of(files, MAIN_FILES));
    let script = SCRIPTS.iter().find_map(|name| Some((*name, package.script(name)?)));
    let run = match (script, main) {
        (Some((name, text)), _) => script_run(manager, name, text),
        (None, Some(main)) if !main.ends_with(".ts") => {
            Guess::new(format!("node --watch {main}"), Reason::file(main))
        }
        (None, _) => return None,
    };
    let confidence = match (&dependency, main) {
        (Some(_), Some(_)) => Confidence::High,
        (Some(_), None) => Confidence::Medium,
        (None, _) => Confidence::Low,
    };
    let text = main.and_then(|main| files.read(main)).unwrap_or_default();
    let script_text = script.map_or("", |(_, text)| text);
    let port = port(main, &text, script_text);
    let why = dependency.or_else(|| main.map(Reason::file)).unwrap_or_else(|| run.reason.clone());
    let mut suggestion = Suggestion::new(Guess::new(Framework::Node, why), confidence, run, port);
    suggestion.ready = ready(main, &text);
    Some(suggestion)
}

fn port(main: Option<&str>, text: &str, script: &str) -> Guess<u16> {
    if let Some(port) = scan::port_after(script, &["--port", "PORT", "-p"]) {
        return Guess::new(port, Reason::in_file(super::package::FILE, "its script says the port"));
    }
    if let Some(main) = main
        && let Some(port) = scan::port_after(text, &["PORT", "listen", "port", "Port"])
    {
        return Guess::new(port, Reason::in_file(main, format!("it names the port {port}")));
    }
    Guess::new(3000, Reason::usual("the server is told so by the variable PORT"))
}

fn ready(main: Option<&str>, text: &str) -> Guess<Readiness> {
    let answers = |path: &str| {
        let reason = Reason::in_file(main.unwrap_or_default(), format!("it has a route `{path}`"));
        Guess::new(Readiness::Path(path.to_owned()), reason)
    };
    match scan::quoted_path(text, &HEALTH_PATHS) {
        Some(path) => answers(path),
        None if scan::quoted_path(text, &["/"]).is_some() => answers("/"),
        None => Guess::new(Readiness::Port, Reason::usual("no path is known that answers")),
    }
}

/// It goes into a command.
fn is_plain_path(path: &str) -> bool {
    !path.starts_with(['/', '-'])
        && !path.split('/').any(|part| part == "..")
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b))
}
