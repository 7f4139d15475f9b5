//! What presets and detection write, as the validator of manifests reads it.

use std::collections::BTreeMap;

use sandbar_presets::{ProjectFiles, detect, manifest_text, presets};
use sandbar_types::ProcessKind;

struct Written(BTreeMap<&'static str, &'static str>);

impl ProjectFiles for Written {
    fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    fn read(&self, path: &str) -> Option<String> {
        self.0.get(path).map(|text| (*text).to_owned())
    }
}

#[test]
fn the_manifest_of_every_starter_is_valid_and_nothing_about_it_is_odd() {
    for preset in presets() {
        let reading = sandbar_manifest::read(preset.manifest());
        assert_eq!(reading.findings, [], "{}", preset.name);
        assert_eq!(reading.spec.unwrap().web().is_some(), preset.kind == ProcessKind::Web);
    }
}

#[test]
fn the_manifest_that_is_written_for_a_project_is_valid() {
    let vite = r#"{"scripts": {"dev": "vite"}, "devDependencies": {"vite": "8"}}"#;
    let projects = [
        vec![("package.json", vite), ("package-lock.json", "{}")],
        vec![("package.json", vite), ("yarn.lock", "")],
        vec![("package.json", vite), ("pnpm-lock.yaml", "")],
        vec![("manage.py", "import django"), ("requirements.txt", "django\n")],
        vec![
            ("app.py", "from flask import Flask\napp = Flask(__name__)\n"),
            ("requirements.txt", "flask\n"),
        ],
        vec![("index.html", "<!doctype html>")],
    ];
    for project in projects {
        let suggestions = detect(&Written(project.iter().copied().collect()));
        assert!(!suggestions.is_empty(), "{project:?}");
        for suggestion in &suggestions {
            let text = manifest_text(suggestion);
            let reading = sandbar_manifest::read(&text);
            assert!(reading.is_valid(), "{text}\n{:?}", reading.findings);
        }
    }
}
