//! Which packages a project in Python names, and who installs them.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::{Guess, Install, Manager, ProjectFiles, Reason, project::first_of};

const REQUIREMENTS: [&str; 3] =
    ["requirements.txt", "requirements-dev.txt", "requirements/dev.txt"];

/// The packages that a project names, and how they are installed.
#[derive(Debug)]
pub(super) struct Packages {
    /// By normalized name: where it stands, and what is written there.
    named: BTreeMap<String, (Reason, String)>,
    installed_by: Option<Guess<Install>>,
}

impl Packages {
    pub(super) fn read(files: &dyn ProjectFiles) -> Self {
        let mut named = BTreeMap::new();
        let project = files.read("pyproject.toml").and_then(|text| text.parse::<Table>().ok());
        if let Some(project) = &project {
            for (requirement, place) in of_project(project) {
                let reason = Reason::in_file(
                    "pyproject.toml",
                    format!("{place} has {}", name_of(&requirement)),
                );
                named.insert(name_of(&requirement), (reason, requirement));
            }
        }
        let requirements = first_of(files, REQUIREMENTS);
        if let Some(file) = requirements {
            for line in files.read(file).unwrap_or_default().lines() {
                let name = name_of(line);
                if !name.is_empty() {
                    named.insert(name, (Reason::in_file(file, line.trim()), line.to_owned()));
                }
            }
        }
        Self { named, installed_by: installed_by(files, project.as_ref(), requirements) }
    }

    /// Why the package is believed to be used.
    pub(super) fn reason(&self, name: &str) -> Option<Reason> {
        self.named.get(name).map(|(reason, _)| reason.clone())
    }

    /// Whether uvicorn is there once the packages are.
    pub(super) fn brings_uvicorn(&self) -> bool {
        let brings =
            |(_, text): &(Reason, String)| text.contains("[standard") || text.contains("[all");
        self.named.contains_key("uvicorn") || self.named.get("fastapi").is_some_and(brings)
    }

    /// The install, with those of `needed` that nobody names.
    pub(super) fn install(&self, needed: &[&str]) -> Guess<Install> {
        let missing = needed.iter().filter(|name| !self.named.contains_key(**name));
        let mut guess = self.installed_by.clone().unwrap_or_else(|| {
            let nothing: [&str; 0] = [];
            let reason = Reason::usual("it comes with Python, and no file names packages");
            Guess::new(Install::new(Manager::Pip, nothing), reason)
        });
        // Those of uv and poetry come from a lock file: what is not in there would be removed again.
        if matches!(guess.value.manager, Manager::Pip | Manager::PipProject) {
            guess.value.extra = missing.map(|name| (*name).to_owned()).collect();
        }
        guess
    }
}

fn installed_by(
    files: &dyn ProjectFiles,
    project: Option<&Table>,
    requirements: Option<&str>,
) -> Option<Guess<Install>> {
    let tool = |name: &str| project.and_then(|table| table.get("tool")?.get(name)).is_some();
    let with_project = |manager, lock: &'static str| {
        let lock = files.has(lock).then_some(lock);
        Install::new(manager, std::iter::once("pyproject.toml").chain(lock))
    };
    if files.has("uv.lock") {
        return Some(Guess::new(with_project(Manager::Uv, "uv.lock"), Reason::file("uv.lock")));
    }
    if files.has("poetry.lock") {
        let install = with_project(Manager::Poetry, "poetry.lock");
        return Some(Guess::new(install, Reason::file("poetry.lock")));
    }
    if let Some(file) = requirements {
        return Some(Guess::new(Install::new(Manager::Pip, [file]), Reason::file(file)));
    }
    let project_is_installable = project.is_some_and(|table| table.contains_key("project"));
    let (manager, says) = if tool("poetry") {
        (Manager::Poetry, "[tool.poetry]")
    } else if tool("uv") {
        (Manager::Uv, "[tool.uv]")
    } else if project_is_installable {
        (Manager::PipProject, "[project]")
    } else {
        return None;
    };
    let reason = Reason::in_file("pyproject.toml", says);
    Some(Guess::new(Install::new(manager, ["pyproject.toml"]), reason))
}

/// Every requirement of a `pyproject.toml`, and the table that it stands in.
fn of_project(project: &Table) -> Vec<(String, &'static str)> {
    let strings = |value: Option<&Value>, place| {
        let all = value.and_then(Value::as_array).into_iter().flatten();
        all.filter_map(Value::as_str).map(move |text| (text.to_owned(), place)).collect::<Vec<_>>()
    };
    let mut found = strings(
        project.get("project").and_then(|table| table.get("dependencies")),
        "project.dependencies",
    );
    let poetry = project.get("tool").and_then(|tool| tool.get("poetry")?.get("dependencies"));
    let names = poetry.and_then(Value::as_table).into_iter().flat_map(Table::keys);
    found.extend(names.map(|name| (name.clone(), "tool.poetry.dependencies")));
    let groups = project.get("dependency-groups").and_then(Value::as_table);
    for group in groups.into_iter().flat_map(Table::values) {
        found.extend(strings(Some(group), "dependency-groups"));
    }
    found
}

/// The name in a requirement such as `Flask[async]>=3 ; …`, normalized; empty for a comment or an option.
fn name_of(requirement: &str) -> String {
    let line = requirement.trim();
    if !line.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return String::new();
    }
    line.chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        .map(|c| if matches!(c, '_' | '.') { '-' } else { c.to_ascii_lowercase() })
        .collect()
}
