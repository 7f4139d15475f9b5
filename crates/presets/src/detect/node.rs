//! Projects with a `package.json`.

mod framework;
mod manager;
mod package;
mod server;

use framework::{FRAMEWORKS, Family};
use package::Package;

use super::scan;
use crate::{
    Confidence, Guess, Install, Manager, ProjectFiles, Reason, Suggestion, project::first_of,
};

/// The endings of a configuration file, as in `vite.config.ts`.
const CONFIG_ENDINGS: [&str; 6] = ["ts", "js", "mjs", "mts", "cjs", "cts"];

pub(super) fn detect(files: &dyn ProjectFiles) -> Option<Suggestion> {
    let package = Package::read(files)?;
    let install = manager::install(files, &package);
    let by_framework = FRAMEWORKS
        .iter()
        .filter_map(|family| from_family(files, &package, family, &install))
        .min_by_key(|suggestion| suggestion.confidence);
    let by_server = server::detect(files, &package, install.value.manager);
    let mut suggestion = match (by_framework, by_server) {
        (Some(framework), Some(server)) if server.confidence < framework.confidence => server,
        (Some(framework), _) => framework,
        (None, server) => server?,
    };
    suggestion.build = build(&package, install.value.manager);
    suggestion.notes.extend(manager::notes(files, &install.value));
    // A server without packages has nothing to install.
    if package.has_dependencies() || install.value.inputs.len() > 1 {
        suggestion.install = Some(install);
    }
    Some(suggestion)
}

fn from_family(
    files: &dyn ProjectFiles,
    package: &Package,
    family: &Family,
    install: &Guess<Install>,
) -> Option<Suggestion> {
    let config = config_of(files, family);
    let reason = family
        .packages
        .iter()
        .find_map(|name| package.dependency(name))
        .or_else(|| config.as_deref().map(Reason::file))?;
    let script = family.scripts.iter().find_map(|name| {
        package.script(name).filter(|text| !text.trim().is_empty()).map(|text| (*name, text))
    });
    let (run, confidence) = match script {
        Some((name, text)) => (
            script_run(install.value.manager, name, text),
            if says(text, family.program) { Confidence::High } else { Confidence::Medium },
        ),
        None => (bare_run(family, &reason), Confidence::Medium),
    };
    let port = port(files, family, config.as_deref(), script);
    let mut suggestion =
        Suggestion::new(Guess::new(family.framework, reason), confidence, run, port);
    for (name, value, why) in family.env {
        suggestion.set_env(name, value, Reason::usual(why));
    }
    Some(suggestion)
}

/// A script of the project, by its own manager.
fn script_run(manager: Manager, name: &str, text: &str) -> Guess<String> {
    let reason = Reason::in_file(package::FILE, format!("scripts.{name} is `{text}`"));
    Guess::new(manager.run_script(name), reason)
}

/// The framework's own command, where no script says one.
fn bare_run(family: &Family, found: &Reason) -> Guess<String> {
    let reason =
        Reason::usual(format!("no script of package.json starts it, and there is {found}"));
    Guess::new(
        format!("node_modules/.bin/{} {}", family.program, family.arguments).trim_end().to_owned(),
        reason,
    )
}

/// Whether a script runs this program.
fn says(script: &str, program: &str) -> bool {
    script.split(|c: char| c.is_whitespace() || "&|;()'\"/".contains(c)).any(|word| word == program)
}

/// A script says a port before a configuration does, and both before the framework.
fn port(
    files: &dyn ProjectFiles,
    family: &Family,
    config: Option<&str>,
    script: Option<(&str, &str)>,
) -> Guess<u16> {
    if let Some((name, text)) = script
        && let Some(port) = scan::port_after(text, &["--port", "PORT", "-p"])
    {
        return Guess::new(
            port,
            Reason::in_file(package::FILE, format!("scripts.{name} is `{text}`")),
        );
    }
    if let Some(config) = config
        && let Some(text) = files.read(config)
        && let Some(server) = ["server", "devServer"].iter().find_map(|word| text.find(word))
        && let Some(port) = scan::port_after(&text[server..], &["port"])
    {
        return Guess::new(port, Reason::in_file(config, format!("server.port is {port}")));
    }
    let reason =
        Reason::usual(format!("{} uses it unless told otherwise", family.framework.label()));
    Guess::new(family.port, reason)
}

fn config_of(files: &dyn ProjectFiles, family: &Family) -> Option<String> {
    family.configs.iter().find_map(|stem| {
        let names: Vec<String> = if stem.ends_with(".json") {
            vec![(*stem).to_owned()]
        } else {
            CONFIG_ENDINGS.iter().map(|ending| format!("{stem}.{ending}")).collect()
        };
        first_of(files, names.iter().map(String::as_str)).map(str::to_owned)
    })
}

fn build(package: &Package, manager: Manager) -> Guess<Option<String>> {
    match package.script("build") {
        Some(text) => Guess::new(
            Some(manager.run_script("build")),
            Reason::in_file(package::FILE, format!("scripts.build is `{text}`")),
        ),
        None => Guess::new(None, Reason::in_file(package::FILE, "there is no script `build`")),
    }
}
