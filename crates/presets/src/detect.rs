//! What a project is, by the files that say so.
//!
//! Each detector knows one family and gives its best guess, or none. The surest comes first; between equals, the order
//! of the table: a framework that brings a whole project, such as Rails or Django, before what it may have in it.

mod compiled;
mod deno;
mod node;
mod php;
mod plain;
mod procfile;
mod python;
mod ruby;
mod scan;

use crate::{ProjectFiles, Suggestion};

type Detector = fn(&dyn ProjectFiles) -> Option<Suggestion>;

const DETECTORS: [Detector; 11] = [
    ruby::rails,
    php::laravel,
    python::detect,
    node::detect,
    deno::detect,
    compiled::go,
    compiled::cargo,
    ruby::rack,
    procfile::detect,
    php::plain,
    plain::static_site,
];

/// How a project could be run: every guess, the surest first. Empty where nothing is recognized.
#[must_use]
pub fn detect(files: &dyn ProjectFiles) -> Vec<Suggestion> {
    let mut found: Vec<Suggestion> =
        DETECTORS.iter().filter_map(|detector| detector(files)).collect();
    for suggestion in &mut found {
        note_unignored_packages(files, suggestion);
        procfile::add_workers(files, suggestion);
    }
    found.sort_by_key(|suggestion| suggestion.confidence);
    found
}

/// Packages that git does not leave out are changes to review, by the thousand.
fn note_unignored_packages(files: &dyn ProjectFiles, suggestion: &mut Suggestion) {
    let Some(install) = &suggestion.install else { return };
    let tree = install.value.manager.tree();
    let ignored = files.read(".gitignore").unwrap_or_default();
    let is_ignored = ignored.lines().any(|line| {
        let line = line.trim().trim_start_matches('/').trim_end_matches('/');
        line == tree || tree.strip_prefix(line).is_some_and(|rest| rest.starts_with('/'))
    });
    if !is_ignored {
        suggestion
            .notes
            .push(format!("{tree} is where packages go, and .gitignore does not name it"));
    }
}

#[cfg(test)]
mod tests;
